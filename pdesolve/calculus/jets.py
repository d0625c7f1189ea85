r"""All wanted partial derivatives of a function at a point, from one forward sweep.

The function is traced once, and the truncated Taylor polynomial of every intermediate value is propagated through its
primitives: linear ones act on each coefficient, products follow Leibniz' rule, elementary functions (evaluated once)
the chain rule. A residual with $u, u_x, u_t, u_{xx}$ costs about four evaluations of the function, and its gradient
with respect to parameters repeats none of them, as that of nested `jax.grad` does.

References:
    Griewank and Walther, Evaluating Derivatives, 2nd ed., SIAM (2008), chapter 13.
    Bettencourt, Johnson and Duvenaud, Taylor-mode automatic differentiation for higher-order derivatives in JAX (2019).
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Literal
from jaxtyping import Array, Float, PyTree

from ..batching import batched_one
from ..errors import PdesolveError
from ._algebra import Algebra, Jet, Key, Laplacian, MultiIndex, unit
from ._nested import nested_jets
from ._rules import CONSTANT, ELEMENTWISE, bind, elementwise, rule_for

__all__ = ["Key", "Laplacian", "MultiIndex", "derivatives"]

_INLINED = {
    "checkpoint": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "jit": "jaxpr",
    "remat2": "jaxpr",
}
_IN_REVERSE = frozenset({"custom_vjp_call"})


def derivatives(
    function: Callable[[Float[Array, " d"]], PyTree[Array]], point: Float[Array, " d"], keys: Iterable[Key]
) -> dict[Key, PyTree[Array]]:
    r"""Return $D^\alpha f(x)$ for every $\alpha$ in `keys`, from one forward sweep.

    Exact to round-off for any order. Compatible with `jax.jit`, `jax.vmap` and reverse mode with respect to whatever
    `function` closes over, e.g. the parameters of a network. Functions that use a primitive without a Taylor rule are
    differentiated correctly too, that primitive by nested `jax.jvp`.

    Args:
        function: $f$, of one point; any JAX callable.
        point: $x$, shape `(d,)`.
        keys: Multi-indices of length $d$, `(2, 0)` for the second derivative along the first axis, `(0, 0)` for the
            value; `Laplacian(axes)` for the sum of second derivatives along `axes`, which propagates `len(axes) + 2`
            coefficients where the separate second derivatives would need `2 * len(axes) + 1`.

    Returns:
        From key to an array (or tree of arrays) of the shape that `function` returns.

    Raises:
        PdesolveError: If `point` is not a vector of floating type, or a key does not fit it.
    """
    point = jnp.asarray(point)
    if point.ndim != 1 or not jnp.issubdtype(point.dtype, jnp.floating):
        raise PdesolveError(
            f"expected one point, a floating array of shape (d,); got {point.dtype}{list(point.shape)}. "
            "For a batch use jax.vmap."
        )
    keys = tuple(keys)
    algebra = Algebra(keys, point.shape[0])
    closed, shape = jax.make_jaxpr(function, return_shape=True)(point)
    if algebra.order == 0:
        outputs = jax.core.eval_jaxpr(closed.jaxpr, closed.consts, point)
    else:
        outputs = _propagate(closed.jaxpr, closed.consts, [_variables(point, algebra)], algebra)
    tree = jax.tree.structure(shape)
    return {key: tree.unflatten([_derivative(output, key, algebra) for output in outputs]) for key in keys}


def _variables(point: Array, algebra: Algebra) -> Jet:
    """The coordinates themselves: first derivatives are unit vectors, higher ones vanish."""
    one = batched_one(point.dtype)
    streams: dict[Key, Any] = {algebra.zero: point}
    for axis in range(algebra.num_axes):
        direction = unit(axis, algebra.num_axes)
        if direction in algebra.keys:
            streams[direction] = _direction(point, axis, one)
    return Jet(streams, algebra.zero)


def _direction(point: Array, axis: int, one: Array | None) -> Array:
    """Return a unit vector, batched if the one is."""
    if one is None:
        return jnp.zeros_like(point).at[axis].set(1)
    return jax.lax.pad(one, jnp.zeros((), point.dtype), [(axis, len(point) - 1 - axis, 0)])


def _derivative(output: Any, key: Key, algebra: Algebra) -> Array:
    if not isinstance(output, Jet):
        return output if key == algebra.zero else jnp.zeros_like(output)
    if key not in output.streams:
        return jnp.zeros_like(output.primal)
    factorial = algebra.factorial(key)
    return output.streams[key] * factorial if factorial != 1 else output.streams[key]


def _propagate(jaxpr: Jaxpr, constants: list, inputs: list, algebra: Algebra) -> list:
    """Evaluate a jaxpr on a mixture of jets and arrays."""
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*constants, *inputs), strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else values[atom]

    for eqn in jaxpr.eqns:
        outputs = _apply(eqn, [read(atom) for atom in eqn.invars], algebra)
        values.update(zip(eqn.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _apply(eqn: JaxprEqn, inputs: list, algebra: Algebra) -> list:
    name = eqn.primitive.name
    if not any(isinstance(value, Jet) for value in inputs):
        return bind(eqn, inputs)
    if name in CONSTANT or not any(jnp.issubdtype(var.aval.dtype, jnp.inexact) for var in eqn.outvars):
        return bind(eqn, [value.primal if isinstance(value, Jet) else value for value in inputs])
    if name in _INLINED:
        inner = eqn.params[_INLINED[name]]
        jaxpr, constants = (inner, []) if isinstance(inner, Jaxpr) else (inner.jaxpr, inner.consts)
        return _propagate(jaxpr, constants, inputs, algebra)
    rule = elementwise if _is_custom_elementwise(eqn) else rule_for(name)
    outputs = rule(algebra, eqn, inputs) if rule else None
    if outputs is None:
        outputs = nested_jets(lambda *args: bind(eqn, args), inputs, algebra, reverse=name in _IN_REVERSE)
    return outputs


def _is_custom_elementwise(eqn: JaxprEqn) -> bool:
    # A function with its own derivative (jax.custom_jvp) is never inlined: its rule may differ from the derivative of
    # its code on purpose (relu at 0, sinc near 0). An activation function is recognised by what it is made of.
    return eqn.primitive.name == "custom_jvp_call" and _is_elementwise(eqn.params["call_jaxpr"].jaxpr)


def _is_elementwise(jaxpr: Jaxpr) -> bool:
    return all(
        _is_elementwise(eqn.params["jaxpr"].jaxpr) if eqn.primitive.name == "jit" else eqn.primitive.name in ELEMENTWISE
        for eqn in jaxpr.eqns
    )
