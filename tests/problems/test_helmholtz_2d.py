import math

import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError
from problems import Helmholtz2D

from .pointwise import equation_residuals

PROBLEMS = [Helmholtz2D(), Helmholtz2D(wavenumber=10.0, waves_x=3.0, waves_y=2.0)]


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_equation_holds_on_the_exact_solution(problem):
    """Laplace u + k^2 u = q for u = sin(a1 pi x) sin(a2 pi y), to round-off of the largest term."""
    a, b = problem.waves_x * math.pi, problem.waves_y * math.pi
    points = np.random.default_rng(0).uniform(-1, 1, size=(200, 2))
    residual = equation_residuals(problem, lambda at: {"u": jnp.sin(a * at.x) * jnp.sin(b * at.y)}, points)
    assert np.abs(residual["helmholtz"]).max() < 1e-14 * (a**2 + b**2 + problem.wavenumber**2)
    expected = np.sin(a * points[:, 0]) * np.sin(b * points[:, 1])
    np.testing.assert_allclose(problem.reference().evaluate(points)["u"], expected, atol=1e-13)


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9])
def test_classical(problem, tolerance):
    assert problem.classical(tolerance).error <= tolerance


def test_waves_are_whole():
    with pytest.raises(PdesolveError, match=r"`waves_y` must be whole, got 1\.5"):
        Helmholtz2D(waves_y=1.5)
    with pytest.raises(PdesolveError, match=r"`waves_x` must be at least 1 and at most 50, got 0"):
        Helmholtz2D(waves_x=0.0)


@pytest.mark.parametrize("modes", [(1, 1), (1, 2), (4, 7)])
def test_resonance_is_refused(modes):
    """At k^2 = (pi/2)^2 (m^2 + n^2) the homogeneous problem has a solution; beside it there is none."""
    k = math.pi / 2 * math.hypot(*modes)
    with pytest.raises(PdesolveError, match="resonance"):
        Helmholtz2D(wavenumber=k)
    assert Helmholtz2D(wavenumber=1.01 * k).wavenumber > k
