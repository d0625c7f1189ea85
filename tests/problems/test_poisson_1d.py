import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError
from problems import Poisson1D

from .pointwise import condition_residuals, equation_residuals, random_functions


@pytest.mark.parametrize("half_waves", [1.0, 4.0, 3.5])
def test_equation_holds_on_the_exact_solution(half_waves):
    """-u'' = k^2 pi^2 sin(k pi x) for u = sin(k pi x), to round-off of terms as large as (k pi)^2."""
    problem = Poisson1D(half_waves=half_waves)
    points = np.linspace(0, 1, 50)[:, None]
    residual = equation_residuals(problem, lambda at: {"u": jnp.sin(half_waves * jnp.pi * at.x)}, points)
    assert np.abs(residual["poisson"]).max() < 1e-14 * (half_waves * np.pi) ** 2
    np.testing.assert_allclose(
        problem.reference().evaluate(points)["u"], np.sin(half_waves * np.pi * points[:, 0]), atol=1e-14
    )


def test_conditions_at_a_fraction_of_a_wave(key):
    """u(1) = sin(3.5 pi) = -1 holds for random raw functions, to round-off."""
    problem = Poisson1D(half_waves=3.5)
    raw = random_functions(problem, key)
    for condition in problem.conditions():
        residual = condition_residuals(problem, condition, lambda at: problem.transform(raw(at), at))
        assert max(np.abs(value).max() for value in residual.values()) < 1e-14


@pytest.mark.parametrize("half_waves", [4.0, 3.5, 30.0])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-10])
def test_classical(half_waves, tolerance):
    assert Poisson1D(half_waves=half_waves).classical(tolerance).error <= tolerance


def test_half_waves_are_checked():
    with pytest.raises(PdesolveError, match=r"`half_waves` must be above 0 and at most 100, got 0\."):
        Poisson1D(half_waves=0.0)
