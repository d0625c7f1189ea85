"""`--data FILE`: what a file of samples changes in a recipe, and the problem that is known by its file only."""

import contextlib
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from .. import registry
from ..config import Recipe
from ..errors import PdesolveError

__all__ = ["named_file", "own_family", "suited", "warnings_told"]


def named_file(config: Mapping[str, Any]) -> str | None:
    """Return the file of samples that a configuration names; wrong types are refused later."""
    table = config.get("data")
    found = table.get("file") if isinstance(table, Mapping) else None
    return found if isinstance(found, str) else None


def own_family(word: str | None, data: str) -> tuple[str, type] | None:
    """Return name and class of the problem that is a file, unless the word names another one.

    Without a word the file is the problem; a configuration that was written for such a run has the file's name.
    """
    from ..data_family import data_family, data_name

    name = data_name(data)
    if word not in (None, name) or (word is not None and word in registry.names("problems")):
        return None
    return name, data_family(data)


def suited(recipe: Recipe, config: Mapping[str, Any]) -> Recipe:
    """Return the recipe with the numbers of a file, if it has one: samples, unless the configuration states them.

    Raises:
        PdesolveError: If the method has no use for a file, or it cannot be read.
    """
    if recipe.data.file is None:
        return recipe
    if recipe.method != "operator" and getattr(registry.load("methods", recipe.method), "reads_samples", False):
        return recipe
    if recipe.method != "operator":
        raise PdesolveError(f"method {recipe.method!r} reads no files of samples: leave out --data (`data.file`).")
    from ..data.reading import read_splits
    from ..data_family import data_counts

    files = read_splits(recipe.data.file)
    others = read_splits(recipe.data.test_file) if recipe.data.test_file is not None else {}
    train, test = data_counts(files, others.get("test") or others.get("all"))
    points = (files.get("all") or files["train"]).grid[0]
    stated = config.get("data", {})
    changes: dict[str, int] = {"resolution": -(-points // (recipe.data.stride or 1))}
    if "train" not in stated and "test" not in stated:
        changes |= {"train": train, "test": test, "batch": min(recipe.data.batch, train)}
    return replace(recipe, data=replace(recipe.data, **changes))


@contextlib.contextmanager
def warnings_told() -> Iterator[None]:
    """Print warnings about data and extrapolation as one line, without the place in the source."""
    before = warnings.showwarning

    def show(message: Any, category: type[Warning], *rest: Any, **options: Any) -> None:
        # By name: the modules of the classes load JAX.
        if category.__name__ in ("DataWarning", "ExtrapolationWarning"):
            print(f"warning: {message}", file=sys.stderr)
        else:
            before(message, category, *rest, **options)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
