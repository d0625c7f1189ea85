"""Families of fields that obey an equation, and the equation of normalised fields."""

import abc

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from ..family import AbstractFamily

__all__ = ["AbstractPhysicalFamily", "Equations"]


class AbstractPhysicalFamily(AbstractFamily):
    """A family of fields without input, all of which satisfy the same discrete equation."""

    dependent_names: eqx.AbstractClassVar[tuple[str, ...]]
    """Fields that the equation determines from the others."""

    @abc.abstractmethod
    def residual(self, field: Float[Array, " channel *grid"]) -> Float[Array, " equation *grid"]:
        """Return left side minus right side of the equation of one field, at every grid point."""

    @abc.abstractmethod
    def constraint(self, field: Float[Array, " channel *grid"]) -> Float[Array, " m"]:
        """Return m numbers with independent gradients, all zero if and only if the field is one of the family."""

    @abc.abstractmethod
    def corrected(self, field: Float[Array, " channel *grid"]) -> Float[Array, " channel *grid"]:
        """Return the field with its linear constraints that do not overlap met exactly; the rest stays as it is."""

    @abc.abstractmethod
    def resolved(self, fields: Float[np.ndarray, "sample channel *grid"]) -> Float[np.ndarray, "sample channel *grid"]:
        """Return the fields with the dependent ones solved for anew; NaN where that is not possible."""


class Equations(eqx.Module):
    r"""The equation of a family, as a function of the normalised field $x = (u - \mu) / s$; one sample in, one out."""

    family: AbstractPhysicalFamily
    mean: Float[Array, " channel"]
    r"""$\mu$, by channel."""
    scale: Float[Array, " channel"]
    """s, by channel."""

    def denormalise(self, x: Float[Array, " channel *grid"]) -> Float[Array, " channel *grid"]:
        r"""Return $\mu + s x$."""
        return _column(self.mean, x) + _column(self.scale, x) * x

    def normalise(self, u: Float[Array, " channel *grid"]) -> Float[Array, " channel *grid"]:
        r"""Return $(u - \mu) / s$."""
        return (u - _column(self.mean, u)) / _column(self.scale, u)

    def residual(self, x: Float[Array, " channel *grid"]) -> Float[Array, " equation *grid"]:
        """Return the family's residual."""
        return self.family.residual(self.denormalise(x))

    def constraint(self, x: Float[Array, " channel *grid"]) -> Float[Array, " m"]:
        """Return the family's constraint."""
        return self.family.constraint(self.denormalise(x))

    def corrected(self, x: Float[Array, " channel *grid"]) -> Float[Array, " channel *grid"]:
        """Return the field with the family's linear constraints met."""
        return self.normalise(self.family.corrected(self.denormalise(x)))

    def dependent(self) -> tuple[bool, ...]:
        """Return which channels the equation determines from the others."""
        return tuple(name in self.family.dependent_names for name in self.family.field_names)


def _column(values: Float[Array, " channel"], like: Float[Array, " channel *grid"]) -> Array:
    return values.reshape(-1, *[1] * (like.ndim - 1))
