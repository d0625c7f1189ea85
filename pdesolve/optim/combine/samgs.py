"""SAM-GS: momentum scaling where gradients are of unlike size, equal sizes where they are alike."""

import itertools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from ...errors import PdesolveError
from .rule import AbstractRule
from .unit_rows import UnitRows, per_row

__all__ = ["SAMGS"]


class SAMGSState(NamedTuple):
    """Averaged gradients, leaves `(m, ...)`, and the averaged square of the unlikeness."""

    first: PyTree
    second: Float[Array, ""]
    step: Int[Array, ""]


class SAMGS(AbstractRule):
    r"""Similarity-aware momentum gradient surgery.

    The likeness of sizes is $\Psi$, the mean over pairs of $2 |g_i| |g_j| / (|g_i|^2 + |g_j|^2)$. If it is below
    $\gamma$, the gradients are scaled to their mean length and added. Else

    $$A = \sum_k g_k \odot \frac{|\hat M_k|}{\sqrt{\hat v}}, \quad M_k \leftarrow \beta_1 M_k + (1 - \beta_1) g_k, \quad
    v \leftarrow \beta_2 v + (1 - \beta_2) (1 - \Psi)^2 + \epsilon,$$

    both without their bias. As in the authors' program pairs are of different terms (in the paper also of a term with
    itself), and without its last factor m. The second branch is quadratic in the gradients: follow it with Adam. With
    one term the sum is returned. Terms that are not finite are left out.

    Args:
        beta1: Decay of M.
        beta2: Decay of v.
        gamma: Threshold of the likeness.
        eps: Added to v.

    References:
        arXiv:2506.06130 (2025), and its program.
    """

    beta1: float = eqx.field(static=True, default=0.9)
    beta2: float = eqx.field(static=True, default=0.99)
    gamma: float = eqx.field(static=True, default=0.1)
    eps: float = eqx.field(static=True, default=1e-8)

    def __check_init__(self):
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise PdesolveError(f"`beta1` and `beta2` must be at least 0 and below 1; got {self.beta1}, {self.beta2}.")

    def init(self, params, num_terms):
        """Zeros."""
        zeros = jax.tree.map(lambda leaf: jnp.zeros((num_terms, *leaf.shape), leaf.dtype), params)
        return SAMGSState(zeros, jnp.asarray(0.0), jnp.asarray(0, jnp.int32))

    @eqx.filter_jit
    def combine(self, gradients, state, losses=None, *, fresh=None):
        """Update both averages, then take one branch."""
        rows = UnitRows(gradients)
        m, lengths = len(rows.lengths), rows.lengths
        gradients = jax.tree.map(lambda leaf: jnp.where(per_row(rows.finite, leaf), leaf, 0.0), gradients)
        likeness = _likeness(lengths)
        step = state.step + 1
        first = jax.tree.map(lambda a, g: self.beta1 * a + (1.0 - self.beta1) * g, state.first, gradients)
        second = self.beta2 * state.second + (1.0 - self.beta2) * (1.0 - likeness) ** 2 + self.eps
        root = jnp.sqrt(second / (1.0 - self.beta2**step))
        present = jnp.maximum(jnp.sum(rows.present), 1)
        equal = rows.sum(jnp.full(m, jnp.sum(lengths) / present, lengths.dtype))

        def scaled(g, a):
            unbiased = jnp.abs(a) / (1.0 - self.beta1**step).astype(a.dtype)
            return jnp.sum(g * unbiased, axis=0) / root.astype(g.dtype)

        moved = jax.tree.map(scaled, gradients, first)
        alike = likeness >= self.gamma
        combined = jax.tree.map(lambda a, b: jnp.where(alike, a, b.astype(a.dtype)), moved, equal)
        metrics = {"likeness": likeness, "non_finite_terms": jnp.sum(~rows.finite)}
        if m == 1:
            combined = jax.tree.map(lambda leaf: leaf[0], gradients)
        return combined, SAMGSState(first, second.astype(state.second.dtype), step), metrics


def _likeness(lengths: Float[Array, " m"]) -> Float[Array, ""]:
    """Return the mean over pairs; a pair that vanishes is alike."""
    pairs = list(itertools.combinations(range(len(lengths)), 2))
    if not pairs:
        return jnp.ones((), lengths.dtype)
    a, b = (lengths[jnp.asarray(side)] for side in zip(*pairs, strict=True))
    larger, smaller = jnp.maximum(a, b), jnp.minimum(a, b)
    ratio = smaller / jnp.where(larger > 0, larger, 1.0)  # squares would over- or underflow
    return jnp.mean(jnp.where(larger > 0, 2 * ratio / (1 + ratio**2), 1.0))
