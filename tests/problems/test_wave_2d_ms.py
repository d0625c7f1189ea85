"""The standing wave of two amplitudes: the corrected data satisfy the equation, the published ones do not."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError
from problems import Wave2DMS, wave_2d_ms

from .pointwise import condition_residuals, equation_residuals


def corrected(at):
    pi = jnp.pi
    shape = jnp.sinh(pi * at.x) * jnp.sin(pi * at.y) + jnp.sin(3 * pi * at.x) * jnp.sinh(2 * pi * at.y)
    return {"u": shape * jnp.cos(pi * at.t)}


def published(at):
    pi = jnp.pi
    shape = jnp.sin(pi * at.x) * jnp.sinh(pi * at.y) + jnp.sinh(3 * pi * at.x) * jnp.sin(2 * pi * at.y)
    return {"u": shape * jnp.cos(pi * at.t)}


def test_equation_holds_on_the_corrected_solution_only():
    """Terms of order 8 pi^2 sinh 2 pi cancel to the round-off of cos pi t at t = 100."""
    problem = Wave2DMS()
    points = problem.domain().sample_interior(100, "uniform", 0)
    assert np.abs(equation_residuals(problem, corrected, points)["wave"]).max() < 1e-8
    assert np.abs(equation_residuals(problem, published, points)["wave"]).max() > 1e3
    x, y, t = points.T
    shape = np.sinh(np.pi * x) * np.sin(np.pi * y) + np.sin(3 * np.pi * x) * np.sinh(2 * np.pi * y)
    np.testing.assert_allclose(problem.reference().evaluate(points)["u"], shape * np.cos(np.pi * t), atol=1e-10)


def test_as_published():
    """All data are those of the published function, as loss terms; nothing is said about the rate, nothing is exact."""
    problem = Wave2DMS(as_published=1)
    assert [c.name for c in problem.conditions()] == ["initial", *wave_2d_ms.SIDES]
    for condition in problem.conditions():
        for residual in condition_residuals(problem, condition, published).values():
            assert np.abs(residual).max() < 1e-9
    points = problem.domain().sample_interior(50, "uniform", 0)
    at = SimpleNamespace(**dict(zip("xyt", points.T, strict=True)))
    np.testing.assert_allclose(problem.reference().evaluate(points)["u"], published(at)["u"], rtol=1e-9, atol=1e-8)
    assert problem.exact_conditions() == () and problem.transform({"u": 2.0}, at) == {"u": 2.0}
    with pytest.raises(PdesolveError, match="no classical solver"):
        problem.classical(1e-3)


def test_raw_zero_is_not_the_solution():
    """The transform knows the data, not the answer: without the network it is far off."""
    problem = Wave2DMS()
    points = problem.domain().sample_interior(200, "sobol", 0)
    x, y, t = points.T
    at = SimpleNamespace(x=x, y=y, t=t)
    gap = problem.transform({"u": 0.0}, at)["u"] - problem.reference().evaluate(points)["u"]
    assert np.linalg.norm(gap) > 0.3 * np.linalg.norm(problem.reference().evaluate(points)["u"])


def test_classical_converges_spectrally():
    coarse, fine = (Wave2DMS().classical(tolerance) for tolerance in (1e-3, 1e-7))
    assert fine.error <= 1e-7
    assert coarse.resolution < fine.resolution <= 24
