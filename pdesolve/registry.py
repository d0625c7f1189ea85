"""Names of problems, operators, networks, optimisers and more (`GROUPS`), found through entry points.

Listing names imports nothing; loading one imports only its module. A third party registers in its own
`pyproject.toml` exactly as this distribution does:

    [project.entry-points."pdesolve.problems"]
    my_problem = "my_package.my_problem:MyProblem"

A name may have further ones, by which a benchmark knows the same thing, say; the value is `group:name`:

    [project.entry-points."pdesolve.aliases"]
    their_problem = "problems:my_problem"
"""

import ast
import functools
import importlib.util
import inspect
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from .errors import PdesolveError, UnknownNameError

__all__ = ["GROUPS", "aliases", "constructor", "describe", "load", "names", "resolve", "target"]

GROUPS = ("problems", "operators", "networks", "optimisers", "combinations", "methods", "micro_models")


@functools.cache
def _entries(group: str) -> dict[str, EntryPoint]:
    if group not in GROUPS:
        raise UnknownNameError("registry group", group, GROUPS)
    return {entry.name: entry for entry in sorted(entry_points(group=f"pdesolve.{group}"), key=lambda e: e.name)}


@functools.cache
def _aliases() -> dict[str, dict[str, str]]:
    found = sorted(entry_points(group="pdesolve.aliases"), key=lambda e: e.name)
    return {group: {e.name: e.attr for e in found if e.module == group} for group in GROUPS}


def names(group: str) -> tuple[str, ...]:
    """Return the registered names of a group, sorted, without importing any of them."""
    return tuple(_entries(group))


def aliases(group: str) -> dict[str, str]:
    """Return the further names of a group, sorted, each with the registered name it stands for.

    An alias of a name that is not registered, or one that is itself registered, counts for nothing.
    """
    entries = _entries(group)
    return {alias: name for alias, name in _aliases()[group].items() if name in entries and alias not in entries}


def resolve(group: str, name: str) -> str:
    """Return the registered name that `name` is, or is an alias of.

    Raises:
        UnknownNameError: If it is neither; the message gives the nearest one.
    """
    entries, others = _entries(group), aliases(group)
    if name not in entries and name not in others:
        raise UnknownNameError(group.removesuffix("s"), name, {*entries, *others})
    return others.get(name, name)


def target(group: str, name: str) -> str:
    """Return what a registered name or alias stands for, `"module:object"`, without importing it."""
    return _entries(group)[resolve(group, name)].value


def load(group: str, name: str) -> Any:
    """Import and return the registered object.

    Raises:
        UnknownNameError: If no entry of the group has that name or alias; the message gives the nearest one.
        PdesolveError: If the entry's module cannot be imported or lacks the object.
    """
    entry = _entries(group)[resolve(group, name)]
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        raise PdesolveError(f"{group.removesuffix('s')} {name!r} ({entry.value}) does not load: {error}") from error


def constructor(group: str, name: str, options: Iterable[str], own: Iterable[str]) -> tuple[Any, frozenset[str]]:
    """Load a constructor that takes certain options, and return it with the names of its parameters.

    Args:
        group: Group of the name.
        name: Registered name.
        options: Names of options that a user gives. One that takes any keyword hands them on, and refuses those that
            nobody knows.
        own: Parameters that the caller gives, and a user may not.

    Raises:
        UnknownNameError: If the name or an option is unknown; the message gives the nearest one.
    """
    loaded, own = load(group, name), set(own)
    parameters = inspect.signature(loaded).parameters.values()
    named = frozenset(parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD)
    for option in options:
        if option in own or (option not in named and len(named) == len(parameters)):
            raise UnknownNameError(f"option of {group.removesuffix('s')} {name!r}", option, named - own)
    return loaded, named


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
