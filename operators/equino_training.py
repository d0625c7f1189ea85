r"""Training of EquiNO without labels: the published loss, projections of it, and stages that make them small."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float
from scipy.stats import qmc

from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.fit import FitResult, Stage, fit
from pdesolve.nets import Fixed
from pdesolve.objective import Objective, PointwiseBlock, Term
from pdesolve.optim import LBFGS, AbstractOptimiser, FirstOrder, LevenbergMarquardt
from pdesolve.samplers import DataBatches, FixedSamples

from .equino import EquiNO
from .equino_modes import Modes, magic_points
from .equino_oracle import Optimum, equino_solve

__all__ = ["LOSSES", "draw_strains", "equino_objective", "equino_stages", "train_equino"]

LOSSES = ("projected", "published", "magic", "variable_projection")
"""What is made small; see `equino_objective`."""

_CHUNK = 4
"""Strains whose stress fields are in memory at a time."""

_BATCH = 10
"""Strains that a first-order optimiser sees at a step."""


def draw_strains(num_points: int, *, bound: float = 0.04, seed: int = 0) -> Float[Array, "n 3"]:
    """Draw mean strains in the box of training, in one Latin hypercube.

    Raises:
        PdesolveError: If there is not at least one.
    """
    if num_points < 1:
        raise PdesolveError(f"`num_points` must be at least 1, got {num_points}.")
    units = qmc.LatinHypercube(3, rng=np.random.default_rng(seed)).random(num_points)
    return jnp.asarray(bound * (2.0 * units - 1.0))


def equino_objective(
    model: EquiNO, strains: Float[Array, "n 3"], *, loss: str = "projected", optimum: Optimum | None = None
) -> Objective:
    r"""Return a loss as a function of the operator, of which only the networks are trained.

    | loss | mean over the strains of |
    |---|---|
    | `published` | the mean of $(\sigma_c - \sigma_{eq})^2$ over points and components |
    | `magic` | the same at few points: as many as there are modes, chosen by Q-DEIM |
    | `variable_projection` | the mean of $((I - \psi \psi^T) \sigma_c)^2$: what the best c leaves; b alone is trained |
    | `projected` | $|U (y - y^*)|^2$ with the networks' outputs y: to second order, `published` less its optimum |

    $U$ is the triangle of the curvature of the published loss at the optimum $y^*$ of each strain (`equino_solve`), or
    the gap projected onto the directions in which outputs can move it. Thousands of points become 2 r numbers.

    Args:
        model: The operator; for `magic` with its modes at the chosen points alone (`Modes.at`).
        strains: Mean strains.
        loss: One of the four.
        optimum: Optima of the strains, for `projected`, where they are known.

    Raises:
        UnknownNameError: If there is no such loss.
    """
    if loss not in LOSSES:
        raise UnknownNameError("loss", loss, LOSSES)
    if loss == "projected":
        optimum = equino_solve(model.modes, strains) if optimum is None else optimum
        samples, chunk = (strains, optimum.outputs, optimum.roots), None
    else:
        samples, chunk = strains, None if loss == "magic" else _CHUNK
    return Objective((PointwiseBlock(_RESIDUALS[loss], FixedSamples(samples), (Term("gap"),), chunk=chunk),))


def fitted_stress_objective(strains: Float[Array, "n 3"]) -> Objective:
    r"""Return the distance of the stress network's c from $\psi^T \sigma_c$, the best for the other network's b."""
    return Objective((PointwiseBlock(_from_best, FixedSamples(strains), (Term("gap"),), chunk=_CHUNK),))


def equino_stages(
    model: EquiNO,
    strains: Float[Array, "n 3"],
    *,
    loss: str = "projected",
    steps: Sequence[int] = (),
    optimisers: Sequence[AbstractOptimiser] = (),
    optimum: Optimum | None = None,
) -> list[Stage]:
    """Return the stages of a training.

    By default `projected` is trained by 100 steps of Levenberg-Marquardt, which is for small networks, the other losses
    by 1000 steps of Adam with batches of ten, then 1000 of L-BFGS with all strains. The last stage of
    `variable_projection` fits the stress network alone, by default in 1000 more steps of L-BFGS.

    Args:
        model: The operator.
        strains: Mean strains at which the gap is made small.
        loss: See `equino_objective`.
        steps: Steps of each stage in place of those.
        optimisers: Optimisers in place of those, with `steps` for each; first-order ones see batches of ten.
        optimum: See `equino_objective`.

    Raises:
        UnknownNameError: If there is no such loss.
        PdesolveError: If steps and optimisers are not as many, or too few.
    """
    fitted = loss == "variable_projection"
    own = (
        [LevenbergMarquardt(damping=1e-6)]
        if loss == "projected"
        else [FirstOrder(optax.adam(1e-3)), LBFGS(), *[LBFGS()] * fitted]
    )
    chosen = list(optimisers) or own
    counts = list(steps) or ([100] if loss == "projected" else [1000] * len(own))
    if len(counts) != len(chosen) or len(chosen) < 1 + fitted:
        raise PdesolveError(
            f"{loss!r} has {len(chosen)} stages, and `steps` must be a number for each; got {tuple(counts)}."
            if len(chosen) > fitted
            else f"{loss!r} needs two stages: a last one fits the stress network."
        )
    objective, part = equino_objective(model, strains, loss=loss, optimum=optimum), _displacement if fitted else None
    stages = []
    for index, (optimiser, count) in enumerate(zip(chosen, counts, strict=True)):
        name = loss
        if fitted and index == len(chosen) - 1:
            objective, part, name = fitted_stress_objective(strains), _stress, "stress"
        first_order = isinstance(optimiser, FirstOrder)
        seen = _in_batches(objective, min(_BATCH, len(strains))) if first_order else objective
        chunk = 100 if first_order else 10
        stages.append(Stage(seen, optimiser, steps=count, chunk=chunk, trainable=part, name=name))
    return stages


def train_equino(
    model: EquiNO,
    strains: Float[Array, "n 3"],
    *,
    loss: str = "projected",
    steps: Sequence[int] = (),
    optimisers: Sequence[AbstractOptimiser] = (),
    optimum: Optimum | None = None,
    seed: int = 0,
    **options: Any,
) -> tuple[EquiNO, FitResult]:
    """Train the networks by `pdesolve.fit.fit`; no labels are used beyond the modes.

    Args:
        model: Where training begins.
        strains: Mean strains at which the gap is made small.
        loss: `projected`, `published`, `magic` or `variable_projection`; see `equino_objective`.
        steps: Steps of each stage; see `equino_stages`.
        optimisers: Optimiser of each stage; see `equino_stages`.
        optimum: See `equino_objective`.
        seed: Seed of the batches' order.
        **options: Of `fit`, such as `callbacks` and `checkpoint`.

    Returns:
        The trained operator, and the outcome of `fit`.

    Raises:
        UnknownNameError: If there is no such loss.
        PdesolveError: If steps and stages are not as many.
    """
    reduced = loss == "magic"
    begin = with_modes(model, model.modes.at(magic_points(model.modes))) if reduced else model
    stages = equino_stages(begin, strains, loss=loss, steps=steps, optimisers=optimisers, optimum=optimum)
    result = fit(stages, begin, seed=seed, **options)
    return with_modes(result.trainables, model.modes), result


def with_modes(model: EquiNO, modes: Modes) -> EquiNO:
    """Return the same networks with other modes, such as those at some points."""
    return eqx.tree_at(lambda model: model.modes, model, modes)


def _gap(model: EquiNO, strain: Array, key: Any, context: Any) -> dict[str, Array]:
    return _squares(model.modes.gap(strain, *model.coefficients(strain)))


def _left_over(model: EquiNO, strain: Array, key: Any, context: Any) -> dict[str, Array]:
    stress, psi = model.modes.law(model.modes.strains(strain, model.coefficients(strain)[0])), model.modes.stress.value
    return _squares(stress - psi @ jnp.einsum("pik,pi->k", psi, stress))


def _projected(model: EquiNO, sample: tuple[Array, Array, Array], key: Any, context: Any) -> dict[str, Array]:
    strain, target, root = sample
    return {"gap": 2.0**0.5 * (root @ (model.outputs(strain) - target).reshape(-1))}


def _from_best(model: EquiNO, strain: Array, key: Any, context: Any) -> dict[str, Array]:
    b, c = model.coefficients(strain)
    stress = jax.lax.stop_gradient(model.modes.law(model.modes.strains(strain, b)))
    best = jnp.einsum("pik,pi->k", model.modes.stress.value, stress)
    return {"gap": (c - best) * (2.0 / stress.size) ** 0.5}


def _squares(gap: Array) -> dict[str, Array]:
    """Return a term whose loss is the mean square: half the square of it is summed."""
    return {"gap": gap.reshape(-1) * (2.0 / gap.size) ** 0.5}


_RESIDUALS = {"projected": _projected, "published": _gap, "magic": _gap, "variable_projection": _left_over}


def _in_batches(objective: Objective, batch: int) -> Objective:
    """Return the same objective with some of its samples at a time, in a new order in each epoch."""
    (block,) = objective.blocks
    return Objective((dataclasses.replace(block, sampler=DataBatches(block.sampler.samples, batch)),))


def _displacement(model: EquiNO) -> EquiNO:
    return eqx.tree_at(lambda chosen: chosen.displacement, _none(model), True)


def _stress(model: EquiNO) -> EquiNO:
    return eqx.tree_at(lambda chosen: chosen.stress, _none(model), True)


def _none(model: EquiNO) -> EquiNO:
    """Return False for every array."""
    return jax.tree.map(lambda _: False, model, is_leaf=lambda node: isinstance(node, Fixed))
