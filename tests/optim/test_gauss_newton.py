"""The Gauss-Newton kernel: factorisations agree, rules keep their word, and the named methods do as they should."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve import solve
from pdesolve.config import NetworkConfig, PointsConfig, StageConfig
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.fit import Stage, fit
from pdesolve.objective import Density, Objective, PointwiseBlock, Term
from pdesolve.objective import GaussNewton as Model
from pdesolve.optim import EnergyNaturalGradient, GaussNewton, HessianFree, LevenbergMarquardt
from pdesolve.optim.control import CONTROLS, Curve, GradientNormalised, RatioTarget
from pdesolve.optim.factorisation import FACTORISATIONS, count_sketch, damped_solver, decompose
from pdesolve.samplers import FixedSamples
from problems import Poisson1D

KEY = jax.random.key(0)


def model(n, p, seed=0):
    """Rows in two terms, as an objective gives them."""
    rng = np.random.default_rng(seed)
    rows, residual = jnp.asarray(rng.standard_normal((n, p))), jnp.asarray(rng.standard_normal(n))
    losses = {"one": jnp.sum(residual[: n // 2] ** 2) / 2, "two": jnp.sum(residual[n // 2 :] ** 2) / 2}
    return Model(
        losses,
        rows.T @ residual,
        (rows[: n // 2], rows[n // 2 :]),
        (residual[: n // 2], residual[n // 2 :]),
        lambda x: x,
    )


@pytest.mark.parametrize("damping", [1e-10, 1e-4, 1.0])
@pytest.mark.parametrize(("n", "p"), [(6, 9), (9, 9), (20, 9)])
@pytest.mark.parametrize("factorisation", ["cholesky", "dual", "eigen", "svd"])
def test_factorisations_solve_the_same_system(factorisation, n, p, damping):
    """Against stacked least squares; Gram matrices lose digits where they are singular but for the damping."""
    given = model(n, p)
    rows, residual = np.concatenate(given.rows), np.concatenate(given.residuals)
    stacked = np.concatenate([rows, np.sqrt(damping) * np.eye(p)])
    expected = -np.linalg.lstsq(stacked, np.concatenate([residual, np.zeros(p)]))[0]
    found = damped_solver(given, factorisation, KEY)(jnp.asarray(damping))
    singular = (factorisation in ("cholesky", "eigen") and n < p) or (factorisation == "dual" and n > p)
    tolerance = 1e-9 if not singular else min(1e-3, 1e-14 / damping + 1e-12) * 100
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_the_svd_keeps_the_digits_that_gram_matrices_lose():
    """Singular values from 1 to 1e-10: the step without damping is right to 1e-5 by the SVD, and not by Cholesky."""
    rng = np.random.default_rng(1)
    left, right = (np.linalg.qr(rng.standard_normal((n, 8)))[0] for n in (30, 8))
    values = 10.0 ** -np.linspace(0, 10, 8)
    rows = left * values[None] @ right.T
    truth = rng.standard_normal(8)
    residual = rows @ truth
    given = Model(
        {"one": jnp.asarray(0.0)}, jnp.asarray(rows.T @ residual), (jnp.asarray(rows),), (jnp.asarray(residual),), None
    )
    by = {name: damped_solver(given, name, KEY)(jnp.asarray(1e-30)) for name in ("svd", "cholesky")}
    np.testing.assert_allclose(-by["svd"], truth, atol=1e-5)
    assert not np.allclose(-by["cholesky"], truth, atol=1e-2)


def test_prediction_and_length_along_the_curve():
    """Steps grow as the damping falls, and the decrease predicted is that of the linear model."""
    given = model(20, 9)
    rows, residual = jnp.concatenate(given.rows), jnp.concatenate(given.residuals)
    step = damped_solver(given, "svd", KEY)
    lengths = [float(jnp.linalg.norm(step(jnp.asarray(d)))) for d in 10.0 ** np.arange(3, -8, -1.0)]
    assert all(np.diff(lengths) > 0)
    p, damping = step(jnp.asarray(0.3)), 0.3
    predicted = 0.5 * p @ (damping * p - given.gradient)
    np.testing.assert_allclose(predicted, 0.5 * (residual @ residual - jnp.sum((residual + rows @ p) ** 2)), rtol=1e-12)


def test_truncation_is_truncated_least_squares():
    """And, with nothing cut off, least squares of least norm."""
    rows, residual = np.random.default_rng(2).standard_normal((7, 5)), np.arange(7.0)
    parts = decompose(jnp.asarray(rows), jnp.asarray(residual))
    left, values, right = np.linalg.svd(rows, full_matrices=False)
    np.testing.assert_allclose(parts.truncated(0.0), -np.linalg.lstsq(rows, residual)[0], rtol=1e-11)
    expected = -right[:3].T @ ((left[:, :3].T @ residual) / values[:3])
    np.testing.assert_allclose(parts.truncated(0.5 * (values[2] + values[3])), expected, rtol=1e-11)


def test_sketches_are_right_on_average():
    """E[S^T S] = I over 2,000 seeds, within four standard errors; and S acts as the linear map it is."""
    n, size = 6, 4
    sketches = jax.vmap(lambda key: count_sketch(key, jnp.eye(n), size))(jax.random.split(KEY, 2000))
    squares = jnp.einsum("ksi,ksj->kij", sketches, sketches)
    error, spread = jnp.abs(squares.mean(0) - jnp.eye(n)), squares.std(0) / np.sqrt(2000)
    assert (error <= 4 * spread + 1e-12).all()
    rows = jnp.asarray(np.random.default_rng(3).standard_normal((n, 3)))
    np.testing.assert_allclose(count_sketch(KEY, rows, size), count_sketch(KEY, jnp.eye(n), size) @ rows, rtol=1e-12)


def regression(matrix, right):
    """A linear least-squares problem as an objective."""
    data = FixedSamples((jnp.asarray(matrix), jnp.asarray(right)))
    return Objective((PointwiseBlock(lambda x, row, k, c: {"fit": row[0] @ x - row[1]}, data, (Term("fit"),)),))


LINEAR = np.random.default_rng(4).standard_normal((12, 4)), np.random.default_rng(5).standard_normal(12)
SOLUTION = np.linalg.lstsq(*LINEAR)[0]


@pytest.mark.parametrize(
    "optimiser",
    [
        EnergyNaturalGradient(),
        GaussNewton(factorisation="svd"),
        GaussNewton(control="grid", factorisation="dual"),
        LevenbergMarquardt(damping=1e-14, factorisation="eigen"),
        LevenbergMarquardt(damping=1e-14, factorisation="svd"),
    ],
)
def test_a_linear_problem_takes_one_step(optimiser):
    """From any start, with (next to) no damping."""
    objective = regression(*LINEAR)
    tolerance = 1e-3 if optimiser.factorisation == "dual" else 1e-9  # the kernel of more rows than columns is singular
    for start in (jnp.zeros(4), jnp.full(4, 3.0)):
        result = fit([Stage(objective, optimiser, steps=1, chunk=1)], start)
        np.testing.assert_allclose(result.trainables, SOLUTION, rtol=tolerance)


def test_the_natural_gradient_does_not_see_the_parametrisation():
    """With parameters x = A y the function after each step is the same."""
    transform = np.random.default_rng(6).standard_normal((3, 3)) + 3 * np.eye(3)
    points = jnp.linspace(-1, 1, 15)

    def objective(matrix):
        def residual(y, point, key, context):
            a = jnp.asarray(matrix) @ y
            return {"fit": a[0] * jnp.exp(a[1] * point) + a[2] - jnp.cosh(point)}

        return Objective((PointwiseBlock(residual, FixedSamples(points), (Term("fit"),)),))

    start, ends = np.array([0.5, 0.3, 0.2]), []
    for matrix in (np.eye(3), transform):
        stage = Stage(objective(matrix), EnergyNaturalGradient(), steps=4, chunk=1)
        ends.append(matrix @ fit([stage], jnp.asarray(np.linalg.solve(matrix, start))).trainables)
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-8)


@pytest.mark.parametrize("control", list(CONTROLS))
@pytest.mark.parametrize("factorisation", ["cholesky", "svd"])
def test_rosenbrock(control, factorisation):
    """As a sum of squares: every rule lowers the loss at each step, and all arrive."""
    block = PointwiseBlock(
        lambda x, s, k, c: {"rows": jnp.stack([1.0 - x[0], 10.0 * (x[1] - x[0] ** 2)])},
        FixedSamples(jnp.zeros(1)),
        (Term("rows"),),
    )
    optimiser = GaussNewton(control=control, factorisation=factorisation)
    result = fit([Stage(Objective((block,)), optimiser, steps=300, chunk=1)], jnp.array([-1.2, 1.0]))
    losses = [record["loss"] for record in result.history]
    assert all(later <= earlier for earlier, later in itertools.pairwise(losses))
    np.testing.assert_allclose(result.trainables, 1.0, atol=1e-8)


def quadratic(hessian, start):
    """A curve of steps on a quadratic with its minimum at zero."""
    x, hessian = jnp.asarray(start), jnp.asarray(hessian)

    def function(x):
        return 0.5 * x @ hessian @ x

    return Curve(
        function,
        lambda x: hessian @ x,
        x,
        function(x),
        hessian @ x,
        lambda damping: -jnp.linalg.solve(hessian + damping * jnp.eye(x.size), hessian @ x),
    )


def test_what_the_rules_promise():
    """On a quadratic the ratio is one: the ratio rule probes smaller dampings, gamma doubles and bounds the step."""
    curve = quadratic(np.diag([1.0, 10.0]), [3.0, -2.0])
    end = RatioTarget(damping=1.0, factor=3.0, probes=3).search(curve, jnp.asarray(1.0))
    assert float(end.damping) == pytest.approx(1 / 27) and int(end.count) == 4 and bool(end.found)
    rule, radius = GradientNormalised(), jnp.asarray(0.5)
    for _ in range(4):
        end = rule.search(curve, radius)
        assert float(jnp.linalg.norm(end.flat - curve.flat)) <= float(radius) + 1e-7
        assert float(end.state) == pytest.approx(2 * float(radius))
        slope = curve.slope(end.flat)
        assert curve.value - curve.function(end.flat) >= slope @ slope / (8 * end.damping)
        radius = end.state


@pytest.mark.parametrize("control", list(CONTROLS))
def test_nothing_finite_ends_as_stalled(control):
    """A loss that is not finite anywhere else, and a failed factorisation: the incumbent stays."""
    rule = CONTROLS[control]()
    start = jnp.asarray(rule.init(), float)
    curve = quadratic(np.eye(2), [1.0, 1.0])
    nowhere = curve._replace(function=lambda x: jnp.where(jnp.all(x == 1.0), 1.0, jnp.nan))
    failed = curve._replace(solve=lambda damping: jnp.full(2, jnp.nan))
    for given in (nowhere, failed):
        end = rule.search(given, start)
        assert not bool(end.found)
        np.testing.assert_array_equal(end.flat, 1.0)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("levenberg_marquardt", {"factorisation": "svd"}),
        ("levenberg_marquardt", {"factorisation": "eigen"}),
        ("levenberg_marquardt", {"factorisation": "sketch"}),
        ("gauss_newton", {}),
        ("gauss_newton", {"control": "classical"}),
        ("gauss_newton", {"control": "ratio", "factorisation": "dual"}),
        ("energy_natural_gradient", {}),
        ("hessian_free", {}),
    ],
)
def test_networks(name, options):
    """A small network solves a Poisson problem to 1e-4 by each of them."""
    recipe = Poisson1D().recipe()
    recipe = dataclasses.replace(
        recipe,
        network=NetworkConfig(width=10, depth=2),
        points=PointsConfig(interior=512, adaptive="none", refresh=50),
        stages=(StageConfig(name, steps=150, options=options),),
    )
    assert solve(Poisson1D(half_waves=2.0), recipe).summary["relative_l2"] < 1e-4


def test_without_a_matrix_the_steps_are_the_same():
    """Conjugate gradients to round-off: three steps of a nonlinear fit are those of Levenberg-Marquardt."""
    points = jnp.linspace(-1, 1, 15)
    block = PointwiseBlock(
        lambda x, s, k, c: {"fit": x[0] * jnp.exp(x[1] * s) + x[2] - jnp.cosh(s)}, FixedSamples(points), (Term("fit"),)
    )
    start = jnp.array([0.5, 0.3, 0.2])
    ends = [
        fit([Stage(Objective((block,)), method, steps=3, chunk=1)], start).trainables
        for method in (HessianFree(tolerance=1e-14), LevenbergMarquardt())
    ]
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-6)


def test_what_is_refused():
    """Unknown names, and sums that are not of squares."""
    objective = regression(*LINEAR)
    with pytest.raises(UnknownNameError, match="cholesky"):
        GaussNewton(factorisation="choleski").check(objective)
    with pytest.raises(UnknownNameError, match="gradient_normalised"):
        GaussNewton(control="wolfe")
    with pytest.raises(PdesolveError, match="needs the factorisation 'svd'"):
        EnergyNaturalGradient(factorisation="dual")
    curved = Term("fit", outer=Density(lambda z: jnp.cosh(z), lambda z: jnp.sqrt(jnp.cosh(z))[None]))
    block = PointwiseBlock(lambda x, s, k, c: {"fit": x[0] - s}, FixedSamples(jnp.zeros(2)), (curved,))
    GaussNewton().check(Objective((block,)))
    with pytest.raises(PdesolveError, match="needs sums of squares"):
        GaussNewton(factorisation="dual").check(Objective((block,)))
    assert set(FACTORISATIONS) == {"cholesky", "dual", "eigen", "svd", "sketch"}
