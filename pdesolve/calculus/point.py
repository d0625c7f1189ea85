"""Equations evaluated on a function at one point: a network, a closed form, any JAX callable."""

from collections.abc import Callable, Iterable

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..errors import PdesolveError
from ._algebra import Key, Laplacian, MultiIndex
from .fields import AbstractRepresentation, At, Fields
from .jets import derivatives
from .record import Equation, evaluate, requested

__all__ = ["field_at", "pointwise"]

Function = Callable[[Float[Array, " d"]], Float[Array, " fields"]]


def pointwise(
    equation: Equation, function: Function, coordinates: Iterable[str], field_names: Iterable[str]
) -> Callable[[Float[Array, " d"]], dict[str, Float[Array, ""]]]:
    """Return the residuals of an equation as a function of one point.

    The equation is called twice: once on abstract values, to see which derivatives it asks for, and once on the results
    of a single forward sweep that computes exactly those. Use `jax.vmap` for many points.

    Args:
        equation: `equation(fields, at) -> {name: scalar}`.
        function: From a point `(d,)` to the values of the fields `(number of fields,)`, or to a scalar if there is one.
        coordinates: Names of the coordinates, in the order of the point; time is named `"t"`.
        field_names: Names of the fields, in the order of the values.

    Returns:
        A function from a point `(d,)` to a dictionary of scalars.

    Raises:
        PdesolveError: When evaluated, if a result is not a scalar, an array that depends on the point would be
            differentiated as a constant, or the shapes of point or values do not fit the names.
        UnknownNameError: When evaluated, if the equation uses an unknown field or coordinate.
    """
    coordinates, names = tuple(coordinates), tuple(field_names)

    def residuals(point: Float[Array, " d"]) -> dict[str, Float[Array, ""]]:
        keys = requested(equation, coordinates, names, dtype=jnp.result_type(point))
        representation = _Point(function, point, coordinates, names)
        representation.compute(keys)
        return evaluate(equation, Fields(representation, names), At(representation), shape=())

    return residuals


def field_at(function: Function, point: Float[Array, " d"], coordinates: Iterable[str], names: Iterable[str]) -> Fields:
    """Return the fields of a function at a point, their derivatives computed when asked for.

    Each derivative not yet known costs one sweep; `pointwise` shares one between all.

    Example:
        `laplacian(field_at(model, point, ("x", "y"), ("u",)).u).value`
    """
    names = tuple(names)
    return Fields(_Point(function, jnp.asarray(point), tuple(coordinates), names), names)


class _Point(AbstractRepresentation):
    """A function and its derivatives at one point."""

    def __init__(self, function: Function, point: Array, coordinates: tuple[str, ...], names: tuple[str, ...]):
        if jnp.shape(point) != (len(coordinates),):
            raise PdesolveError(
                f"expected a point of shape ({len(coordinates)},), one entry each for {', '.join(coordinates)}; "
                f"got {jnp.shape(point)}. For many points use jax.vmap."
            )
        self.coordinates = coordinates
        self._function, self._point, self._names = function, point, names
        self._second = set(self.second_derivatives)
        self._table: dict[Key, Array] = {}

    def compute(self, keys: Iterable[Key]) -> None:
        """Compute several derivatives in one sweep."""
        keys = set(keys)
        indices = {key for key in keys if not isinstance(key, Laplacian)}
        if indices != keys and all(any(_below(part, index) for index in indices) for part in self._second):
            # The separate second derivatives are propagated anyway, so their sum is free.
            keys = indices | self._second
        if keys:
            self._table.update(derivatives(self._values, self._point, keys))

    def derivative(self, name: str, index: MultiIndex) -> Array:
        if index not in self._table:
            self.compute([index])
        return self._table[index][self._names.index(name)]

    def laplacian(self, name: str) -> Array:
        if self._second <= self._table.keys():
            return super().laplacian(name)
        key = Laplacian(self.spatial_axes)
        if key not in self._table:
            self.compute([key])
        return self._table[key][self._names.index(name)]

    def coordinate(self, name: str) -> Array:
        return self._point[self.coordinates.index(name)]

    def _values(self, point: Array) -> Array:
        values = jnp.asarray(self._function(point))
        if values.ndim == 0 and len(self._names) == 1:
            return values[None]
        if values.shape != (len(self._names),):
            raise PdesolveError(
                f"expected the function to return {len(self._names)} values at a point, one each for "
                f"{', '.join(self._names)}, shape ({len(self._names)},); got {values.shape}."
            )
        return values


def _below(index: MultiIndex, bound: MultiIndex) -> bool:
    return all(a <= b for a, b in zip(index, bound, strict=True))
