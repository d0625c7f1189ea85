"""Fields: values that know their derivatives, however they are represented.

An equation is written once, in terms of `Field`s; a representation (`AbstractRepresentation`) says what the values and
derivatives of the unknown fields are: those of a function at a point, of values on a grid, of a linear basis.
"""

import abc
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..errors import PdesolveError, UnknownNameError
from ._algebra import MultiIndex, unit

__all__ = ["AbstractRepresentation", "At", "Field", "Fields", "apply", "partial"]


class AbstractRepresentation(abc.ABC):
    """Where the values of fields and of their derivatives come from."""

    coordinates: tuple[str, ...]
    """Names of the coordinates, in the order of multi-indices; time is named `"t"`."""

    @abc.abstractmethod
    def derivative(self, name: str, index: MultiIndex) -> Array:
        """Return the derivative of the field `name` of orders `index` along the coordinates."""

    @abc.abstractmethod
    def coordinate(self, name: str) -> Array:
        """Return the value of a coordinate, of a shape that broadcasts against the values of fields."""

    def laplacian(self, name: str) -> Array:
        """Return the sum of the second derivatives of the field `name` along the spatial coordinates."""
        first, *rest = [self.derivative(name, index) for index in self.second_derivatives]
        return sum(rest, start=first)

    def inspect_constant(self, value: Any) -> None:  # noqa: B027 (most representations have nothing to inspect)
        """Take note of an array whose derivative is about to be taken as zero."""

    def inspect_function(self, function: Callable, arguments: Sequence[Any]) -> None:  # noqa: B027
        """Take note of a function that is about to be differentiated with respect to its arguments alone."""

    @property
    def spatial(self) -> tuple[str, ...]:
        """Names of the coordinates other than time."""
        return tuple(name for name in self.coordinates if name != "t")

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """Positions of the coordinates other than time."""
        return tuple(axis for axis, name in enumerate(self.coordinates) if name != "t")

    @property
    def second_derivatives(self) -> tuple[MultiIndex, ...]:
        """The multi-indices whose sum is the Laplacian."""
        return tuple(tuple(2 * n for n in unit(axis, len(self.coordinates))) for axis in self.spatial_axes)


class Field(abc.ABC):
    """A quantity that depends on the coordinates, with its derivatives.

    Sums, products, quotients and powers of fields, numbers and arrays are fields, differentiated by the usual rules;
    `apply` makes a field of any other function of fields. Wherever JAX expects an array, `jnp.sin(u)`, a field stands
    for its value, and the result is a plain array that `partial` refuses: write `apply(jnp.sin, u)` to differentiate.
    The same goes for `array * u`, because JAX then decides: write `u * array`.
    """

    representation: AbstractRepresentation

    @abc.abstractmethod
    def differentiate(self, name: str) -> "Field":
        """Return the derivative along one coordinate."""

    @abc.abstractmethod
    def _evaluate(self) -> Array: ...

    @functools.cached_property
    def value(self) -> Array:
        """The value as an array: a scalar at a point, `(*grid)` on a grid."""
        return self._evaluate()

    def laplacian(self) -> "Field":
        """Return the sum of the second derivatives along the spatial coordinates."""
        return _total([self.differentiate(name).differentiate(name) for name in self.representation.spatial])

    def __init_subclass__(cls) -> None:
        # JAX's compiled functions, jnp.sin among them, take their arguments apart as trees: a field is one leaf, its
        # value, and is put together again as that plain array.
        jax.tree_util.register_pytree_node(cls, lambda field: ((field.value,), None), lambda _, children: children[0])

    __array_ufunc__ = None  # NumPy scalars on the left leave the operation to us

    def __jax_array__(self) -> Array:
        return jnp.asarray(self.value)

    def __add__(self, other: Any) -> "Field":
        return _add(self, _lift(other, self))

    def __radd__(self, other: Any) -> "Field":
        return _add(_lift(other, self), self)

    def __sub__(self, other: Any) -> "Field":
        return _add(self, _negate(_lift(other, self)))

    def __rsub__(self, other: Any) -> "Field":
        return _add(_lift(other, self), _negate(self))

    def __mul__(self, other: Any) -> "Field":
        return _multiply(self, _lift(other, self))

    def __rmul__(self, other: Any) -> "Field":
        return _multiply(_lift(other, self), self)

    def __truediv__(self, other: Any) -> "Field":
        return _divide(self, _lift(other, self))

    def __rtruediv__(self, other: Any) -> "Field":
        return _divide(_lift(other, self), self)

    def __pow__(self, exponent: Any) -> "Field":
        return apply(jnp.power, self, exponent) if isinstance(exponent, Field) else _power(self, exponent)

    def __rpow__(self, base: Any) -> "Field":
        return apply(jnp.power, _lift(base, self), self)

    def __neg__(self) -> "Field":
        return _negate(self)

    def __pos__(self) -> "Field":
        return self

    def __abs__(self) -> "Field":
        return apply(jnp.abs, self)

    def __lt__(self, other: Any) -> Array:
        return self.value < _value(other)

    def __le__(self, other: Any) -> Array:
        return self.value <= _value(other)

    def __gt__(self, other: Any) -> Array:
        return self.value > _value(other)

    def __ge__(self, other: Any) -> Array:
        return self.value >= _value(other)

    def __bool__(self) -> bool:
        raise PdesolveError("a field is neither true nor false. To choose by its value use jnp.where(u > 0, ..., ...).")

    def __iter__(self) -> Any:
        raise PdesolveError("a field is a scalar; a vector is a tuple of fields, e.g. (fields.u, fields.v).")

    def __repr__(self) -> str:
        return f"{type(self).__name__.lstrip('_')}{self.representation.coordinates}"


class Fields:
    """The unknown fields of an equation, as attributes: `fields.u`."""

    def __init__(self, representation: AbstractRepresentation, names: Iterable[str]):
        self._fields = {name: _Leaf(representation, name, (0,) * len(representation.coordinates)) for name in names}

    def __getattr__(self, name: str) -> Field:
        return _attribute("field", name, self.__dict__.get("_fields", {}))

    def __dir__(self) -> list[str]:
        return sorted(self._fields)


class At:
    """The coordinates, as attributes: `at.x`; each is a `Field`, whose derivative along itself is one."""

    def __init__(self, representation: AbstractRepresentation):
        self._coordinates = {name: _Coordinate(representation, name) for name in representation.coordinates}

    def __getattr__(self, name: str) -> Field:
        return _attribute("coordinate", name, self.__dict__.get("_coordinates", {}))

    def __dir__(self) -> list[str]:
        return sorted(self._coordinates)


def partial(field: Any, *directions: str | int) -> Any:
    r"""Return a partial derivative as a field.

    `partial(u, "x")` is $u_x$, `partial(u, "x", 2)` is $u_{xx}$, `partial(u, "x", "y")` is $u_{xy}$,
    `partial(u, "x", 2, "y")` is $u_{xxy}$. A tuple is differentiated by component.

    Raises:
        UnknownNameError: If there is no such coordinate.
        PdesolveError: If `field` is not a field, or the directions are not names each followed by at most one order.
    """
    names = _directions(directions)
    if isinstance(field, tuple | list):
        return tuple(partial(component, *directions) for component in field)
    for name in names:
        field = require_field(field).differentiate(require_coordinate(field, name))
    return require_field(field)


def apply(function: Callable[..., Array], *arguments: Any) -> Field:
    """Return a function of fields as a field, differentiated by the chain rule.

    Args:
        function: Elementwise, `jnp.sin` or any function of scalars written with `jax.numpy`.
        *arguments: Fields, and constants that do not depend on the coordinates; at least one field.
    """
    field = next((argument for argument in arguments if isinstance(argument, Field)), None)
    if field is None:
        raise PdesolveError(f"`apply` needs at least one field, got {[type(a).__name__ for a in arguments]}.")
    operands = [_lift(argument, field) for argument in arguments]
    representation = field.representation

    def evaluate() -> Array:
        return function(*(operand.value for operand in operands))

    def differentiate(name: str) -> Field:
        representation.inspect_function(function, [operand.value for operand in operands])
        tangents = [operand.differentiate(name) for operand in operands]
        varying = [i for i, tangent in enumerate(tangents) if not _is_zero(tangent)]
        if not varying:
            return _zero(representation)
        return apply(_tangent(function, varying, len(operands)), *operands, *(tangents[i] for i in varying))

    return _Expression(representation, evaluate, differentiate)


def require_field(field: Any) -> Field:
    """Return `field` if it is one.

    Raises:
        PdesolveError: If it is a plain array or anything else without derivatives.
    """
    if not isinstance(field, Field):
        given = "a plain array" if isinstance(field, jax.Array) else type(field).__name__
        raise PdesolveError(
            f"only a field can be differentiated, got {given}. A function of fields stays a field with "
            "apply(jnp.sin, u) in place of jnp.sin(u), and a product with the field first, u * array."
        )
    return field


def require_coordinate(field: Field, name: str) -> str:
    """Return `name` if it is a coordinate of the field.

    Raises:
        UnknownNameError: If it is not; the message gives the nearest one.
    """
    if name not in field.representation.coordinates:
        raise UnknownNameError("coordinate", name, field.representation.coordinates)
    return name


class _Leaf(Field):
    """An unknown field or one of its derivatives."""

    def __init__(self, representation: AbstractRepresentation, name: str, index: MultiIndex):
        self.representation, self.name, self.index = representation, name, index

    def _evaluate(self) -> Array:
        return self.representation.derivative(self.name, self.index)

    def differentiate(self, name: str) -> Field:
        axis = self.representation.coordinates.index(name)
        index = (*self.index[:axis], self.index[axis] + 1, *self.index[axis + 1 :])
        return _Leaf(self.representation, self.name, index)

    def laplacian(self) -> Field:
        separate = Field.laplacian(self)
        if any(self.index) or len(self.representation.spatial) < 2:
            return separate
        return _Expression(
            self.representation,
            lambda: self.representation.laplacian(self.name),
            separate.differentiate,
        )


class _Coordinate(Field):
    """A coordinate."""

    def __init__(self, representation: AbstractRepresentation, name: str):
        self.representation, self.name = representation, name

    def _evaluate(self) -> Array:
        return self.representation.coordinate(self.name)

    def differentiate(self, name: str) -> Field:
        return _Constant(self.representation, 1.0) if name == self.name else _zero(self.representation)


class _Constant(Field):
    """A number or array that does not depend on the coordinates."""

    def __init__(self, representation: AbstractRepresentation, value: Any):
        self.representation, self._constant = representation, value

    def _evaluate(self) -> Any:
        return self._constant

    def differentiate(self, name: str) -> Field:
        self.representation.inspect_constant(self._constant)
        return _zero(self.representation)


class _Expression(Field):
    """A function of other fields, evaluated and differentiated when asked."""

    def __init__(
        self,
        representation: AbstractRepresentation,
        evaluate: Callable[[], Array],
        differentiate: Callable[[str], Field],
    ):
        self.representation, self._evaluator, self._differentiator = representation, evaluate, differentiate

    def _evaluate(self) -> Array:
        return self._evaluator()

    def differentiate(self, name: str) -> Field:
        return self._differentiator(name)


def _lift(value: Any, like: Field) -> Field:
    if isinstance(value, Field):
        return value
    if isinstance(value, tuple | list | dict | str):
        raise PdesolveError(
            f"a field cannot be combined with a {type(value).__name__}. A vector is a tuple of fields: "
            "combine its components one by one."
        )
    return _Constant(like.representation, value)


def _value(value: Any) -> Any:
    return value.value if isinstance(value, Field) else value


def _zero(representation: AbstractRepresentation) -> Field:
    return _Constant(representation, 0.0)


def _is_zero(field: Field) -> bool:
    return _is_number(field, 0.0)


def _is_one(field: Field) -> bool:
    return _is_number(field, 1.0)


def _is_number(field: Field, number: float) -> bool:
    value: Any = field.value if isinstance(field, _Constant) else None
    return isinstance(value, float) and value == number


def _add(a: Field, b: Field) -> Field:
    if _is_zero(a) or _is_zero(b):
        return b if _is_zero(a) else a
    return _Expression(
        a.representation,
        lambda: a.value + b.value,
        lambda name: _add(a.differentiate(name), b.differentiate(name)),
    )


def _negate(a: Field) -> Field:
    if _is_zero(a):
        return a
    return _Expression(a.representation, lambda: -a.value, lambda name: _negate(a.differentiate(name)))


def _total(fields: Sequence[Field]) -> Field:
    return functools.reduce(_add, fields)


def _multiply(a: Field, b: Field) -> Field:
    if _is_zero(a) or _is_zero(b):
        return _zero(a.representation)
    if _is_one(a) or _is_one(b):
        return b if _is_one(a) else a
    return _Expression(
        a.representation,
        lambda: a.value * b.value,
        lambda name: _add(_multiply(a.differentiate(name), b), _multiply(a, b.differentiate(name))),
    )


def _divide(a: Field, b: Field) -> Field:
    if _is_zero(a):
        return a
    quotient = _Expression(
        a.representation,
        lambda: a.value / b.value,
        lambda name: _divide(_add(a.differentiate(name), _negate(_multiply(quotient, b.differentiate(name)))), b),
    )
    return quotient


def _power(base: Field, exponent: Any) -> Field:
    def differentiate(name: str) -> Field:
        base.representation.inspect_constant(exponent)
        inner = base.differentiate(name)
        if isinstance(exponent, int | float) and exponent in (0, 1):
            return inner if exponent else _zero(base.representation)
        return _multiply(_multiply(_lift(exponent, base), _power(base, exponent - 1)), inner)

    return _Expression(base.representation, lambda: base.value**exponent, differentiate)


def _tangent(function: Callable, varying: Sequence[int], count: int) -> Callable:
    """The derivative of `function` along the tangents of its varying arguments, a function of both."""

    def tangent(*arguments: Any) -> Array:
        values, tangents = list(arguments[:count]), arguments[count:]
        # A coordinate is broadcast against the grid only where it must be, so a pair may differ in shape.
        pairs = [jnp.broadcast_arrays(values[i], d) for i, d in zip(varying, tangents, strict=True)]

        def restricted(*primals: Any) -> Array:
            merged = list(values)
            for i, primal in zip(varying, primals, strict=True):
                merged[i] = primal
            return function(*merged)

        return jax.jvp(restricted, [p for p, _ in pairs], [d.astype(p.dtype) for p, d in pairs])[1]

    return tangent


def _directions(directions: Sequence[str | int]) -> list[str]:
    """Expand names and orders into one name for each differentiation."""
    names: list[str] = []
    for i, item in enumerate(directions):
        if isinstance(item, str):
            following = directions[i + 1] if i + 1 < len(directions) else 1
            names.extend([item] * (following if isinstance(following, int) else 1))
        elif not isinstance(item, int) or item < 0 or i == 0 or not isinstance(directions[i - 1], str):
            directions = ()
            break
    if not directions:
        raise PdesolveError(
            "a partial derivative is given by coordinates, each followed by its order where that is not 1: "
            'partial(u, "x"), partial(u, "x", 2), partial(u, "x", "y").'
        )
    return names


class _UnknownAttributeError(UnknownNameError, AttributeError):
    """An unknown name met as an attribute, so that `hasattr` and `getattr` with a default work."""


def _attribute(kind: str, name: str, known: dict[str, Field]) -> Field:
    if name in known:
        return known[name]
    if name.startswith("__"):
        raise AttributeError(name)
    raise _UnknownAttributeError(kind, name, known)
