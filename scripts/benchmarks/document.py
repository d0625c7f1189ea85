"""The document of all results, made from the JSON files alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pdesolve.io import atomic

from .cell import AbstractSuite
from .machine import BUSY
from .markdown import failures
from .store import Store

__all__ = ["document_path", "section", "write_document"]

HEAD = """# Performance

Measured by `python scripts/benchmark.py`, which writes this page from the raw results beside it. A median stands before
the smallest and largest value in parentheses. Logs are named from the user's cache directory (`CACHE`).
"""


def document_path(results: Path) -> Path:
    """Return where the document of a directory of results is: beside it, under its name."""
    return results.with_name(results.name + ".md")


def write_document(results: Path, suites: Mapping[str, AbstractSuite]) -> Path:
    """Write the document."""
    stores = {name: Store(results / f"{name}.json", name) for name in suites}
    parts = [section(suite, stores[name]) for name, suite in suites.items() if stores[name].records]
    path = document_path(results)
    with atomic(path) as temporary:
        temporary.write_text("\n".join([HEAD, *parts]), encoding="utf-8")
    return path


def section(suite: AbstractSuite, store: Store) -> str:
    """Return heading, table, failures and circumstances of a suite."""
    failed = failures(store.records)
    parts = [f"## {suite.title}", suite.about, suite.table(store.placed())]
    if failed:
        parts.append("Without a result:\n\n" + "\n".join(failed))
    parts.append(_circumstances(store))
    return "\n\n".join(part for part in parts if part) + "\n"


def _circumstances(store: Store) -> str:
    used = sorted({record["session"] for record in store.records.values()})
    lines = [_session(store.document["sessions"][index]) for index in used]
    noisy = [key for key, record in store.records.items() if record.get("noisy")]
    if noisy:
        names = ", ".join(key.replace("*", r"\*") for key in noisy)
        lines.append(f"- **Disturbed** (others took more than {BUSY} cores, or the load was high): {names}")
    return "\n".join(lines)


def _session(session: Mapping[str, Any]) -> str:
    machine, versions = session["machine"], session["versions"]
    rates = machine["rates"]
    peak = ", ".join(f"{rates[f'matmul_{kind}'] / 1e9:.3g} Gflop/s {kind}" for kind in ("float64", "float32"))
    kept = ", ".join(f"{name} {value}" for name, value in versions.items() if value)
    smoke = "**smoke, tiny sizes** · " if session.get("smoke") else ""
    return (
        f"- {smoke}{session['date']} · commit {session['commit']} · `{session['command']}` · {machine['processor']}, "
        f"{machine['cores']} cores, {machine['threads']} threads ({machine['device']}; matrix products {peak}; "
        f"copy {rates['copy'] / 1e9:.3g} GB/s) · {kept}"
    )
