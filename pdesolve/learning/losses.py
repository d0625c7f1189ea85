r"""Losses of operator learning, each relative in its own way and under its own name.

A loss says what the residual vector z of a sample is, and what is made of it; the mean over samples follows.

| name | loss, with error $e_i = p_i - y_i$ |
|---|---|
| `relative_l2` | mean of $\|e_i\| / \|y_i\|$ |
| `relative_h1` | mean of $(\|e_i\|^2 + \|\nabla e_i\|^2)^{1/2} / (\|y_i\|^2 + \|\nabla y_i\|^2)^{1/2}$ |
| `relative_mse` | mean of $\|e_i\|^2$ over the mean of $\|y_i\|^2$ of the training samples |

The last one is a sum of squares, which Gauss-Newton methods need.
"""

import abc
import math
from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..calculus import Stencil
from ..errors import PdesolveError, UnknownNameError
from ..objective import AbstractOuter, Density, Squares

__all__ = ["LOSSES", "AbstractLoss", "RelativeH1", "RelativeL2", "RelativeMSE", "build_loss", "norm"]

LOSSES = ("relative_l2", "relative_h1", "relative_mse")


class AbstractLoss(eqx.Module):
    """A loss of one sample's answer against what was expected, frames and channels side by side."""

    @abc.abstractmethod
    def residual(
        self, answer: Float[Array, " channel *grid"], expected: Float[Array, " channel *grid"]
    ) -> Float[Array, "..."]:
        """Return z."""

    @abc.abstractmethod
    def outer(self) -> AbstractOuter:
        """Return what is made of z."""


class RelativeL2(AbstractLoss):
    """The norm of the error over the norm of what was expected."""

    def residual(self, answer, expected):
        """The error over the norm of what was expected."""
        return (answer - expected) / jnp.linalg.norm(expected)

    def outer(self):
        """The norm."""
        return Density(norm)


class RelativeH1(AbstractLoss):
    """The same in the norm that counts first derivatives too, by central differences of second order.

    Args:
        spacings: Between the points of each axis; derivatives are in their units.
        periodic: For each axis, whether the differences go around its ends; one-sided there if not.

    Raises:
        PdesolveError: If an axis has fewer than three points.
    """

    spacings: tuple[float, ...] = eqx.field(static=True)
    periodic: tuple[bool, ...] = eqx.field(static=True)

    def residual(self, answer, expected):
        """Error and its derivatives over the norm of what was expected and its derivatives."""
        whole = self._with_derivatives(expected)
        return self._with_derivatives(answer - expected) / jnp.linalg.norm(whole)

    def outer(self):
        """The norm."""
        return Density(norm)

    def _with_derivatives(self, u: Float[Array, " channel *grid"]) -> Float[Array, " more *grid"]:
        derivatives = []
        for axis, (spacing, periodic) in enumerate(zip(self.spacings, self.periodic, strict=True), start=1):
            rule = Stencil(order=2, periodic=periodic)
            points = spacing * jnp.arange(u.shape[axis], dtype=u.dtype)
            derivatives.append(jnp.moveaxis(rule.differentiate(jnp.moveaxis(u, axis, -1), points, 1), -1, axis))
        return jnp.concatenate([u, *derivatives])


class RelativeMSE(AbstractLoss):
    """The squared error over a fixed mean square: that of the training samples, an entry.

    Args:
        mean_square: Mean of the squares of all entries of what is expected.
    """

    mean_square: float = eqx.field(static=True)

    def residual(self, answer, expected):
        """Scaled so that half the sum of squares is the loss."""
        return (answer - expected) * math.sqrt(2.0 / (self.mean_square * expected.size))

    def outer(self):
        """Half the sum of squares."""
        return Squares()


def build_loss(name: str, *, coordinates: Mapping[str, np.ndarray], periodic: bool, mean_square: float) -> AbstractLoss:
    """Return the loss of a name.

    Raises:
        UnknownNameError: If there is none of that name.
        PdesolveError: If the error is to be relative to nothing.
    """
    if name == "relative_l2":
        return RelativeL2()
    if name == "relative_h1":
        spacings = [float(x[-1] - x[0]) / max(len(x) - 1, 1) for x in coordinates.values()]
        return RelativeH1(tuple(spacings), tuple(periodic and axis != "t" for axis in coordinates))
    if name == "relative_mse":
        if not mean_square > 0:
            raise PdesolveError("the answers of all training samples are zero: there is nothing to be relative to.")
        return RelativeMSE(float(mean_square))
    raise UnknownNameError("loss", name, LOSSES)


def norm(z: Float[Array, "..."]) -> Float[Array, ""]:
    """The L2 norm; its gradient at zero is zero, not NaN."""
    squares = jnp.sum(jnp.square(z))
    return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1.0)), 0.0)
