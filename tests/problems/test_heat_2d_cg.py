"""The rectangle with seventeen hot holes: conditions, and its reference against layers and rings in one dimension."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp
from scipy.special import erfc, erfcx

from pdesolve.spectral import barycentric_matrix, chebyshev_matrix, chebyshev_points
from problems import Heat2DCG, heat_2d_cg

from .pointwise import condition_residuals, equation_residuals


def test_equation_and_conditions_agree_with_the_plain_formulas():
    """On functions in closed form: the normal points into the holes and out of the rectangle."""
    problem = Heat2DCG()
    points = problem.domain().sample_interior(40, "uniform", 0)
    x, y, t = points.T
    residual = equation_residuals(problem, lambda at: {"u": at.t * jnp.sin(at.x) * jnp.cos(2 * at.y)}, points)["heat"]
    np.testing.assert_allclose(residual, (1 + 5 * t) * np.sin(x) * np.cos(2 * y), atol=1e-12)
    conditions = {c.name: c for c in problem.conditions()}
    assert len(conditions) == 22

    def found(name):
        return condition_residuals(problem, conditions[name], lambda at: {"u": at.x**2 + at.y**2})["u"]

    np.testing.assert_allclose(found("large_9"), 1 - 2 - 5, atol=1e-9)  # around the origin: u = r^2, du/dn = -2 r
    assert (found("y_max") >= 12**2 + 24 - 0.1 - 1e-9).all() and (found("x_min") >= 8**2 + 16 - 0.1 - 1e-9).all()
    small = np.array(heat_2d_cg._SMALL[5])
    assert np.abs(found("small_6")).max() < (small @ small + 2 * 3.2 * 0.4 + 0.16) + 2 * 3.6 + 1


def test_layers_of_the_transform():
    """One of them solves the equation of a half space; all of them are the solution at early times but for a tenth."""
    d, t = jnp.linspace(0.0, 2.0, 9), jnp.linspace(0.01, 2.0, 9)
    layer = heat_2d_cg._layer
    along, rate = jax.grad(layer, 0), jax.grad(layer, 1)
    np.testing.assert_allclose(jax.vmap(rate)(d, t), jax.vmap(jax.grad(along))(d, t), atol=1e-10)
    np.testing.assert_allclose(jax.vmap(lambda t: along(0.0, t))(t), layer(0.0, t) - 1, atol=1e-12)
    np.testing.assert_allclose(layer(d[1:], 0.0), 0.0, atol=1e-300)
    points = Heat2DCG().domain().window(0.0, 0.05).sample_interior(300, "sobol", 0)
    expected = heat_2d_cg._reference()[0].evaluate(points)["u"]
    found = np.asarray(jax.vmap(lambda p: heat_2d_cg._layers(*p))(jnp.asarray(points)))
    assert 0.01 < np.linalg.norm(found - expected) / np.linalg.norm(expected) < 0.1


def test_layers_along_the_middle_of_a_side():
    """Far from all holes and corners it is that of a half space (Carslaw and Jaeger), in the reference too."""
    d, times = np.linspace(0, 1.0, 11), (0.05, 0.2)
    for t in times:
        points = np.stack([8 - d, np.full(11, 6.0), np.full(11, t)], -1)
        s = d / (2 * np.sqrt(t))
        # exp(d + t) erfc(s + sqrt t), written so that it cannot overflow
        expected = 0.1 * (erfc(s) - np.exp(-(s**2)) * erfcx(s + np.sqrt(t)))
        found = heat_2d_cg._reference()[0].evaluate(points)["u"]
        np.testing.assert_allclose(found, expected, atol=4e-4 * 0.1)


def test_rings_around_the_middle_hole():
    """Before the next holes are felt the solution depends on the radius alone: Radau on Chebyshev points."""
    n, t = 40, 0.15
    r, first = chebyshev_points(n, (1.0, 3.0)), chebyshev_matrix(n, (1.0, 3.0))
    ends = first[np.ix_([0, -1], [0, -1])] + np.diag([-1.0, 0.0])  # at r = 1: u_r = u - 5; at r = 3: u_r = 0

    def full(u):
        right = np.array([-5.0, 0.0]) - first[[0, -1], 1:-1] @ u
        a, b = np.linalg.solve(ends, right)
        return np.concatenate([[a], u, [b]])

    def rate(_, u):
        values = full(u)
        return (first @ (r * (first @ values)) / r)[1:-1]

    u = solve_ivp(rate, (0, t), np.zeros(n - 2), "Radau", rtol=1e-8, atol=1e-9).y[:, -1]
    places, angle = np.linspace(1.0, 1.6, 13), 0.7
    points = np.stack([places * np.cos(angle), places * np.sin(angle), np.full(13, t)], -1)
    expected = barycentric_matrix(r, places) @ full(u)
    found = heat_2d_cg._reference()[0].evaluate(points)["u"]
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_reference_converges():
    """Each halving of the cells divides the error by ten and more; the bound is that of the last step."""
    points = Heat2DCG().domain().sample_interior(1000, "sobol", 3)
    expected = heat_2d_cg._reference()[0].evaluate(points)["u"]
    errors = [np.linalg.norm(heat_2d_cg._Solution(n).evaluate(points)["u"] - expected) for n in (1, 2)]
    assert errors[1] < errors[0] / 10 and errors[1] < 2e-3 * np.linalg.norm(expected)
    assert Heat2DCG().reference().error_bound < 5e-4


def test_symmetry_and_the_start():
    points = Heat2DCG().domain().sample_interior(50, "uniform", 1)
    evaluate = heat_2d_cg._reference()[0].evaluate
    np.testing.assert_array_equal(evaluate(points * [-1, 1, 1])["u"], evaluate(points * [1, -1, 1])["u"])
    np.testing.assert_array_equal(evaluate(points * [1, 1, 0])["u"], 0.0)


def test_classical():
    answer = Heat2DCG().classical(5e-3)
    assert answer.error <= 5e-3 and answer.resolution == 2
