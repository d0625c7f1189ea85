"""How long a person waits for the command line to say anything."""

import statistics
from collections.abc import Mapping
from typing import Any

from .. import markdown
from ..cell import AbstractSuite, Cell

__all__ = ["Latency"]

COMMANDS = {
    "python -c pass": ("-c", "pass"),
    "import pdesolve": ("-c", "import pdesolve"),
    "pdesolve --help": ("-m", "pdesolve", "--help"),
    "pdesolve list": ("-m", "pdesolve", "list"),
}
"""The first is the floor: an interpreter that does nothing."""


class Latency(AbstractSuite):
    """Wall time of short commands."""

    name = "latency"
    title = "Latency of the command line"
    about = "Wall time of a fresh process, from its start to its end, after one that is not counted."

    def cells(self, options):
        """Return one cell for each command."""
        repetitions = options.repetitions or (1 if options.smoke else 15)
        return [Cell(key, {"words": list(words), "repetitions": repetitions}) for key, words in COMMANDS.items()]

    def measure(self, cell, workspace, done):
        """Return the wall times."""
        name = "latency/" + cell.key.replace(" ", "-")
        runs = [
            workspace.check(workspace.ours(*cell.parameters["words"], name=name, timeout=120))
            for _ in range(cell.parameters["repetitions"] + 1)
        ]
        return {"seconds": [run.seconds for run in runs[1:]]}

    def table(self, records: Mapping[str, Mapping[str, Any]]) -> str:
        """Return median and spread."""
        rows = []
        for key, record in records.items():
            if record["status"] == "measured":
                times = record["result"]["seconds"]
                rows.append([f"`{key}`", *(markdown.seconds(f(times)) for f in (statistics.median, min, max))])
        return markdown.table(["command", "median [s]", "smallest", "largest"], rows)
