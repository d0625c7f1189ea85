import jax.numpy as jnp
import numpy as np
import pytest

from problems import Wave1D

from .pointwise import equation_residuals


@pytest.mark.parametrize("speed", [2.0, 0.3])
def test_equation_holds_on_the_exact_solution(speed):
    """u_tt = c^2 u_xx; terms of (4 pi c)^2 / 2 cancel to round-off."""

    def exact(at):
        slow = jnp.sin(jnp.pi * at.x) * jnp.cos(jnp.pi * speed * at.t)
        return {"u": slow + 0.5 * jnp.sin(4 * jnp.pi * at.x) * jnp.cos(4 * jnp.pi * speed * at.t)}

    problem = Wave1D(speed=speed)
    points = np.random.default_rng(0).uniform(0, 1, (200, 2))
    assert np.abs(equation_residuals(problem, exact, points)["wave"]).max() < 1e-11

    class At:
        x, t = points.T

    np.testing.assert_allclose(problem.reference().evaluate(points)["u"], exact(At)["u"], atol=1e-13)


def test_energy():
    """int u_t^2 / 2 + c^2 u_x^2 / 2 = c^2 pi^2 (1 + 4) / 4, with differences of fourth order on the reference."""
    reference, x, h = Wave1D().reference(), (np.arange(200) + 0.5) / 200, 1e-3

    def derivative(t, axis):
        shift = np.eye(2)[axis] * h
        points = np.stack([x, np.full(200, t)], axis=-1)
        u = [reference.evaluate(points + k * shift)["u"] for k in (-2, -1, 1, 2)]
        return (u[0] - 8 * u[1] + 8 * u[2] - u[3]) / (12 * h)

    for t in (0.0, 0.123, 0.9):
        energy = np.mean(derivative(t, 1) ** 2 / 2 + 4 * derivative(t, 0) ** 2 / 2)
        # Differences are off by (4 pi c h)^4 / 30 of the fast mode.
        np.testing.assert_allclose(energy, 5 * np.pi**2, rtol=1e-6)


@pytest.mark.parametrize("speed", [2.0, 0.3, 10.0])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-5])
def test_classical(tolerance, speed):
    assert Wave1D(speed=speed).classical(tolerance).error <= tolerance
