"""Derivatives by nesting `jax.jvp`, the definition that the calculus is compared with, and counts of operations."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from pdesolve.calculus import Laplacian, derivatives


def nested(function, point, key):
    """Return the partial derivative of a multi-index, or the Laplacian over some axes."""
    size = len(point)
    if isinstance(key, Laplacian):
        return sum(nested(function, point, tuple(2 * (a == axis) for a in range(size))) for axis in key.axes)
    for axis, order in enumerate(key):
        for _ in range(order):
            function = along(function, axis)
    return function(point)


def along(function, axis):
    """Return the first partial derivative of a function as a function."""
    return lambda x: jax.jvp(function, (x,), (jnp.zeros_like(x).at[axis].set(1),))[1]


def multi_indices(num_axes, order):
    """Return all multi-indices of total order up to `order`."""
    return [k for k in itertools.product(range(order + 1), repeat=num_axes) if sum(k) <= order]


def assert_derivatives(function, point, keys, reference=None):
    """Compare one sweep with nested differentiation of `reference` (`function` itself if not given)."""

    @jax.jit
    def both(x):
        return derivatives(function, x, keys), {key: nested(reference or function, x, key) for key in keys}

    computed, expected = both(point)
    for key in keys:
        # Round-off: the terms of Leibniz' rule for order 4 reach some hundreds and are summed in another order.
        np.testing.assert_allclose(computed[key], expected[key], rtol=1e-10, atol=1e-10, err_msg=str(key))


def count(function, *arguments, primitive="dot_general"):
    """Number of equations with a primitive, in the jaxpr and those inside it."""

    def within(jaxpr):
        own = sum(eqn.primitive.name == primitive for eqn in jaxpr.eqns)
        return own + sum(within(sub) for eqn in jaxpr.eqns for sub in jax.extend.core.jaxprs_in_params(eqn.params))

    return within(jax.make_jaxpr(function)(*arguments).jaxpr)
