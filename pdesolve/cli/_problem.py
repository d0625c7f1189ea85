"""The problem a command line names: a registered one, or a class in a file of the user's."""

import contextlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from .. import registry
from ..errors import PdesolveError, UnknownNameError

__all__ = ["find_problem", "is_file", "problem_class", "user_errors"]

_FILE = re.compile(r"(?P<path>.+\.py)(?::(?P<name>\w+))?")


def is_file(word: str) -> bool:
    """Whether `word` is `FILE.py` or `FILE.py:Class` rather than a name."""
    return _FILE.fullmatch(word) is not None


def find_problem(word: str) -> tuple[str, type, Path | None]:
    """Return the name, the class and, for a file of the user's, its path.

    Raises:
        UnknownNameError: If no such problem is registered, or the file has no such class.
        PdesolveError: If the file cannot be executed, or leaves open which class is meant.
    """
    match = _FILE.fullmatch(word)
    if match is None:
        if not registry.names("problems"):
            raise PdesolveError(
                "no problem is registered, which happens when pdesolve is run from its source without being "
                "installed: `pip install -e .`"
            )
        name = registry.resolve("problems", word)
        return name, registry.load("problems", name), None
    path = Path(match["path"])
    return path.stem, problem_class(path, match["name"]), path


@contextlib.contextmanager
def user_errors(path: Path | None) -> Iterator[None]:
    """Report an exception that passed through the user's file as a `PdesolveError` with file and line."""
    try:
        yield
    except PdesolveError:
        raise
    except Exception as error:
        line = None if path is None else _line(error, path)
        if line is None:
            raise
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        raise PdesolveError(f"{path}, line {line}: {type(error).__name__}: {text}") from error


def _line(error: BaseException, path: Path) -> int | None:
    """The innermost line of the user's file that the exception passed, in it or in what caused it."""
    if isinstance(error, SyntaxError) and error.filename == str(path.resolve()):
        return error.lineno
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path.resolve())]
    if lines:
        return lines[-1]
    return None if error.__cause__ is None else _line(error.__cause__, path)


def problem_class(path: Path, name: str | None = None) -> type:
    """Execute a Python file and return the problem it defines.

    Args:
        path: The file; modules beside it can be imported by it.
        name: The class; needed if the file defines several problems.
    """
    if not path.is_file():
        raise PdesolveError(f"no file {str(path)!r}.")
    module_name = f"_pdesolve_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path.resolve())
    assert spec is not None and spec.loader is not None  # it ends in .py
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up to resolve annotations.
    sys.modules[module_name] = module
    if str(path.resolve().parent) not in sys.path:
        sys.path.insert(0, str(path.resolve().parent))
    with user_errors(path):
        spec.loader.exec_module(module)
    return _choose(_problems(module), path, name)


def _problems(module) -> dict[str, type]:
    from ..family import AbstractFamily
    from ..multiscale.structure import AbstractStructure
    from ..problem import AbstractProblem

    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, AbstractProblem | AbstractFamily | AbstractStructure)
        and value.__module__ == module.__name__
    }


def _choose(found: dict[str, type], path: Path, name: str | None) -> type:
    if name is not None and name not in found:
        raise UnknownNameError(f"problem in {path}", name, found)
    chosen = found if name is None else {name: found[name]}
    complete = {key: value for key, value in chosen.items() if not _missing(value)}
    if len(complete) == 1:
        return next(iter(complete.values()))
    if complete:
        word = f"{path}:{next(iter(complete))}"
        raise PdesolveError(f"{path} defines several problems: {', '.join(complete)}. Name one, as {word}.")
    if chosen:
        lacks = "; ".join(f"{key} lacks {', '.join(_missing(value))}" for key, value in chosen.items())
        raise PdesolveError(f"{path} defines no complete problem: {lacks}.")
    raise PdesolveError(f"{path} defines no problem: no subclass of AbstractProblem or AbstractFamily.")


def _missing(cls: type) -> list[str]:
    """What an abstract problem still has to define."""
    return sorted({*cls.__abstractmethods__, *cls.__abstractvars__, *cls.__abstractclassvars__})  # pyright: ignore[reportAttributeAccessIssue]
