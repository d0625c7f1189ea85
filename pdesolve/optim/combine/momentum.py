"""M-ConFIG: ConFIG of averaged gradients, of which only some are renewed at each step."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from ...errors import PdesolveError
from .config import ConFIG
from .rule import AbstractRule
from .unit_rows import UnitRows

__all__ = ["MomentumConFIG"]


class MomentumState(NamedTuple):
    """Averages of M-ConFIG."""

    first: PyTree
    """First moment of each term's gradient, leaves `(m, ...)`."""
    counts: Int[Array, " m"]
    """How often each was renewed."""
    second: PyTree
    """Second moment of the pseudo-gradient."""
    pseudo: PyTree
    """First moment of the pseudo-gradient."""
    step: Int[Array, ""]


class MomentumConFIG(AbstractRule):
    r"""Momentum ConFIG (M-ConFIG): conflict-free inverse gradients of first moments, divided by a second moment.

    With $M_i$ the bias-corrected averages of the gradients and $h = \mathrm{ConFIG}(M_1, \dots, M_m)$, the update is
    $h / (\sqrt{\hat s} + \epsilon)$. Here s averages the squares of the gradient q which an ordinary first moment would
    have turned into h: $q = (F_t - \beta_1 F_{t-1}) / (1 - \beta_1)$ with $F_t = (1 - \beta_1^t)\, h$. Follow it with
    plain descent: the division by the second moment has been made.

    A step renews as many terms as `turns` says, one after the other, by as many backward passes; in `fit` the losses of
    all terms are evaluated besides. Until every term has been seen, the update is zero. The guarantees of ConFIG hold
    for the averages, and not after the division. One term gives Adam. A common factor of all losses changes nothing;
    with `length` `geometric` or `first` neither does a factor of one.

    Args:
        turns: Terms renewed in a step, 1 as published; all if None.
        beta1: Decay of the first moments.
        beta2: Decay of the second moment.
        eps: Added to the root of the second moment.
        length: Rule for ConFIG's length.

    References:
        Liu, Chu, Thuerey, ConFIG, ICLR (2025); the order of operations is that of its program, conflictfree 0.1.8.
    """

    turns: int | None = eqx.field(static=True, default=1)
    beta1: float = eqx.field(static=True, default=0.9)
    beta2: float = eqx.field(static=True, default=0.999)
    eps: float = eqx.field(static=True, default=1e-8)
    length: str = eqx.field(static=True, default="projection")

    def __check_init__(self):
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise PdesolveError(f"`beta1` and `beta2` must be at least 0 and below 1; got {self.beta1}, {self.beta2}.")
        if self.turns is not None and self.turns < 1:
            raise PdesolveError(f"`turns` must be at least 1, got {self.turns}.")
        ConFIG(length=self.length)

    def init(self, params, num_terms):
        """Zeros."""
        zeros = jax.tree.map(jnp.zeros_like, params)
        first = jax.tree.map(lambda leaf: jnp.zeros((num_terms, *leaf.shape), leaf.dtype), zeros)
        return MomentumState(first, jnp.zeros(num_terms, jnp.int32), zeros, zeros, jnp.asarray(0, jnp.int32))

    def renewed(self, state, step):
        """The terms of this step, in turn."""
        m = len(state.counts)
        if self.turns is None or self.turns >= m:
            return None
        return (step * self.turns + jnp.arange(self.turns)) % m

    @eqx.filter_jit
    def combine(self, gradients, state, losses=None, *, fresh=None):
        """Average, combine, divide."""
        finite = UnitRows(gradients).finite
        taken = finite if fresh is None else finite & fresh
        counts = state.counts + taken
        first = jax.tree.map(lambda mean, g: self._mean(mean, g, self.beta1, _rows(taken, g)), state.first, gradients)
        ready = jnp.all(counts > 0)
        step = state.step + ready
        correction = 1.0 - self.beta1 ** jnp.maximum(counts, 1)
        corrected = jax.tree.map(lambda mean: mean / _rows(correction.astype(mean.dtype), mean), first)
        h, _, metrics = ConFIG(length=self.length).combine(corrected, ())
        count = jnp.maximum(step, 1)
        pseudo = jax.tree.map(lambda leaf: (1.0 - self.beta1**count).astype(leaf.dtype) * leaf, h)
        q = jax.tree.map(lambda new, old: (new - self.beta1 * old) / (1.0 - self.beta1), pseudo, state.pseudo)
        second = jax.tree.map(lambda s, leaf: self._mean(s, leaf**2, self.beta2, ready), state.second, q)
        pseudo = jax.tree.map(lambda new, old: jnp.where(ready, new, old), pseudo, state.pseudo)

        def divided(leaf, s):
            scale = jnp.sqrt(s / (1.0 - self.beta2**count).astype(s.dtype)) + self.eps
            return jnp.where(ready, leaf / scale, 0.0)

        update = jax.tree.map(divided, h, second)
        metrics = {**metrics, "non_finite_terms": jnp.sum(~finite)}
        return update, MomentumState(first, counts, second, pseudo, step), metrics

    @staticmethod
    def _mean(mean: Array, value: Array, beta: float, taken: Array) -> Float[Array, "..."]:
        # A value that is not taken may be NaN: it must not enter, not even times zero.
        value = jnp.where(taken, value, 0.0).astype(mean.dtype)
        return jnp.where(taken, beta * mean + (1.0 - beta) * value, mean)


def _rows(values: Array, like: Array) -> Array:
    """Shape one value for each term to multiply a stacked leaf."""
    return values.reshape(-1, *[1] * (like.ndim - 1))
