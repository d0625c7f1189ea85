import jax.numpy as jnp
import numpy as np
import pytest

from problems import KleinGordon
from problems.klein_gordon import _exact

from .pointwise import equation_residuals


def test_the_load_is_that_of_the_solution():
    """To round-off of terms of order (5 pi)^2."""
    problem = KleinGordon()
    points = problem.domain().sample_interior(200, "uniform", 0)
    (residual,) = equation_residuals(problem, lambda at: {"u": _exact(at.x, at.t, jnp)}, points).values()
    assert np.abs(residual).max() < 1e-11


@pytest.mark.parametrize("tolerance", [1e-3, 1e-8])
def test_classical(tolerance):
    assert KleinGordon().classical(tolerance).error <= tolerance
