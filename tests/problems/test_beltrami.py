import jax.numpy as jnp
import numpy as np
import pytest

from problems import Beltrami

from .pointwise import equation_residuals


@pytest.mark.parametrize("reynolds", [1.0, 10.0])
def test_equations_hold_on_the_exact_solution(reynolds):
    """Navier-Stokes to round-off, at any viscosity."""
    problem = Beltrami(reynolds=reynolds)

    def exact(at):
        return dict(zip("uvwp", problem._exact(at.x, at.y, at.z, at.t, jnp), strict=True))

    points = problem.domain().sample_interior(200, "uniform", 0)
    for residual in equation_residuals(problem, exact, points).values():
        assert np.abs(residual).max() < 1e-13


def test_velocity_at_the_origin_and_cyclic_exchange():
    """u = v = w = -exp(-t) at the origin; turning the axes turns the components."""
    evaluate = Beltrami().reference().evaluate
    at_origin = evaluate(np.array([[0.0, 0.0, 0.0, 0.5]]))
    for name in "uvw":
        np.testing.assert_allclose(at_origin[name], -np.exp(-0.5), rtol=1e-14)
    point = np.array([[0.3, -0.4, 0.7, 0.2]])
    turned = point[:, [1, 2, 0, 3]]
    np.testing.assert_allclose(evaluate(point)["v"], evaluate(turned)["u"], rtol=1e-14)
    np.testing.assert_allclose(evaluate(point)["p"], evaluate(turned)["p"], rtol=1e-14)
