"""How much memory training takes, here and elsewhere."""

from collections.abc import Mapping
from typing import Any

from .. import markdown
from ..cell import AbstractSuite, Cell
from ..contenders import CONTENDERS, OURS, PINNS, chosen
from ..machine import cores
from ..scripted import run_script
from .step import CHUNK

__all__ = ["Memory"]

NETWORK = (4, 64)
POINTS = (1_000, 10_000, 100_000, 1_000_000)


class Memory(AbstractSuite):
    """Peak of the resident memory of a process that trains."""

    name = "memory"
    title = "Memory"
    about = (
        f"Peak of a process's resident memory, MB, in a few steps of Adam as in *A training step*, {NETWORK[0]} x "
        f"{NETWORK[1]}; each number from a process of its own. *Chunked*: `points.chunk`, {CHUNK} points at a time."
    )

    def cells(self, options):
        """Return one process for each package and number of points."""
        points = POINTS[:1] if options.smoke else POINTS
        return [
            Cell(f"{name}{mark}/{count}", {"contender": name, "points": count, "chunk": chunk})
            for count in points
            for name in chosen(options.peers, PINNS)
            for mark, chunk in ([("", None), ("*", CHUNK)] if name == OURS and count > CHUNK else [("", None)])
            # The others need some 60 GB for the largest.
            if count < 1_000_000 or (name == OURS and chunk)
        ]

    def measure(self, cell, workspace, done):
        """Return the peak."""
        given, (depth, width) = cell.parameters, NETWORK
        words = {"depth": depth, "width": width, "seconds": 0.01, "points": given["points"], "chunk": given["chunk"]}
        words |= {"threads": cores() if CONTENDERS[given["contender"]].threaded else None}
        script = f"{given['contender'].partition('-')[0]}_step.py"
        name = f"memory/{cell.key.replace('/', '-').replace('*', '-chunked')}"
        (line,), facts = run_script(workspace, given["contender"], script, words, name=name)
        return {"peak_bytes": line["peak_bytes"], **facts}

    def table(self, records: Mapping[str, Mapping[str, Any]]) -> str:
        """Return one row for each number of points."""
        peaks = {key: record["result"]["peak_bytes"] for key, record in records.items() if "result" in record}
        names = list(dict.fromkeys(key.partition("/")[0] for key in peaks))
        counts = sorted({int(key.partition("/")[2]) for key in peaks})
        rows = [
            [
                f"{count:,}",
                *(f"{peaks[key] / 1e6:.0f}" if (key := f"{name}/{count}") in peaks else "" for name in names),
            ]
            for count in counts
        ]
        return markdown.table(["points", *(name.replace("*", ", chunked") for name in names)], rows)
