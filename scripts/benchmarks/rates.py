"""What the machine can do at most: rates of matrix products and of copying. Stand-alone; prints one line of JSON."""

import json
import sys
import time

import numpy as np


def best(action, repetitions):
    """Return the shortest time of several; the first call warms up."""
    action()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def product(dtype, size, repetitions):
    """Return the rate of a product of square matrices, operations per second."""
    a = np.ones((size, size), dtype)
    out = np.empty_like(a)
    return 2 * size**3 / best(lambda: np.matmul(a, a, out=out), repetitions)


def copy(count, repetitions):
    """Return the rate of copying an array beyond the caches, bytes read and written per second."""
    source = np.ones(count)
    target = np.empty_like(source)
    return 2 * source.nbytes / best(lambda: np.copyto(target, source), repetitions)


def main():
    """Measure; `--smoke` takes small arrays."""
    small = "--smoke" in sys.argv
    size, count, repetitions = (256, 2**18, 2) if small else (2048, 2**25, 5)
    rates = {
        "matmul_float64": product(np.float64, size, repetitions),
        "matmul_float32": product(np.float32, size, repetitions),
        "copy": copy(count, repetitions),
    }
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
