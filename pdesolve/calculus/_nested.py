r"""Taylor coefficients through a function without a rule, by nesting JAX's own derivatives.

The inputs are polynomials $u(s) = \sum_\alpha u_\alpha s^\alpha$; the coefficient of $g \circ u$ is
$D^\alpha_s\, g(u(s))|_{s=0} / \alpha!$. Correct for whatever JAX can differentiate repeatedly, at the cost of one
nested evaluation per coefficient.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ._algebra import Algebra, Jet, Key, Laplacian, MultiIndex, unit

__all__ = ["nested_jets"]


def nested_jets(
    function: Callable[..., list], inputs: Sequence[Any], algebra: Algebra, *, reverse: bool = False
) -> list:
    """Propagate jets through `function`.

    Args:
        function: From arrays to a list of arrays.
        inputs: Jets where an argument varies with the point, arrays where it does not.
        algebra: The coefficients that are carried.
        reverse: Differentiate in reverse mode, for functions that define only that (`jax.custom_vjp`).

    Returns:
        A jet per output of floating type, a plain array for any other.
    """
    primals = function(*map(_primal, inputs))
    varying = [i for i, value in enumerate(primals) if jnp.issubdtype(jnp.result_type(value), jnp.inexact)]

    def restricted(*arguments: Any) -> list:
        outputs = function(*arguments)
        return [outputs[i] for i in varying]

    streams: dict[Key, list] = {algebra.zero: [primals[i] for i in varying]}
    for key in algebra.keys[1:]:
        streams[key] = _coefficient(restricted, inputs, key, algebra, reverse)
    outputs = list(primals)
    for position, i in enumerate(varying):
        outputs[i] = Jet({key: values[position] for key, values in streams.items()}, algebra.zero)
    return outputs


def _coefficient(function: Callable, inputs: Sequence[Any], key: Key, algebra: Algebra, reverse: bool) -> list:
    if not isinstance(key, Laplacian):
        return _scaled(
            _derivative(_along(function, inputs, algebra), key, algebra, inputs, reverse), algebra.factorial(key)
        )
    # Linear in the second-order coefficients of the inputs: the carried sum may stand for the one along the first axis.
    units = {unit(axis, algebra.num_axes): unit(axis, algebra.num_axes) for axis in key.axes}
    names = {algebra.zero: algebra.zero, **units, _second(key.axes[0], algebra.num_axes): key}
    curve = _along(function, [_renamed(value, names) for value in inputs], algebra)
    terms = [_derivative(curve, _second(axis, algebra.num_axes), algebra, inputs, reverse) for axis in key.axes]
    return [sum(values[1:], start=values[0]) / 2 for values in zip(*terms, strict=True)]


def _along(function: Callable, inputs: Sequence[Any], algebra: Algebra) -> Callable[[Any], list]:
    def curve(s: Any) -> list:
        return function(*(_polynomial(value, s) if isinstance(value, Jet) else value for value in inputs))

    return curve


def _derivative(curve: Callable, key: MultiIndex, algebra: Algebra, inputs: Sequence[Any], reverse: bool) -> list:
    for axis, order in enumerate(key):
        for _ in range(order):
            curve = (_reverse_partial if reverse else _forward_partial)(curve, axis)
    dtype = next(value.primal.dtype for value in inputs if isinstance(value, Jet))
    return curve(jnp.zeros(algebra.num_axes, jnp.finfo(dtype).dtype))


def _forward_partial(curve: Callable, axis: int) -> Callable:
    return lambda s: jax.jvp(curve, (s,), (jnp.zeros_like(s).at[axis].set(1),))[1]


def _reverse_partial(curve: Callable, axis: int) -> Callable:
    return lambda s: [jacobian[..., axis] for jacobian in jax.jacrev(curve)(s)]


def _polynomial(jet: Jet, s: Any) -> Any:
    total = jet.primal
    for key, stream in jet.streams.items():
        if not isinstance(key, Laplacian) and any(key):
            monomial = math.prod(s[axis] for axis, order in enumerate(key) for _ in range(order))
            total = total + stream * monomial.astype(stream.dtype)
    return total


def _renamed(value: Any, names: dict[MultiIndex, Key]) -> Any:
    if not isinstance(value, Jet):
        return value
    return Jet({new: value.streams[old] for new, old in names.items() if old in value.streams}, value.zero)


def _primal(value: Any) -> Any:
    return value.primal if isinstance(value, Jet) else value


def _scaled(values: list, factorial: int) -> list:
    return [value / factorial for value in values] if factorial != 1 else values


def _second(axis: int, num_axes: int) -> MultiIndex:
    return tuple(2 * order for order in unit(axis, num_axes))
