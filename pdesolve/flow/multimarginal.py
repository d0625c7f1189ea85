"""Multimarginal interpolants: one network for the flows between any two of several laws."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import PdesolveError
from ..objective import Context, PointwiseBlock, Term
from ..samplers import FreshSamples
from .objective import VelocityField

__all__ = ["MultimarginalInterpolant", "MultimarginalResidual"]

MarginalField = Callable[[Float[Array, " *shape"], Float[Array, " marginal"]], Float[Array, " marginal *shape"]]
r"""`model(x, alpha)`: for each law k the mean $g_k(\alpha, x)$ of its sample given $x(\alpha) = x$."""
Curve = Callable[[Float[Array, ""]], Float[Array, " marginal"]]
"""From a time to weights that are not negative and have the sum 1."""


class MultimarginalResidual(eqx.Module):
    r"""$g_\theta(\alpha, x(\alpha)) - (x_1 \dots x_K)$ of a sample `{"fields", "alpha"}`: `(marginal, *shape)`."""

    interpolant: "MultimarginalInterpolant"

    def __call__(self, model: MarginalField, sample: dict[str, Array], key: PRNGKeyArray, context: Context | None):
        """Return `{"marginals": z}`."""
        fields, alpha = sample["fields"], sample["alpha"]
        return {"marginals": model(self.interpolant.position(fields, alpha), alpha) - fields}


class MultimarginalInterpolant(eqx.Module):
    r"""Mixtures $x(\alpha) = \sum_k \alpha_k x_k$ of independent samples of K laws, with weights on the simplex.

    The means $g_k(\alpha, x) = \mathrm{E}[x_k \mid x(\alpha) = x]$, learned by least squares, give the velocity along
    any curve of weights, $b = \sum_k \dot\alpha_k\,g_k$, which carries the laws of $x(\alpha(t))$; in particular all
    $K (K - 1)$ flows from one law to another. They satisfy $\sum_k \alpha_k\,g_k = x$.

    Args:
        num_marginals: K.
        concentration: Of the Dirichlet law from which weights are drawn in training: 1 is uniform on the simplex, less
            puts more near its corners and edges.

    Raises:
        PdesolveError: If there are fewer than two laws, or the concentration is not positive.

    References:
        Albergo, Boffi, Lindsey, Vanden-Eijnden, Multimarginal generative modeling with stochastic interpolants,
        arXiv:2310.03695 (2023).
    """

    num_marginals: int = eqx.field(static=True)
    concentration: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        if self.num_marginals < 2:
            raise PdesolveError(f"`num_marginals` must be at least 2, got {self.num_marginals}.")
        if not self.concentration > 0:
            raise PdesolveError(f"`concentration` must be positive, got {self.concentration}.")

    def position(
        self, fields: Float[Array, " marginal *shape"], alpha: Float[Array, " marginal"]
    ) -> Float[Array, " *shape"]:
        r"""Return $x(\alpha)$."""
        return jnp.tensordot(alpha, fields, 1)

    def block(
        self, marginals: Sequence[Float[Array, " sample *shape"] | None], batch_size: int, **options: Any
    ) -> PointwiseBlock:
        """Return the block whose loss is the mean squared error of all means.

        Args:
            marginals: Samples of each law, any number of each; None for the standard normal law.
            batch_size: Samples of a step; those of each law are drawn independently, with replacement.
            **options: Of `PointwiseBlock`.

        Raises:
            PdesolveError: If there are not K laws, none has samples, or samples have several shapes.
        """
        shapes = {each.shape[1:] for each in marginals if each is not None}
        if len(marginals) != self.num_marginals or len(shapes) != 1:
            raise PdesolveError(
                f"expected {self.num_marginals} laws with samples of one shape; got {len(marginals)} of shapes "
                f"{sorted(shapes)}."
            )
        draw = _Draw(tuple(marginals), self.concentration, batch_size)
        first = next(each for each in marginals if each is not None)
        term = Term("marginals", weight=2.0 / (self.num_marginals * first[0].size))
        sampler = FreshSamples(draw, batch_size)
        return PointwiseBlock(residual=MultimarginalResidual(self), sampler=sampler, terms=(term,), **options)

    def edge(self, first: int, last: int) -> Curve:
        """Return the curve straight from one law to another, over times from 0 to 1.

        Raises:
            PdesolveError: If there is no such law, or both are the same.
        """
        if first == last or not {first, last} <= set(range(self.num_marginals)):
            raise PdesolveError(f"an edge joins two of the laws 0 to {self.num_marginals - 1}; got {first} and {last}.")

        def curve(t):
            return jnp.zeros(self.num_marginals, t.dtype).at[first].set(1.0 - t).at[last].set(t)

        return curve

    def velocity(self, model: MarginalField, curve: Curve) -> VelocityField:
        r"""Return the velocity field $\sum_k \dot\alpha_k(t)\,g_k(\alpha(t), x)$, as `integrate` takes it."""

        def field(x, t):
            alpha, rate = jax.jvp(curve, (t,), (jnp.ones_like(t),))
            return jnp.tensordot(rate, model(x, alpha), 1)

        return field

    def score(
        self, model: MarginalField, normal: int = 0
    ) -> Callable[[Float[Array, " *shape"], Float[Array, " marginal"]], Float[Array, " *shape"]]:
        r"""Return $-g_k / \alpha_k$, the score of the law of $x(\alpha)$ if law k, `normal`, is standard normal."""
        return lambda x, alpha: -model(x, alpha)[normal] / alpha[normal]


class _Draw(eqx.Module):
    """`key` to samples of all laws and weights."""

    marginals: tuple[Float[Array, " sample *shape"] | None, ...]
    concentration: float = eqx.field(static=True)
    batch_size: int = eqx.field(static=True)

    def __call__(self, key: PRNGKeyArray) -> dict[str, Array]:
        alpha_key, *keys = jax.random.split(key, 1 + len(self.marginals))
        like = next(each for each in self.marginals if each is not None)
        shape = (self.batch_size, *like.shape[1:])
        fields = [
            jax.random.normal(k, shape, like.dtype)
            if each is None
            else each[jax.random.randint(k, (self.batch_size,), 0, len(each))]
            for each, k in zip(self.marginals, keys, strict=True)
        ]
        weights = jnp.full(len(self.marginals), self.concentration, like.dtype)
        alpha = jax.random.dirichlet(alpha_key, weights, (self.batch_size,), like.dtype)
        return {"fields": jnp.stack(fields, axis=1), "alpha": alpha}
