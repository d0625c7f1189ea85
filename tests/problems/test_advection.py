import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError
from problems import Advection

from .pointwise import equation_residuals


@pytest.mark.parametrize("speed", [30.0, -5.0, 0.0])
def test_equation_holds_on_the_exact_solution(speed):
    """u_t + beta u_x = 0 for u = sin(x - beta t), to round-off of terms as large as beta."""
    problem = Advection(speed=speed)
    points = np.random.default_rng(0).uniform((0, 0), (2 * np.pi, 1), (200, 2))
    residual = equation_residuals(problem, lambda at: {"u": jnp.sin(at.x - speed * at.t)}, points)["advection"]
    assert np.abs(residual).max() <= 1e-14 * abs(speed)
    expected = np.sin(points[:, 0] - speed * points[:, 1])
    np.testing.assert_allclose(problem.reference().evaluate(points)["u"], expected, atol=1e-13)


@pytest.mark.parametrize("speed", [30.0, -200.0, 0.0])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6])
def test_classical(speed, tolerance):
    assert Advection(speed=speed).classical(tolerance).error <= tolerance


def test_speed_is_checked():
    with pytest.raises(PdesolveError, match=r"`speed` must be at least -1000 and at most 1000, got 2000"):
        Advection(speed=2000.0)
    with pytest.raises(PdesolveError, match=r"`speed` must be finite, got nan"):
        Advection(speed=float("nan"))
