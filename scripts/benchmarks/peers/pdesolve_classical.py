"""Classical solvers of named problems, as coarse as an error allows. Uses pdesolve."""

import argparse
import json
import statistics

import jax

from pdesolve import registry
from pdesolve.errors import PdesolveError

REPETITIONS = 5


def main():
    """Write a line for each error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problem", required=True)
    parser.add_argument("--levels", type=float, nargs="+", required=True)
    parser.add_argument("--records", required=True)
    given = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    problem = registry.load("problems", given.problem)()
    with open(given.records, "w", encoding="utf-8") as file:
        for level in given.levels:
            try:
                answers = [problem.classical(level) for _ in range(REPETITIONS)]
            except PdesolveError:  # not to be had
                continue
            seconds = statistics.median(answer.seconds for answer in answers)
            record = {"level": level, "seconds": seconds, "error": answers[0].error, "method": answers[0].description}
            file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
