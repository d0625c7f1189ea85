"""Stacks of gradients, and what a rule makes of them: time, and the angles of the result. Stand-alone.

The rows of a stack have lengths 1, 10, 100, ..., and pairwise cosines of -0.7 / (m - 1): all are in conflict.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np

RULES = ("config", "upgrad", "dualproj", "pcgrad", "imtlg")


def stack(terms: int, size: int) -> np.ndarray:
    """Return gradients `(terms, size)` in float32."""
    rows = np.random.default_rng(terms).standard_normal((terms, size), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)  # orthogonal up to 1 / sqrt(size)
    cosines = np.full((terms, terms), -0.7 / (terms - 1)) + (1 + 0.7 / (terms - 1)) * np.eye(terms)
    mixed = np.linalg.cholesky(cosines).astype(np.float32) @ rows
    return mixed * (10.0 ** np.arange(terms, dtype=np.float32))[:, None]


def arguments(description: str) -> argparse.Namespace:
    """Parse the words of a script."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--terms", type=int, nargs="+", required=True)
    parser.add_argument("--sizes", type=int, nargs="+", required=True)
    parser.add_argument("--threads", type=int, default=0, help="where it can be chosen")
    parser.add_argument("--seconds", type=float, default=1.0, help="spent on a measurement, at least")
    parser.add_argument("--records", required=True, help="JSON lines to write")
    return parser.parse_args()


def measure(given: argparse.Namespace, rules: dict[str, Callable], convert: Callable, fetch: Callable) -> None:
    """Write a line for each rule and stack.

    Args:
        given: The script's words.
        rules: From name to a function of a converted stack, which waits for its own end.
        convert: Makes the package's array of a NumPy one.
        fetch: Makes a NumPy array of a result.
    """
    with open(given.records, "w", encoding="utf-8") as file:
        for terms in given.terms:
            for size in given.sizes:
                rows = stack(terms, size)
                converted = convert(rows)
                for name, rule in rules.items():
                    file.write(json.dumps(_record(name, rule, rows, converted, fetch, given.seconds)) + "\n")
                    file.flush()


def _record(name, rule, rows, converted, fetch, seconds):
    record = {"rule": name, "terms": len(rows), "size": rows.shape[1]}
    try:
        result = fetch(rule(converted)).astype(np.float64)
        times, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 3:
            start = time.perf_counter()
            rule(converted)
            times.append(time.perf_counter() - start)
    except Exception as error:  # a package that fails on a stack is a result
        return record | {"error": f"{type(error).__name__}: {error}"[:200]}
    norms = np.linalg.norm(rows.astype(np.float64), axis=1) * np.linalg.norm(result)
    cosines = (rows.astype(np.float64) @ result / norms).tolist() if np.all(norms > 0) else None
    return record | {"seconds": statistics.median(times), "cosines": cosines}
