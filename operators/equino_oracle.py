"""EquiNO-solve: the optimum of EquiNO's loss for one strain at a time, a reduced solver of the unit cell."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .equino_modes import Modes

__all__ = ["Optimum", "equino_solve"]

_RIDGE = 1e-14
"""Added to the diagonal of normal equations of unit columns: it keeps modes that are rounding apart solvable."""


class Optimum(NamedTuple):
    """The smallest loss of given strains.

    Attributes:
        outputs: The coefficients in the units of the networks, `(n, 2, mode)`.
        loss: The mean square of what is left, in MPa^2, `(n,)`.
        roots: Upper triangles U, `(n, 2 mode, 2 mode)`: near the optimum the loss of other outputs is
            `loss + |U (outputs - optimum)|^2`.
        iterations: Gauss-Newton steps, `(n,)`.
    """

    outputs: Float[Array, "n 2 mode"]
    loss: Float[Array, " n"]
    roots: Float[Array, "n both both"]
    iterations: Any

    def coefficients(self, modes: Modes) -> Float[Array, "n 2 mode"]:
        """Return b and c."""
        return modes.scales.value[None] * self.outputs + modes.shifts.value[None]

    def mean_stress(self, modes: Modes) -> Float[Array, "n 3"]:
        """Return the mean stresses of the fields in equilibrium, in MPa."""
        return self.coefficients(modes)[:, 1] @ modes.mean_stress.value


@eqx.filter_jit
def equino_solve(
    modes: Modes, strains: Float[Array, "n 3"], *, iterations: int = 20, tolerance: float = 1e-9
) -> Optimum:
    r"""Minimise the loss for each strain by Gauss-Newton over the coefficients: what a perfect training would reach.

    With $J = [C B \varphi, -\psi]$, C the materials' tangent, every step solves $J^T J \, p = -J^T (\sigma_c -
    \sigma_{eq})$ in columns of unit length, beginning at zero. It ends when no coefficient changes by more than
    `tolerance` times the largest: after some five steps within strains of some percent.

    Args:
        modes: The modes, at all points or at some (`Modes.at`).
        strains: Mean strains.
        iterations: Most steps.
        tolerance: See above; in the units of the networks.
    """
    rank = modes.rank
    scales, shifts = modes.scales.value, modes.shifts.value

    def normal(mean, outputs):
        """Return the gap's mean square, and its half's gradient and curvature, times the number of its entries."""
        b, c = scales * outputs + shifts
        stress, tangent = jax.linearize(modes.law, modes.strains(mean, b))
        columns = jax.vmap(tangent, in_axes=-1, out_axes=-1)(modes.strain.value * scales[0][None, None])
        jacobian = jnp.concatenate([columns, -modes.stress.value * scales[1][None, None]], axis=-1)
        jacobian, gap = jacobian.reshape(-1, 2 * rank), (stress - modes.stresses(c)).reshape(-1)
        return gap @ gap, jacobian.T @ gap, jacobian.T @ jacobian

    def factor(curvature):
        """Return column lengths and the triangle of the scaled curvature."""
        lengths = jnp.sqrt(jnp.diagonal(curvature))
        lengths = jnp.where(lengths > 0, lengths, 1.0)
        scaled = curvature / lengths[:, None] / lengths[None] + _RIDGE * jnp.eye(2 * rank)
        return lengths, jnp.linalg.cholesky(scaled, upper=True)

    def one(mean):
        def unfinished(state):
            _, change, count = state
            return (change > tolerance) & (count < iterations)

        def step(state):
            outputs, _, count = state
            _, gradient, curvature = normal(mean, outputs)
            lengths, triangle = factor(curvature)
            move = jax.scipy.linalg.cho_solve((triangle, False), gradient / lengths) / lengths
            new = outputs - move.reshape(2, rank)
            change = jnp.max(jnp.abs(move)) / jnp.maximum(jnp.max(jnp.abs(new)), 1.0)
            return new, change, count + 1

        start = -shifts / scales, jnp.asarray(jnp.inf), jnp.asarray(0)
        outputs, _, count = jax.lax.while_loop(unfinished, step, start)
        square, _, curvature = normal(mean, outputs)
        lengths, triangle = factor(curvature)
        size = modes.stress.value[..., 0].size
        return Optimum(outputs, square / size, triangle * lengths[None] / jnp.sqrt(size), count)

    return jax.lax.map(one, strains)
