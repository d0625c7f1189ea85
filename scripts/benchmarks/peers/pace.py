"""What a training step costs, from the time that a program takes for so many of them. Stand-alone.

Every script that measures steps answers to the same words, solves the same problem, and writes the same lines:

    u_t + u u_x = (0.01 / pi) u_xx  on [-1, 1] x [0, 1],   u = -sin(pi x) at t = 0,   u = 0 at both ends,

by a tanh network in float32 and Adam with learning rate 1e-3, on a given number of points inside, 40 at the start and
40 at each end. The loss is the sum of the mean squares of residual, initial and boundary condition.
"""

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable

VISCOSITY = 0.01 / 3.141592653589793
CONDITION = 40
"""Points at the start, and at each end."""
LEARNING_RATE = 1e-3


def arguments(description: str) -> argparse.Namespace:
    """Parse the words of a script."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--depth", type=int, required=True, help="hidden layers")
    parser.add_argument("--width", type=int, required=True, help="units of each")
    parser.add_argument("--points", type=int, nargs="+", required=True, help="points inside, one measurement for each")
    parser.add_argument("--threads", type=int, nargs="+", default=[0], help="tried in turn, where it can be chosen")
    parser.add_argument("--chunk", type=int, help="points evaluated at a time, where that can be chosen; default: all")
    parser.add_argument("--seconds", type=float, default=2.0, help="spent on a measurement, at least")
    parser.add_argument("--records", required=True, help="JSON lines to write")
    return parser.parse_args()


def pace(run: Callable[[int], float], seconds: float, repetitions: int = 3) -> dict:
    """Return seconds per step, raw and median, and what the first call took.

    Args:
        run: Takes n steps and returns their seconds; what a call costs beside its steps cancels.
        seconds: Shortest time of the steps that are timed.
        repetitions: Number of differences.
    """
    start = time.perf_counter()
    run(1)
    first, count = time.perf_counter() - start, 1
    while (taken := run(count)) < seconds / 4 and count < 2**20:
        count *= 2 if taken > 0.02 * seconds else 8
    slopes = []
    for _ in range(repetitions):
        short, long = run(count), run(3 * count)
        slopes.append((long - short) / (2 * count))
    return {"seconds_per_step": statistics.median(slopes), "raw": slopes, "first_seconds": first, "steps": count}


def repeated(action: Callable[[], object], seconds: float) -> float:
    """Return the median time of an action that waits for its own end, warmed up."""
    action()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def clocked(action: Callable[[], object]) -> float:
    """Return the seconds of an action."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def peak_bytes() -> int:
    """Return the most memory that this process has held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure(given: argparse.Namespace, build: Callable, choose_threads: Callable[[int], None] | None = None) -> None:
    """Write a line for each number of points and of threads.

    Args:
        given: The script's words.
        build: `(given, points) -> (run, residual)`: the training as `pace` wants it, and the residual evaluated once.
        choose_threads: Sets the number of threads, where that can be done within a process.
    """
    with open(given.records, "w", encoding="utf-8") as file:
        for points in given.points:
            for threads in given.threads if choose_threads else [0]:
                if choose_threads:
                    choose_threads(threads)
                run, residual = build(given, points)
                record = {"points": points, "threads": threads, **pace(run, given.seconds)}
                record["residual_seconds"] = repeated(residual, given.seconds / 4)
                record["peak_bytes"] = peak_bytes()
                file.write(json.dumps(record) + "\n")
                file.flush()
