"""Dual cone gradient descent for two groups of losses."""

import equinox as eqx
import jax
import jax.numpy as jnp

from ...errors import PdesolveError, UnknownNameError
from .rule import AbstractRule
from .unit_rows import UnitRows, per_row

__all__ = ["DCGD"]

DIRECTIONS = ("center", "average", "projection")


class DCGD(AbstractRule):
    r"""A direction in the dual cone of the gradients of two losses, in which neither rises.

    With $g = g_1 + g_2$ and its part $g_{i\perp}$ orthogonal to $g_i$:

    - `center`: $g_c = u_1 + u_2$, $A = (g_c \cdot g / |g_c|^2)\, g_c$, the bisector: `ConFIG` of two losses;
    - `average`: $\tfrac12 (g_{1\perp} + g_{2\perp})$ where $g_1 \cdot g_2 < 0$, else g;
    - `projection`: $g_{i\perp}$ for the i with $g \cdot g_i < 0$, else g: the point of the cone nearest to g.

    Opposite gradients make the update zero, and `degenerate` true. Terms that are not finite are left out.

    Args:
        direction: One of these; the first was best in the paper.
        groups: 0 or 1 for each term, its group; needed unless there are two terms. The paper makes one of all
            equations and one of all conditions.

    References:
        Hwang and Lim, Dual cone gradient descent for training physics-informed neural networks, NeurIPS (2024).
    """

    direction: str = eqx.field(static=True, default="center")
    groups: tuple[int, ...] | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if self.direction not in DIRECTIONS:
            raise UnknownNameError("direction of dual cone gradient descent", self.direction, DIRECTIONS)
        if self.groups is not None and set(self.groups) != {0, 1}:
            raise PdesolveError(f"`groups` must be 0 or 1 for each term, and both must occur; got {self.groups}.")

    def init(self, params, num_terms):
        """No state."""
        groups = (0, 1) if self.groups is None else self.groups
        if len(groups) != num_terms:
            raise PdesolveError(
                f"dual cone gradient descent is for two losses; for {num_terms} terms give `groups`, 0 or 1 for each"
                + ("." if self.groups is None else f"; got {len(groups)}.")
            )
        return ()

    @eqx.filter_jit
    def combine(self, gradients, state, losses=None, *, fresh=None):
        """Sum within groups, then combine the two."""
        finite = UnitRows(gradients).finite
        groups = jnp.asarray((0, 1) if self.groups is None else self.groups)

        def grouped(leaf):
            return jax.ops.segment_sum(jnp.where(per_row(finite, leaf), leaf, 0.0), groups, 2)

        rows = UnitRows(jax.tree.map(grouped, gradients))
        (a, b), cosine = rows.lengths, rows.cosines()[0, 1]
        weights = _WEIGHTS[self.direction](a, b, cosine)
        # One loss alone is followed as it is. The half angle is known to some digits only: below that it is none.
        weights = jnp.where(jnp.all(rows.present), weights, rows.lengths)
        opposite = jnp.all(rows.present) & (1.0 + cosine < 8 * jnp.finfo(cosine.dtype).eps)
        weights = jnp.where(opposite, 0.0, weights)
        combined = jax.tree.map(lambda total, leaf: total.astype(leaf.dtype), rows.sum(weights), gradients)
        return combined, state, {"degenerate": opposite, "non_finite_terms": jnp.sum(~finite)}


def _center(a, b, cosine):
    # |u_1 + u_2|^2 = 2 (1 + cos), and its product with g is (a + b) (1 + cos).
    return jnp.full(2, 0.5 * (a + b))


def _perpendicular(a, b, cosine):
    """Return the coefficients, by unit rows, of g without its part along each row."""
    return jnp.stack([-b * cosine, b]), jnp.stack([a, -a * cosine])


def _average(a, b, cosine):
    first, second = _perpendicular(a, b, cosine)
    return jnp.where(cosine < 0, 0.5 * (first + second), jnp.stack([a, b]))


def _projection(a, b, cosine):
    first, second = _perpendicular(a, b, cosine)
    along = jnp.stack([a + b * cosine, a * cosine + b])
    return jnp.where(along[0] < 0, first, jnp.where(along[1] < 0, second, jnp.stack([a, b])))


_WEIGHTS = {"center": _center, "average": _average, "projection": _projection}
