"""What a method of solution offers: run a problem by a recipe, and come back from a file."""

import abc
import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import xarray as xr
from jax.sharding import Mesh
from jaxtyping import PyTree

from . import registry
from .config import PointsConfig, Recipe, planned
from .errors import PdesolveError, UnknownNameError
from .fit import FitResult, Report
from .problem import Points, Values

__all__ = [
    "AbstractMethod",
    "Monitor",
    "Outcome",
    "build_method",
    "identity",
    "refuse_points",
    "refuse_pointwise_settings",
    "resolved",
]


@dataclasses.dataclass(frozen=True)
class Monitor:
    """How a run is watched and made durable; handed on to `fit`."""

    callbacks: Sequence[Callable[[Report], None]] = ()
    checkpoint: Path | None = None
    resume: bool = False
    mesh: Mesh | None = None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a method hands back.

    Attributes:
        dataset: Fields on the grid, dims `(sample?, time?, *space)`; `NAME_reference` beside `NAME` where known.
        verdict: Numbers for the summary: `relative_l2`, `max_error`, `reference_error`, `trivial_error` and more; None
            where they do not apply. `failed` is the reason, if there is one, why the answer must not count.
        fit: The training, or None if nothing was trained.
        model: The trained pytree, or None.
        evaluate: Points `(n, d)` to field values, or None if the answer lives on the grid only.
        verified: Whether a reference was compared with.
        recipe: The recipe with budgets in seconds resolved to steps: it replays the run.
        companions: Further fields on points, by the name of their file in the folder `companions` of the run.
    """

    dataset: xr.Dataset
    verdict: dict[str, Any]
    recipe: Recipe
    verified: bool
    fit: FitResult | None = None
    model: PyTree = None
    evaluate: Callable[[Points], Values] | None = None
    companions: Mapping[str, xr.Dataset] = dataclasses.field(default_factory=dict)


class AbstractMethod(eqx.Module):
    """A way from a problem and a recipe to an answer: one registered class for each family."""

    @abc.abstractmethod
    def run(self, problem: Any, recipe: Recipe, monitor: Monitor) -> Outcome:
        """Solve.

        Raises:
            PdesolveError: If the recipe does not suit the problem.
        """

    @abc.abstractmethod
    def skeleton(self, problem: Any, recipe: Recipe) -> PyTree:
        """Return a model of the trained one's structure, into which stored leaves are read."""

    @abc.abstractmethod
    def evaluator(self, problem: Any, recipe: Recipe, model: PyTree) -> Callable[[Points], Values] | None:
        """Return a model as a function of points, or None if it has no such form."""


def build_method(recipe: Recipe) -> AbstractMethod:
    """Return the method that the recipe names, with its options.

    Raises:
        UnknownNameError: If there is no such method, or it has no such option.
    """
    constructor = registry.load("methods", recipe.method)
    accepted = inspect.signature(constructor).parameters
    for option in recipe.method_options:
        if option not in accepted:
            raise UnknownNameError(f"option of method {recipe.method!r}", option, accepted)
    try:
        return constructor(**recipe.method_options)
    except TypeError as error:
        raise PdesolveError(f"method {recipe.method!r} refuses its options {recipe.method_options}: {error}") from error


def identity(problem: Any, recipe: Recipe) -> str:
    """Return what a checkpoint must agree with: problem and recipe, all but the budgets."""
    stages = planned(recipe).stages  # a schedule over other steps is another configuration
    unlimited = tuple(dataclasses.replace(stage, steps=None, seconds=None, target=None) for stage in stages)
    # Field by field: a module's own text leaves out a default, but not the same number read from a file.
    fields = {field.name: getattr(problem, field.name) for field in dataclasses.fields(problem)}
    return repr((type(problem).__qualname__, fields, dataclasses.replace(recipe, stages=unlimited)))


def refuse_pointwise_settings(recipe: Recipe) -> None:
    """Raise a `PdesolveError` if the recipe asks for what only physics-informed networks have."""
    if recipe.windows != 1:
        raise PdesolveError(f"method {recipe.method!r} has no time windows: `windows` must be 1, got {recipe.windows}.")
    if not recipe.exact:
        raise PdesolveError(f"method {recipe.method!r} has no conditions that could be loss terms: leave out `--soft`.")
    if recipe.constraints:
        raise PdesolveError(f"method {recipe.method!r} has no conditions: leave out `constraints`.")


def refuse_points(recipe: Recipe) -> None:
    """Raise a `PdesolveError` if the recipe asks for points, which a method that learns from data does not have."""
    if recipe.points != PointsConfig() or recipe.grid:
        raise PdesolveError(
            f"method {recipe.method!r} learns from data on their own grid: leave out `points` and `grid`, and set "
            "`data.resolution`."
        )


def resolved(recipe: Recipe, steps: Sequence[int], *, windows: int = 1) -> Recipe:
    """Return the recipe whose stages run exactly `steps`: limits in seconds are gone, and it replays the run.

    A target stays: it is met at the same step, or missed again. With several time windows every window gets stages of
    its own. Stages that were not reached run 0 steps.
    """
    asked = [
        dataclasses.replace(stage, window=window if windows > 1 else stage.window)
        for window in range(windows)
        for stage in planned(recipe).stages
        if stage.window in (None, window)
    ]
    counts = [*steps, *[0] * (len(asked) - len(steps))]
    stages = tuple(dataclasses.replace(s, steps=n, seconds=None) for s, n in zip(asked, counts, strict=True))
    return dataclasses.replace(recipe, stages=stages)
