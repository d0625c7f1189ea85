"""Row rules: weights and shifts of single residuals, with a state of their own outside differentiation."""

import abc
import inspect
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from .errors import PdesolveError, UnknownNameError
from .samplers import Batch, carry

__all__ = ["AbstractRowRule", "CausalWeights", "ResidualAttention", "SelfAdaptiveWeights", "build_row_rule"]


class AbstractRowRule(eqx.Module):
    """Turns the residuals of a term into row weights `(n,)` and shifts; never differentiated."""

    @abc.abstractmethod
    def init(self, batch: Batch) -> PyTree:
        """Return the state for a first batch."""

    @abc.abstractmethod
    def update(
        self, state: PyTree, z: Float[Array, "n ..."], batch: Batch
    ) -> tuple[Float[Array, " n"] | None, Float[Array, "n ..."] | None, PyTree]:
        """Return `(weights, shift, state)`; None stands for weights 1 or shift 0."""

    @abc.abstractmethod
    def refresh(self, state: PyTree, old: Batch, new: Batch) -> PyTree:
        """Return the state for a new generation of samples; survivors are known by their ids."""


class CausalWeights(AbstractRowRule):
    r"""Weights $w_i = \exp(-\epsilon \sum_{k<k_i} L_k)$ that train early times before late ones.

    Samples are sorted into `num_slabs` equal slabs of time; $L_k$ is the mean squared residual of slab k. Time is the
    last coordinate of a sample.

    References:
        Wang, Sankaran, Perdikaris, Comput. Methods Appl. Mech. Engrg. 421 (2024) 116813, eqs. (20)-(21).
    """

    start: float
    end: float
    tolerance: float = 1.0
    num_slabs: int = eqx.field(static=True, default=32)

    def init(self, batch):
        """No state."""
        return ()

    def update(self, state, z, batch):
        """Weigh each row by the residuals of the earlier slabs."""
        time = batch.samples[:, -1]
        slab = jnp.clip(
            jnp.floor((time - self.start) / (self.end - self.start) * self.num_slabs), 0, self.num_slabs - 1
        )
        slab = slab.astype(int)
        squares = jnp.mean(jnp.square(z.reshape(z.shape[0], -1)), axis=1)
        count = jnp.zeros(self.num_slabs).at[slab].add(1.0)
        means = jnp.zeros(self.num_slabs).at[slab].add(squares) / jnp.maximum(count, 1.0)
        earlier = jnp.cumsum(means) - means
        return jnp.exp(-self.tolerance * earlier)[slab], None, state

    def refresh(self, state, old, new):
        """Nothing to carry."""
        return state


class ResidualAttention(AbstractRowRule):
    r"""Weights $\lambda_i^2$ with $\lambda_i \leftarrow \gamma\lambda_i + \eta\,|z_i| / \max_j |z_j|$.

    References:
        Anagnostopoulos, Toscano, Stergiopulos, Karniadakis, CMAME 421 (2024) 116805, eq. (7).
    """

    decay: float = 0.999
    rate: float = 0.01

    def init(self, batch):
        """Start from the rule's fixed point for residuals half as large as the largest."""
        return jnp.full(batch.ids.shape, 0.5 * self.rate / (1.0 - self.decay))

    def update(self, state, z, batch):
        """Raise the weights of rows that stay large."""
        size = jnp.sqrt(jnp.sum(jnp.square(z.reshape(z.shape[0], -1)), axis=1))
        state = self.decay * state + self.rate * size / jnp.maximum(jnp.max(size), jnp.finfo(z.dtype).tiny)
        return jnp.square(state), None, state

    def refresh(self, state, old, new):
        """Survivors keep their weight, newcomers get the mean."""
        return carry(state, old, new, default=jnp.mean(state))


class SelfAdaptiveWeights(AbstractRowRule):
    r"""Weights $m(\lambda_i)$ that climb where the network descends: gradient ascent of the loss in $\lambda$.

    With $m(\lambda) = \lambda^2$ and steps of length $\eta$ along $m'(\lambda_i)\, |z_i|^2$, divided by the largest of
    them, so that the rate has no units. Weights never fall.

    Args:
        rate: $\eta$.
        initial: First $\lambda$.

    References:
        McClenny and Braga-Neto, Self-adaptive physics-informed neural networks, J. Comput. Phys. 474 (2023) 111722.
    """

    rate: float = 0.01
    initial: float = 1.0

    def init(self, batch):
        """All the same."""
        return jnp.full(batch.ids.shape, self.initial)

    def update(self, state, z, batch):
        """Climb."""
        slope = 2.0 * state * jnp.sum(jnp.square(z.reshape(z.shape[0], -1)), axis=1)
        state = state + self.rate * slope / jnp.maximum(jnp.max(slope), jnp.finfo(z.dtype).tiny)
        return jnp.square(state), None, state

    def refresh(self, state, old, new):
        """Survivors keep their weight, newcomers get the mean."""
        return carry(state, old, new, default=jnp.mean(state))


_RULES = {"causal": CausalWeights, "residual_attention": ResidualAttention, "self_adaptive": SelfAdaptiveWeights}


def build_row_rule(
    name: str, options: Mapping[str, Any], times: tuple[float, float] | None = None
) -> AbstractRowRule | None:
    """Return a rule by name, None for `none`.

    Args:
        name: `causal`, `residual_attention`, `self_adaptive` or `none`.
        options: Keyword arguments.
        times: First and last time, which `causal` needs.

    Raises:
        UnknownNameError: For an unknown rule or option.
        PdesolveError: If there is no time, or there are options without a rule.
    """
    if name == "none":
        if options:
            raise PdesolveError("`weighting_options` belong to `weighting`, which is none.")
        return None
    if name not in _RULES:
        raise UnknownNameError("weighting of points", name, (*_RULES, "none"))
    known = [option for option in inspect.signature(_RULES[name]).parameters if option not in ("start", "end")]
    for option in options:
        if option not in known:
            raise UnknownNameError(f"option of weighting {name!r}", option, known)
    if name != "causal":
        return _RULES[name](**options)
    if times is None:
        raise PdesolveError("causal weights need a problem with time.")
    return CausalWeights(*times, **options)
