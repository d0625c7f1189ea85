"""The ball of several dimensions: its closed form against the equation, and a classical solver against the form."""

import jax.numpy as jnp
import numpy as np
import pytest

from problems import HeatND

from .pointwise import equation_residuals


@pytest.mark.parametrize("dimension", [2, 5, 8])
def test_equation_holds_on_the_exact_solution(dimension):
    """And the reference is that solution."""
    problem = HeatND(dimension=dimension)
    names = problem.domain().coordinates[:-1]

    def exact(at):
        return {"u": jnp.exp(sum(getattr(at, name) ** 2 for name in names) / 2 + at.t)}

    points = problem.domain().sample_interior(50, "uniform", 0)
    residual = equation_residuals(problem, exact, points)["heat"]
    assert np.abs(residual).max() < 1e-13
    expected = np.exp(np.sum(points[:, :-1] ** 2, axis=1) / 2 + points[:, -1])
    np.testing.assert_allclose(problem.reference().evaluate(points)["u"], expected, rtol=1e-14)


def test_classical_knows_the_equation_only():
    """Collocation in the square of the radius converges spectrally to the closed form."""
    coarse, fine = (HeatND().classical(tolerance) for tolerance in (1e-2, 1e-9))
    assert coarse.error <= 1e-2 and fine.error <= 1e-9
    assert coarse.resolution < fine.resolution <= 10
