"""UPGrad and DualProj: projections onto the cone of directions that lower every loss."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...errors import PdesolveError
from .rule import AbstractSpanRule

__all__ = ["DualProj", "UPGrad", "project", "upgrad_weights"]

_ENUMERATED = 8
"""Most terms for which all sets of active constraints are tried."""
_SWEEPS = 2000
"""Sweeps of coordinate descent beyond."""


class UPGrad(AbstractSpanRule):
    r"""Unconflicting projection of gradients: the mean of the gradients, each projected onto the dual cone.

    $$A = \sum_i p_i\, \pi(g_i), \qquad \pi(y) = \operatorname*{arg\,min}_{z:\, Gz \ge 0} |z - y|,$$

    with $p_i = 1/m$ by default. Conflict free also where rows are dependent, linear under positive scaling of each
    gradient, in their span; the mean where no two gradients conflict. It keeps the imbalance of lengths: the update is
    dominated by the largest gradient.

    Solved exactly, in unit rows, for up to eight terms. (The authors' program adds 1e-4 to a Gram matrix divided by its
    trace: gradients a hundred times shorter than others are then ignored, and those of norm below 1e-2 just averaged.)

    Args:
        preference: p, one number for each term, not negative; 1/m if None.

    References:
        Quinton, Rey, Jacobian descent for multi-objective optimization (2024), arXiv 2406.16232.
    """

    preference: tuple[float, ...] | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        _check(self.preference)

    def weights(self, rows):
        """Projections of the unit rows, weighed by lengths and preferences."""
        preference = _preference(self.preference, rows)
        return upgrad_weights(rows.cosines(), rows.lengths, preference), {}


class DualProj(AbstractSpanRule):
    r"""Projection of the mean gradient onto the cone of directions that lower every loss.

    $A = \pi(\sum_i p_i g_i)$ with the projection of `UPGrad`. Conflict free, in the span of the gradients; not linear
    under their scaling.

    Args:
        preference: p, one number for each term, not negative; 1/m if None.

    References:
        Lopez-Paz, Ranzato, Gradient episodic memory for continual learning, NeurIPS (2017).
    """

    preference: tuple[float, ...] | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        _check(self.preference)

    def weights(self, rows):
        """The mean's weights, with what the projection adds."""
        mean = _preference(self.preference, rows) * rows.lengths
        largest = jnp.max(mean)
        scale = jnp.where(largest > 0, largest, 1.0)
        return scale * project(rows.cosines(), (mean / scale)[:, None])[:, 0], {}


def upgrad_weights(
    cosines: Float[Array, "m m"], lengths: Float[Array, " m"], preference: Float[Array, " m"] | None = None
) -> Float[Array, " m"]:
    """Return the weights of the unit rows in UPGrad's update."""
    m = len(lengths)
    share = jnp.full(m, 1.0 / m, lengths.dtype) if preference is None else preference
    return project(cosines, jnp.eye(m, dtype=cosines.dtype)) @ (share * lengths)


def project(cosines: Float[Array, "m m"], vectors: Float[Array, "m k"]) -> Float[Array, "m k"]:
    r"""Project vectors onto the dual cone of unit rows, all given by weights of the rows.

    With $b$ a column, the projection is $b + \lambda$ where $\lambda \ge 0$ minimises $\frac12 \lambda^\top C \lambda +
    (C b)^\top \lambda$ (Moreau's decomposition).

    Args:
        cosines: $C$; the row and column of an absent term are zero.
        vectors: $b$, one for each column.
    """
    present = jnp.diagonal(cosines) > 0
    matrix = jnp.where(jnp.eye(len(cosines), dtype=bool), 1.0, cosines)
    linear = cosines @ vectors * present[:, None]
    solve = _enumerate if len(cosines) <= _ENUMERATED else _descend
    return vectors + solve(matrix, linear)


def _enumerate(matrix: Float[Array, "m m"], linear: Float[Array, "m k"]) -> Float[Array, "m k"]:
    r"""Minimise over $\lambda \ge 0$ by trying every set of positive entries: exact, 2^m small systems."""
    m = len(matrix)
    sets = jnp.asarray(np.array(list(itertools.product([0.0, 1.0], repeat=m))), matrix.dtype)

    def candidate(active):
        system = active[:, None] * matrix * active[None, :] + jnp.diag(1.0 - active)
        multipliers = jnp.linalg.solve(system, -active[:, None] * linear)
        slack = matrix @ multipliers + linear
        violation = jnp.maximum(jnp.max(-multipliers, axis=0), jnp.max(-slack, axis=0))
        # Sets of dependent rows have no or a useless solution; a smaller set has the same projection.
        return multipliers, jnp.where(jnp.isfinite(violation), violation, jnp.inf)

    multipliers, violations = jax.vmap(candidate)(sets)
    best = jnp.argmin(violations, axis=0)
    chosen = jnp.take_along_axis(multipliers, best[None, None, :], axis=0)[0]
    return jnp.maximum(chosen, 0.0)


def _descend(matrix: Float[Array, "m m"], linear: Float[Array, "m k"]) -> Float[Array, "m k"]:
    r"""Minimise over $\lambda \ge 0$ by cyclic coordinate descent."""

    def coordinate(i, multipliers):
        slope = matrix[i] @ multipliers + linear[i]
        return multipliers.at[i].set(jnp.maximum(multipliers[i] - slope, 0.0))

    def sweep(_, multipliers):
        return jax.lax.fori_loop(0, len(matrix), coordinate, multipliers)

    return jax.lax.fori_loop(0, _SWEEPS, sweep, jnp.zeros_like(linear))


def _check(preference: tuple[float, ...] | None) -> None:
    if preference is not None and not (all(p >= 0 for p in preference) and any(preference)):
        raise PdesolveError(f"`preference` must not be negative, and not all zero; got {preference}.")


def _preference(preference: tuple[float, ...] | None, rows) -> Float[Array, " m"]:
    m = len(rows.lengths)
    if preference is not None and len(preference) != m:
        raise PdesolveError(f"`preference` has {len(preference)} weights for {m} terms.")
    return jnp.asarray(preference or (1.0 / m,) * m, rows.lengths.dtype)
