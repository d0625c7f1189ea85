"""Networks under constraints: what is met, what is refused, and how it goes on."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from pdesolve import solve
from pdesolve.config import NetworkConfig, PointsConfig, StageConfig
from pdesolve.constraints import (
    AugmentedLagrangian,
    ConditionalPenalty,
    DualAscent,
    PrimalDual,
    SketchedNewton,
    TrustRegionSQP,
)
from pdesolve.constraints.program import Multipliers, program
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.fit import Stage, fit
from pdesolve.objective import BatchBlock, Context, Evaluation, Objective, PointwiseBlock, Term
from pdesolve.optim import LevenbergMarquardt
from pdesolve.pinn import build_objective, build_stages, initial_ansatz
from pdesolve.samplers import AdaptivePoints, FixedSamples
from problems import Poisson1D


def recipe(optimiser, *, before=0, steps=40, constraints=(), **options):
    """Poisson in one dimension with both ends as terms."""
    stages = [StageConfig("levenberg_marquardt", steps=before)] if before else []
    return dataclasses.replace(
        Poisson1D().recipe(),
        network=NetworkConfig(width=12, depth=2),
        points=PointsConfig(interior=64, boundary=1, adaptive="none", refresh=10),
        stages=(*stages, StageConfig(optimiser, steps=steps, options=options)),
        exact=False,
        constraints=constraints,
    )


def linear(points=8):
    """Fit a parabola by a line (loss) that passes through two points (constraints): known multipliers."""
    x = jnp.linspace(0.0, 1.0, points)
    fit_ = PointwiseBlock(lambda p, x, k, c: {"fit": p[0] + p[1] * x - x**2}, FixedSamples(x), (Term("fit"),))
    ends = PointwiseBlock(
        lambda p, x, k, c: {"ends": p[0] + p[1] * x - 0.5},
        FixedSamples(jnp.array([0.0])),
        (Term("ends", kind="equality"),),
    )
    return Objective((fit_, ends)), x


def by_hand(x):
    """Slope of the constrained fit with p0 = 1/2."""
    return np.sum(x * (x**2 - 0.5)) / np.sum(x**2)


@pytest.mark.parametrize("method", [AugmentedLagrangian(), TrustRegionSQP(), SketchedNewton(inner="exact")])
def test_a_linear_problem(method):
    """Parameters are those of the normal equations; then it says that it is done."""
    objective, x = linear()
    result = fit([Stage(objective, method, steps=200, chunk=20)], jnp.zeros(2))
    slope = by_hand(np.asarray(x))
    np.testing.assert_allclose(result.trainables, [0.5, slope], atol=1e-7)
    assert result.status == "stalled" and result.history[-1]["converged"] == 1.0
    for name in ("stationarity", "violation", "complementarity"):
        assert result.history[-1][name] < 1e-6


@pytest.mark.parametrize(("method", "steps"), [(PrimalDual(learning_rate=1e-2, dual_rate=1e-2), 20_000)])
def test_saddle_dynamics_reach_the_same_point(method, steps):
    """On a strictly convex problem descent and ascent end where the conditions of optimality hold."""
    objective, x = linear()
    result = fit([Stage(objective, method, steps=steps, chunk=1000)], jnp.zeros(2))
    slope = by_hand(np.asarray(x))
    np.testing.assert_allclose(result.trainables, [0.5, slope], atol=2e-3)


def test_dual_ascent_finds_its_weight():
    """The mean square of the constraint ends at its level, and the multiplier solves the conditions of optimality."""
    objective, x = linear()
    level = 1e-3
    method = DualAscent(level=level, learning_rate=1e-2, dual_rate=20.0, inner_steps=20)
    result = fit([Stage(objective, method, steps=20_000, chunk=1000)], jnp.zeros(2))
    p = result.trainables
    np.testing.assert_allclose((p[0] - 0.5) ** 2, level, rtol=0.05)
    residual = p[0] + p[1] * x - x**2
    np.testing.assert_allclose(jnp.mean(residual * x), 0.0, atol=1e-3)


def test_conditional_penalties_grow_without_bound():
    """min (x - 2)^2 with the square of x - 1 as constraint: x tends to 1, the multiplier to infinity."""
    block = BatchBlock(
        lambda p, s, k, c: ({"loss": p[None] - 2.0, "one": p[None] - 1.0}, {}),
        FixedSamples(jnp.zeros(1)),
        (Term("loss"), Term("one", kind="equality")),
    )
    method = ConditionalPenalty(learning_rate=1e-2, scale=1.0)
    ends = [
        fit([Stage(Objective((block,)), method, steps=steps, chunk=500)], jnp.asarray(0.0)).trainables
        for steps in (1000, 4000, 16_000)
    ]
    distances = [abs(float(end) - 1.0) for end in ends]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 0.05


@pytest.mark.parametrize("curvature", ["gauss_newton", "exact"])
def test_rows_with_a_shift_are_the_augmented_lagrangian(curvature, key):
    """Its gradient is that of f + y c + mu/2 c^2, to round-off; its curvature that of the shifted squares."""
    problem = Poisson1D()
    given = dataclasses.replace(recipe("augmented_lagrangian"), network=NetworkConfig(width=5, depth=1))
    objective = build_objective(problem, given, problem.domain(), constrained=True)
    assert [term.kind for term in objective.terms] == ["loss", "equality", "equality"]
    ansatz = initial_ansatz(problem, given)
    params, frozen = eqx.partition(ansatz, eqx.is_inexact_array)
    batches = tuple(b.sampler.draw(b.sampler.init(0), key, jnp.asarray(0)) for b in objective.blocks)
    evaluation = Evaluation(objective, batches, {}, key, Context(jnp.asarray(0), jnp.asarray(0.0)), frozen)
    form, x = program(evaluation, params, curvature)
    at, y, penalty = form.linearise(x), jnp.array([0.4, -0.7]), 3.0

    def written_out(x):
        c = form.equality(x)
        return form.value(x) + y @ c + 0.5 * penalty * c @ c

    multipliers = Multipliers(y + penalty * at.equality, jnp.zeros(0))
    np.testing.assert_allclose(at.lagrangian_gradient(multipliers), jax.grad(written_out)(x), rtol=1e-9, atol=1e-10)
    if curvature == "exact":
        hessian = form.curvature(x, at, multipliers) + penalty * at.equality_rows.T @ at.equality_rows
        np.testing.assert_allclose(hessian, jax.hessian(written_out)(x), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(("optimiser", "options"), [("augmented_lagrangian", {}), ("trust_region_sqp", {})])
def test_conditions_are_met_to_solver_tolerance(optimiser, options):
    """After some steps of Levenberg-Marquardt the ends are met to 1e-8, and the solution is not worse for it."""
    solution = solve(Poisson1D(), recipe(optimiser, before=60, steps=150, **options))
    assert solution.summary["relative_l2"] < 1e-4
    np.testing.assert_allclose(solution.evaluate(np.array([[0.0], [1.0]]))["u"], 0.0, atol=1e-8)


@pytest.mark.parametrize("optimiser", ["primal_dual", "conditional_penalty", "dual_ascent"])
def test_first_order_methods_train_a_network(optimiser):
    """They lower the error of the untrained network."""
    problem, rate = Poisson1D(half_waves=1.5), {"learning_rate": 1e-2}
    runs = [solve(problem, recipe(optimiser, steps=steps, **rate)) for steps in (10, 1500)]
    assert runs[1].summary["relative_l2"] < 0.7 * runs[0].summary["relative_l2"]
    assert runs[1].history[-1]["violation_norm"] < 0.2 * runs[0].history[-1]["violation_norm"]


def test_which_terms_are_constraints():
    """Those that the recipe names, else those of all conditions; to other optimisers they are losses."""
    stages = build_stages(Poisson1D(), recipe("augmented_lagrangian", before=5, constraints=("x_min_u",)))
    kinds = [[term.kind for term in stage.objective.terms] for stage in stages]
    assert kinds == [["loss", "loss", "loss"], ["loss", "equality", "loss"]]
    with pytest.raises(UnknownNameError, match="x_min_u"):
        build_stages(Poisson1D(), recipe("augmented_lagrangian", constraints=("xmin_u",)))
    with pytest.raises(PdesolveError, match="no constraint to meet"):
        solve(Poisson1D(), dataclasses.replace(recipe("augmented_lagrangian"), exact=True))
    with pytest.raises(PdesolveError, match="no loss to minimise"):
        names = ("poisson", "x_min_u", "x_max_u")
        solve(Poisson1D(), recipe("augmented_lagrangian", constraints=names))


def test_what_is_refused():
    """Constraints without rows that stay; inequalities, levels that name no term; and unconstrained optimisers."""
    objective, _ = linear()
    with pytest.raises(PdesolveError, match="minimises losses only"):
        LevenbergMarquardt().check(objective)
    with pytest.raises(UnknownNameError, match="ends"):
        DualAscent(level={"end": 1e-3}).check(objective)
    with pytest.raises(PdesolveError, match="has none for ends"):
        DualAscent(level={}).check(objective)
    for method, options in (
        (DualAscent, {"inner_steps": 0}),
        (DualAscent, {"level": -1.0}),
        (PrimalDual, {"penalty": -1}),
    ):
        with pytest.raises(PdesolveError, match=next(iter(options))):
            method(**options)
    moving = AdaptivePoints(lambda n, seed: np.random.default_rng(seed).random((n, 1)), 4)
    block = PointwiseBlock(lambda p, x, k, c: {"c": p[0] * x[0]}, moving, (Term("c", kind="equality"),))
    with pytest.raises(PdesolveError, match="its points are adaptive"):
        AugmentedLagrangian().check(Objective((objective.blocks[0], block)))


def test_a_resumed_run_is_the_same_bit_for_bit(tmp_path):
    """Multipliers, penalty and damping are in the checkpoint."""
    objective, _ = linear()

    def run(steps, **options):
        stage = Stage(objective, AugmentedLagrangian(tolerance=0.0), steps=steps, chunk=2)
        return fit([stage], jnp.zeros(2), **options)

    whole = run(6)
    run(4, checkpoint=tmp_path / "c")
    resumed = run(6, checkpoint=tmp_path / "c", resume=True)
    assert resumed.steps == whole.steps
    assert jnp.array_equal(ravel_pytree(resumed.trainables)[0], ravel_pytree(whole.trainables)[0])
