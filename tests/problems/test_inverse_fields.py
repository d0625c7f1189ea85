"""Unknown coefficient fields: the manufactured solutions satisfy the equations, the published source does not."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError
from pdesolve.problem import observations
from problems import HeatInverse, PoissonInverse

from .pointwise import equation_residuals


def potential_and_conductivity(at):
    conductivity = 1 / (1 + at.x**2 + at.y**2 + (at.x - 1) ** 2 + (at.y - 1) ** 2)
    return {"u": jnp.sin(jnp.pi * at.x) * jnp.sin(jnp.pi * at.y), "a": conductivity}


def temperature_and_diffusivity(at):
    s = jnp.sin(jnp.pi * at.x) * jnp.sin(jnp.pi * at.y)
    return {"u": jnp.exp(-at.t) * s, "a": 2 + s}


CASES = [(PoissonInverse(), potential_and_conductivity), (HeatInverse(), temperature_and_diffusivity)]


@pytest.mark.parametrize(("problem", "exact"), CASES)
def test_equations_hold_on_the_exact_solution(problem, exact):
    """Terms of order ten cancel to round-off; and the reference is that solution."""
    points = problem.domain().sample_interior(100, "uniform", 0)
    for residual in equation_residuals(problem, exact, points).values():
        assert np.abs(residual).max() < 1e-12
    at = SimpleNamespace(**dict(zip(problem.domain().coordinates, points.T, strict=True)))
    for name, value in problem.reference().evaluate(points).items():
        np.testing.assert_allclose(value, exact(at)[name], atol=1e-14)


def test_the_published_source_is_another():
    """2 x + 1 and 2 y + 1 in place of 2 x - 1 and 2 y - 1: a residual of order one, known in closed form."""
    points = PoissonInverse().domain().sample_interior(100, "uniform", 0)
    residual = equation_residuals(PoissonInverse(as_published=1), potential_and_conductivity, points)["poisson"]
    x, y = points.T
    a = 1 / (1 + x**2 + y**2 + (x - 1) ** 2 + (y - 1) ** 2)
    mixed = np.cos(np.pi * x) * np.sin(np.pi * y) + np.sin(np.pi * x) * np.cos(np.pi * y)
    np.testing.assert_allclose(residual, -4 * np.pi * a**2 * mixed, atol=1e-12)
    assert np.abs(residual).max() > 1


@pytest.mark.parametrize("cls", [PoissonInverse, HeatInverse])
def test_measurements(cls):
    """2,500 with errors of the deviation asked for, the same for equal seeds; without noise they are the solution."""
    clean, noisy = (cls(noise=noise).conditions()[0] for noise in (0.0, 0.1))
    assert clean.points.shape[0] == 2500
    np.testing.assert_allclose(clean.data["u"], cls().reference().evaluate(clean.points)["u"], atol=1e-14)
    errors = noisy.data["u"] - clean.data["u"]
    assert abs(errors.std() - 0.1) < 0.005 and abs(errors.mean()) < 0.01
    assert noisy.noise == 0.1
    np.testing.assert_array_equal(cls().conditions()[0].data["u"], noisy.data["u"])
    assert np.abs(cls(seed=1).conditions()[0].data["u"] - noisy.data["u"]).max() > 0.1


@pytest.mark.parametrize("cls", [PoissonInverse, HeatInverse])
def test_the_transform_does_not_know_the_coefficient(cls):
    """With raw outputs of zero the coefficient inside is another one."""
    problem = cls()
    points = problem.domain().sample_interior(200, "sobol", 0)
    at = SimpleNamespace(**dict(zip(problem.domain().coordinates, points.T, strict=True)))
    zero = np.zeros(len(points))
    gap = problem.transform({"u": zero, "a": zero}, at)["a"] - problem.reference().evaluate(points)["a"]
    assert np.abs(gap).max() > 0.02


def test_noise_is_a_deviation():
    with pytest.raises(PdesolveError, match=r"`noise` is a standard deviation, not negative; got -1\.0"):
        observations(np.zeros((1, 1)), {"u": np.zeros(1)}, noise=-1.0)
