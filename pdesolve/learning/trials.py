"""What a trained operator is tried on besides the test samples: other resolutions, and single instances."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..config import Recipe, StageConfig
from ..errors import PdesolveError
from ..family import AbstractFamily, FamilyData
from .errors import mean_relative_l2
from .model import LearnedOperator, predict
from .physics import Residuals, adapt, physics_terms

__all__ = ["adapted_errors", "other_resolutions"]


def other_resolutions(
    problem: AbstractFamily, recipe: Recipe, model: LearnedOperator, resolutions: Sequence[int]
) -> dict[str, float]:
    """Return the test error by resolution, of the same test functions.

    Raises:
        PdesolveError: If the samples are those of a file.
    """
    if recipe.data.file is not None:
        raise PdesolveError("`resolutions` are those of generated samples: leave them out with a file.")
    seed = int(np.random.SeedSequence(recipe.seed).generate_state(3)[2])
    errors = {}
    for resolution in map(int, resolutions):
        data = problem.generate(recipe.data.test, resolution, seed)
        assert data.inputs is not None
        errors[str(resolution)] = mean_relative_l2(predict(model, data.inputs), data.outputs)
    return errors


def adapted_errors(
    problem: AbstractFamily,
    recipe: Recipe,
    model: LearnedOperator,
    test: FamilyData,
    *,
    form: str,
    stage: StageConfig,
    samples: int,
    anchor: float,
) -> dict[str, Any]:
    """Train further on the residuals of the first test samples, each for itself; return means before and after.

    Args:
        problem: The family.
        recipe: Its `weights` and `seed` count.
        model: The trained operator.
        test: Test samples.
        form: Form of the residuals.
        stage: Optimiser and steps.
        samples: How many samples.
        anchor: Weight of the distance to the first answer.
    """
    assert test.inputs is not None
    terms = physics_terms(problem, recipe.weights)
    residuals = Residuals(problem, test.coordinates, form, tuple(term.name for term in terms))
    rows = []
    for given, expected in zip(test.inputs[:samples], test.outputs, strict=False):
        found = adapt(model, residuals, given, terms, stage=stage, anchor=anchor, seed=recipe.seed)
        errors = [mean_relative_l2(u[None], expected[None]) for u in (predict(model, given[None])[0], found.answer)]
        rows.append((*errors, found.before, found.after, found.seconds))
    names = ("relative_l2_before", "relative_l2", "residual_before", "residual", "seconds")
    means = map(float, np.mean(rows, axis=0))
    return {"samples": len(rows), "steps": stage.steps} | dict(zip(names, means, strict=True))
