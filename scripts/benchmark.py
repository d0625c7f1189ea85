"""Measure pdesolve, alone and beside its peers: `python scripts/benchmark.py --help`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the checkout's own pdesolve, whatever is installed

from scripts.benchmarks.command import main

if __name__ == "__main__":
    sys.exit(main())
