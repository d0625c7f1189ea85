"""Solve a problem from a checkout: `python scripts/solve.py burgers` is `pdesolve solve burgers`."""

import sys

from pdesolve.cli import main

if __name__ == "__main__":
    sys.exit(main(["solve", *sys.argv[1:]]))
