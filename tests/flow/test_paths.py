import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError
from pdesolve.flow import LinearPath


@pytest.mark.parametrize("sigma_min", [0.0, 0.05])
def test_end_points(key, sigma_min):
    """x_t is the noise at t = 0, to the last bit, and sigma_min noise + data at t = 1, to round-off."""
    noise, data = jax.random.normal(key, (2, 1, 8))
    path = LinearPath(sigma_min)
    np.testing.assert_array_equal(path.position(noise, data, jnp.asarray(0.0)), noise)
    np.testing.assert_allclose(path.position(noise, data, jnp.asarray(1.0)), sigma_min * noise + data, atol=1e-15)


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_velocity_is_the_derivative_of_the_position(key, t):
    """d/dt x_t by forward differentiation equals the target, to round-off."""
    noise, data = jax.random.normal(key, (2, 1, 8))
    path = LinearPath(0.1)
    _, derivative = jax.jvp(lambda t: path.position(noise, data, t), (jnp.asarray(t),), (jnp.asarray(1.0),))
    np.testing.assert_allclose(derivative, path.velocity(noise, data), atol=1e-15)


@pytest.mark.parametrize("sigma_min", [-0.1, 1.0, float("nan")])
def test_sigma_min_is_checked(sigma_min):
    with pytest.raises(PdesolveError, match="`sigma_min` must be at least 0 and below 1"):
        LinearPath(sigma_min)
