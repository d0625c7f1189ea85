"""What a training step costs, here and elsewhere: the same equation, network, points, precision and optimiser."""

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from .. import markdown
from ..cell import AbstractSuite, Cell
from ..contenders import CONTENDERS, OURS, PINNS, chosen
from ..machine import cores
from ..scripted import run_script

__all__ = ["Step"]

NETWORKS = ((3, 20), (4, 64), (4, 128), (8, 256))
"""Hidden layers and units of each."""
POINTS = (1_000, 10_000, 100_000, 1_000_000)
MEMORY = 8 * 2**30
"""Bytes of intermediate values, by our count, above which only this package is measured, a chunk at a time."""
CHUNK = 2**14
"""Points evaluated at a time there."""
STREAMS = 4
"""Forward passes in one residual of the Burgers equation: u, u_t, u_x, u_xx."""
REPETITIONS = 3


class Step(AbstractSuite):
    """One step of Adam on the residual of the Burgers equation."""

    name = "step"
    title = "A training step"
    about = (
        "Seconds of one step of Adam, by each package's own training loop, and of one evaluation of the residual "
        "(*r*), on the Burgers equation: tanh network, float32, conditions as loss terms on 40 points each, the same "
        "cores for all in turn; what a call costs beside its steps, compilation included, is left out. Packages with "
        "OpenMP threads get one or all cores, whichever is faster. *Floor*: 24 operations for each weight and point "
        "(four forward passes for u, u_t, u_x, u_xx; gradients cost two more each) at the measured rate of float32 "
        f"products. Rows marked * hold more than {MEMORY >> 30} GiB of intermediate values: this package alone, "
        f"{CHUNK} points at a time. Medians over processes."
    )

    def cells(self, options):
        """Return one process for each network and package, packages in turn, again and again."""
        names = chosen(options.peers, PINNS)
        networks = NETWORKS[:1] if options.smoke else NETWORKS
        repetitions = 1 if options.smoke else options.repetitions or REPETITIONS
        return [
            cell
            for k in range(repetitions)
            for depth, width in networks
            for name in names
            for cell in _cells(name, depth, width, k, options.smoke)
        ]

    def measure(self, cell, workspace, done):
        """Return a record for each number of points, with the faster number of threads."""
        given = cell.parameters
        script = f"{given['contender'].partition('-')[0]}_step.py"
        words = {key: given[key] for key in ("depth", "width", "seconds", "chunk", "threads", "points")}
        name = f"step/{cell.key.replace('/', '-')}"
        lines, facts = run_script(workspace, given["contender"], script, words, name=name)
        return {"records": lines, **facts}

    def table(self, records: Mapping[str, Mapping[str, Any]]) -> str:
        """Return one row for each network and number of points."""
        best: dict[tuple[int, int, int, bool], dict[str, list[Any]]] = {}
        for record in records.values():
            if record["status"] == "measured":
                given = record["parameters"]
                rate = record["machine"]["rates"]["matmul_float32"]
                for line in _faster(record["result"]["records"]):
                    row = (given["depth"], given["width"], line["points"], bool(given["chunk"]))
                    share = floor(*row[:3], rate) / line["seconds_per_step"]
                    best.setdefault(row, {}).setdefault(given["contender"], []).append({**line, "share": share})
        names = [name for name in CONTENDERS if any(name in group for group in best.values())]
        header = ["network, points", *names, f"{OURS}, r", "fastest peer / ours", "floor / ours"]
        return markdown.table(header, [_row(row, group, names) for row, group in sorted(best.items())])


def weights(depth: int, width: int) -> int:
    """Return the number of weights that multiply, of a network from two numbers to one."""
    return 2 * width + (depth - 1) * width**2 + width


def floor(depth: int, width: int, points: int, rate: float) -> float:
    """Return the seconds of the products in one step at a rate in operations per second."""
    return 6 * STREAMS * weights(depth, width) * points / rate


def _fits(depth: int, width: int, points: int) -> bool:
    """Say whether values of all layers, with what their gradients keep, fit into `MEMORY`."""
    return 4 * 3 * STREAMS * depth * width * points <= MEMORY


def _cells(name: str, depth: int, width: int, k: int, smoke: bool) -> Iterable[Cell]:
    given = {"contender": name, "depth": depth, "width": width, "seconds": 0.05 if smoke else 2.0}
    given["threads"] = sorted({1, cores()}) if CONTENDERS[name].threaded else [0]
    points = POINTS[:1] if smoke else POINTS
    key = f"{name}/{depth}x{width}"
    yield Cell(f"{key}/{k}", {**given, "chunk": None, "points": [n for n in points if _fits(depth, width, n)]})
    large = [n for n in points if not _fits(depth, width, n)]
    if large and name == OURS:
        yield Cell(f"{key}*/{k}", {**given, "chunk": CHUNK, "points": large})


def _faster(lines: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the line of the faster number of threads, for each number of points."""
    groups: dict[int, list[Mapping[str, Any]]] = {}
    for line in lines:
        groups.setdefault(line["points"], []).append(line)
    return [min(group, key=lambda line: line["seconds_per_step"]) for group in groups.values()]


def _row(row: tuple[int, int, int, bool], group: Mapping[str, list[Any]], names: list[str]) -> list[str]:
    depth, width, points, chunked = row
    paces = {name: [line["seconds_per_step"] for line in lines] for name, lines in group.items()}
    peers = [statistics.median(values) for name, values in paces.items() if name != OURS]
    ours = statistics.median(paces[OURS]) if OURS in paces else None
    ratio = "-" if ours is None or not peers else f"{min(peers) / ours:.2g}"
    return [
        f"{depth} x {width}, {points:,}{'*' if chunked else ''}",
        *(markdown.spread(paces.get(name, ()), markdown.seconds) for name in names),
        markdown.spread((line["residual_seconds"] for line in group.get(OURS, ())), markdown.seconds),
        ratio,
        markdown.spread((line["share"] for line in group.get(OURS, ())), lambda share: f"{share:.0%}"),
    ]
