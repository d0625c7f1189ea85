"""The exact augmented Lagrangian and sketched solves."""

import jax
import jax.numpy as jnp
import numpy as np

from pdesolve.constraints import SketchedNewton, minimise_constrained
from pdesolve.constraints.minimise import _evaluation
from pdesolve.constraints.program import Multipliers, program
from pdesolve.constraints.sketched_newton import exact_augmented_lagrangian

from .hock_schittkowski import PROBLEMS

ETA = jnp.asarray(2.0), jnp.asarray(0.3)


def prepared(name):
    problem = PROBLEMS[name]
    x0 = jnp.asarray(problem.x0, float)
    return program(_evaluation(problem.f, x0, problem.c, None, 0), x0, "exact")


def test_gradient_of_the_merit_function():
    """By x: grad l + eta2 H grad l + eta1 C^T c; by y: c + eta2 C grad l; H is the Hessian of the Lagrangian."""
    form, x = prepared("hs77")
    y = jnp.array([0.3, -1.2])
    multipliers = Multipliers(y, jnp.zeros(0))
    at = form.linearise(x)
    slope, hessian = at.lagrangian_gradient(multipliers), form.curvature(x, at, multipliers)
    by_x = slope + ETA[1] * hessian @ slope + ETA[0] * at.equality_rows.T @ at.equality
    by_y = at.equality + ETA[1] * at.equality_rows @ slope
    expected = jax.grad(lambda x, y: exact_augmented_lagrangian(form, x, y, *ETA), argnums=(0, 1))(x, y)
    np.testing.assert_allclose(by_x, expected[0], rtol=1e-10)
    np.testing.assert_allclose(by_y, expected[1], rtol=1e-10)
    step = 1e-6
    for i in range(x.size):
        unit = jnp.eye(x.size)[i] * step
        ends = [exact_augmented_lagrangian(form, x + sign * unit, y, *ETA) for sign in (1, -1)]
        np.testing.assert_allclose((ends[0] - ends[1]) / (2 * step), by_x[i], rtol=1e-6)


def test_stationary_where_the_conditions_hold():
    """At the solution and its multipliers, and not beside them."""
    problem = PROBLEMS["hs77"]
    form, x = prepared("hs77")
    solution = minimise_constrained(problem.f, x, equality=problem.c)
    slope = jax.grad(lambda x, y: exact_augmented_lagrangian(form, x, y, *ETA), argnums=(0, 1))
    there = slope(jnp.asarray(solution.x), jnp.asarray(solution.equality_multipliers))
    assert max(float(jnp.abs(part).max()) for part in there) < 1e-6
    beside = slope(jnp.asarray(solution.x), jnp.asarray(solution.equality_multipliers) + 0.1)
    assert max(float(jnp.abs(part).max()) for part in beside) > 1e-3


def test_sketched_solves_tend_to_the_solution():
    """To any residual, by either sketch; and a row at a time contracts on average as Kaczmarz's method does."""
    rng = np.random.default_rng(0)
    matrix, right = jnp.asarray(rng.standard_normal((6, 6)) + 3 * np.eye(6)), jnp.asarray(rng.standard_normal(6))
    expected = jnp.linalg.solve(matrix, right)
    for inner in ("gaussian", "kaczmarz"):
        method = SketchedNewton(inner=inner)
        for goal in (1e-3, 1e-10):
            found = method._solve(jax.random.key(0), matrix, right, jnp.zeros(6), jnp.asarray(goal))
            assert jnp.linalg.norm(matrix @ found - right) <= goal
        np.testing.assert_allclose(found, expected, atol=1e-9)
    # One Gaussian vector at a time: the expected error falls by at least the least eigenvalue of E[projection].
    method = SketchedNewton(inner="gaussian", block=1, sweeps=8)
    keys = jax.random.split(jax.random.key(1), 400)
    ends = jax.vmap(lambda key: method._solve(key, matrix, right, jnp.zeros(6), jnp.asarray(0.0)))(keys)
    squares = jnp.sum((ends - expected[None]) ** 2, axis=1)
    singular = jnp.linalg.svd(matrix, compute_uv=False)
    assert jnp.mean(squares) < expected @ expected
    assert jnp.mean(squares) < (1 - 0.5 * singular[-1] ** 2 / jnp.sum(singular**2)) ** 8 * (expected @ expected)
