import jax.numpy as jnp
import numpy as np
import pytest

from problems import Kovasznay
from problems.kovasznay import _exact

from .pointwise import equation_residuals


@pytest.mark.parametrize("reynolds", [10.0, 40.0, 100.0])
def test_equations_hold_on_the_exact_solution(reynolds):
    """Navier-Stokes to round-off of terms of order (2 pi)^2."""

    def exact(at):
        return dict(zip("uvp", _exact(at.x, at.y, reynolds, jnp), strict=True))

    problem = Kovasznay(reynolds=reynolds)
    points = problem.domain().sample_interior(200, "uniform", 0)
    for residual in equation_residuals(problem, exact, points).values():
        assert np.abs(residual).max() < 1e-11


def test_decay_at_reynolds_40():
    """lambda = 20 - sqrt(400 + 4 pi^2) = -0.9637405441957689; u = 1 - exp(lambda x) at y = 0."""
    u = Kovasznay().reference().evaluate(np.array([[1.0, 0.0]]))["u"]
    np.testing.assert_allclose(u, 1 - np.exp(-0.9637405441957689), rtol=1e-13)


@pytest.mark.parametrize("reynolds", [10.0, 40.0, 100.0])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-5])
def test_classical(tolerance, reynolds):
    assert Kovasznay(reynolds=reynolds).classical(tolerance).error <= tolerance


def test_scales_hold_the_solution():
    problem = Kovasznay()
    values = problem.reference().evaluate(problem.domain().sample_interior(500, "uniform", 0))
    for name, (low, high) in problem.field_scales().items():
        assert low <= values[name].min() and values[name].max() <= high
