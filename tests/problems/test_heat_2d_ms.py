"""The heat equation of two scales: closed form against the equation, a classical solver against the form."""

import jax.numpy as jnp
import numpy as np

from problems import Heat2DMS

from .pointwise import equation_residuals


def test_equation_holds_on_the_exact_solution():
    """The rate is (20 pi)^2 / (500 pi)^2 + 1; terms of order one cancel to round-off."""
    problem = Heat2DMS()
    rate = (20 / 500) ** 2 + 1

    def exact(at):
        return {"u": jnp.exp(-rate * at.t) * jnp.sin(20 * jnp.pi * at.x) * jnp.sin(jnp.pi * at.y)}

    points = problem.domain().sample_interior(100, "uniform", 0)
    assert np.abs(equation_residuals(problem, exact, points)["heat"]).max() < 1e-13
    x, y, t = points.T
    expected = np.exp(-rate * t) * np.sin(20 * np.pi * x) * np.sin(np.pi * y)
    np.testing.assert_allclose(problem.reference().evaluate(points)["u"], expected, atol=1e-14)


def test_classical_converges_spectrally():
    """From the number of points that resolves ten waves, pi for each."""
    coarse, fine = (Heat2DMS().classical(tolerance) for tolerance in (1e-2, 1e-6))
    assert fine.error <= 1e-6
    assert 32 <= coarse.resolution < fine.resolution <= 64
