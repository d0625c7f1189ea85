"""The training loop: determinism, resuming, budgets, divergence, and objectives of every awkward kind."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pdesolve.errors import PdesolveError
from pdesolve.fit import Stage, _chunk, fit
from pdesolve.linalg import gram
from pdesolve.nets import MLP, FourierFeatures
from pdesolve.objective import Context, Density, Evaluation, Objective, PointwiseBlock, Squares, Term
from pdesolve.optim import LBFGS, FirstOrder, LevenbergMarquardt, build_optimiser
from pdesolve.samplers import AdaptivePoints, Batch, DataBatches, FixedSamples, FreshSamples, RedrawnPoints


def regression(sampler):
    """Fit sin(2x): one term of squares, one sample a point."""

    def residual(model, x, key, context):
        return {"data": model(x)[0] - jnp.sin(2 * x[0])}

    return Objective((PointwiseBlock(residual, sampler, (Term("data"),)),))


def points(n, seed):
    return np.random.default_rng(seed).uniform(-1, 1, (n, 1))


def network(key):
    return MLP(1, 1, width=8, depth=2, key=key)


def assert_same(first, second):
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


OPTIMISERS = {
    "adam": FirstOrder(optax.adam(1e-2)),
    "lbfgs": LBFGS(),
    "levenberg_marquardt": LevenbergMarquardt(),
}


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_each_optimiser_reduces_the_loss(optimiser, key):
    """Sixty steps on a smooth fit take at least 90 % of the loss away, and the last record is the trained model's."""
    stage = Stage(regression(FixedSamples(jnp.linspace(-1, 1, 64)[:, None])), OPTIMISERS[optimiser], steps=60, chunk=20)
    result = fit([stage], network(key))
    assert result.status in ("completed", "stalled")
    assert result.history[-1]["loss"] < 0.1 * 0.25
    np.testing.assert_allclose(result.history[-1]["loss/data"], result.history[-1]["loss"], rtol=1e-8)


@pytest.mark.parametrize("sampler", ["adaptive", "fresh", "data", "redrawn"])
def test_stop_and_resume_equals_one_run(sampler, tmp_path, key):
    """50 + 20 resumed steps, not a multiple of the chunk, give the same parameters as 70, bit for bit."""
    samplers = {
        "adaptive": AdaptivePoints(points, 32),
        "fresh": FreshSamples(lambda key: jax.random.uniform(key, (32, 1)), 32),
        "data": DataBatches(jnp.linspace(-1, 1, 40)[:, None], 8),
        "redrawn": RedrawnPoints(points, 32, 20),
    }
    objective = regression(samplers[sampler])

    def run(steps, **options):
        return fit([Stage(objective, FirstOrder(optax.adam(1e-2)), steps=steps, chunk=20)], network(key), **options)

    whole = run(70)
    file = tmp_path / "checkpoint"
    first = run(50, checkpoint=file)
    second = run(70, checkpoint=file, resume=True)
    assert first.steps == (50,) and second.steps == (70,)
    assert_same(eqx.filter(whole.trainables, eqx.is_array), eqx.filter(second.trainables, eqx.is_array))


def test_redrawn_points_are_never_used_twice():
    """Every step of two generations has points of its own, and ids of its own."""
    sampler = RedrawnPoints(points, 8, 5)
    state = sampler.init(0)
    batches = [sampler.draw(state, None, jnp.asarray(step)) for step in range(5)]
    state = sampler.refresh(state, 1, None)
    batches += [sampler.draw(state, None, jnp.asarray(step)) for step in range(5, 10)]
    assert all(batch.samples.shape == (8, 1) for batch in batches)
    assert len(np.unique(np.concatenate([batch.samples for batch in batches]))) == 80
    np.testing.assert_array_equal(np.concatenate([batch.ids for batch in batches]), np.arange(80))


def test_masked_tail_equals_exact_steps(key):
    """A chunk length that does not divide the steps changes nothing on fixed samples."""
    objective = regression(FixedSamples(jnp.linspace(-1, 1, 16)[:, None]))
    runs = [
        fit([Stage(objective, FirstOrder(optax.adam(1e-2)), steps=30, chunk=chunk)], network(key)) for chunk in (30, 7)
    ]
    for a, b in zip(*[jax.tree.leaves(eqx.filter(r.trainables, eqx.is_array)) for r in runs], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)  # XLA may fuse the two programs differently


def test_divergence_keeps_the_last_finite_model(key):
    """A residual that becomes NaN ends the fit with a status, and no NaN is handed back."""

    def residual(model, x, key, context):
        bad = jnp.where(context.step >= 25, jnp.nan, 1.0)
        return {"data": bad * (model(x)[0] - 1.0)}

    block = PointwiseBlock(residual, FixedSamples(jnp.linspace(-1, 1, 8)[:, None]), (Term("data"),))
    result = fit([Stage(Objective((block,)), FirstOrder(optax.adam(1e-2)), steps=60, chunk=10)], network(key))
    assert result.status == "diverged" and result.steps == (20,)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(eqx.filter(result.trainables, eqx.is_array)))


def test_time_budget_replays_by_its_steps(key):
    """A run limited in seconds reports its steps; running those steps gives the same parameters."""
    objective = regression(AdaptivePoints(points, 32))
    timed = fit([Stage(objective, LevenbergMarquardt(), seconds=0.5, chunk=5)], network(key))
    replay = fit([Stage(objective, LevenbergMarquardt(), steps=timed.steps[0], chunk=5)], network(key))
    assert_same(eqx.filter(timed.trainables, eqx.is_array), eqx.filter(replay.trainables, eqx.is_array))


def test_target_ends_a_stage_early(key):
    """The evaluator's relative_l2 at or below the target ends the stage."""
    x = jnp.linspace(-1, 1, 64)[:, None]

    def evaluate(model):
        return {"relative_l2": float(jnp.linalg.norm(jax.vmap(model)(x)[:, 0] - jnp.sin(2 * x[:, 0])))}

    stage = Stage(regression(FixedSamples(x)), LevenbergMarquardt(), steps=500, chunk=5, target=1e-2)
    result = fit([stage], network(key), evaluate=evaluate)
    assert result.status == "target_reached" and result.steps[0] < 500


def test_parameters_too_large_for_their_residuals_are_a_divergence(key):
    """One step of 1e200 stays finite and so does its chunk; the refresh that scores candidates says `diverged`."""

    def square(params, x, key, context):
        return {"data": (params * x[0] - 1.0) ** 2}

    block = PointwiseBlock(square, AdaptivePoints(points, 32), (Term("data"),))
    stage = Stage(Objective((block,)), FirstOrder(optax.sgd(1e200)), steps=5, chunk=1)
    result = fit([stage], jnp.asarray(0.5))
    assert result.status == "diverged" and np.isfinite(result.trainables)


def test_a_stall_on_passing_samples_is_no_end(key):
    """A step that fails on one mini-batch says nothing of the next."""

    def residual(params, sample, key, context):
        return {"data": jnp.where(sample["bad"], jnp.abs(params) ** 0.5 + 1.0, params - 1.0)}

    data = {"bad": jnp.array([True, False])}
    block = PointwiseBlock(residual, DataBatches(data, 1), (Term("data"),))
    stage = Stage(Objective((block,)), LevenbergMarquardt(attempts=2), steps=20, chunk=1)
    assert fit([stage], jnp.asarray(0.0)).status == "completed"


def test_fixed_arrays_are_left_alone_by_weight_decay(key):
    """The frequencies of a Fourier network are stored, not trained; its other weights decay."""
    model = FourierFeatures(1, 1, width=8, depth=1, num_features=4, scale=3.0, key=key)
    objective = regression(FixedSamples(jnp.linspace(-1, 1, 8)[:, None]))
    result = fit([Stage(objective, FirstOrder(optax.adamw(1e-3, weight_decay=1.0)), steps=5, chunk=5)], model)
    np.testing.assert_array_equal(result.trainables.embedding.frequencies.value, model.embedding.frequencies.value)
    before, after = (jax.tree.leaves(eqx.filter(m, eqx.is_array))[-1] for m in (model, result.trainables))
    assert not np.array_equal(before, after)


@pytest.mark.parametrize("name", ["momo", "momo_adam", "adam"])
def test_optax_methods_that_ask_for_the_loss_get_it(name, key):
    """By name, with their defaults: the loss goes down."""
    objective = regression(FixedSamples(jnp.linspace(-1, 1, 8)[:, None]))
    optimiser = build_optimiser(name, {"learning_rate": 1e-2})
    history = fit([Stage(objective, optimiser, steps=30, chunk=10)], network(key)).history
    assert history[-1]["loss"] < history[0]["loss"]


def test_alternating_stages_train_their_own_part(key):
    """Cycles of two stages, each with its own trainable part, as in an inverse problem: u = a x, a and the slope."""
    x = jnp.linspace(0, 1, 16)[:, None]

    def residual(trainables, x, key, context):
        return {"data": trainables["a"] * x[0] + trainables["b"] - (2.0 * x[0] + 1.0)}

    objective = Objective((PointwiseBlock(residual, FixedSamples(x), (Term("data"),)),))
    start = {"a": jnp.asarray(0.0), "b": jnp.asarray(0.0)}
    stages = [
        Stage(
            objective,
            LevenbergMarquardt(damping=1e-6),
            steps=1,
            chunk=1,
            trainable=lambda t, n=n: {k: k == n for k in t},
        )
        for n in ("a", "b")
    ]
    once = fit(stages[:1], start)
    assert once.trainables["b"] == 0.0 and once.trainables["a"] != 0.0
    both = fit(stages, start, cycles=40)
    assert abs(both.trainables["a"] - 2) < 1e-3 and abs(both.trainables["b"] - 1) < 1e-3


def test_resuming_another_configuration_is_refused(tmp_path, key):
    """A checkpoint says whose it is."""
    objective = regression(FixedSamples(jnp.linspace(-1, 1, 8)[:, None]))
    fit([Stage(objective, FirstOrder(optax.adam(1e-2)), steps=4, chunk=2)], network(key), checkpoint=tmp_path / "c")
    with pytest.raises(PdesolveError, match="another configuration"):
        stage = Stage(objective, LevenbergMarquardt(), steps=4, chunk=2)
        fit([stage], network(key), checkpoint=tmp_path / "c", resume=True)


def test_methods_refuse_unsuitable_terms_by_name(key):
    """L-BFGS refuses rows that change every step, all refuse constraints, and name the term."""
    fresh = regression(FreshSamples(lambda key: jax.random.uniform(key, (8, 1)), 8))
    with pytest.raises(PdesolveError, match="data change every step"):
        Stage(fresh, LBFGS(), steps=1)
    block = PointwiseBlock(lambda *a: {}, FixedSamples(jnp.zeros((2, 1))), (Term("mass", kind="equality"),))
    for optimiser in OPTIMISERS.values():
        with pytest.raises(PdesolveError, match="mass"):
            Stage(Objective((block,)), optimiser, steps=1)
    flat = Term("energy", outer=Density(lambda z: jnp.sum(jnp.cosh(z))))
    block = PointwiseBlock(lambda *a: {}, FixedSamples(jnp.zeros((2, 1))), (flat,))
    with pytest.raises(PdesolveError, match="the loss of energy has none"):
        Stage(Objective((block,)), LevenbergMarquardt(), steps=1)


def test_levenberg_marquardt_recovers_from_a_stall_on_new_points(key):
    """Stalled on one generation the damping grows; the next generation begins from the first damping at most."""
    method = LevenbergMarquardt()
    assert method.refresh(None, None, jnp.asarray(1e30)) == method.damping
    assert method.refresh(None, None, jnp.asarray(1e-6)) == 1e-6


def test_a_stage_needs_a_budget():
    """Neither steps nor seconds is an error that says what to give."""
    with pytest.raises(PdesolveError, match="give `steps` or `seconds`"):
        Stage(regression(FixedSamples(jnp.zeros((2, 1)))), LevenbergMarquardt())


def test_squares_equal_a_density_with_identity_curvature(key):
    """The Gauss-Newton model of squares equals that of the same function given as a density with its root."""
    from pdesolve.objective import Context, Density, Evaluation

    model = network(key)
    params, frozen = eqx.partition(model, eqx.is_inexact_array)
    x = jnp.linspace(-1, 1, 8)[:, None]

    def residual(model, x, key, context):
        return {"data": jnp.stack([model(x)[0], x[0] * model(x)[0] - 1.0])}

    models = []
    for outer in (Squares(), Density(lambda z: 0.5 * jnp.sum(z**2), lambda z: jnp.eye(2))):
        objective = Objective((PointwiseBlock(residual, FixedSamples(x), (Term("data", weight=3.0, outer=outer),)),))
        batches = tuple(b.sampler.draw((), key, jnp.asarray(0)) for b in objective.blocks)
        context = Context(jnp.asarray(0), jnp.asarray(0.0))
        evaluation = Evaluation(objective, batches, {}, key, context, frozen)
        gn = evaluation.gauss_newton(params)
        models.append(gn)
        flat, unravel = jax.flatten_util.ravel_pytree(params)
        gradient = jax.grad(lambda p, e=evaluation, u=unravel: e.loss(u(p))[0])(flat)
        np.testing.assert_allclose(gn.gradient, gradient, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(models[0].gram(), models[1].gram(), rtol=1e-10, atol=1e-12)


def test_gram_sums_over_parts():
    """G = sum of R^T R over terms of different lengths, in either precision."""
    rng = np.random.default_rng(0)
    for dtype, tolerance in ((np.float64, 1e-13), (np.float32, 1e-5)):
        parts = [rng.standard_normal((n, 7)).astype(dtype) for n in (20, 1, 13)]
        together = np.concatenate(parts)
        result = jax.jit(gram)(*parts)
        assert result.dtype == dtype
        np.testing.assert_allclose(result, together.T @ together, rtol=tolerance, atol=tolerance)


def test_chunks_bound_memory_and_change_nothing(key):
    """Loss and gradient are those of all points at once, to round-off; what is kept for the gradient is a chunk's."""
    params, static = eqx.partition(network(key), eqx.is_inexact_array)
    x = jnp.asarray(points(2**14, 0))
    batch = Batch(x, jnp.arange(len(x)), jnp.asarray(0))

    def residual(model, x, key, context):
        for _ in range(8):  # many intermediate values, so that they and not the points fill the memory
            x = jnp.sin(model(x))
        return {"data": x[0]}

    def compiled(chunk):
        objective = Objective((PointwiseBlock(residual, FixedSamples(x), (Term("data"),), chunk),))
        context = Context(jnp.asarray(0), jnp.asarray(0.0))
        evaluation = Evaluation(objective, (batch,), {}, jax.random.key(0), context, static)
        return jax.jit(jax.value_and_grad(lambda p: evaluation.loss(p)[0])).lower(params).compile()

    whole, parts = compiled(None), compiled(2**9)
    for a, b in zip(jax.tree.leaves(whole(params)), jax.tree.leaves(parts(params)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-14)
    memory = [c.memory_analysis().temp_size_in_bytes for c in (whole, parts)]
    assert memory[1] < memory[0] / 4, memory


def test_a_target_reached_ends_all_stages_that_share_it(key):
    """The second stage is not begun where it would stop at once; one with a sharper target is."""
    x = jnp.linspace(-1, 1, 64)[:, None]

    def evaluate(model):
        return {"relative_l2": float(jnp.linalg.norm(jax.vmap(model)(x)[:, 0] - jnp.sin(2 * x[:, 0])))}

    def run(second):
        objective = regression(FixedSamples(x))
        stages = [Stage(objective, LevenbergMarquardt(), steps=500, chunk=5, target=t) for t in (1e-1, second)]
        return fit(stages, network(key), evaluate=evaluate)

    assert len(run(1e-1).steps) == 1 and run(1e-1).status == "target_reached"
    sharper = run(1e-2)
    assert len(sharper.steps) == 2 and sharper.steps[1] > 0 and sharper.status == "target_reached"


def test_a_step_is_compiled_once(key):
    """Types of the first state are those of every later one: weak ones would compile the chunk a second time."""
    stage = Stage(regression(AdaptivePoints(points, 32)), LevenbergMarquardt(), steps=6, chunk=2)
    before = _chunk._cached._cache_size()
    fit([stage], network(key))
    assert _chunk._cached._cache_size() == before + 1
