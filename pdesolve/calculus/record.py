"""What an equation asks for, found by calling it on abstract values, and the checks of what it returns."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr
from jaxtyping import Array

from ..errors import PdesolveError
from ._algebra import Key, Laplacian, MultiIndex
from .fields import AbstractRepresentation, At, Field, Fields

__all__ = ["Equation", "evaluate", "requested"]

Equation = Callable[[Any, Any], Mapping[str, Any]]
"""`equation(fields, at) -> {name: scalar}`, pointwise."""


def requested(equation: Equation, coordinates: Iterable[str], names: Iterable[str], dtype: Any = None) -> set[Key]:
    """Return the derivatives that an equation uses, after checking the equation.

    The equation is called on abstract scalars: no derivative is computed and no array is created.

    Args:
        equation: `equation(fields, at) -> {name: scalar}`.
        coordinates: Names of the coordinates; time is named `"t"`.
        names: Names of the fields.
        dtype: Type of the values; JAX's default if not given.

    Returns:
        Multi-indices in the order of `coordinates`, and `Laplacian` of the spatial axes where only the sum is used.

    Raises:
        UnknownNameError: If the equation uses an unknown field or coordinate.
        PdesolveError: If a result is not a scalar, or an array computed from a field or coordinate outside the
            calculus, `jnp.sin(u)`, would be differentiated as a constant.
    """
    coordinates, names = tuple(coordinates), tuple(names)
    keys: set[Key] = set()

    def run(seed: Array) -> list[Array]:
        recorder = _Recorder(coordinates, seed, keys)
        evaluate(equation, Fields(recorder, names), At(recorder), shape=())
        return recorder.constants

    traced = jax.make_jaxpr(run)(jax.ShapeDtypeStruct((), jnp.result_type(float) if dtype is None else dtype))
    if any(_depend_on_inputs(traced.jaxpr)):
        raise PdesolveError(
            "an array computed from a field or a coordinate would be differentiated as if it were constant. Keep it a "
            "field: apply(jnp.sin, u) in place of jnp.sin(u), and u * array in place of array * u."
        )
    return keys


def evaluate(equation: Equation, fields: Any, at: Any, shape: tuple[int, ...]) -> dict[str, Array]:
    """Call an equation and return its results as arrays of `shape`, `()` at a point.

    Raises:
        PdesolveError: If the equation returns anything but a dictionary of scalars (one at each point).
    """
    results = equation(fields, at)
    if not isinstance(results, Mapping):
        raise PdesolveError(
            "an equation returns a dictionary from names to residuals, such as "
            f"{{'burgers': partial(u, 't') + ...}}; got {type(results).__name__}."
        )
    return {key: _checked(key, value, shape) for key, value in results.items()}


def _checked(key: str, value: Any, shape: tuple[int, ...]) -> Array:
    value = value.value if isinstance(value, Field) else value
    if isinstance(value, tuple | list):
        raise PdesolveError(
            f"equation {key!r}: expected one scalar, got a {type(value).__name__} of {len(value)}. "
            f"Return its components under names of their own, e.g. '{key}_x'."
        )
    value = jnp.asarray(value)
    broadcasts = value.ndim in (0, len(shape)) and all(
        a in (1, b) for a, b in zip(value.shape, shape[len(shape) - value.ndim :], strict=True)
    )
    if not broadcasts:
        raise PdesolveError(
            f"equation {key!r}: expected shape {shape}{', a scalar at each point' if not shape else ''}; "
            f"got {value.shape}. Fields and coordinates are scalars at a point; index an array of "
            "coefficients, a[0], or sum over it."
        )
    return jnp.broadcast_to(value, shape)


class _Recorder(AbstractRepresentation):
    """Answers every request with the same abstract scalar, and takes notes."""

    def __init__(self, coordinates: tuple[str, ...], seed: Array, keys: set[Key]):
        self.coordinates, self.constants = coordinates, []
        self._seed, self._keys = seed, keys

    def derivative(self, name: str, index: MultiIndex) -> Array:
        self._keys.add(index)
        return self._seed

    def laplacian(self, name: str) -> Array:
        self._keys.add(Laplacian(self.spatial_axes))
        return self._seed

    def coordinate(self, name: str) -> Array:
        return self._seed

    def inspect_constant(self, value: Any) -> None:
        if isinstance(value, jax.core.Tracer):
            self.constants.append(value)

    def inspect_function(self, function: Callable, arguments: Sequence[Any]) -> None:
        captured = jax.make_jaxpr(function)(*arguments).consts
        self.constants.extend(value for value in captured if isinstance(value, jax.core.Tracer))


def _depend_on_inputs(jaxpr: Jaxpr) -> list[bool]:
    """Whether each output depends on an input."""
    dependent = set(jaxpr.invars)
    for eqn in jaxpr.eqns:
        if any(atom in dependent for atom in eqn.invars if isinstance(atom, jax.extend.core.Var)):
            dependent.update(eqn.outvars)
    return [isinstance(atom, jax.extend.core.Var) and atom in dependent for atom in jaxpr.outvars]
