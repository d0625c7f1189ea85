import math

import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError
from pdesolve.problem import evaluation_grid, grid_points, reference_error
from problems import Burgers
from problems.burgers import cole_hopf

from .pointwise import equation_residuals

DEFAULT = 0.01 / math.pi


def extended_precision(points, viscosity):
    """The Cole-Hopf mean in 80 bits, at 0.7 of the spacing and a longer reach, with y reduced before the cosine."""
    x, t = points.astype(np.longdouble).T
    pi = np.longdouble("3.14159265358979323846264338327950288")
    reach = math.sqrt(1 / (math.pi * viscosity) + 60)
    z = np.arange(-reach, reach, 0.7 * min(0.2, 0.05 / math.sqrt(viscosity)), dtype=np.longdouble)
    y = x[:, None] - 2 * np.sqrt(np.longdouble(viscosity) * t)[:, None] * z
    exponent = -(z**2) - np.cos(pi * y) / (2 * pi * viscosity)
    w = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return -(w * np.sin(pi * y)).sum(axis=1) / w.sum(axis=1)


@pytest.mark.parametrize("viscosity", [1e-4, 1e-3, DEFAULT, 0.03, 0.3, 1.0])
def test_error_bound_of_the_reference(viscosity):
    """||u - u*|| <= error_bound ||u*||, u* the same integral with more digits, nodes and reach."""
    rng = np.random.default_rng(0)
    points = rng.uniform((-1, 0), (1, 1), (400, 2))
    points[:200, 0] *= 3 * viscosity  # half of them in the front, where it is hardest
    reference = Burgers(viscosity=viscosity).reference()
    exact = extended_precision(points, viscosity)
    error = reference.evaluate(points)["u"] - exact
    assert np.linalg.norm(error) <= reference.error_bound * np.linalg.norm(exact)


def test_reference_at_the_edges():
    """u(x, 0) = -sin(pi x) exactly, u(0, t) = u(+-1, t) = 0 and u(-x, t) = -u(x, t)."""
    x, t = np.linspace(-1, 1, 41), np.linspace(0, 1, 41)
    np.testing.assert_allclose(cole_hopf(x, 0 * t, DEFAULT), -np.sin(np.pi * x), atol=1e-15)
    for end in (-1, 0, 1):
        np.testing.assert_allclose(cole_hopf(0 * t + end, t, DEFAULT), 0, atol=1e-13)
    np.testing.assert_allclose(cole_hopf(-x, t, DEFAULT), -cole_hopf(x, t, DEFAULT), atol=1e-14)


@pytest.mark.parametrize("viscosity", [DEFAULT, 0.1])
def test_equation_holds_on_the_cole_hopf_solution(viscosity):
    """u_t + u u_x - nu u_xx = 0, derivatives by our calculus; terms reach 1 / (2 nu) in the front."""

    def exact(at):
        z = jnp.arange(-12, 12.01, 0.1)
        y = at.x - 2 * jnp.sqrt(viscosity * at.t) * z
        w = jnp.exp(-(z**2) - jnp.cos(jnp.pi * y) / (2 * jnp.pi * viscosity))  # at most e^50
        return {"u": -jnp.sum(w * jnp.sin(jnp.pi * y)) / jnp.sum(w)}

    points = np.random.default_rng(0).uniform((-1, 0.05), (1, 1), (200, 2))
    points[:100, 0] *= 3 * viscosity
    residual = equation_residuals(Burgers(viscosity=viscosity), exact, points)["burgers"]
    assert np.abs(residual).max() < 1e-10 / viscosity


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6])
def test_classical(tolerance):
    """Collocation, which knows nothing of the Cole-Hopf integral, agrees with it to the tolerance."""
    problem = Burgers()
    classical = problem.classical(tolerance)
    assert classical.error <= tolerance
    assert reference_error(problem, classical.evaluate) == pytest.approx(classical.error)
    assert classical.seconds > 0


def test_classical_at_a_thin_front():
    """nu = 1e-3, the hardest published: coarse grids overflow, and finer ones are tried."""
    assert Burgers(viscosity=1e-3).classical(1e-4).error <= 1e-4


@pytest.mark.parametrize("viscosity", [-0.01, 0.0, 1e-5, 2.0])
def test_viscosity_is_checked(viscosity):
    with pytest.raises(PdesolveError, match=r"`viscosity` must be at least 0.0001 and at most 1, got"):
        Burgers(viscosity=viscosity)


def test_grid():
    """257 points in x, 101 in t, ends included."""
    grid = evaluation_grid(Burgers())
    assert {name: len(values) for name, values in grid.items()} == {"x": 257, "t": 101}
    assert grid_points(grid).shape == (257 * 101, 2)
