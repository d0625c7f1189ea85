"""The square with four holes and a source: its reference solves the equation, and its boundary values bound it."""

import itertools
import math

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import iv

from problems import Poisson2DCG, poisson_2d_cg

from .pointwise import equation_residuals


def test_equation_agrees_with_the_plain_formula():
    """On a function in closed form that does not solve it."""
    problem = Poisson2DCG()
    points = problem.domain().sample_interior(50, "uniform", 0)
    x, y = points.T
    residuals = equation_residuals(problem, lambda at: {"u": jnp.sin(at.x) * jnp.cos(2 * at.y)}, points)
    source = 10 * (17 + x**2 + y**2) * np.sin(np.pi * x) * np.sin(4 * np.pi * y)
    expected = 69 * np.sin(x) * np.cos(2 * y) - source
    np.testing.assert_allclose(residuals["poisson_boltzmann"], expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("centre", [(-0.1, 0.1), (0.93, 0.93), (0.1, -0.88)])
def test_equation_holds_on_the_reference(centre):
    """Its residual on the Chebyshev interpolant of the reference on a small square, relative to the source."""
    problem, n, half = Poisson2DCG(), 18, 0.05
    s = np.cos(np.pi * (np.arange(n) + 0.5) / n)
    grid = np.stack(np.meshgrid(centre[0] + half * s, centre[1] + half * s, indexing="ij"), -1)
    values = problem.reference().evaluate(grid.reshape(-1, 2))["u"].reshape(n, n)
    transform = np.linalg.inv(np.polynomial.chebyshev.chebvander(s, n - 1))
    coefficients = jnp.asarray(transform @ values @ transform.T)

    def local(at):
        k = jnp.arange(float(n))
        along_x, along_y = (jnp.cos(k * jnp.arccos((p - c) / half)) for p, c in zip((at.x, at.y), centre, strict=True))
        return {"u": along_x @ coefficients @ along_y}

    points = np.array(centre) + half * np.random.default_rng(0).uniform(-0.8, 0.8, (30, 2))
    # Second derivatives multiply the rounding of coefficients, up to 1e-11 near the corner, by n^4 / half^2 = 4e7.
    assert np.abs(equation_residuals(problem, local, points)["poisson_boltzmann"]).max() < 170 * 1e-5


def test_fitted_functions_have_the_mean_values_of_the_equation():
    """The mean over a circle of radius r is I_0(8 r) times the value in the middle, for all of them."""
    centre, r, count = np.array([[-0.1, 0.0]]), 0.08, 64
    angles = 2 * np.pi * np.arange(count) / count
    circle = centre + r * np.stack([np.cos(angles), np.sin(angles)], -1)
    means, middle = (poisson_2d_cg._functions(p, 6).mean(axis=0) for p in (circle, centre))
    np.testing.assert_allclose(means, iv(0, 8 * r) * middle, rtol=1e-10, atol=1e-12 * np.abs(middle).max())


def test_reference_meets_its_boundary_values():
    """At other points than those of the fit, on all parts: by the maximum principle this bounds the error inside."""
    problem, worst = Poisson2DCG(), 0.0
    for condition in problem.conditions():
        points, _ = problem.domain().sample_boundary(condition.part, 300, "uniform", 7)
        wanted = 1.0 if condition.name.startswith("hole") else 0.2
        worst = max(worst, np.abs(problem.reference().evaluate(points)["u"] - wanted).max())
    assert worst < 1e-6
    assert worst < problem.reference().error_bound


def test_fit_converges_exponentially():
    """Each four orders more divide the error on the boundary by five and more, from the fourth on."""
    places, wanted = poisson_2d_cg._boundary(201)
    errors = [np.abs(poisson_2d_cg._fit(order)(places) - wanted).max() for order in (4, 8, 12, 16)]
    assert all(later < sooner / 5 for sooner, later in itertools.pairwise(errors)), errors


def test_square_without_holes():
    """Without its source 0.2 on the sides to round-off, also next to a corner, where second derivatives jump."""
    t = np.linspace(-1, 1, 41)
    sides = np.concatenate([np.stack([np.full(41, s), t], -1) for s in (-1.0, 1.0)])
    sides = np.concatenate([sides, sides[:, ::-1]])
    x, y = sides.T
    s = 64 + 17 * math.pi**2
    # On the sides only x sin and y sin' of one of the sines are left of the particular solution.
    tail = (
        40 * np.pi * (x * np.cos(np.pi * x) * np.sin(4 * np.pi * y) + 4 * y * np.sin(np.pi * x) * np.cos(4 * np.pi * y))
    )
    np.testing.assert_allclose(poisson_2d_cg._without_holes(sides), 0.2 + tail / s**2, rtol=0, atol=1e-12)


def test_classical_refines_until_the_tolerance():
    answer = Poisson2DCG().classical(1e-2)
    assert answer.error <= 1e-2 and answer.resolution <= 6
