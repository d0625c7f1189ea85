"""The cube with four holes: its equation, and its reference in the weak form by other quadratures, and refined."""

import functools
import math

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial.legendre import leggauss

from problems import Poisson3DCG, poisson_3d_cg

from .pointwise import equation_residuals


def test_equation_agrees_with_the_plain_formula():
    """On a function in closed form that does not solve it, in both layers."""
    problem = Poisson3DCG()
    points = problem.domain().sample_interior(60, "uniform", 0)
    x, y, z = points.T
    functions = lambda at: {"u": jnp.sin(at.x) * jnp.cos(2 * at.y) * jnp.sin(3 * at.z)}  # noqa: E731
    residuals = equation_residuals(problem, functions, points)["poisson_boltzmann"]
    square, waves = x**2 + y**2 + z**2, (np.sin(np.pi * x), np.sin(10 * np.pi * y), np.sin(5 * np.pi * z))
    source = 20 * np.exp(sum(waves)) * (square - 1) / (square + 1) + 100 * math.prod(waves)
    expected = (14 + np.where(z < 0.5, 64, 100)) * np.sin(x) * np.cos(2 * y) * np.sin(3 * z) - source
    np.testing.assert_allclose(residuals, expected, rtol=0, atol=1e-10)


@pytest.fixture
def manufactured(monkeypatch):
    """Without holes, the source of cos(pi x) cos(2 pi y) cos(2 pi z), whose flux vanishes on all faces."""
    monkeypatch.setattr(poisson_3d_cg, "HOLES", {"far": (5.0, 5.0, 5.0, 0.1)})
    solution = lambda x, y, z: np.cos(np.pi * x) * np.cos(2 * np.pi * y) * np.cos(2 * np.pi * z)  # noqa: E731
    monkeypatch.setattr(
        poisson_3d_cg,
        "_source",
        lambda x, y, z, xp: (9 * np.pi**2 + np.where(z < 0.5, 64, 100)) * solution(x, y, z),
    )
    return solution


def test_order_of_convergence_without_holes(manufactured):
    """Four, that of cubic splines."""
    points, sizes = np.random.default_rng(0).uniform(size=(1000, 3)), (6, 8, 12, 16)
    expected = manufactured(*points.T)
    errors = [np.sqrt(np.mean((poisson_3d_cg._galerkin(n)(points) - expected) ** 2)) for n in sizes]
    assert abs(-np.polyfit(np.log(sizes), np.log(errors), 1)[0] - 4) < 0.3, errors
    assert errors[-1] < 3e-5


@pytest.mark.parametrize("waves", [(0, 0, 0), (3, 3, 3), (2, 9, 4)])
def test_weak_form_holds_on_the_reference(waves):
    r"""With $v = \cos a x \cos b y \cos c z$, no flux through the faces, values of u alone are left in the weak form:

    $$\int u (k^2 v - \Delta v) + \oint u \frac{\partial v}{\partial n} = \int f v,$$

    integrals over the cube by Gauss's rule less those over balls in spherical coordinates; what u is in a ball
    does not matter.
    """
    factors = np.pi * np.array(waves)
    u = poisson_3d_cg._reference()[0]

    def integrand(points, values):
        v = np.cos(points * factors).prod(axis=1)
        square = np.where(points[:, 2] < 0.5, 64, 100)
        return (values * (square + factors @ factors) - poisson_3d_cg._source(*points.T, np)) * v

    points, weights, values = _cube()
    total = integrand(points, values) @ weights
    scale = np.abs(poisson_3d_cg._source(*points.T, np)) @ weights
    directions, solid = _sphere(24)
    for *centre, radius in poisson_3d_cg.HOLES.values():
        s, w = leggauss(16)
        r = radius * (1 + s) / 2
        inside = (centre + r[:, None, None] * directions).reshape(-1, 3)
        shells = integrand(inside, u(inside)).reshape(len(r), -1) @ solid
        total -= shells @ (w * radius / 2 * r**2)
        surface = centre + radius * directions
        slopes = [
            -factors[i] * np.sin(factors[i] * surface[:, i]) * np.delete(np.cos(surface * factors), i, 1).prod(axis=1)
            for i in range(3)
        ]
        outward = -(np.stack(slopes, -1) * directions).sum(axis=1)  # out of the domain is into the ball
        total += radius**2 * solid @ (u(surface) * outward)
    # On balls of nine tenths of the radius the solution leaves eight times as much and more.
    assert abs(total) < 1e-4 * scale


@functools.cache
def _cube():
    """Points of the cube, their weights, and the reference there."""
    s, w = leggauss(5)
    cells = (8, 24, 8)
    nodes = [(np.arange(n)[:, None] + (1 + s) / 2).ravel() / n for n in cells]
    points = np.stack(np.meshgrid(*nodes, indexing="ij"), -1).reshape(-1, 3)
    weights = np.einsum("i,j,k->ijk", *(np.tile(w, n) / (2 * n) for n in cells)).ravel()
    return points, weights, poisson_3d_cg._reference()[0](points)


def _sphere(n):
    """Points on the unit sphere, and their weights."""
    s, w = leggauss(n)
    angle = 2 * np.pi * np.arange(2 * n) / (2 * n)
    flat = np.sqrt(1 - s[:, None] ** 2)
    points = np.stack(np.broadcast_arrays(flat * np.cos(angle), flat * np.sin(angle), s[:, None]), -1)
    return points.reshape(-1, 3), np.repeat(w * np.pi / n, 2 * n)


def test_reference_converges():
    """Each step to 8 / 5 as many cells divides the error by three and more."""
    points = Poisson3DCG().domain().sample_interior(1000, "sobol", 2)
    expected = poisson_3d_cg._reference()[0](points)
    errors = [np.linalg.norm(poisson_3d_cg._galerkin(n)(points) - expected) for n in (6, 10, 16)]
    assert errors[1] < errors[0] / 3 and errors[2] < errors[1] / 3
    assert Poisson3DCG().reference().error_bound < 5e-4


def test_classical():
    assert Poisson3DCG().classical(2e-2).error <= 2e-2
