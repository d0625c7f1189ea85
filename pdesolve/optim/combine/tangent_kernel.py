"""Weights from the traces of tangent kernels."""

import equinox as eqx
import jax.numpy as jnp

from ...errors import PdesolveError
from .annealing import Averaged
from .rule import AbstractRule
from .weighing import PLAIN, AbstractWeighing, keep_finite

__all__ = ["NTKWeights"]


class NTKWeights(AbstractWeighing):
    r"""Weights that make all residuals converge at the same mean rate, by the traces of their tangent kernels.

    $$\lambda_i = \frac{\sum_j \operatorname{tr} K_{jj} / n_j}{\operatorname{tr} K_{ii} / n_i}, \qquad
    K_{ii} = J_i J_i^\top,$$

    with the Jacobian $J_i$ of the residuals of term i at its $n_i$ samples. The paper has no $n_i$; here each loss is a
    mean over its samples, and converges at $\operatorname{tr} K_{ii} / n_i$. A trace that vanishes leaves its weight as
    it was. Used in a loop of one's own, it needs `combine(..., traces=...)` (`Evaluation.kernel_traces`).

    Args:
        every: Steps between two renewals, each of which costs a pullback for every residual it looks at.
        cap: Largest weight.
        rule: Combines the weighted gradients.

    References:
        Wang, Yu, Perdikaris, J. Comput. Phys. 449 (2022) 110768.
    """

    every: int = eqx.field(static=True, default=1000)
    cap: float = eqx.field(static=True, default=1e6)
    rule: AbstractRule = PLAIN

    def __check_init__(self):
        if self.every < 1:
            raise PdesolveError(f"`every` must be at least 1, got {self.every}.")

    def begin(self, num_terms):
        """Ones."""
        return Averaged(jnp.ones(num_terms), jnp.asarray(0, jnp.int32))

    def traced(self, state, step):
        """Every so many steps, and when the rule asks."""
        asked, inner = state[0].step % self.every == 0, super().traced(state, step)
        return asked if inner is None else asked | inner

    def weigh(self, gradients, losses, traces, state):
        """Renew every so many steps."""
        if traces is None:
            raise PdesolveError("NTKWeights weighs by traces: call `combine(gradients, state, traces=...)`.")
        ratio = jnp.minimum(jnp.sum(traces) / jnp.where(traces > 0, traces, jnp.nan), self.cap)
        new = keep_finite(ratio, state.weights).astype(state.weights.dtype)
        weights = jnp.where(state.step % self.every == 0, new, state.weights)
        return weights, Averaged(weights, state.step + 1)
