"""MultiAdam: the mean of Adam's updates for each group of losses."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree

from ...errors import PdesolveError
from .rule import AbstractRule
from .unit_rows import UnitRows

__all__ = ["MultiAdam"]


class MultiAdamState(NamedTuple):
    """Moments of each group, leaves `(groups, ...)`."""

    first: PyTree
    second: PyTree
    largest: PyTree
    """The largest second moments so far, if they are asked for."""
    step: Int[Array, ""]


class MultiAdam(AbstractRule):
    r"""Adam for each group of losses, updates averaged: scale-free for each group.

    $$m_i \leftarrow \beta_1 m_i + (1 - \beta_1) g_i, \quad v_i \leftarrow \beta_2 v_i + (1 - \beta_2) g_i^2, \quad
    A = \sum_i w_i\, \frac{m_i / (1 - \beta_1^t)}{\sqrt{v_i / (1 - \beta_2^t)} + \epsilon}.$$

    Follow it with plain descent. A factor of one group's loss changes nothing, up to $\epsilon$. It is not conflict
    free: each group's update is near a sign in each coordinate, so that opposite ones cancel, whatever their sizes. A
    step at which a gradient is not finite leaves everything as it is.

    Args:
        groups: Number of each term's group, from 0; every term a group of its own if None. The paper makes one of all
            equations and one of all conditions.
        weights: w, one for each group; their mean if None.
        beta1: Decay of the first moments.
        beta2: Decay of the second moments.
        eps: Added to the roots.
        amsgrad: Divide by the largest second moment so far.

    References:
        Yao et al., MultiAdam: parameter-wise scale-invariant optimizer for multiscale training of physics-informed
        neural networks, ICML (2023); options as in the program of PINNacle.
    """

    groups: tuple[int, ...] | None = eqx.field(static=True, default=None)
    weights: tuple[float, ...] | None = eqx.field(static=True, default=None)
    beta1: float = eqx.field(static=True, default=0.99)
    beta2: float = eqx.field(static=True, default=0.99)
    eps: float = eqx.field(static=True, default=1e-8)
    amsgrad: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise PdesolveError(f"`beta1` and `beta2` must be at least 0 and below 1; got {self.beta1}, {self.beta2}.")
        if self.groups is not None and sorted(set(self.groups)) != list(range(len(set(self.groups)))):
            raise PdesolveError(f"`groups` must number the groups 0, 1, ... without a gap; got {self.groups}.")

    def _group_of(self, num_terms: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
        groups = tuple(range(num_terms)) if self.groups is None else self.groups
        if len(groups) != num_terms:
            raise PdesolveError(f"`groups` has {len(groups)} entries for {num_terms} terms.")
        count = len(set(groups))
        weights = (1.0 / count,) * count if self.weights is None else self.weights
        if len(weights) != count:
            raise PdesolveError(f"`weights` has {len(weights)} entries for {count} groups.")
        return groups, weights

    def init(self, params, num_terms):
        """Zeros."""
        count = len(set(self._group_of(num_terms)[0]))
        zeros = jax.tree.map(lambda leaf: jnp.zeros((count, *leaf.shape), leaf.dtype), params)
        return MultiAdamState(zeros, zeros, zeros if self.amsgrad else None, jnp.asarray(0, jnp.int32))

    @eqx.filter_jit
    def combine(self, gradients, state, losses=None, *, fresh=None):
        """Sum within groups; one Adam each; their weighted sum."""
        finite = UnitRows(gradients).finite
        groups, weights = self._group_of(len(finite))
        good = jnp.all(finite)
        step = state.step + good
        count = jnp.maximum(step, 1)

        def grouped(leaf):
            leaf = jnp.where(good, leaf, 0.0)
            return jax.ops.segment_sum(leaf, jnp.asarray(groups), len(weights))

        sums = jax.tree.map(grouped, gradients)
        first = jax.tree.map(lambda m, g: self.beta1 * m + (1.0 - self.beta1) * g, state.first, sums)
        second = jax.tree.map(lambda v, g: self.beta2 * v + (1.0 - self.beta2) * g**2, state.second, sums)
        largest = jax.tree.map(jnp.maximum, second, state.largest) if self.amsgrad else None

        def update(m, v):
            one, two = (1.0 - beta**count for beta in (self.beta1, self.beta2))
            steps = (m / one.astype(m.dtype)) / (jnp.sqrt(v / two.astype(v.dtype)) + self.eps)
            total = jnp.tensordot(jnp.asarray(weights, m.dtype), steps, 1)
            return jnp.where(good, total, 0.0)

        combined = jax.tree.map(update, first, largest if self.amsgrad else second)
        new, old = (first, second, largest), (state.first, state.second, state.largest)
        kept = jax.tree.map(lambda new, old: jnp.where(good, new, old), new, old)
        return combined, MultiAdamState(*kept, step), {"non_finite_terms": jnp.sum(~finite)}
