"""The energy natural gradient: least squares in the tangent space of the network."""

import equinox as eqx
import jax.numpy as jnp

from ..errors import PdesolveError
from .control import GridSearch
from .factorisation import decompose
from .gauss_newton import AbstractGaussNewton

__all__ = ["EnergyNaturalGradient"]


class EnergyNaturalGradient(AbstractGaussNewton):
    r"""The natural gradient of the energy: least squares of least norm in the tangent space, and a grid of lengths.

    The direction is $-J^+ r$, with singular values of J below a cut-off dropped: for linear equations the projection of
    the error onto the tangent space of the network. There is no damping.

    Args:
        cutoff: Singular values below this share of the largest are dropped.
        absolute: Singular values below this are dropped.
        halvings: Smallest length $2^{-k}$.

    References:
        Müller and Zeinhofer, Achieving high accuracy with PINNs via energy natural gradient descent, ICML (2023);
        Schwencke and Furtlehner, ANaGRAM, ICLR (2025), for the cut-off.
    """

    cutoff: float = 1e-12
    absolute: float = 0.0
    halvings: int = eqx.field(static=True, default=30)
    factorisation: str = eqx.field(static=True, default="svd")

    def __check_init__(self):
        if self.factorisation != "svd":
            raise PdesolveError(f"a cut-off needs the factorisation 'svd'; got {self.factorisation!r}.")

    def rule(self):
        """A grid."""
        return GridSearch(0.0, self.halvings)

    def solver(self, evaluation, model, state):
        """The same direction for every damping; none if the decomposition fails."""
        parts = decompose(jnp.concatenate(model.rows), jnp.concatenate(model.residuals))
        # Smaller singular values are made of round-off, whatever was asked for.
        share = max(self.cutoff, float(jnp.finfo(parts.values.dtype).eps) * max(model.gradient.size, len(parts.along)))
        direction = parts.truncated(jnp.maximum(share * parts.values[0], self.absolute))
        return lambda damping: jnp.where(jnp.all(jnp.isfinite(direction)), direction, 0.0)
