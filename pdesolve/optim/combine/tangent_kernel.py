"""Weights from the traces of tangent kernels."""

import equinox as eqx
import jax.numpy as jnp

from ...errors import PdesolveError
from .annealing import Averaged
from .rule import AbstractRule
from .sums import Sum
from .weighing import scaled, shown

__all__ = ["NTKWeights"]


class NTKWeights(AbstractRule):
    r"""Weights that make all residuals converge at the same mean rate, by the traces of their tangent kernels.

    $$\lambda_i = \frac{\sum_j \operatorname{tr} K_{jj} / n_j}{\operatorname{tr} K_{ii} / n_i}, \qquad
    K_{ii} = J_i J_i^\top,$$

    with the Jacobian $J_i$ of the residuals of term i at its $n_i$ samples. The paper has no $n_i$; here each loss is a
    mean over its samples, and converges at $\operatorname{tr} K_{ii} / n_i$. A trace that vanishes leaves its weight as
    it was. Used in a loop of one's own, it needs `combine(..., traces=...)` (`Evaluation.kernel_traces`).

    Args:
        every: Steps between two renewals, each of which costs a pullback for every sample.
        cap: Largest weight.
        rule: Combines the weighted gradients.

    References:
        Wang, Yu, Perdikaris, J. Comput. Phys. 449 (2022) 110768, eqs. (6.5)-(6.6), algorithm 1.
    """

    every: int = eqx.field(static=True, default=1000)
    cap: float = eqx.field(static=True, default=1e6)
    rule: AbstractRule = Sum()

    def __check_init__(self):
        if self.every < 1:
            raise PdesolveError(f"`every` must be at least 1, got {self.every}.")

    def init(self, params, num_terms):
        """Ones, and the state of the rule."""
        return Averaged(jnp.ones(num_terms), jnp.asarray(0, jnp.int32)), self.rule.init(params, num_terms)

    def traced(self, state, step):
        """Every so many steps."""
        return state[0].step % self.every == 0

    def combine(self, gradients, state, losses=None, *, fresh=None, traces=None):
        """Renew the weights if traces are given, then combine."""
        if traces is None:
            raise PdesolveError("NTKWeights weighs by traces: call `combine(gradients, state, traces=...)`.")
        own, inner = state
        new = jnp.minimum(jnp.sum(traces) / jnp.where(traces > 0, traces, jnp.nan), self.cap)
        asked = own.step % self.every == 0
        weights = jnp.where(asked & jnp.isfinite(new), new, own.weights).astype(own.weights.dtype)
        combined, inner, metrics = self.rule.combine(scaled(gradients, weights), inner, losses, fresh=fresh)
        return combined, (Averaged(weights, own.step + 1), inner), {**metrics, **shown(weights)}
