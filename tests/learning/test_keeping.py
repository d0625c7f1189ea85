"""Weights that are kept beside those trained: their average, and the best so far."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pdesolve.errors import PdesolveError
from pdesolve.fit import Stage, fit
from pdesolve.objective import Objective, PointwiseBlock, Term
from pdesolve.optim import Averaged, Averaging, FirstOrder, LevenbergMarquardt
from pdesolve.samplers import FixedSamples

X = jnp.linspace(0.0, 1.0, 5)


def residual(trainables, x, key, context):
    """A line through the origin and (1, 2), of a model that may have an average beside it."""
    model = trainables.model if isinstance(trainables, Averaged) else trainables
    return {"data": model["slope"] * x + model["offset"] ** 3 - 2.0 * x}


def stage(optimiser, steps, **options):
    block = PointwiseBlock(residual, FixedSamples(X), (Term("data"),))
    return Stage(Objective((block,)), optimiser, steps=steps, **{"chunk": 2, **options})


START = {"slope": jnp.asarray(0.5), "offset": jnp.asarray(-0.7), "name": "a line"}
DESCENT = FirstOrder(optax.sgd(0.3))


@pytest.mark.parametrize("optimiser", [DESCENT, pytest.param(LevenbergMarquardt(), marks=pytest.mark.slow)])
def test_average(optimiser):
    """The recursion by hand, with a decay that begins at a tenth; the weights are those of the optimiser alone."""
    plain = []
    fit([stage(optimiser, 4, chunk=1)], START, evaluate=lambda trainables: plain.append(trainables) or {})
    mean = {name: plain[0][name] for name in ("slope", "offset")}
    for t in range(4):
        decay = min(0.3, (1 + t) / (10 + t))
        mean = {name: decay * value + (1 - decay) * plain[t + 1][name] for name, value in mean.items()}
    found = fit([stage(Averaging(optimiser, 0.3), 4)], Averaged(START, START)).trainables
    assert eqx.tree_equal(found.model, plain[4], rtol=1e-12, atol=1e-14)
    for name, value in mean.items():
        np.testing.assert_allclose(found.average[name], value, rtol=1e-12)
    with pytest.raises(PdesolveError, match="at least 0 and below 1, got 1"):
        Averaging(optimiser, 1.0)


def test_what_is_not_trained_has_no_average():
    """A stage that trains the slope alone leaves both offsets."""
    spec = {"slope": True, "offset": False, "name": False}
    one = stage(Averaging(DESCENT, 0.9), 3, trainable=lambda trainables: Averaged(spec, spec))
    found = fit([one], Averaged(START, START)).trainables
    assert found.average["offset"] == found.model["offset"] == START["offset"]
    assert START["slope"] < found.average["slope"] < found.model["slope"]


def error(trainables):
    return {"relative_l2": float(jnp.abs(trainables["slope"] + trainables["offset"] ** 3 - 2.0))}


def test_best():
    """Of a descent and then an ascent the turning point is kept, which is the end of the first stage; resumed too."""
    climb = FirstOrder(optax.sgd(-0.3))
    down, up = stage(DESCENT, 6), stage(climb, 4)
    turning = fit([down], START).trainables
    whole = fit([down, up], START, evaluate=error, keep_best=True)
    assert eqx.tree_equal(whole.best, turning)
    assert error(whole.trainables)["relative_l2"] > error(whole.best)["relative_l2"]
    assert fit([down, up], START, evaluate=error).best is None


def test_best_survives_an_interruption(tmp_path):
    """The second stage, resumed, does worse: the best is the one stored."""
    stages = [stage(DESCENT, 6), stage(FirstOrder(optax.sgd(-0.3)), 4)]
    part = [stages[0], dataclasses.replace(stages[1], steps=2)]
    options = {"evaluate": error, "keep_best": True, "checkpoint": tmp_path / "checkpoint"}
    first = fit(part, START, **options)
    resumed = fit(stages, START, resume=True, **options)
    assert eqx.tree_equal(resumed.best, first.best)
    assert eqx.tree_equal(resumed.trainables, fit(stages, START).trainables)


def test_best_where_the_beginning_has_no_error():
    """A first error that is NaN is worse than any."""
    errors = iter([np.nan, 3.0, 1.0, 2.0])
    found = fit([stage(DESCENT, 6)], START, evaluate=lambda _: {"relative_l2": next(errors)}, keep_best=True)
    assert eqx.tree_equal(found.best, fit([stage(DESCENT, 4)], START).trainables)
    assert jax.tree.structure(found.best) == jax.tree.structure(START)
