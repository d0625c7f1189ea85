import jax.numpy as jnp
import numpy as np
import pytest

from problems import Poisson2D

from .pointwise import equation_residuals


def test_equation_holds_on_the_exact_solution():
    """-Laplace u = 2 pi^2 sin(pi x) sin(pi y) for u = sin(pi x) sin(pi y), to round-off of 2 pi^2."""
    points = np.random.default_rng(0).uniform(size=(200, 2))
    residual = equation_residuals(
        Poisson2D(), lambda at: {"u": jnp.sin(jnp.pi * at.x) * jnp.sin(jnp.pi * at.y)}, points
    )
    assert np.abs(residual["poisson"]).max() < 1e-14 * 2 * np.pi**2
    expected = np.sin(np.pi * points[:, 0]) * np.sin(np.pi * points[:, 1])
    np.testing.assert_allclose(Poisson2D().reference().evaluate(points)["u"], expected, atol=1e-15)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-10])
def test_classical(tolerance):
    classical = Poisson2D().classical(tolerance)
    assert classical.error <= tolerance
    assert classical.resolution <= 20  # spectral: the solution is entire


def test_transform_has_height_one():
    """The factor of the raw output is 1 at the centre: raw outputs of order 1 give fields of order 1."""
    at = type("At", (), {"x": 0.5, "y": 0.5})
    assert Poisson2D().transform({"u": 0.7}, at)["u"] == pytest.approx(0.7)
