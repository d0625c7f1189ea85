r"""Physics in operator learning: residuals of a family's equations as terms of the objective.

A physics-informed neural operator (PINO) is trained on data, on the residuals of its answers, or on both; residuals
may be those on a finer grid than the data have. As the terms stand apart in the objective, combination rules and
Gauss-Newton methods apply as everywhere. A trained operator can be trained further on the residuals of one instance.

References:
    Li, Zheng, Kovachki, et al., Physics-informed neural operator for learning partial differential equations, ACM/IMS
    J. Data Sci. 1 (2024).
"""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..config import StageConfig
from ..errors import PdesolveError, UnknownNameError
from ..family import AbstractFamily
from ..fit import Stage, fit
from ..objective import Objective, PointwiseBlock, Term
from ..optim import build_stage_optimiser
from ..samplers import FixedSamples
from .model import LearnedOperator, apply, trained_model

__all__ = ["Adapted", "Residuals", "adapt", "check_physics", "physics_terms"]


class Residuals(eqx.Module):
    """The residuals of one sample's answer on its own grid; what `PointwiseBlock` maps over samples.

    Each is divided by the square root of its number of entries, so that half the sum of its squares is half its mean
    square, whatever the grid.

    Args:
        problem: The family.
        coordinates: Axis name to grid values.
        form: One of the family's `residual_forms`.
        names: The residuals that are asked for.
    """

    problem: AbstractFamily
    coordinates: dict[str, Float[np.ndarray, " n"]]
    form: str = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)

    def __call__(self, trainables, sample, key, context):
        """Return z by term."""
        given = sample[0]
        return self.of(given, trained_model(trainables)(given))

    def of(self, given: Float[Array, "in *grid"], answer: Float[Array, " out *grid"]) -> dict[str, Array]:
        """Return z by term of an answer."""
        found = self.problem.residuals(given, answer, self.coordinates, self.form)
        return {name: found[name] / math.sqrt(found[name].size) for name in self.names}


def check_physics(problem: AbstractFamily, form: str) -> None:
    """Raise a `PdesolveError` unless the family knows residuals, of this form if one is given."""
    if not problem.residual_forms:
        raise PdesolveError(f"{type(problem).__name__} knows no residuals of its equations: leave out `physics`.")
    if form and form not in problem.residual_forms:
        raise UnknownNameError(f"form of the residuals of {type(problem).__name__}", form, problem.residual_forms)


def physics_terms(problem: AbstractFamily, weights: Mapping[str, float]) -> tuple[Term, ...]:
    """Return a term for every residual; one of weight 0 is left out, so that nothing is computed for it."""
    given = {name: float(weights.get(name, 1.0)) for name in problem.residual_names}
    return tuple(Term(name, weight=weight) for name, weight in given.items() if weight > 0)


class Adapted(NamedTuple):
    """An operator that was trained further on the residuals of one instance."""

    model: LearnedOperator
    answer: np.ndarray
    before: float
    """Half the mean square of the residuals, weighted, of the operator as it came."""
    after: float
    seconds: float


class _Anchor(eqx.Module):
    """How far an answer has gone from the first one, relative to that."""

    def __call__(self, trainables, sample, key, context):
        given, start = sample
        return {"anchor": math.sqrt(2.0) * (trainables(given) - start) / jnp.linalg.norm(start)}


def adapt(
    model: LearnedOperator,
    residuals: Residuals,
    given: Float[np.ndarray, "in *grid"],
    terms: Sequence[Term],
    *,
    stage: StageConfig,
    anchor: float = 0.0,
    seed: int = 0,
) -> Adapted:
    r"""Minimise the residuals of one instance over the weights of a trained operator (test-time optimisation).

    Beside the residuals stands, with the weight `anchor`, the squared relative distance to the first answer.

    Args:
        model: The trained operator; normalisers stay.
        residuals: Of the family, on the grid of the instance.
        given: Input functions.
        terms: The terms of the residuals.
        stage: Optimiser and steps; the sample is fixed, so that L-BFGS and second-order methods will do.
        anchor: Weight of the distance.
        seed: For optimisers that draw.

    Raises:
        PdesolveError: If the optimiser does not suit the terms.
    """
    sample = jnp.asarray(given, dtype=float)[None]
    start = apply(model, sample)
    blocks = [PointwiseBlock(residuals, FixedSamples((sample,)), tuple(terms))]
    if anchor > 0:
        blocks.append(PointwiseBlock(_Anchor(), FixedSamples((sample, start)), (Term("anchor", weight=anchor),)))
    steps = stage.steps or 100
    began = time.perf_counter()
    result = fit(
        [
            Stage(
                Objective(tuple(blocks)),
                build_stage_optimiser(stage),
                steps=steps,
                seconds=stage.seconds,
                chunk=min(steps, 20),
                trainable=_without_normalisers,
                name="test time",
            )
        ],
        model,
        seed=seed,
    )
    seconds = time.perf_counter() - began - result.seconds["compile"]
    answer = apply(result.trainables, sample)
    values = [_weighted(residuals, terms, sample[0], each[0]) for each in (start, answer)]
    return Adapted(result.trainables, np.asarray(answer[0]), values[0], values[1], seconds)


@eqx.filter_jit
def _squares(residuals: Residuals, given: Array, answer: Array) -> dict[str, Array]:
    return jax.tree.map(lambda z: 0.5 * jnp.sum(jnp.square(z)), residuals.of(given, answer))


def _weighted(residuals: Residuals, terms: Sequence[Term], given: Array, answer: Array) -> float:
    found = _squares(residuals, given, answer)
    return float(sum(term.weight * found[term.name] for term in terms))


def _without_normalisers(model: LearnedOperator) -> Any:
    return LearnedOperator(True, False, False)  # type: ignore[arg-type]
