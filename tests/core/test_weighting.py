"""Weights of single points: each rule by its formula, by name in a recipe, and carried through a checkpoint."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve import solve
from pdesolve.config import NetworkConfig, PointsConfig, StageConfig
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.pinn import build_stages
from pdesolve.rows import CausalWeights, ResidualAttention, SelfAdaptiveWeights, build_row_rule
from pdesolve.samplers import Batch
from problems import Heat1D, Poisson1D

Z = jnp.array([0.5, -2.0, 0.0, 1.0])
BATCH = Batch(jnp.array([[0.0, 0.1], [0.0, 0.4], [0.0, 0.6], [0.0, 0.9]]), jnp.arange(4), jnp.asarray(0))


def test_self_adaptive_weights_climb():
    """Where residuals are large, by steps relative to the largest; they never fall."""
    rule = SelfAdaptiveWeights(rate=0.1)
    state = rule.init(BATCH)
    weights, shift, state = rule.update(state, Z, BATCH)
    assert shift is None
    expected = 1.0 + 0.1 * np.square(Z) / 4.0
    np.testing.assert_allclose(state, expected, rtol=1e-12)
    np.testing.assert_allclose(weights, expected**2, rtol=1e-12)
    slope = 2 * expected * np.square(Z)
    np.testing.assert_allclose(rule.update(state, Z, BATCH)[2], expected + 0.1 * slope / slope.max(), rtol=1e-12)
    np.testing.assert_allclose(rule.update(state, 0 * Z, BATCH)[2], state)


def test_newcomers_get_the_mean():
    """And survivors keep their weight."""
    rule, new = SelfAdaptiveWeights(), Batch(BATCH.samples, jnp.array([2, 9, 0, 8]), jnp.asarray(1))
    np.testing.assert_allclose(rule.refresh(jnp.array([1.0, 2.0, 3.0, 6.0]), BATCH, new), [3.0, 3.0, 1.0, 3.0])


def test_by_name():
    """With options; causal weights know the times of their window."""
    assert build_row_rule("none", {}) is None
    assert build_row_rule("self_adaptive", {"rate": 0.5}) == SelfAdaptiveWeights(rate=0.5)
    assert build_row_rule("residual_attention", {}) == ResidualAttention()
    assert build_row_rule("causal", {"tolerance": 0.1}, (0.0, 2.0)) == CausalWeights(0.0, 2.0, tolerance=0.1)
    with pytest.raises(UnknownNameError, match="causal"):
        build_row_rule("casual", {})
    with pytest.raises(UnknownNameError, match="tolerance"):
        build_row_rule("causal", {"tolerence": 1.0}, (0.0, 1.0))
    with pytest.raises(PdesolveError, match="a problem with time"):
        build_row_rule("causal", {})
    with pytest.raises(PdesolveError, match="which is none"):
        build_row_rule("none", {"rate": 1.0})


def recipe(weighting, optimiser="adam", steps=300, windows=1, **options):
    return dataclasses.replace(
        Heat1D().recipe(),
        network=NetworkConfig(width=12, depth=2),
        points=PointsConfig(interior=128, boundary=16, refresh=25, weighting=weighting, weighting_options=options),
        stages=(StageConfig(optimiser, steps=steps, options={"learning_rate": 3e-3} if optimiser == "adam" else {}),),
        windows=windows,
    )


@pytest.mark.parametrize(
    ("weighting", "optimiser"),
    [
        *((weighting, "adam") for weighting in ("causal", "residual_attention", "self_adaptive")),
        ("causal", "levenberg_marquardt"),
        *(
            pytest.param(weighting, "levenberg_marquardt", marks=pytest.mark.slow)
            for weighting in ("residual_attention", "self_adaptive")
        ),
    ],
)
def test_training(weighting, optimiser):
    """Weights act on the equation alone, and the error falls."""
    steps, options = 300 if optimiser == "adam" else 30, {"tolerance": 1e-3} if weighting == "causal" else {}
    stage = build_stages(Heat1D(), recipe(weighting, optimiser))[0]
    assert [term.row_rule is not None for term in stage.objective.terms] == [
        term.name == "heat" for term in stage.objective.terms
    ]
    errors = [solve(Heat1D(), recipe(weighting, optimiser, n, **options)).summary["relative_l2"] for n in (1, steps)]
    assert errors[1] < 0.5 * errors[0]


def test_windows_have_times_of_their_own():
    """Causal weights begin where a window begins."""
    stages = build_stages(Heat1D(), recipe("causal", windows=2))
    rules = [next(term.row_rule for term in s.objective.terms if term.row_rule is not None) for s in stages]
    assert (rules[0].start, rules[0].end, rules[1].end) == (0.0, rules[1].start, Heat1D().domain().end)


def test_a_resumed_run_is_the_same(tmp_path):
    """Weights are in the checkpoint, over a refresh of the points."""
    whole = solve(Heat1D(), recipe("self_adaptive", steps=60))
    solve(Heat1D(), recipe("self_adaptive", steps=40), out=tmp_path / "run")
    resumed = solve(Heat1D(), recipe("self_adaptive", steps=60), out=tmp_path / "run", resume=True)
    points = np.random.default_rng(0).random((5, 2))
    np.testing.assert_array_equal(resumed.evaluate(points)["u"], whole.evaluate(points)["u"])


def test_methods_that_compare_steps_refuse():
    """Row weights that change make their comparisons void: the message names the term and the way out."""
    with pytest.raises(PdesolveError, match="heat"):
        solve(Heat1D(), recipe("self_adaptive", "ssbroyden", 5))
    with pytest.raises(PdesolveError, match="a problem with time"):
        points = PointsConfig(weighting="causal")
        solve(Poisson1D(), dataclasses.replace(Poisson1D().recipe(), points=points))
