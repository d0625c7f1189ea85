"""What a method of solution offers: run a problem by a recipe, and come back from a file."""

import abc
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import xarray as xr
from jaxtyping import PyTree

from .config import Recipe, StageConfig
from .fit import FitResult, Report
from .problem import Points, Values

__all__ = ["AbstractMethod", "Monitor", "Outcome", "resolved"]


@dataclasses.dataclass(frozen=True)
class Monitor:
    """How a run is watched and made durable; handed on to `fit`."""

    callbacks: Sequence[Callable[[Report], None]] = ()
    checkpoint: Path | None = None
    resume: bool = False


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
    """

    dataset: xr.Dataset
    verdict: dict[str, Any]
    recipe: Recipe
    verified: bool
    fit: FitResult | None = None
    model: PyTree = None
    evaluate: Callable[[Points], Values] | None = None


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


def resolved(recipe: Recipe, steps: Sequence[int], *, windows: int = 1) -> Recipe:
    """Return the recipe whose stages run exactly `steps`: limits in seconds or error are gone, and it replays the run.

    With several time windows every window gets stages of its own. Stages that were not reached run 0 steps.
    """
    asked = [
        dataclasses.replace(stage, window=window if windows > 1 else stage.window)
        for window in range(windows)
        for stage in recipe.stages
        if stage.window in (None, window)
    ]
    counts = [*steps, *[0] * (len(asked) - len(steps))]
    return dataclasses.replace(recipe, stages=tuple(map(_with_steps, asked, counts)))


def _with_steps(stage: StageConfig, steps: int) -> StageConfig:
    options = dict(stage.options)
    if "schedule" in options:  # a schedule falls over the planned steps, which are no longer told by `steps`
        options.setdefault("decay_steps", stage.steps or 10_000)
    return dataclasses.replace(stage, steps=steps, seconds=None, target=None, options=options)
