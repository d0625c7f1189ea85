"""Combination rules in training: by name, with options, and refused where they have no meaning."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pdesolve import registry, solve, toml
from pdesolve.config import NetworkConfig, PointsConfig, StageConfig
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.fit import Stage, fit
from pdesolve.objective import Objective, PointwiseBlock, Term
from pdesolve.optim import DCGD, ConFIG, FirstOrder, Sum, build_stage_optimiser
from pdesolve.optim.combine import group_terms
from pdesolve.samplers import FixedSamples
from problems import Heat1D


def valley(params, sample, key, context):
    """Two losses with one minimiser, (1, 2), and scales that differ by 1e4."""
    x, y = params
    return {"large": 100.0 * (x - 1.0), "small": jnp.stack([y - 2.0 + (x - 1.0), 0.1 * (x - 1.0)])}


OBJECTIVE = Objective((PointwiseBlock(valley, FixedSamples(jnp.zeros((1, 1))), (Term("large"), Term("small"))),))


def test_a_rule_steers_the_descent():
    """Of both losses the same share is taken at every step: Sum follows the large one, ConFIG both."""
    start = jnp.array([0.5, 0.0])

    def after(rule, steps):
        return fit([Stage(OBJECTIVE, FirstOrder(optax.sgd(1e-5), rule), steps=steps, chunk=50)], start)

    both, one = after(ConFIG(), 200), after(Sum(), 200)
    assert abs(float(both.trainables[1]) - 0.0) > 3 * abs(float(one.trainables[1]) - 0.0)
    plain = fit([Stage(OBJECTIVE, FirstOrder(optax.sgd(1e-5)), steps=200, chunk=50)], start)
    np.testing.assert_allclose(one.trainables, plain.trainables, rtol=1e-9)
    assert {"cosine", "degenerate", "non_finite_terms"} <= set(both.history[-1])


@pytest.mark.parametrize("name", registry.names("combinations"))
def test_every_registered_rule_trains_and_goes_on(name, tmp_path):
    """By name, on the gradients of two terms; ten steps are five and, from the checkpoint, five more."""

    def run(steps, **options):
        optimiser = build_stage_optimiser(StageConfig("adam", steps=10, combine=name))
        return fit([Stage(OBJECTIVE, optimiser, steps=steps, chunk=5)], jnp.array([0.5, 0.0]), **options)

    whole, path = run(10), tmp_path / "checkpoint"
    assert whole.status == "completed"
    assert np.isfinite(whole.trainables).all()
    run(5, checkpoint=path)
    np.testing.assert_array_equal(run(10, checkpoint=path, resume=True).trainables, whole.trainables)


def test_options_may_be_arrays(tmp_path):
    """Groups of terms in a file, and back."""
    path = tmp_path / "a.toml"
    path.write_text('[[stages]]\ncombine = "dcgd"\ncombine_options = { groups = [0, 1, 1], direction = "average" }\n')
    (stage,) = toml.merge(Heat1D().recipe(), toml.load(path), "a.toml").stages
    assert stage.combine_options == {"groups": (0, 1, 1), "direction": "average"}
    assert stage.optimiser == "levenberg_marquardt"
    rule = build_stage_optimiser(dataclasses.replace(stage, optimiser="adam")).combine
    assert rule == DCGD("average", groups=(0, 1, 1))
    path.write_text('[[stages]]\ncombine_options = { groups = ["a"] }\n')
    with pytest.raises(PdesolveError, match=r"groups\[0\]' must be a number, got .a."):
        toml.merge(Heat1D().recipe(), toml.load(path), "a.toml")


@pytest.mark.parametrize("name", ["multiadam", "momentum_config"])
def test_methods_with_names_of_their_own(name):
    """By name, with a schedule: both losses fall by a factor of a hundred; a rule beside their own is refused."""
    options = {"learning_rate": 4e-2, "schedule": "cosine", "decay_steps": 600}
    result = fit(
        [Stage(OBJECTIVE, build_stage_optimiser(StageConfig(name, options=options)), steps=600, chunk=50)],
        jnp.array([0.5, 0.0]),
    )
    first = {"loss/large": 0.5 * 50.0**2, "loss/small": 0.5 * (2.5**2 + 0.05**2)}
    assert all(result.history[-1][term] < 0.01 * value for term, value in first.items())
    with pytest.raises(PdesolveError, match=f"'{name}' has a rule of its own"):
        build_stage_optimiser(StageConfig(name, steps=1, combine="config"))


def test_a_problem_with_conditions_in_its_loss():
    """Heat with its conditions as terms, ConFIG on their gradients: the loss falls, the angle is told."""
    recipe = dataclasses.replace(
        Heat1D().recipe(),
        network=NetworkConfig(width=8, depth=2),
        points=PointsConfig(interior=64, boundary=16),
        exact=False,
        stages=(StageConfig("adam", steps=75, options={"learning_rate": 3e-3}, combine="config"),),
    )
    solution = solve(Heat1D(), recipe, classical=False)
    assert solution.history[-1]["loss"] < solution.history[0]["loss"]
    assert 0 < solution.history[-1]["cosine"] <= 1


def test_terms_in_groups_are_one_loss():
    """Grouped terms are combined as their sum is: every step, of every kind of rule, equals that of two terms."""
    rows = jnp.array([[1.0, 2.0], [3.0, -1.0], [0.5, 1.0]])

    def block(*names):
        def residual(params, i, key, context):
            return {name: jnp.sin(rows["abc".index(name)] @ params + i) for name in names}

        return PointwiseBlock(residual, FixedSamples(jnp.arange(4.0)), tuple(map(Term, names)))

    def joined(params, i, key, context):
        return {"ab": jnp.sin(rows[:2] @ params + i)}

    separate = Objective((block("a", "c"), block("b")))
    together = Objective((PointwiseBlock(joined, FixedSamples(jnp.arange(4.0)), (Term("ab"),)), block("c")))
    for combine in ("config", "relobralo", "ntk", "momentum_config"):
        stage = StageConfig("adam", combine=combine, combine_groups=(("a", "b"),))
        ends = [
            fit([Stage(objective, build_stage_optimiser(config), steps=5, chunk=5)], jnp.array([0.5, 0.1])).trainables
            for objective, config in ((separate, stage), (together, dataclasses.replace(stage, combine_groups=())))
        ]
        np.testing.assert_allclose(*ends, rtol=1e-12)
        assert not np.allclose(ends[0], [0.5, 0.1])


def test_groups_of_names(tmp_path):
    """Patterns, first match; what is left is the last group; a pattern that finds nothing is an error."""
    names = ["momentum_x", "momentum_y", "mass", "x_min_u", "x_max_u"]
    assert group_terms(names, [["m*"]]) == (tuple(names[:3]), tuple(names[3:]))
    assert group_terms(names, [["mass"], ["m*", "x_???_u"]]) == (("mass",), (*names[:2], *names[3:]))
    with pytest.raises(UnknownNameError, match=r"unknown term of a group 'mas'\. Did you mean 'mass'"):
        group_terms(names, [["mas"]])
    path = tmp_path / "a.toml"
    path.write_text('[[stages]]\noptimiser = "multiadam"\ncombine_groups = [["momentum_*", "mass"], ["x_min_u"]]\n')
    (stage,) = toml.merge(Heat1D().recipe(), toml.load(path), "a.toml").stages
    assert build_stage_optimiser(stage).groups == (("momentum_*", "mass"), ("x_min_u",))
    with pytest.raises(PdesolveError, match="`combine_groups` say what counts as one loss"):
        build_stage_optimiser(StageConfig("adam", combine_groups=(("a",),)))


def test_errors():
    with pytest.raises(UnknownNameError, match=r"unknown combination 'confg'\. Did you mean 'config'"):
        build_stage_optimiser(StageConfig("adam", steps=1, combine="confg"))
    with pytest.raises(UnknownNameError, match=r"option of combination 'config' 'lenght'.*Did you mean 'length'"):
        build_stage_optimiser(StageConfig("adam", steps=1, combine="config", combine_options={"lenght": "minimum"}))
    with pytest.raises(PdesolveError, match="'levenberg_marquardt' follows more than a gradient"):
        build_stage_optimiser(StageConfig(steps=1, combine="config"))
    with pytest.raises(PdesolveError, match="belong to `combine`"):
        build_stage_optimiser(StageConfig("adam", steps=1, combine_options={"length": "minimum"}))
