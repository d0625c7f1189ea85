import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.flow import SpectralVelocity
from pdesolve.flow.velocity import SpectralConvolution


def network(key, **options):
    """A small network with random weights everywhere, the last layer too."""
    model = SpectralVelocity(2, width=8, depth=2, modes=5, key=key, **options)
    return eqx.tree_at(lambda m: m.project.weight, model, jax.random.normal(key, (2, 8)))


@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_starts_at_the_velocity_of_white_data(key, t):
    """For x_0, x_1 independent of unit variance, E[x_1 - x_0 | x_t] = (2t - 1) / (t^2 + (1 - t)^2) x_t."""
    model = SpectralVelocity(2, width=8, depth=2, key=key)
    x = jax.random.normal(key, (2, 16))
    covariance, variance = t - (1 - t), t**2 + (1 - t) ** 2
    np.testing.assert_allclose(model(x, jnp.asarray(t)), covariance / variance * x, rtol=1e-13)
    # What is left has variance 2 - covariance^2 / variance, which is the square of b.
    np.testing.assert_allclose(2 - covariance**2 / variance, 1 / variance, rtol=1e-13)


def test_commutes_with_translation(key):
    """v(x shifted, t) is v(x, t) shifted: the interval is periodic. To round-off of values of order 10."""
    model, t = network(key), jnp.asarray(0.3)
    x = jax.random.normal(key, (2, 16))
    np.testing.assert_allclose(model(jnp.roll(x, 5, axis=1), t), jnp.roll(model(x, t), 5, axis=1), atol=1e-11)


def test_convolution_on_two_grids(key):
    """The convolution of a function with modes below n / 2 has the same values on n points and among 2n."""
    layer = SpectralConvolution(jax.random.normal(key, (2, 5, 3, 2)))

    def function(n):
        x = jnp.arange(n) / n
        return jnp.stack([jnp.sin(2 * jnp.pi * x) + jnp.cos(14 * jnp.pi * x), jnp.cos(6 * jnp.pi * x) - 1])

    np.testing.assert_allclose(layer(function(32))[:, ::2], layer(function(16)), atol=1e-13)


def test_convolution_multiplies_modes():
    """cos(2 pi k x) through R_k = i is -sin(2 pi k x)."""
    layer = SpectralConvolution(jnp.zeros((2, 5, 1, 1)).at[1, 3, 0, 0].set(1.0))
    x = jnp.arange(16) / 16
    np.testing.assert_allclose(layer(jnp.cos(6 * jnp.pi * x)[None])[0], -jnp.sin(6 * jnp.pi * x), atol=1e-14)


def test_parameters_and_types(key):
    """The same key gives the same parameters, all real and of the type asked for; batches by vmap."""
    first, again = (jax.tree.leaves(eqx.filter(network(key, dtype="float32"), eqx.is_array)) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert all(leaf.dtype in ("float32", "float64") for leaf in first)
    model = SpectralVelocity(2, width=8, depth=1, key=key, dtype="float32")
    out = jax.vmap(model)(jnp.ones((3, 2, 16), "float32"), jnp.zeros(3, "float32"))
    assert out.shape == (3, 2, 16) and out.dtype == "float32"


def test_messages(key):
    with pytest.raises(PdesolveError, match=r"expected one field of shape \(2, n\), got \(3, 2, 16\)"):
        network(key)(jnp.zeros((3, 2, 16)), jnp.asarray(0.0))
    with pytest.raises(UnknownNameError, match="unknown activation 'gleu'"):
        network(key, activation="gleu")
    with pytest.raises(PdesolveError, match="no adaptive activations"):
        network(key, activation="adaptive_tanh")
