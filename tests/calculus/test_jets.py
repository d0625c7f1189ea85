"""One forward sweep gives the derivatives that closed forms and nested differentiation give."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdesolve.calculus import Laplacian, derivatives
from pdesolve.errors import PdesolveError

from .nested import assert_derivatives, count, multi_indices, nested

POINT = jnp.array([0.3, -0.7])


def layers(key, widths=(2, 8, 8, 3)):
    keys = jax.random.split(key, len(widths) - 1)
    return [eqx.nn.Linear(i, o, key=k, dtype=jnp.float64) for i, o, k in zip(widths, widths[1:], keys, strict=False)]


def network(key, activation):
    """A network whose activation acts on the whole layer."""
    *hidden, last = layers(key)

    def function(x):
        for layer in hidden:
            x = activation(layer(x))
        return last(x)

    return function


def test_plane_wave_in_closed_form():
    """D^a exp(i.e. sin)(k.x): the derivative of sin(k.x) of orders (m, n) is k1^m k2^n sin(k.x + (m + n) pi / 2)."""
    k = jnp.array([1.5, -2.0])
    computed = derivatives(lambda x: jnp.sin(k @ x), POINT, multi_indices(2, 4))
    for (m, n), value in computed.items():
        expected = k[0] ** m * k[1] ** n * jnp.sin(k @ POINT + (m + n) * jnp.pi / 2)
        np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-12)


def test_laplacian_of_gaussian_in_ten_dimensions():
    """The Laplacian of exp(-|x|^2 / 2) is (|x|^2 - d) exp(-|x|^2 / 2)."""
    x = jnp.linspace(-1.0, 0.8, 10)
    computed = derivatives(lambda x: jnp.exp(-(x @ x) / 2), x, [Laplacian(tuple(range(10)))])
    (value,) = computed.values()
    np.testing.assert_allclose(value, (x @ x - 10) * jnp.exp(-(x @ x) / 2), rtol=1e-12)


ACTIVATIONS = {
    "tanh": jnp.tanh,
    "sin": jnp.sin,
    "cos": jnp.cos,
    "swish": jax.nn.silu,
    "gelu": jax.nn.gelu,
    "gelu_erf": lambda h: jax.nn.gelu(h, approximate=False),
    "softplus": jax.nn.softplus,
    "relu": jax.nn.relu,
    "elu": jax.nn.elu,
    "sigmoid": jax.nn.sigmoid,
    "softmax": jax.nn.softmax,
    "layer_norm": lambda h: (h - h.mean()) / jnp.sqrt(h.var() + 0.1),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_networks_agree_with_nested_differentiation(name, key):
    """Mixed derivatives up to the third, and Laplacians, of networks with the usual activations."""
    assert_derivatives(network(key, ACTIVATIONS[name]), POINT, [(0, 0), (2, 1), (1, 1), Laplacian((0, 1))])


@pytest.mark.parametrize("name", ["tanh", "swish"])
def test_fourth_derivatives_of_networks(name, key):
    """Those of the biharmonic operator, one at a time and by repeated differentiation."""
    assert_derivatives(network(key, ACTIVATIONS[name]), POINT, [(4, 0), (2, 2), (0, 4)])


def test_sinc_at_its_removable_singularity():
    """The derivatives of sin(pi x) / (pi x) at 0 are 1, 0, -pi^2 / 3, 0, pi^4 / 5; its code divides 0 by 0."""
    computed = derivatives(lambda x: jnp.sinc(x[0]), jnp.zeros(1), [(n,) for n in range(5)])
    expected = [1, 0, -(jnp.pi**2) / 3, 0, jnp.pi**4 / 5]
    np.testing.assert_allclose([computed[n,] for n in range(5)], expected, rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(
    coefficients=st.lists(st.integers(-3, 3), min_size=10, max_size=10),
    x=st.floats(-2, 2),
    y=st.floats(-2, 2),
)
def test_polynomials_are_exact(coefficients, x, y):
    """All derivatives of a cubic up to the third; beyond the degree they vanish identically."""
    exponents = multi_indices(2, 3)
    point = jnp.array([x, y])

    def cubic(p):
        return sum(c * p[0] ** m * p[1] ** n for c, (m, n) in zip(coefficients, exponents, strict=True))

    computed = derivatives(cubic, point, [*exponents, (2, 2), (4, 0)])
    for m, n in exponents:
        expected = sum(
            c * np.polyval(np.polyder(np.eye(a + 1)[0], m), x) * np.polyval(np.polyder(np.eye(b + 1)[0], n), y)
            for c, (a, b) in zip(coefficients, exponents, strict=True)
        )
        np.testing.assert_allclose(computed[m, n], expected, atol=1e-11)
    assert computed[2, 2] == 0
    assert computed[4, 0] == 0


@pytest.mark.parametrize("keys", [[(0, 0), (1, 0), (0, 1), (2, 0)], [Laplacian((0, 1)), (0, 0)]])
def test_parameter_gradient_in_reverse_mode(keys, key):
    """The gradient of a loss of derivatives with respect to the weights, against that of the nested version."""
    model = eqx.nn.MLP(2, 2, 8, 2, activation=jax.nn.gelu, dtype=jnp.float64, key=key)
    points = jax.random.uniform(key, (5, 2))

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(model, method):
        tree = jax.vmap(lambda x: method(model, x))(points)
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(tree))

    ours = gradient(model, lambda model, x: derivatives(model, x, keys))
    expected = gradient(model, lambda model, x: [nested(model, x, k) for k in keys])
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_forward_mode_with_respect_to_parameters(key):
    """J v of a residual with respect to the weights, by jax.jvp through the sweep."""
    model = eqx.nn.MLP(2, 1, 8, 1, activation=jnp.tanh, dtype=jnp.float64, key=key)
    weights, static = eqx.partition(model, eqx.is_inexact_array)

    def residual(method):
        return lambda weights: method(eqx.combine(weights, static), POINT)

    ours = residual(lambda f, x: derivatives(f, x, [(2, 0)])[2, 0])
    expected = residual(lambda f, x: nested(f, x, (2, 0)))
    (a, b), (c, d) = (jax.jvp(f, (weights,), (weights,)) for f in (ours, expected))
    np.testing.assert_allclose([a, b], [c, d], rtol=1e-10)


def test_one_product_per_layer_and_coefficient(key):
    """A single sweep: 4 coefficients through 3 layers, less the second derivative, zero before the first tanh.

    tanh is evaluated once for each of the 2 hidden layers, and reverse mode repeats no product: it adds one for the
    weights and, except in the first layer, one for the input.
    """
    model = eqx.nn.MLP(2, 1, 8, 2, activation=jnp.tanh, dtype=jnp.float64, key=key)
    points = jnp.ones((5, 2))
    weights, static = eqx.partition(model, eqx.is_inexact_array)

    def loss(weights, keys):
        f = eqx.combine(weights, static)
        values = jax.vmap(lambda x: derivatives(f, x, keys))(points)
        return sum(jnp.sum(value**2) for value in values.values())

    for keys in ([(0, 0), (1, 0), (0, 1), (2, 0)], [(0, 0), Laplacian((0, 1))]):
        assert count(lambda w, k=keys: loss(w, k), weights) == 3 + 4 + 4
        assert count(lambda w, k=keys: loss(w, k), weights, primitive="tanh") == 2
        reverse = jax.grad(lambda w, k=keys: loss(w, k))
        assert count(reverse, weights) <= 2 * (3 + 4 + 4) + (4 + 4)
        assert count(reverse, weights, primitive="tanh") == 2


def test_laplacian_propagates_fewer_coefficients(key):
    """Through a hidden layer go d + 2 coefficients for the Laplacian, 2 d + 1 for separate second derivatives."""
    d = 5
    model = eqx.nn.MLP(d, 1, 8, 2, activation=jnp.tanh, dtype=jnp.float64, key=key)
    second = [tuple(2 * (a == axis) for a in range(d)) for axis in range(d)]
    for keys, carried in (([Laplacian(tuple(range(d)))], d + 2), (second, 2 * d + 1)):
        assert count(lambda x, k=keys: derivatives(model, x, k), jnp.ones(d)) == (d + 1) + 2 * carried


def test_single_precision_stays_single():
    """float32 in, float32 out, under 64-bit JAX too."""
    values = derivatives(
        lambda x: jnp.tanh(x[0] * 2) / (1 + x[1] ** 2) ** 1.5,
        POINT.astype(jnp.float32),
        [(4, 0), (1, 1), Laplacian((0, 1))],
    )
    assert {value.dtype for value in values.values()} == {jnp.dtype("float32")}


@pytest.mark.parametrize("bad", [(1,), (1, -1), (1.0, 0), "xx", Laplacian(()), Laplacian((2,))])
def test_a_key_that_does_not_fit_is_an_error(bad):
    with pytest.raises(PdesolveError, match=r"function of 2 variables is named by a tuple of 2 orders.*got"):
        derivatives(jnp.sum, POINT, [bad])


@pytest.mark.parametrize("point", [jnp.ones((3, 2)), jnp.arange(2)])
def test_a_point_is_a_floating_vector(point):
    with pytest.raises(PdesolveError, match=r"expected one point, a floating array of shape \(d,\).*jax.vmap"):
        derivatives(jnp.sum, point, [(1, 0)])
