"""What a combination rule is: gradients of several loss terms in, one gradient out."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PyTree

from ...errors import PdesolveError
from .unit_rows import UnitRows

__all__ = ["AbstractRule", "AbstractSpanRule", "count_terms"]


class AbstractRule(eqx.Module):
    r"""A rule $A$ that makes one gradient of the gradients $g_1, \dots, g_m$ of several loss terms.

    Gradients are a pytree whose leaves carry a leading axis of the m terms; the result is the pytree without it. All
    rules return a *gradient*: the optimiser that follows it subtracts it. A rule without state can be called,
    `rule(gradients)`; every rule is an optax transformation, `rule.transformation(m)`, to be chained before another.
    """

    @abc.abstractmethod
    def init(self, params: PyTree, num_terms: int) -> PyTree:
        """Return the rule's first state; `()` if it has none."""

    def renewed(self, state: PyTree, step: Int[Array, ""]) -> Int[Array, " k"] | None:
        """Return which terms' gradients a step asks for, fewer than there are; None for all."""
        return None

    def traced(self, state: PyTree, step: Int[Array, ""]) -> Bool[Array, ""] | None:
        """Return whether a step asks for the traces of the terms' tangent kernels; None if none ever does.

        A rule that asks gets them as `combine(..., traces=...)`, zeros in the steps that do not ask.
        """
        return None

    @abc.abstractmethod
    def combine(
        self,
        gradients: PyTree,
        state: PyTree,
        losses: Float[Array, " m"] | None = None,
        *,
        fresh: Bool[Array, " m"] | None = None,
    ) -> tuple[PyTree, PyTree, dict[str, Array]]:
        """Return the combined gradient, the new state, and metrics.

        Args:
            gradients: Leaves `(m, ...)`.
            state: From `init` or the last call.
            losses: Values of the terms, for rules that need them.
            fresh: Which rows hold gradients of this step, where `renewed` asked for some only; all if None.
        """

    def __call__(self, gradients: PyTree) -> PyTree:
        """Return the combined gradient.

        Raises:
            PdesolveError: If the rule has a state.
        """
        state = self.init(jax.tree.map(lambda leaf: leaf[0], gradients), count_terms(gradients))
        if jax.tree.leaves(state):
            raise PdesolveError(f"{type(self).__name__} has a state: use `init` and `combine`, or `transformation`.")
        return self.combine(gradients, state)[0]

    def transformation(self, num_terms: int) -> optax.GradientTransformationExtraArgs:
        """Return the rule as an optax transformation that takes the stacked gradients of `num_terms` terms.

        `optax.chain(ConFIG().transformation(3), optax.adam(1e-3))`; `update(..., losses=..., fresh=...)` are handed on.
        """

        def init(params):
            return self.init(params, num_terms)

        def update(updates, state, params=None, *, losses=None, fresh=None, traces=None, **_: Any):
            given = {} if traces is None else {"traces": traces}
            combined, state, _ = self.combine(updates, state, losses, fresh=fresh, **given)
            return combined, state

        return optax.GradientTransformationExtraArgs(init, update)


class AbstractSpanRule(AbstractRule):
    """A rule without state whose result is a combination of the rows, with weights that depend on the rows alone."""

    @abc.abstractmethod
    def weights(self, rows: UnitRows) -> tuple[Float[Array, " m"], dict[str, Array]]:
        r"""Return $a$, the weights of the *unit* rows, $A = \sum_i a_i g_i / |g_i|$, and metrics."""

    def init(self, params, num_terms):
        """No state."""
        return ()

    @eqx.filter_jit
    def combine(self, gradients, state, losses=None, *, fresh=None):
        """Weigh the unit rows."""
        rows = UnitRows(gradients)
        weights, metrics = self.weights(rows)
        combined = jax.tree.map(lambda total, leaf: total.astype(leaf.dtype), rows.sum(weights), gradients)
        return combined, state, {**metrics, "non_finite_terms": jnp.sum(~rows.finite)}


def count_terms(gradients: PyTree) -> int:
    """Return m, the common leading length of the leaves.

    Raises:
        PdesolveError: If there is no leaf, or lengths differ.
    """
    leaves = jax.tree.leaves(gradients)
    lengths = sorted({leaf.shape[0] for leaf in leaves if leaf.ndim})
    if len(lengths) != 1 or any(leaf.ndim == 0 for leaf in leaves):
        raise PdesolveError(
            "stacked gradients need leaves with one common leading axis, the terms; got leading lengths "
            f"{lengths}, and {sum(leaf.ndim == 0 for leaf in leaves)} scalars."
        )
    return int(lengths[0])
