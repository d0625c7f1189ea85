"""SPRING: its direction is the minimiser it is said to be, and it trains."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve import solve
from pdesolve.config import NetworkConfig, PointsConfig, StageConfig
from pdesolve.errors import PdesolveError
from pdesolve.fit import Stage, fit
from pdesolve.objective import Density, Objective, PointwiseBlock, Term
from pdesolve.optim import SPRING
from pdesolve.optim.spring import spring_direction
from pdesolve.samplers import FixedSamples
from problems import Poisson1D


@pytest.mark.parametrize(("n", "p"), [(5, 9), (9, 5), (6, 6)])
def test_the_direction_is_the_minimiser(n, p):
    """Of |J phi - r|^2 + lambda |phi - c|^2, by stacked least squares; more residuals than parameters, and fewer."""
    rng = np.random.default_rng(n)
    rows, residual, carried = rng.standard_normal((n, p)), rng.standard_normal(n), rng.standard_normal(p)
    stacked = np.concatenate([rows, np.sqrt(0.3) * np.eye(p)])
    expected = np.linalg.lstsq(stacked, np.concatenate([residual, np.sqrt(0.3) * carried]))[0]
    found = spring_direction(*map(jnp.asarray, (rows, residual, carried)), jnp.asarray(0.3))
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


def objective(residual, term=None):
    return Objective((PointwiseBlock(residual, FixedSamples(jnp.arange(3.0)), (term or Term("line"),)),))


def line(params, sample, key, context):
    """Residuals of a line through three points of y = 2 + 3 x."""
    return {"line": params[0] + params[1] * sample - (2.0 + 3.0 * sample)}


def test_a_linear_problem_takes_one_step():
    """Without momentum and with little damping; then nothing helps any more."""
    result = fit([Stage(objective(line), SPRING(momentum=0.0, damping=1e-14), steps=1, chunk=1)], jnp.zeros(2))
    np.testing.assert_allclose(result.trainables, [2.0, 3.0], rtol=1e-10)
    again = fit([Stage(objective(line), SPRING(momentum=0.0), steps=50, chunk=5)], result.trainables)
    assert again.steps[0] < 50
    np.testing.assert_allclose(again.trainables, [2.0, 3.0], rtol=1e-10)


def test_momentum_carries_what_samples_do_not_ask_for():
    """Two steps by hand: the second direction is near mu times the first, and its bias is taken out."""
    damping, mu, rate = 0.5, 0.8, 0.1
    optimiser = SPRING(damping=damping, momentum=mu, learning_rate=rate, norm=1e9)
    result = fit([Stage(objective(line), optimiser, steps=2, chunk=1)], jnp.zeros(2))
    x = np.arange(3.0)
    rows = np.stack([np.ones(3), x], axis=1) / np.sqrt(3)
    params, phi = np.zeros(2), np.zeros(2)
    for k in (1, 2):
        residual = (params[0] + params[1] * x - 2 - 3 * x) / np.sqrt(3)
        stacked = np.concatenate([rows, np.sqrt(damping) * np.eye(2)])
        phi = np.linalg.lstsq(stacked, np.concatenate([residual, np.sqrt(damping) * mu * phi]))[0]
        params = params - rate * phi / np.sqrt(1 - mu ** (2 * k))
    np.testing.assert_allclose(result.trainables, params, rtol=1e-10)


def test_long_steps_are_cut():
    """With a fixed rate the squared length of a step is at most `norm`."""
    optimiser = SPRING(momentum=0.0, learning_rate=1.0, norm=1e-4)
    result = fit([Stage(objective(line), optimiser, steps=1, chunk=1)], jnp.zeros(2))
    assert float(jnp.sum(result.trainables**2)) == pytest.approx(1e-4, rel=1e-9)


def test_a_loss_that_is_no_number_is_not_stepped_into():
    """Beyond 1 the residual is not finite: the step is halved until it is."""

    def walled(params, sample, key, context):
        return {"line": jnp.where(params[0] > 1.0, jnp.nan, line(params, sample, key, context)["line"])}

    result = fit([Stage(objective(walled), SPRING(), steps=5, chunk=5)], jnp.zeros(2))
    assert jnp.isfinite(result.trainables).all() and 0 < result.trainables[0] <= 1.0


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_a_problem_is_solved(momentum):
    """Poisson in one dimension: six digits in a hundred steps."""
    recipe = dataclasses.replace(
        Poisson1D().recipe(),
        network=NetworkConfig(width=12, depth=2),
        points=PointsConfig(interior=96),
        stages=(StageConfig("spring", steps=100, options={"momentum": momentum}),),
    )
    assert solve(Poisson1D(), recipe).summary["relative_l2"] < 1e-5


def test_bad_input_is_named():
    """Options, and losses that are no sums of squares."""
    with pytest.raises(PdesolveError, match="`momentum`"):
        SPRING(momentum=1.0)
    with pytest.raises(PdesolveError, match="`damping`"):
        SPRING(damping=0.0)
    with pytest.raises(PdesolveError, match="SPRING needs sums of squares"):
        SPRING().check(objective(line, Term("line", outer=Density(jnp.sum))))
