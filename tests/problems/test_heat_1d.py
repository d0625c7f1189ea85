import math

import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError
from problems import Heat1D

from .pointwise import equation_residuals


@pytest.mark.parametrize("diffusivity", [1e-3, 0.1, 2.0])
def test_equation_holds_on_the_exact_solution(diffusivity):
    """u_t = alpha u_xx for u = exp(-alpha pi^2 t) sin(pi x) + exp(-9 alpha pi^2 t) sin(3 pi x) / 2, to round-off."""
    problem, rate = Heat1D(diffusivity=diffusivity), diffusivity * math.pi**2

    def exact(at):
        slow = jnp.exp(-rate * at.t) * jnp.sin(jnp.pi * at.x)
        return {"u": slow + 0.5 * jnp.exp(-9 * rate * at.t) * jnp.sin(3 * jnp.pi * at.x)}

    points = np.random.default_rng(0).uniform(size=(200, 2))
    residual = equation_residuals(problem, exact, points)["heat"]
    assert np.abs(residual).max() < 1e-14 * 9 * rate
    x, t = points.T
    expected = np.exp(-rate * t) * np.sin(np.pi * x) + np.exp(-9 * rate * t) * np.sin(3 * np.pi * x) / 2
    np.testing.assert_allclose(problem.reference().evaluate(points)["u"], expected, atol=1e-14)


@pytest.mark.parametrize("diffusivity", [0.1, 10.0])
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9])
def test_classical(diffusivity, tolerance):
    assert Heat1D(diffusivity=diffusivity).classical(tolerance).error <= tolerance


def test_diffusivity_is_checked():
    with pytest.raises(PdesolveError, match=r"`diffusivity` must be above 0 and at most 10, got -0\.1"):
        Heat1D(diffusivity=-0.1)
