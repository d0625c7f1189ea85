"""Equations evaluated on values on a grid."""

from collections.abc import Iterable, Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..errors import PdesolveError, UnknownNameError
from ._algebra import MultiIndex
from .fields import AbstractRepresentation, At, Fields
from .record import Equation, evaluate, requested
from .rules import AbstractRule

__all__ = ["grid_fields", "on_grid"]


def on_grid(
    equation: Equation,
    values: Mapping[str, Float[Array, "*grid"]],
    coordinates: Mapping[str, Float[Array, " n"]],
    rules: Mapping[str, AbstractRule],
) -> dict[str, Float[Array, "*grid"]]:
    """Return the residuals of an equation at every point of a grid.

    For several samples use `jax.vmap` over `values`. Differentiable with respect to values and coordinates.

    Args:
        equation: `equation(fields, at) -> {name: scalar}`, the same that `pointwise` takes.
        values: Field name to values, axes in the order of `coordinates`.
        coordinates: Coordinate name to the grid along its axis; time is named `"t"`.
        rules: Coordinate name to the rule that differentiates along it.

    Raises:
        PdesolveError: As `grid_fields`, or if a result is not a scalar at a point.
        UnknownNameError: If the equation uses an unknown field or coordinate.
    """
    representation = _Grid(values, coordinates, rules)
    requested(equation, representation.coordinates, tuple(values), dtype=representation.dtype)
    return evaluate(equation, Fields(representation, values), At(representation), shape=representation.shape)


def grid_fields(
    values: Mapping[str, Float[Array, "*grid"]],
    coordinates: Mapping[str, Float[Array, " n"]],
    rules: Mapping[str, AbstractRule],
) -> tuple[Fields, At]:
    """Return fields and coordinates on a grid, what an equation takes; the arguments are those of `on_grid`.

    Raises:
        PdesolveError: If the shape of values does not fit the coordinates, or a rule its points.
        UnknownNameError: If a rule is given for an unknown coordinate.
    """
    representation = _Grid(values, coordinates, rules)
    return Fields(representation, values), At(representation)


class _Grid(AbstractRepresentation):
    """Values on a tensor product of one-dimensional grids."""

    def __init__(
        self,
        values: Mapping[str, Array],
        coordinates: Mapping[str, Array],
        rules: Mapping[str, AbstractRule],
    ):
        self.coordinates = tuple(coordinates)
        self.shape = tuple(jnp.shape(points)[0] for points in coordinates.values())
        self.dtype = jnp.result_type(*values.values())
        self._points = {name: jnp.asarray(points) for name, points in coordinates.items()}
        self._rules = dict(rules)
        _check(values, self.shape, self.coordinates)
        for name, rule in rules.items():
            if name not in coordinates:
                raise UnknownNameError("coordinate", name, coordinates)
            rule.check(name, coordinates[name])
        zero = (0,) * len(self.shape)
        self._table = {(name, zero): jnp.asarray(value) for name, value in values.items()}

    def derivative(self, name: str, index: MultiIndex) -> Array:
        if (name, index) not in self._table:
            # One coordinate after the other, the first ones kept for other derivatives.
            axis = max(axis for axis, order in enumerate(index) if order)
            inner = self.derivative(name, (*index[:axis], 0, *index[axis + 1 :]))
            self._table[name, index] = self._along(inner, axis, index[axis])
        return self._table[name, index]

    def coordinate(self, name: str) -> Array:
        axis = self.coordinates.index(name)
        return self._points[name].reshape([-1 if a == axis else 1 for a in range(len(self.shape))])

    def _along(self, values: Array, axis: int, order: int) -> Array:
        name = self.coordinates[axis]
        if name not in self._rules:
            raise PdesolveError(
                f"no rule to differentiate along {name!r}; rules are given for: {', '.join(self._rules) or 'none'}. "
                f"Add one, e.g. {{{name!r}: Spectral()}} or Stencil(order=2)."
            )
        moved = self._rules[name].differentiate(jnp.moveaxis(values, axis, -1), self._points[name], order)
        return jnp.moveaxis(moved, -1, axis)


def _check(values: Mapping[str, Array], shape: tuple[int, ...], coordinates: Iterable[str]) -> None:
    for name, value in values.items():
        if jnp.shape(value) != shape:
            raise PdesolveError(
                f"expected values of {name!r} of shape {shape}, axes in the order {', '.join(coordinates)}; "
                f"got {jnp.shape(value)}. For several samples use jax.vmap."
            )
