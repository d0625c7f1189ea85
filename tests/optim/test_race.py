"""The race: who leads, what it returns, and that it replays."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from pdesolve import solve
from pdesolve.config import NetworkConfig, PointsConfig, StageConfig
from pdesolve.errors import PdesolveError
from pdesolve.fit import Stage, fit
from pdesolve.objective import Objective, PointwiseBlock, Term
from pdesolve.optim import LevenbergMarquardt, Race, SSBroyden
from pdesolve.samplers import FixedSamples
from problems import Poisson1D


def objective(residual, samples):
    return Objective((PointwiseBlock(residual, FixedSamples(samples), (Term("r"),)),))


def exponentials(x, s, key, context):
    """A sloppy fit: sums of exponentials."""
    return {"r": x[0] * jnp.exp(-x[1] * s) + x[2] * jnp.exp(-x[3] * s) - jnp.exp(-s) - jnp.exp(-2 * s)}


POINTS = jnp.linspace(0, 3, 30)


def mean_square(x):
    return float(jnp.mean(jnp.square(exponentials(x, POINTS, None, None)["r"])))


SLOPPY = objective(exponentials, POINTS), jnp.array([1.5, 0.5, 0.2, 4.0])


def losses(optimiser, steps, problem=SLOPPY):
    result = fit([Stage(problem[0], optimiser, steps=steps, chunk=1)], problem[1])
    return result, [record["loss"] for record in result.history]


def end(optimiser, steps):
    """Parameters after so many steps, as a vector."""
    return np.asarray(ravel_pytree(losses(optimiser, steps)[0].trainables)[0])


def test_each_has_its_slice_from_the_same_point():
    """After the first slice stands Levenberg-Marquardt, after the second the better of both."""
    race = Race(slice=3, hold=4, exchange=5)
    np.testing.assert_allclose(end(race, 3), end(LevenbergMarquardt(), 3), rtol=1e-9)
    ends = [end(LevenbergMarquardt(), 3), end(SSBroyden(), 15)]
    values = [mean_square(each) for each in ends]
    np.testing.assert_allclose(end(race, 6), ends[int(np.argmin(values))], rtol=1e-7)


@pytest.mark.slow
def test_it_never_returns_the_worse():
    """The loss at what is returned never rises on fixed samples, whoever is running."""
    result, values = losses(Race(slice=2, hold=3, exchange=4), 40)
    finals = [mean_square(end(Race(slice=2, hold=3, exchange=4), steps)) for steps in range(2, 20, 5)]
    assert all(np.diff(finals) <= 1e-15)
    assert {record["racer"] for record in result.history} <= {0.0, 1.0}
    assert values[-1] < 1e-3 * values[0]


def test_the_winner_holds():
    """On a linear problem one step of Levenberg-Marquardt ends it: it leads, and goes on leading."""
    matrix = jnp.asarray(np.random.default_rng(0).standard_normal((12, 4)))
    linear = objective(lambda x, row, k, c: {"r": row @ x - row[0]}, matrix), jnp.zeros(4)
    result, _ = losses(Race(slice=2, hold=6, exchange=1), 10, linear)
    assert len(result.history) >= 4 and {record["racer"] for record in result.history} == {0.0}


@pytest.mark.slow
def test_it_resumes_and_replays(tmp_path):
    """Bit for bit, also in the middle of a race, on adaptive points."""
    recipe = dataclasses.replace(
        Poisson1D().recipe(),
        network=NetworkConfig(width=8, depth=2),
        points=PointsConfig(interior=64, refresh=4),
        stages=(StageConfig("race", steps=26, options={"slice": 4, "hold": 6, "exchange": 3}),),
    )
    whole = solve(Poisson1D(), recipe)
    half = dataclasses.replace(recipe, stages=(dataclasses.replace(recipe.stages[0], steps=14),))
    solve(Poisson1D(), half, out=tmp_path / "run")
    resumed = solve(Poisson1D(), recipe, out=tmp_path / "run", resume=True)
    points = np.linspace(0, 1, 5)[:, None]
    np.testing.assert_array_equal(resumed.evaluate(points)["u"], whole.evaluate(points)["u"])


@pytest.mark.slow
def test_a_network():
    """It reaches what the better of the two reaches."""
    recipe = dataclasses.replace(
        Poisson1D().recipe(),
        network=NetworkConfig(width=10, depth=2),
        points=PointsConfig(interior=128, adaptive="none", refresh=10),
        stages=(StageConfig("race", steps=120, options={"slice": 5, "hold": 20, "exchange": 4}),),
    )
    assert solve(Poisson1D(half_waves=2.0), recipe).summary["relative_l2"] < 1e-5


@pytest.mark.parametrize("option", ["slice", "hold", "exchange"])
def test_bad_options(option):
    """Each at least one."""
    with pytest.raises(PdesolveError, match=option):
        Race(**{option: 0})
