"""IMTL-G: equal projections onto all gradients."""

import jax.numpy as jnp

from .config import least_norm
from .rule import AbstractSpanRule

__all__ = ["IMTLG"]


class IMTLG(AbstractSpanRule):
    r"""Impartial multi-task learning by gradients: weights that sum to one, equal projections on all gradients.

    $$A = \sum_i \alpha_i g_i, \quad \sum_i \alpha_i = 1, \quad A \cdot u_i = A \cdot u_j.$$

    For independent gradients this is `ConFIG`'s line: $A = \hat U^\top a / \sum_i (a_i / |g_i|)$ with $a = C^{-1} 1$.
    But for three terms and more the sum can be negative, when a short gradient has a negative weight: **then the update
    raises every loss**, as the formula says and the authors' program does. The metric `ascends` tells. Where the sum
    nearly vanishes, or rows are dependent, the update is zero and `degenerate` is true.

    References:
        Liu et al., Towards impartial multi-task learning, ICLR (2021).
    """

    def weights(self, rows):
        """The equal-rate equations, scaled to weights that sum to one."""
        wanted = rows.present.astype(rows.lengths.dtype)
        a, _, gap = least_norm(rows, wanted)
        # Scaled by the shortest gradient, so that no quotient overflows.
        shortest = jnp.min(jnp.where(rows.present, rows.lengths, jnp.inf))
        total = jnp.sum(jnp.where(rows.present, a * (shortest / jnp.where(rows.present, rows.lengths, 1.0)), 0.0))
        degenerate = (gap > 1e-3) | (jnp.abs(total) <= 1e-12 * jnp.max(jnp.abs(a))) | ~jnp.any(rows.present)
        weights = jnp.where(degenerate, 0.0, a * shortest / jnp.where(degenerate, 1.0, total))
        return weights, {"degenerate": degenerate & jnp.any(rows.present), "ascends": total < 0}
