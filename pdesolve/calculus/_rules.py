"""How each JAX primitive acts on jets.

A rule takes the algebra, the primitive's parameters and its inputs (jets where they vary with the point, arrays where
they do not, at least one jet), and returns the list of outputs, or `None` where it does not apply. What has no rule is
differentiated by nesting (`_nested.py`), so that a missing rule costs time and never correctness.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import JaxprEqn

from ._algebra import Algebra, Jet, Key, compose, multiply, square
from ._series import SERIES, nested_series, power_series

__all__ = ["CONSTANT", "ELEMENTWISE", "bind", "rule_for"]

Rule = Callable[[Algebra, JaxprEqn, Sequence[Any]], list | None]

CONSTANT = frozenset({"ceil", "floor", "round", "sign", "stop_gradient"})
"""Primitives whose derivative is zero wherever it exists."""

_LINEAR_IN_FIRST = frozenset(
    "broadcast_in_dim conj convert_element_type copy copy_p cumsum dynamic_slice fft gather imag mesh_cast neg "
    "optimization_barrier real reduce_precision reduce_sum reshape rev sharding_constraint slice split squeeze tile "
    "transpose unstack".split()
)
_LINEAR_TOGETHER = frozenset("complex concatenate dynamic_update_slice pad scatter scatter-add select_n stack".split())
_FURTHER_ELEMENTWISE = frozenset(
    "acos acosh asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt digamma erf_inv lgamma polygamma pow".split()
)
_COMPARISON = frozenset("and eq ge gt is_finite le lt ne not or xor".split())

ELEMENTWISE = (
    frozenset(SERIES)
    | _FURTHER_ELEMENTWISE
    | _COMPARISON
    | CONSTANT
    | frozenset("abs add clamp convert_element_type copy div integer_pow max min mul neg select_n sub".split())
)
"""Primitives whose output at an index depends on the inputs at that index alone."""


def bind(eqn: JaxprEqn, inputs: Sequence[Any]) -> list:
    """Evaluate one equation of a jaxpr on arrays."""
    outputs = eqn.primitive.bind(*inputs, **eqn.primitive.get_bind_params(eqn.params))
    return list(outputs) if eqn.primitive.multiple_results else [outputs]


def rule_for(name: str) -> Rule | None:
    """The rule of the primitive of this name, or `None`."""
    if name in SERIES:
        return _unary
    if name in _LINEAR_IN_FIRST:
        return _linear_in_first
    if name in _LINEAR_TOGETHER:
        return _linear_together
    if name in _FURTHER_ELEMENTWISE:
        return _RULES.get(name, elementwise)
    return _RULES.get(name)


def elementwise(algebra: Algebra, eqn: JaxprEqn, inputs: Sequence[Any]) -> list | None:
    """Chain rule for any elementwise function of one varying input and one output, its derivatives by nesting."""
    varying = [i for i, value in enumerate(inputs) if isinstance(value, Jet)]
    if len(varying) != 1 or len(eqn.outvars) != 1 or eqn.outvars[0].aval.shape != inputs[varying[0]].primal.shape:
        return None

    def function(x: Any) -> Any:
        return bind(eqn, [*inputs[: varying[0]], x, *inputs[varying[0] + 1 :]])[0]

    inner = inputs[varying[0]]
    return [compose(nested_series(function, inner.primal, algebra.order), inner, algebra)]


def _unary(algebra: Algebra, eqn: JaxprEqn, inputs: Sequence[Any]) -> list:
    (inner,) = inputs
    return [compose(SERIES[eqn.primitive.name](inner.primal, algebra.order), inner, algebra)]


def _linear_in_first(algebra: Algebra, eqn: JaxprEqn, inputs: Sequence[Any]) -> list | None:
    operand, *others = inputs
    if any(isinstance(value, Jet) for value in others):
        return None
    outputs = {key: bind(eqn, [stream, *others]) for key, stream in operand.streams.items()}
    return [Jet({k: out[i] for k, out in outputs.items()}, algebra.zero) for i in range(len(eqn.outvars))]


def _linear_together(algebra: Algebra, eqn: JaxprEqn, inputs: Sequence[Any]) -> list | None:
    # The integer operands (a predicate, indices) select; a constant operand contributes to the value alone.
    if eqn.primitive.name == "scatter" and not eqn.params["unique_indices"]:
        return None

    def stream(value: Any, key: Key) -> Any:
        if isinstance(value, Jet):
            return value.streams[key] if key in value.streams else jnp.zeros_like(value.primal)
        if key == algebra.zero or not jnp.issubdtype(jnp.result_type(value), jnp.inexact):
            return value
        return jnp.zeros_like(value)

    keys = [key for key in algebra.keys if any(isinstance(v, Jet) and key in v.streams for v in inputs)]
    return [Jet({key: bind(eqn, [stream(v, key) for v in inputs])[0] for key in keys}, algebra.zero)]


def _add(algebra: Algebra, eqn: JaxprEqn, inputs: Sequence[Any], sign: int = 1) -> list:
    shape = eqn.outvars[0].aval.shape
    left, right = (value.streams if isinstance(value, Jet) else {algebra.zero: value} for value in inputs)
    streams = {}
    for key in algebra.keys:
        if key in left and key in right:
            streams[key] = left[key] + right[key] if sign == 1 else left[key] - right[key]
        elif key in left:
            streams[key] = jnp.broadcast_to(left[key], shape)
        elif key in right:
            streams[key] = jnp.broadcast_to(right[key] if sign == 1 else -right[key], shape)
    return [Jet(streams, algebra.zero)]


def _mul(algebra: Algebra, eqn: JaxprEqn, inputs: Sequence[Any]) -> list:
    left, right = inputs
    if not isinstance(right, Jet):
        return [left.map(lambda stream: stream * right)]
    if not isinstance(left, Jet):
        return [right.map(lambda stream: left * stream)]
    return [square(left, algebra) if left is right else multiply(left, right, algebra, jnp.multiply)]


def _div(algebra: Algebra, eqn: JaxprEqn, inputs: Sequence[Any]) -> list:
    left, right = inputs
    if not isinstance(right, Jet):
        return [left.map(lambda stream: stream / right)]
    reciprocal = compose(power_series(right.primal, -1, algebra.order), right, algebra)
    return _mul(algebra, eqn, (left, reciprocal))


def _integer_pow(algebra: Algebra, eqn: JaxprEqn, inputs: Sequence[Any]) -> list:
    (inner,) = inputs
    return [compose(power_series(inner.primal, eqn.params["y"], algebra.order), inner, algebra)]


def _pow(algebra: Algebra, eqn: JaxprEqn, inputs: Sequence[Any]) -> list | None:
    base, exponent = inputs
    if isinstance(exponent, Jet) or isinstance(exponent, jax.core.Tracer) or jnp.ndim(exponent) != 0:
        return elementwise(algebra, eqn, inputs)
    return [compose(power_series(base.primal, float(exponent), algebra.order), base, algebra)]


def _abs(algebra: Algebra, eqn: JaxprEqn, inputs: Sequence[Any]) -> list | None:
    (inner,) = inputs
    if jnp.issubdtype(inner.primal.dtype, jnp.complexfloating):
        return None
    sign = lax.sign(inner.primal)
    return [inner.map(lambda stream: sign * stream)]


def _extremum(algebra: Algebra, eqn: JaxprEqn, inputs: Sequence[Any]) -> list:
    # At a tie each side counts half, as in jax.jvp.
    shape = eqn.outvars[0].aval.shape
    first, second = (value.primal if isinstance(value, Jet) else value for value in inputs)
    (value,) = bind(eqn, (first, second))
    weight = jnp.where(first == second, 0.5, jnp.where(value == first, 1.0, 0.0)).astype(value.dtype)
    streams: dict[Key, Any] = {algebra.zero: value}
    for operand, share in zip(inputs, (weight, 1 - weight), strict=True):
        if isinstance(operand, Jet):
            for key, stream in operand.streams.items():
                if key != algebra.zero:
                    term = jnp.broadcast_to(share * stream, shape)
                    streams[key] = streams[key] + term if key in streams else term
    return [Jet(streams, algebra.zero)]


def _clamp(algebra: Algebra, eqn: JaxprEqn, inputs: Sequence[Any]) -> list | None:
    lower, operand, upper = inputs
    if isinstance(lower, Jet) or isinstance(upper, Jet):
        return None
    inside = (operand.primal > lower) & (operand.primal < upper)
    streams = {key: jnp.where(inside, stream, 0) for key, stream in operand.streams.items()}
    return [Jet(streams | {algebra.zero: lax.clamp(lower, operand.primal, upper)}, algebra.zero)]


def _bilinear(algebra: Algebra, eqn: JaxprEqn, inputs: Sequence[Any]) -> list:
    left, right = inputs
    if isinstance(left, Jet) and isinstance(right, Jet):
        return [multiply(left, right, algebra, lambda a, b: bind(eqn, (a, b))[0])]
    if isinstance(left, Jet):
        return [left.map(lambda stream: bind(eqn, (stream, right))[0])]
    # One product for each coefficient: one of all, stacked, was two to four times slower in dense layers.
    return [right.map(lambda stream: bind(eqn, (left, stream))[0])]


_RULES: dict[str, Rule] = {
    "abs": _abs,
    "add": _add,
    "add_any": _add,
    "clamp": _clamp,
    "conv_general_dilated": _bilinear,
    "div": _div,
    "dot_general": _bilinear,
    "integer_pow": _integer_pow,
    "max": _extremum,
    "min": _extremum,
    "mul": _mul,
    "pow": _pow,
    "sub": functools.partial(_add, sign=-1),
}
