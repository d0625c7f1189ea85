"""Train an operator from a checkout: `scripts/train_operator.py WORDS` is `pdesolve solve WORDS`."""

import sys

from pdesolve.cli import main

if __name__ == "__main__":
    sys.exit(main(["solve", *sys.argv[1:]]))
