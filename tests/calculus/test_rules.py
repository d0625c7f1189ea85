"""The rule of each primitive, and what happens without one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.calculus import Laplacian, derivatives

from .nested import assert_derivatives

POINT = jnp.array([0.3, -0.7])
KEYS = [(0, 0), (1, 0), (2, 1), Laplacian((0, 1))]


def mixed(function):
    """Compose with a smooth map of two variables, whose own derivatives of all orders differ from zero."""
    mix = jnp.asarray(np.random.default_rng(0).normal(size=(8, 2)))
    return lambda x: function(jnp.sin(mix @ x))


ELEMENTARY = {
    "tan": jnp.tan,
    "exp": jnp.exp,
    "exp2": jnp.exp2,
    "expm1": jnp.expm1,
    "log": lambda h: jnp.log(2 + h * h),
    "log1p": lambda h: jnp.log1p(h * h),
    "sqrt": lambda h: jnp.sqrt(1 + h * h),
    "rsqrt": lambda h: jax.lax.rsqrt(1 + h * h),
    "cbrt": lambda h: jnp.cbrt(2 + jnp.sin(h)),
    "sinh": jnp.sinh,
    "cosh": jnp.cosh,
    "erf": jax.scipy.special.erf,
    "erfc": jax.scipy.special.erfc,
    "arctan": jnp.arctan,
    "arcsinh": jnp.arcsinh,
    "arctan2": lambda h: jnp.arctan2(h, 2 + h * h),
    "integer_power": lambda h: h**3 + (2 + h * h) ** -2,
    "real_power": lambda h: (2 + h) ** 2.5,
    "power_of_constant": lambda h: 2.0**h,
    "power_of_two_fields": lambda h: (2 + jnp.sin(h)) ** jnp.cos(h),
    "quotient": lambda h: jnp.sin(h) / (2 + h * h),
    "product": lambda h: h * jnp.exp(h),
    "abs": jnp.abs,
    "maximum": lambda h: jnp.maximum(jnp.sin(h), h**2),
    "minimum": lambda h: jnp.minimum(h**3, 0.2),
    "clip": lambda h: jnp.clip(h, -0.2, 0.4) * h,
    "where": lambda h: jnp.where(h > 0, h * h, jnp.sin(h)),
    "floor": lambda h: jnp.floor(h) * h,
    "stop_gradient": lambda h: jax.lax.stop_gradient(h) * jnp.sin(h),
    "outer_with_a_constant": lambda h: jnp.tensordot(jnp.arange(16.0).reshape(2, 8), jnp.sin(h), 0).sum((0, 1)),
    "batched_with_a_constant": lambda h: jnp.einsum("ij,j->ij", jnp.arange(16.0).reshape(2, 8), h**2).sum(0),
    "outer": lambda h: jnp.outer(h, jnp.sin(h)) @ h,
    "norm": lambda h: h / jnp.linalg.norm(h),
    "logsumexp": lambda h: h * jax.nn.logsumexp(h),
    "roll": lambda h: jnp.roll(h, 1) * h[::-1],
    "concatenate": lambda h: jnp.concatenate([h[1:] * h[:-1], h[:1] ** 2]),
    "pad": lambda h: jnp.pad(h[1:-1] ** 2, 1),
    "gather": lambda h: h[jnp.array([0, 0, 1, 3, 2, 1, 4, 5])] ** 2,
    "set": lambda h: (h**2).at[0].set(3.0).at[1].add(h[2] ** 3),
    "reshape": lambda h: jnp.sum(h.reshape(2, 4)[..., None] ** 2 * jnp.ones((2, 4, 4)), axis=(0, 1)).repeat(2),
    "cumsum": lambda h: jnp.cumsum(h**2),
    "convolve": lambda h: jnp.convolve(h**2, jnp.array([0.5, -1.0, 2.0]), mode="same"),
    "complex": lambda h: jnp.abs(jnp.exp(1j * h) + 2 + h) ** 2,
    "fft": lambda h: jnp.fft.irfft(jnp.fft.rfft(h**2) * jnp.arange(5)),
    "complex_product": lambda h: ((h + 1j * h**2) * (1 - 2j * h)).imag,
    "checkpoint": jax.checkpoint(lambda h: jnp.sin(h) * h),
    "sub_function": jax.jit(lambda h: jnp.sin(h) * h),
    "constant": lambda h: jnp.ones_like(h),
}


@pytest.mark.parametrize("name", ELEMENTARY)
def test_each_rule_agrees_with_nested_differentiation(name):
    """Leibniz' and the chain rule for one function at a time, composed with a smooth map of two variables."""
    assert_derivatives(mixed(ELEMENTARY[name]), POINT, KEYS)


FALLBACKS = {
    "sort": jnp.sort,
    "loop": lambda h: jax.lax.fori_loop(0, 3, lambda i, c: jnp.sin(c) + i * h, h),
    "while": lambda h: jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, jnp.cos(c[1])), (0, h))[1],
    "scan": lambda h: jax.lax.scan(lambda c, w: (jnp.tanh(w * c), c.sum()), h, jnp.arange(1.0, 4.0))[0],
    "cond": lambda h: jax.lax.cond(h[0] > 0, jnp.sin, jnp.cos, h),
    "solve": lambda h: jnp.linalg.solve(jnp.eye(8) * 3 + jnp.outer(h, h), h),
}


@pytest.mark.parametrize("name", FALLBACKS)
def test_primitives_without_a_rule_are_nested(name):
    """A primitive that has no Taylor rule is differentiated by jax.jvp: slower, and equal."""
    assert_derivatives(mixed(lambda h: jnp.sin(FALLBACKS[name](h))), POINT, KEYS)


def test_ties_count_half():
    """At a tie max(x, 3 x) has the derivative (1 + 3) / 2, as in jax.jvp; relu has 0 at 0 by its own rule."""
    origin = jnp.zeros(1)
    for function, slope in ((lambda x: jnp.maximum(x[0], 3 * x[0]), 2.0), (lambda x: jax.nn.relu(x[0]), 0.0)):
        np.testing.assert_allclose(derivatives(function, origin, [(1,)])[(1,)], slope)


def test_custom_jvp_is_respected():
    """A function with its own derivative keeps it: here d(x^2) is declared to be 3 dx, against what its code says."""

    @jax.custom_jvp
    def declared(x):
        return x**2

    declared.defjvp(lambda primals, tangents: (primals[0] ** 2, 3 * tangents[0]))
    computed = derivatives(lambda x: declared(x[0]), POINT, [(1, 0), (2, 0)])
    np.testing.assert_allclose(computed[1, 0], 3.0)
    np.testing.assert_allclose(computed[2, 0], 0.0)


def test_custom_vjp_is_differentiated_in_reverse():
    """A function that defines a reverse rule alone: derivatives of x sin x by repeated reverse mode."""

    @jax.custom_vjp
    def function(x):
        return x * jnp.sin(x)

    function.defvjp(lambda x: (x * jnp.sin(x), x), lambda x, cotangent: (cotangent * (jnp.sin(x) + x * jnp.cos(x)),))
    assert_derivatives(lambda x: function(x**2), POINT, KEYS, reference=lambda x: x**2 * jnp.sin(x**2))
