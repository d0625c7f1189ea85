"""Names of problems, operators, networks, optimisers, combinations and methods, found through entry points.

Listing names imports nothing; loading one imports only its module. A third party registers in its own
`pyproject.toml` exactly as this distribution does:

    [project.entry-points."pdesolve.problems"]
    my_problem = "my_package.my_problem:MyProblem"
"""

import ast
import functools
import importlib.util
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from .errors import PdesolveError, UnknownNameError

__all__ = ["GROUPS", "describe", "load", "names", "target"]

GROUPS = ("problems", "operators", "networks", "optimisers", "combinations", "methods")


@functools.cache
def _entries(group: str) -> dict[str, EntryPoint]:
    if group not in GROUPS:
        raise UnknownNameError("registry group", group, GROUPS)
    return {entry.name: entry for entry in sorted(entry_points(group=f"pdesolve.{group}"), key=lambda e: e.name)}


def names(group: str) -> tuple[str, ...]:
    """Return the registered names of a group, sorted, without importing any of them."""
    return tuple(_entries(group))


def target(group: str, name: str) -> str:
    """Return what a registered name stands for, `"module:object"`, without importing it."""
    if name not in _entries(group):
        raise UnknownNameError(group.removesuffix("s"), name, _entries(group))
    return _entries(group)[name].value


def load(group: str, name: str) -> Any:
    """Import and return the registered object.

    Raises:
        UnknownNameError: If no entry of the group has that name; the message gives the nearest one.
        PdesolveError: If the entry's module cannot be imported or lacks the object.
    """
    entries = _entries(group)
    if name not in entries:
        raise UnknownNameError(group.removesuffix("s"), name, entries)
    try:
        return entries[name].load()
    except (ImportError, AttributeError) as error:
        raise PdesolveError(
            f"{group.removesuffix('s')} {name!r} ({entries[name].value}) does not load: {error}"
        ) from error


def describe(group: str, name: str) -> str:
    """Return the first line of the registered object's docstring, read from its source without importing it."""
    entry = _entries(group)[name]
    spec = importlib.util.find_spec(entry.module)
    if spec is None or spec.origin is None:
        return ""
    for node in ast.parse(Path(spec.origin).read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == entry.attr:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return ""
