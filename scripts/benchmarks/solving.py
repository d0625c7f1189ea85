"""One run of `pdesolve solve` in a process of its own, and what it left."""

import json
from pathlib import Path
from typing import Any

from .cell import Failed
from .workspace import Workspace

__all__ = ["Solved", "solve"]

KEPT = (
    *("status", "reason", "relative_l2", "max_error", "reference_error", "trivial_error", "classical_seconds"),
    *("classical", "measures", "loss", "steps", "seconds", "seed", "precision"),
)
"""Entries of a run's summary that belong to a measurement."""

Solved = dict[str, Any]
"""`process_seconds` and `cpu_seconds` of the whole command, `summary`, and `history` as columns by chunk."""


def solve(
    workspace: Workspace,
    problem: str,
    *,
    name: str,
    seed: int,
    seconds: float | None = None,
    steps: int | None = None,
    target: float | None = None,
    config: str | None = None,
    timeout: float = 3600.0,
) -> Solved:
    """Solve a named problem by its recipe, with another budget, target or configuration (TOML) if given.

    A solve that diverges or misses its target is a result; one that leaves no summary is not.

    Raises:
        Failed: If there is no summary.
    """
    out = workspace.scratch(name)
    given = {"seed": seed, "seconds": seconds, "steps": steps, "target": target}
    flags = [word for key, value in given.items() if value is not None for word in (f"--{key}", repr(value))]
    if config is not None:
        path = out.parent / f"{out.name}.toml"
        path.write_text(config, encoding="utf-8")
        flags += ["--config", str(path)]
    words = ("-m", "pdesolve", "solve", problem, *flags, "--out", str(out), "--quiet")
    run = workspace.ours(*words, name=name, timeout=timeout)
    try:
        summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        workspace.check(run)
        raise Failed("no summary", str(run.log)) from error
    return {
        "process_seconds": run.seconds,
        "cpu_seconds": run.cpu_seconds,
        "summary": {key: summary.get(key) for key in KEPT},
        "history": _history(out / "log.jsonl"),
    }


def _history(path: Path) -> dict[str, list[Any]]:
    """Return steps, seconds to compile and train, and the error after each chunk."""
    reports = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    return {
        "steps": [report["total_steps"] for report in reports],
        "seconds": [round(report["seconds"]["compile"] + report["seconds"]["train"], 4) for report in reports],
        "relative_l2": [report["metrics"].get("relative_l2") for report in reports],
    }
