"""Runs as TOML: `load` and `merge` read what a file states onto a recipe, `dumps` writes all of it.

    problem = "burgers"
    windows = 2

    [parameters]
    viscosity = 0.01

    [network]
    width = 40

    [[stages]]
    optimiser = "adam"
    steps = 1000
    options = { learning_rate = 1e-3 }

A file states what differs. The tables `network`, `points` and `data` are merged key by key; `stages`, `weights`,
`grid`, `options` and `method_options` replace what was there, so that a file which states everything means the same on
any recipe.
"""

import dataclasses
import json
import numbers
import re
import tomllib
import types
import typing
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from .config import NetworkConfig, Recipe
from .errors import PdesolveError, nearest

__all__ = ["dumps", "load", "merge", "parameters"]

RESERVED = ("problem", "parameters")
"""Keys of a file which are not of the recipe."""

_WORDS = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}


def load(path: str | Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        PdesolveError: If there is no such file, it is not TOML (with line and column), or `problem` is not a string.
    """
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        siblings = (str(file) for file in path.parent.glob("*.toml"))
        raise PdesolveError(f"no configuration file {str(path)!r}.{nearest(str(path), siblings)}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PdesolveError(f"{path}: not a TOML file: {error}.") from error
    _convert(data.get("problem", ""), str, None, str(path), "problem")
    return data


def parameters(data: Mapping[str, Any], known: Collection[str], source: str) -> dict[str, float]:
    """Return the physical parameters a file states.

    Args:
        data: What `load` returned.
        known: Names of the problem's parameters.
        source: The file's name, for messages.

    Raises:
        PdesolveError: If a name is unknown or a value is not a number.
    """
    table = data.get("parameters", {})
    _require(table, Mapping, "a table", source, "parameters")
    for name in table:
        if name not in known:
            raise _unknown_key(name, known, source, "parameters.")
    return {name: _convert(value, float | int, None, source, f"parameters.{name}") for name, value in table.items()}


def merge(recipe: Recipe, data: Mapping[str, Any], source: str) -> Recipe:
    """Return the recipe with what `data` states; `problem` and `parameters` are left to the caller.

    Naming another network or method drops the options of the former one.

    Args:
        recipe: What holds where the file is silent.
        data: What `load` returned.
        source: The file's name, for messages.

    Raises:
        PdesolveError: If a key is unknown, or a value has the wrong type or is out of range.
    """
    return _merge_table(recipe, data, source, "")


def _merge_table(base: Any, data: Mapping[str, Any], source: str, prefix: str) -> Any:
    reserved = () if prefix else RESERVED
    hints = typing.get_type_hints(type(base))
    changes: dict[str, Any] = {}
    for key, value in data.items():
        if key in reserved:
            continue
        if key not in hints:
            raise _unknown_key(key, (*reserved, *hints), source, prefix)
        changes[key] = _convert(value, hints[key], getattr(base, key), source, prefix + key)
    if isinstance(base, NetworkConfig) and changes.get("name", base.name) != base.name:
        changes.setdefault("options", {})
    if isinstance(base, Recipe) and changes.get("method", base.method) != base.method:
        changes.setdefault("method_options", {})
    try:
        return dataclasses.replace(base, **changes)
    except PdesolveError as error:
        raise PdesolveError(f"{source}: {'in ' + prefix.rstrip('.') + ': ' if prefix else ''}{error}") from error


def _convert(value: Any, hint: Any, current: Any, source: str, key: str) -> Any:
    """Return `value` as the annotation `hint` asks for; `current` is what a table is merged onto."""
    if dataclasses.is_dataclass(hint):
        _require(value, Mapping, "a table", source, key)
        return _merge_table(current, value, source, f"{key}.")
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        if not dataclasses.is_dataclass(item):
            _require(value, list, "an array", source, key)
            return tuple(_convert(entry, item, None, source, f"{key}[{index}]") for index, entry in enumerate(value))
        _require(value, list, f"an array of tables, written [[{key}]]", source, key)
        for index, table in enumerate(value):
            _require(table, Mapping, "a table", source, f"{key}[{index}]")
        return tuple(_merge_table(item(), table, source, f"{key}[{i}].") for i, table in enumerate(value))
    if typing.get_origin(hint) is dict:
        _require(value, Mapping, "a table", source, key)
        return {name: _convert(v, typing.get_args(hint)[1], None, source, f"{key}.{name}") for name, v in value.items()}
    accepted = [kind for kind in typing.get_args(hint) or (hint,) if kind is not types.NoneType]
    arrays = [kind for kind in accepted if typing.get_origin(kind) is tuple]
    if arrays and isinstance(value, list | tuple):
        item = typing.get_args(arrays[0])[0]
        return tuple(_convert(entry, item, None, source, f"{key}[{index}]") for index, entry in enumerate(value))
    # type() rather than isinstance(): a bool is no integer here.
    if type(value) in accepted:
        return value
    if type(value) is int and float in accepted:
        return float(value)
    words = [_WORDS[kind] for kind in accepted if kind in _WORDS and not (kind is int and float in accepted)]
    words += ["an array of numbers"] * bool(arrays)
    raise _wrong_type(value, " or ".join(words), source, key)


def _require(value: Any, kind: type, words: str, source: str, key: str) -> None:
    if not isinstance(value, kind):
        raise _wrong_type(value, words, source, key)


def _wrong_type(value: Any, words: str, source: str, key: str) -> PdesolveError:
    given = _value(value) if isinstance(value, str | int | float) else type(value).__name__
    given = {"dict": "a table", "list": "an array"}.get(given, given)
    return PdesolveError(f"{source}: {key!r} must be {words}, got {given}.")


def _unknown_key(key: str, known: Iterable[str], source: str, prefix: str) -> PdesolveError:
    known = sorted(known)
    return PdesolveError(
        f"{source}: unknown key '{prefix}{key}'.{nearest(key, known)} Known: {', '.join(known) or 'none'}."
    )


def dumps(
    problem: str,
    parameters: Mapping[str, float],
    recipe: Recipe,
    *,
    comments: Mapping[str, str] | None = None,
    omit: Collection[str] = (),
) -> str:
    """Write a run as TOML; `merge` onto any recipe gives `recipe` back, floats to the last bit.

    Args:
        problem: Name of the problem.
        parameters: All its parameters.
        recipe: The resolved recipe.
        comments: Text above a key by its dotted name (`"points.interior"`, `"stages.steps"`); `""` for the top.
        omit: Keys of the recipe to leave out.
    """
    comments = comments or {}
    head = [*_comment(comments, ""), *([""] if "" in comments else [])]
    lines = [*head, *_entry("problem", problem, comments, "")]
    tables = [_block("[parameters]", parameters, comments, "parameters.")] if parameters else []
    for key in (f.name for f in dataclasses.fields(recipe) if f.name not in omit):
        value = getattr(recipe, key)
        if dataclasses.is_dataclass(value):
            tables.append(_block(f"[{key}]", _fields(value), comments, f"{key}.", _comment(comments, key)))
        elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
            header = f"[[{key}]]"
            tables.append(_block(header, _fields(value[0]), comments, f"{key}.", _comment(comments, key)))
            tables.extend(_block(header, _fields(stage), {}, "") for stage in value[1:])
        else:
            lines += _entry(key, value, comments, "")
    return "\n".join([*lines, *(line for table in tables for line in ("", *table))]) + "\n"


def _fields(value: Any) -> dict[str, Any]:
    """Return a dataclass's attributes; what is None, TOML leaves out."""
    return {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if getattr(value, f.name) is not None}


def _block(header: str, entries: Mapping[str, Any], comments: Mapping[str, str], prefix: str, above=()) -> list[str]:
    return [*above, header, *(line for k, v in entries.items() for line in _entry(k, v, comments, prefix))]


def _entry(key: str, value: Any, comments: Mapping[str, str], prefix: str) -> list[str]:
    return [*_comment(comments, prefix + key), f"{_key(key)} = {_value(value)}"]


def _comment(comments: Mapping[str, str], key: str) -> list[str]:
    return [f"# {line}".rstrip() for line in comments.get(key, "").splitlines()]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for DEL, which JSON leaves as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }" if value else "{}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_value, value)) + "]"
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, numbers.Integral):
        return str(int(value))
    return repr(float(value))
