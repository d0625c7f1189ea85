"""Dense layers and activations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.nets import ACTIVATIONS, MLP, make_activation, make_dense

OPTIONS = {"dtype": jnp.float64}


def test_glorot_variance(key):
    """Weights have mean 0 and variance 2 / (in + out), to 5 sigma of 60000 draws; the bias is zero."""
    layer = make_dense(200, 300, key=key, **OPTIONS)
    variance = 2 / 500
    np.testing.assert_allclose(jnp.mean(layer.weight), 0, atol=5 * np.sqrt(variance / 60_000))
    np.testing.assert_allclose(jnp.var(layer.weight), variance, rtol=5 * np.sqrt(2 / 60_000))
    assert jnp.all(layer.bias == 0)


def test_factorised_layer_begins_as_the_plain_one(key):
    """diag(exp(s)) V equals the plain W of the same key to round-off; s ~ N(mean, deviation^2)."""
    plain = make_dense(30, 4000, key=key, **OPTIONS)
    factorised = make_dense(30, 4000, key=key, factorised=True, mean=0.5, deviation=0.2, **OPTIONS)
    product = jnp.exp(factorised.log_scale)[:, None] * factorised.direction
    np.testing.assert_allclose(product, plain.weight, rtol=1e-14)
    np.testing.assert_allclose(jnp.mean(factorised.log_scale), 0.5, atol=5 * 0.2 / np.sqrt(4000))
    np.testing.assert_allclose(jnp.std(factorised.log_scale), 0.2, rtol=5 / np.sqrt(8000))
    h = jax.random.normal(key, (30,))
    np.testing.assert_allclose(factorised(h), plain(h), rtol=1e-12, atol=1e-14)


def test_factorised_network_equals_the_plain_one_at_the_start(key):
    """Networks of one key agree, but the factorised one has s besides."""
    point = jnp.array([0.1, 0.2])
    plain, factorised = MLP(2, 1, key=key), MLP(2, 1, factorised=True, key=key)
    np.testing.assert_allclose(factorised(point), plain(point), rtol=1e-12)
    count = lambda net: sum(leaf.size for leaf in jax.tree.leaves(net))  # noqa: E731
    assert count(factorised) == count(plain) + 3 * 20 + 1


X = jnp.linspace(-6, 6, 101)
REFERENCES = {"tanh": jnp.tanh, "sin": jnp.sin, "swish": jax.nn.swish, "gelu": jax.nn.gelu}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_is_the_one_of_that_name(name):
    """Equal to JAX's own, derivatives too, to round-off of values up to 6."""
    function = make_activation(name, jnp.float64)
    np.testing.assert_allclose(function(X), REFERENCES[name](X), rtol=1e-12, atol=1e-14)
    slopes = jax.vmap(jax.grad(function))(X)
    np.testing.assert_allclose(slopes, jax.vmap(jax.grad(REFERENCES[name]))(X), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_adaptive_activation(name):
    """f(a x): a = 1 at the start, one trained number, d/da = x f'(a x)."""
    adaptive, plain = make_activation(f"adaptive_{name}", jnp.float64), make_activation(name, jnp.float64)
    np.testing.assert_array_equal(adaptive(X), plain(X))
    assert [leaf.shape for leaf in jax.tree.leaves(adaptive)] == [()] and jax.tree.leaves(plain) == []
    by_slope = jax.grad(lambda function: function(jnp.array(0.7)))(adaptive).slope
    np.testing.assert_allclose(by_slope, 0.7 * jax.grad(plain)(0.7), rtol=1e-13)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_no_overflow(name):
    """Finite with finite second derivatives at +-1e3."""
    function = make_activation(name, jnp.float64)
    for x in (-1e3, 1e3):
        assert jnp.isfinite(jnp.array([function(x), jax.grad(function)(x), jax.grad(jax.grad(function))(x)])).all()


def test_slopes_are_separate_by_layer(key):
    """Each hidden layer has a slope of its own."""
    net = MLP(2, 1, depth=3, activation="adaptive_tanh", key=key)
    assert len({id(function.slope) for function in net.activations}) == 3
