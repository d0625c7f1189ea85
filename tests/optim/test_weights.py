"""Loss weights that change, SAM-GS and dual cone descent, against other people's numbers and their own fixed points.

`tests/data/multi_loss.npz` holds what the programs of SAM-GS's authors and torchjd returned in float64, and ReLoBRaLo
from its formula in NumPy.
"""

import itertools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pdesolve.config import StageConfig
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.fit import Stage, fit
from pdesolve.objective import Objective, PointwiseBlock, Term
from pdesolve.optim import (
    DCGD,
    SAMGS,
    ConFIG,
    DualProj,
    DynamicWeightAverage,
    FirstOrder,
    GradientNormWeights,
    LearningRateAnnealing,
    NTKWeights,
    ReLoBRaLo,
    SoftAdapt,
    build_stage_optimiser,
)
from pdesolve.optim.combine.histories import relobralo_weights
from pdesolve.samplers import FixedSamples

ORACLES = dict(np.load(Path(__file__).parents[1] / "data/multi_loss.npz"))
ROWS = jax.random.normal(jax.random.key(3), (3, 40)) * jnp.array([[1.0], [10.0], [0.1]])
WEIGHINGS = [LearningRateAnnealing(), GradientNormWeights(), ReLoBRaLo(), SoftAdapt(), DynamicWeightAverage()]


def weights_of(rule, steps, gradients=ROWS, losses=None):
    """Return the weights of each step: what the gradients of the unit coordinates are multiplied by."""
    state, found = rule.begin(3), []
    step = jax.jit(lambda gradients, losses, state: rule.weigh(gradients, losses, None, state))
    for k in range(steps):
        weights, state = step(gradients, None if losses is None else losses[k], state)
        found.append(weights)
    return np.array(found)


@pytest.mark.parametrize("gamma", ["0.1", "0.55", "0.9"])
def test_samgs_agrees_with_its_authors(gamma):
    """Momentum branch, both, equalising branch."""
    rule = SAMGS(gamma=float(gamma))
    stacks, expected = jnp.asarray(ORACLES["samgs__G"]), ORACLES[f"samgs__out_gamma{gamma}"]
    state = rule.init(stacks[0, 0], 3)
    step = jax.jit(lambda g, state: rule.combine(g, state))
    for k, stack in enumerate(stacks):
        combined, state, metrics = step(stack, state)
        np.testing.assert_allclose(combined, expected[k], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(metrics["likeness"], ORACLES["samgs__psi_mean"][k], rtol=1e-10)


def test_samgs_at_the_edges():
    """One term, vanishing terms, a term that is not finite."""
    rule = SAMGS()
    one, _, _ = rule.combine(ROWS[:1], rule.init(ROWS[0], 1))
    np.testing.assert_array_equal(one, ROWS[0])
    zero, _, metrics = rule.combine(jnp.zeros((2, 5)), rule.init(jnp.zeros(5), 2))
    assert not zero.any() and metrics["likeness"] == 1.0
    bad, state, metrics = rule.combine(ROWS.at[1, 3].set(jnp.nan), rule.init(ROWS[0], 3))
    assert jnp.isfinite(bad).all() and jnp.isfinite(state.first).all() and metrics["non_finite_terms"] == 1
    tiny, _, _ = SAMGS(gamma=2.0).combine(1e-30 * ROWS[:2].astype(jnp.float32), rule.init(ROWS[0], 2))
    assert jnp.isfinite(tiny).all() and tiny.any()


def test_dwa_agrees_with_torchjd():
    """Epochs of one step."""
    losses = jnp.asarray(ORACLES["dwa__losses"])
    found = weights_of(DynamicWeightAverage(every=1), len(losses), losses=losses)
    np.testing.assert_allclose(found, ORACLES["dwa__weights"], rtol=1e-12)


def test_dwa_takes_means_over_epochs():
    """Three steps an epoch: as one step with the mean; weights stay within an epoch."""
    means = jnp.asarray(ORACLES["dwa__losses"])
    losses = jnp.asarray(np.concatenate([mean * np.array([[0.5], [1.0], [1.5]]) for mean in np.array(means)]))
    found = weights_of(DynamicWeightAverage(every=3), len(losses), losses=losses)
    np.testing.assert_allclose(found, np.repeat(ORACLES["dwa__weights"], 3, axis=0), rtol=1e-12)


def test_relobralo_agrees_with_its_formula():
    """With the lookback of the oracle at its sixth step."""
    losses, rho = jnp.asarray(ORACLES["relobralo_formula__losses"]), ORACLES["relobralo_formula__rho"]
    alpha, temperature, guard = ORACLES["relobralo_formula__hyper"]
    weights = jnp.ones(3)
    for k, expected in enumerate(ORACLES["relobralo_formula__weights"]):
        last = losses[max(k - 1, 0)]
        now = 1.0 if k == 0 else 0.0 if k == 1 else alpha
        weights = relobralo_weights(losses[k], last, losses[0], weights, now, rho[k], temperature, guard)
        np.testing.assert_allclose(weights, expected, rtol=1e-10)


def test_relobralo_remembers():
    """The object does what the formula does: without lookback, and with nothing but lookback."""
    losses = jnp.asarray(ORACLES["relobralo_formula__losses"])
    for lookback in (1.0, 0.0):
        found, weights = weights_of(ReLoBRaLo(lookback=lookback, alpha=0.5), len(losses), losses=losses), jnp.ones(3)
        for k, expected in enumerate(found):
            now = 1.0 if k == 0 else 0.0 if k == 1 else 0.5
            weights = relobralo_weights(losses[k], losses[max(k - 1, 0)], losses[0], weights, now, lookback, 0.1)
            np.testing.assert_allclose(expected, weights, rtol=1e-12)


@pytest.mark.parametrize("rule", [ReLoBRaLo(), SoftAdapt(), SoftAdapt(normalised=False), DynamicWeightAverage(every=2)])
def test_weights_of_histories_sum_to_the_number_of_terms(rule):
    """At every step; and the loss that has fallen least has the largest weight."""
    losses = jnp.asarray(np.array([1.0, 100.0, 0.01]) * np.array([0.99, 0.9, 0.5]) ** np.arange(9)[:, None])
    found = weights_of(rule, 9, losses=losses)
    np.testing.assert_allclose(found.sum(axis=1), 3.0, rtol=1e-12)
    relative = not isinstance(rule, SoftAdapt)  # which sees differences, not quotients
    assert np.argmin(found[-1]) == (2 if relative else 1)


def test_annealing_tends_to_the_papers_ratio():
    """Constant gradients: the distance to max / mean shrinks by 1 - a at each renewal; the reference keeps 1."""
    ratio = np.abs(np.array(ROWS[0])).max() / np.abs(np.array(ROWS[1:])).mean(axis=1)
    found = weights_of(LearningRateAnnealing(every=1, rate=0.3), 30)
    np.testing.assert_allclose(found[:, 1:] - ratio, (1 - ratio) * 0.7 ** np.arange(1, 31)[:, None], rtol=1e-9)
    np.testing.assert_array_equal(found[:, 0], 1.0)
    scaled = weights_of(LearningRateAnnealing(every=1), 40, ROWS * jnp.array([[1.0], [1e3], [1.0]]))
    np.testing.assert_allclose(scaled[-1, 1] * 1e3, weights_of(LearningRateAnnealing(every=1), 40)[-1, 1], rtol=1e-9)


def test_annealing_as_coded_tends_to_the_square_root():
    """Its denominator has the weight in it; only matrices count, each as much as another."""
    tree = {"bias": 1e3 * ROWS[:, :4], "weight": ROWS.reshape(3, 8, 5), "other": 7.0 * ROWS[:, :6].reshape(3, 2, 3)}
    matrices = [np.abs(np.array(tree[name])).reshape(3, -1) for name in ("weight", "other")]
    largest = max(matrix[0].max() for matrix in matrices)
    mean = np.mean([matrix.mean(axis=1) for matrix in matrices], axis=0)
    rule = LearningRateAnnealing(preset="coded", every=1)
    found = weights_of(rule, 400, tree)
    np.testing.assert_allclose(found[-1, 1:], np.sqrt(largest / mean[1:]), rtol=1e-6)


def test_weights_are_renewed_when_they_should_be():
    """Every fourth step; in between they stay."""
    found = weights_of(LearningRateAnnealing(every=4, rate=0.5), 9)
    assert [np.array_equal(a, b) for a, b in itertools.pairwise(found)] == [True, True, True, False] * 2


def test_gradient_norms_become_equal():
    """With rate 1 at once: all weighted gradients are as long as the mean was."""
    weights = weights_of(GradientNormWeights(rate=1.0, every=1), 1)[0]
    lengths = np.linalg.norm(np.array(ROWS), axis=1)
    np.testing.assert_allclose(weights * lengths, lengths.mean(), rtol=1e-12)


@pytest.mark.parametrize("rule", WEIGHINGS, ids=lambda rule: type(rule).__name__)
def test_weighings_are_transformations(rule):
    """In a chain with Adam, compiled; a gradient that vanishes or is not finite spoils nothing."""
    chain = optax.chain(rule.transformation(3), optax.adam(1e-2))
    params = jnp.zeros(40)
    state = chain.init(params)
    update = jax.jit(lambda g, state, losses: chain.update(g, state, params, losses=losses))
    for gradients in (ROWS, ROWS.at[1].set(0.0), ROWS.at[2, 5].set(jnp.nan), ROWS):
        updates, state = update(gradients, state, jnp.array([1.0, 0.5, jnp.nan if jnp.isnan(gradients).any() else 2.0]))
        assert jnp.isfinite(updates).all()
    assert updates.any()


@pytest.mark.parametrize("rule", WEIGHINGS, ids=lambda rule: type(rule).__name__)
def test_a_weighing_may_be_followed_by_another_rule(rule):
    """ConFIG of weighted gradients: its direction is that of ConFIG alone."""
    rule = type(rule)(rule=ConFIG())
    combined, _, metrics = rule.combine(ROWS, rule.init(ROWS[0], 3), jnp.ones(3))
    plain = ConFIG()(ROWS)
    cosine = combined @ plain / (jnp.linalg.norm(combined) * jnp.linalg.norm(plain))
    assert cosine == pytest.approx(1.0, abs=1e-12)
    assert {"smallest_weight", "largest_weight", "cosine"} <= set(metrics)


def test_kernel_weights_make_rates_equal():
    """On linear residuals the traces are known: mean squared rows; renewed every second step; zeros change nothing."""
    first = np.array([[1.0, 2.0], [0.0, 3.0], [1.0, 1.0]])
    traces = {"a": (first**2).sum() / 3, "b": 100.0}

    def block(matrix, name):
        matrix = jnp.asarray(matrix)
        samples = FixedSamples(jnp.arange(len(matrix)))
        return PointwiseBlock(lambda p, i, key, context: {name: matrix[i] @ p - 1.0}, samples, (Term(name),))

    objective = Objective((block(first, "a"), block(np.array([[10.0, 0.0]]), "b")))
    optimiser = build_stage_optimiser(StageConfig("adam", steps=4, combine="ntk", combine_options={"every": 2}))
    result = fit([Stage(objective, optimiser, steps=4, chunk=4)], jnp.array([0.5, 0.0]))
    total = sum(traces.values())
    assert result.history[-1]["largest_weight"] == pytest.approx(total / traces["a"], rel=1e-12)
    assert result.history[-1]["smallest_weight"] == pytest.approx(total / traces["b"], rel=1e-12)

    rule = NTKWeights(every=2)
    state, kept = rule.init(ROWS[0], 3), []
    for trace in ([1.0, 2.0, 0.0], [9.0, 9.0, 9.0], [jnp.nan, 2.0, 2.0]):
        _, state, _ = rule.combine(ROWS, state, traces=jnp.array(trace))
        kept.append(np.array(state[0].weights))
    np.testing.assert_allclose(kept[0], [3.0, 1.5, 1.0])
    np.testing.assert_array_equal(kept[1], kept[0])
    np.testing.assert_array_equal(kept[2], kept[0])
    with pytest.raises(PdesolveError, match="weighs by traces"):
        rule.combine(ROWS, state)
    chain = rule.transformation(3)
    updates, _ = chain.update(ROWS, chain.init(ROWS[0]), traces=jnp.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(updates, 6.0 * ROWS[0] + 3.0 * ROWS[1] + 2.0 * ROWS[2], rtol=1e-12)
    both = FirstOrder(optax.sgd(1e-3), GradientNormWeights(rule=NTKWeights()))
    assert fit([Stage(objective, both, steps=2, chunk=2)], jnp.array([0.5, 0.0])).status == "completed"


PAIRS = [name for name in map(str, ORACLES["case_names"]) if ORACLES[f"{name}__G"].shape[0] == 2]


@pytest.mark.parametrize("case", PAIRS)
def test_the_center_is_config(case):
    """The bisector with the projected length: what conflictfree returns for two losses."""
    stack = jnp.asarray(ORACLES[f"{case}__G"])
    expected = ConFIG()(stack)
    found, _, metrics = DCGD().combine(stack, ())
    if not metrics["degenerate"]:
        scale = float(jnp.abs(expected).max()) or 1.0
        np.testing.assert_allclose(found, expected, rtol=1e-7 if "near" in case else 1e-10, atol=1e-10 * scale)


@pytest.mark.parametrize("seed", range(6))
def test_the_projection_is_the_nearest_point_of_the_cone(seed):
    """`DualProj` finds the same by its quadratic program, for the mean instead of the sum."""
    stack = jax.random.normal(jax.random.key(seed), (2, 6)) * jnp.array([[1.0], [5.0]])
    np.testing.assert_allclose(DCGD("projection").combine(stack, ())[0], 2 * DualProj()(stack), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("direction", ["center", "average", "projection"])
@pytest.mark.parametrize("cosine", [-0.999, -0.5, 0.0, 0.5])
def test_neither_loss_rises(direction, cosine):
    """In conflict or not; the average is its formula."""
    a, b = jnp.array([3.0, 0.0, 0.0]), 0.2 * jnp.array([cosine, (1 - cosine**2) ** 0.5, 0.0])
    found = DCGD(direction).combine(jnp.stack([a, b]), ())[0]
    assert min(found @ a, found @ b) >= -1e-12
    total = a + b
    if direction == "average" and cosine < 0:
        parts = [total - (total @ v) / (v @ v) * v for v in (a, b)]
        np.testing.assert_allclose(found, 0.5 * (parts[0] + parts[1]), rtol=1e-10)
    if direction != "center" and cosine >= 0:
        np.testing.assert_allclose(found, total, rtol=1e-12)


def test_dual_cones_have_two_groups():
    """Terms are summed within groups; opposite sums give no update, one loss alone its gradient."""
    grouped = DCGD(groups=(0, 1, 0)).combine(ROWS, DCGD(groups=(0, 1, 0)).init(ROWS[0], 3))[0]
    np.testing.assert_allclose(grouped, DCGD().combine(jnp.stack([ROWS[0] + ROWS[2], ROWS[1]]), ())[0], rtol=1e-12)
    zero, _, metrics = DCGD().combine(jnp.stack([ROWS[0], -2 * ROWS[0]]), ())
    assert not zero.any() and metrics["degenerate"]
    alone, _, metrics = DCGD("average").combine(jnp.stack([ROWS[0], 0 * ROWS[0]]), ())
    np.testing.assert_allclose(alone, ROWS[0], rtol=1e-12)
    assert not metrics["degenerate"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DCGD("centre"), "Did you mean 'center'"),
        (lambda: DCGD(groups=(0, 0)), "both must occur"),
        (lambda: DCGD().init(ROWS[0], 3), "give `groups`"),
        (lambda: DCGD(groups=(0, 1)).init(ROWS[0], 3), "got 2"),
        (lambda: LearningRateAnnealing(preset="code"), "Did you mean 'coded'"),
        (lambda: LearningRateAnnealing(rate=0.0), "`rate`"),
        (lambda: LearningRateAnnealing(reference=3).begin(3), "`reference` 3"),
        (lambda: GradientNormWeights(every=0), "`every`"),
        (lambda: ReLoBRaLo(temperature=0.0), "`temperature`"),
        (lambda: ReLoBRaLo(alpha=2.0), "`alpha`"),
        (lambda: SAMGS(beta1=1.0), "`beta1`"),
        (lambda: ReLoBRaLo().combine(ROWS, ReLoBRaLo().init(ROWS[0], 3)), "weighs by the losses"),
        (
            lambda: LearningRateAnnealing(preset="coded").combine(ROWS, LearningRateAnnealing().init(0, 3)),
            "no weight m",
        ),
    ],
)
def test_bad_input_is_named(make, message):
    """What was given, and what is accepted."""
    with pytest.raises((PdesolveError, UnknownNameError), match=message):
        make()
