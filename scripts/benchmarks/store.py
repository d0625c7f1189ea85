"""One JSON file for each suite, with every raw repetition; each finished cell is written at once."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pdesolve.errors import PdesolveError
from pdesolve.io import atomic

from .cell import Cell

__all__ = ["Store"]

FORMAT = 1


class Store:
    """The records of a suite: `sessions` say when, where and by which command, `cells` what came out.

    Args:
        path: The JSON file; read if it exists.
        suite: The suite's name.

    Raises:
        PdesolveError: If the file is not one of ours.
    """

    def __init__(self, path: Path, suite: str):
        self.path, self.session = path, None
        self.document: dict[str, Any] = {"format": FORMAT, "suite": suite, "sessions": [], "cells": {}}
        if path.exists():
            try:
                self.document = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise PdesolveError(f"{path} is not JSON ({error}). Move it away to measure anew.") from error
            if (self.document.get("format"), self.document.get("suite")) != (FORMAT, suite):
                raise PdesolveError(f"{path} does not hold results of suite {suite!r} in format {FORMAT}.")

    @property
    def records(self) -> dict[str, dict[str, Any]]:
        """Records by key."""
        return self.document["cells"]

    @property
    def results(self) -> dict[str, Any]:
        """Results of the cells that were measured, by key."""
        return {key: record["result"] for key, record in self.records.items() if record["status"] == "measured"}

    def placed(self) -> dict[str, dict[str, Any]]:
        """Return the records, each with the `machine` of its session: what its rates are to be held against."""
        sessions = self.document["sessions"]
        return {
            key: {**record, "machine": sessions[record["session"]]["machine"]} for key, record in self.records.items()
        }

    def finished(self, cell: Cell) -> bool:
        """Return whether a cell was measured with the same parameters; one that failed is tried again."""
        record = self.records.get(cell.key)
        return record is not None and record["status"] == "measured" and record["parameters"] == _plain(cell.parameters)

    def put(self, cell: Cell, record: Mapping[str, Any], session: Mapping[str, Any]) -> None:
        """Add a record and write the file, whole or not at all."""
        if self.session is None:
            self.session = len(self.document["sessions"])
            self.document["sessions"].append(dict(session))
        self.records[cell.key] = {"parameters": _plain(cell.parameters), "session": self.session, **record}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(self.path) as temporary:
            temporary.write_text(_text(self.document), encoding="utf-8")


def _plain(value: Any) -> Any:
    """Return what JSON will give back."""
    return json.loads(json.dumps(value))


def _text(document: dict[str, Any]) -> str:
    """Return JSON with one line for each session and cell, so that a change of one is one line of a diff."""
    head = {key: value for key, value in document.items() if key not in ("sessions", "cells")}
    sessions = ",\n  ".join(_line(session) for session in document["sessions"])
    cells = ",\n  ".join(f"{json.dumps(key)}: {_line(record)}" for key, record in document["cells"].items())
    return f'{{\n {_line(head)[1:-1]},\n "sessions": [\n  {sessions}\n ],\n "cells": {{\n  {cells}\n }}\n}}\n'


def _line(value: Any) -> str:
    return json.dumps(value, allow_nan=False)
