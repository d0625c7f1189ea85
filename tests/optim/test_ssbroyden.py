"""The Broyden family: exact properties of the update, and descent on losses that are no sums of squares as well."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve import solve
from pdesolve.config import NetworkConfig, PointsConfig, StageConfig
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.fit import Stage, fit
from pdesolve.objective import Density, Objective, PointwiseBlock, Term
from pdesolve.optim import SSBroyden
from pdesolve.optim.ssbroyden import MEMBERS, broyden_update
from pdesolve.samplers import FixedSamples, FreshSamples
from problems import Poisson1D


def pair(seed, size=7):
    """A positive definite H, and a step and a change of positive curvature."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((size, size)) * 10.0 ** rng.uniform(-1, 1, size)
    step, change = rng.standard_normal((2, size))
    change *= np.sign(step @ change)
    change += 0.1 * step * np.linalg.norm(change) / np.linalg.norm(step)
    return root @ root.T + 1e-2 * np.eye(size), step, change


@pytest.mark.parametrize("member", MEMBERS)
def test_updates_meet_the_secant_equation_and_stay_definite(member):
    """H y = s, symmetric, positive definite, for a hundred random H."""
    update = jax.jit(lambda *args: broyden_update(*args, member))
    for seed in range(100):
        inverse, step, change = pair(seed)
        new = np.array(update(inverse, step, change, -step @ np.linalg.solve(inverse, step)))
        scale = np.linalg.norm(new, 2) * np.linalg.norm(change)
        assert np.linalg.norm(new @ change - step) <= 1e-12 * scale
        assert np.abs(new - new.T).max() <= 1e-13 * np.abs(new).max()
        assert np.linalg.eigvalsh(0.5 * (new + new.T)).min() > 0


def test_bfgs_is_the_textbooks():
    """(I - rho s y^T) H (I - rho y s^T) + rho s s^T."""
    inverse, step, change = pair(3)
    rho, identity = 1 / (change @ step), np.eye(7)
    left = identity - rho * np.outer(step, change)
    expected = left @ inverse @ left.T + rho * np.outer(step, step)
    found = broyden_update(inverse, step, change, jnp.asarray(-1.0), "bfgs")
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())


def test_ssbfgs_is_bfgs_of_a_scaled_matrix():
    """Of H / tau with tau = min(1, 1 / b), as it was derived."""
    for seed in range(5):
        inverse, step, change = pair(seed)
        curvature = -step @ np.linalg.solve(inverse, step)
        tau = min(1.0, -(change @ step) / curvature)
        expected = broyden_update(inverse / tau, step, change, curvature, "bfgs")
        np.testing.assert_allclose(broyden_update(inverse, step, change, curvature, "ssbfgs"), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "expected"), [((2.0, 1.0), [[0.75, -0.5], [-0.5, 1.0]]), ((0.5, 0.5), [[6.0, -4.0], [-4.0, 4.0]])]
)
def test_the_default_by_hand(change, expected):
    """From the identity along (1, 0): theta = 1, phi = 0, tau = 0.8; then theta = -1/2, phi = 3, tau = 1/2."""
    found = broyden_update(jnp.eye(2), jnp.array([1.0, 0.0]), jnp.array(change), jnp.asarray(-1.0))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def valley(params, sample, key, context):
    """Rosenbrock's function as residuals."""
    x, y = params
    return {"valley": jnp.stack([10.0 * (y - x**2), 1.0 - x])}


def objective(residual, outer=None, sampler=None):
    term = Term("valley") if outer is None else Term("valley", outer=outer)
    return Objective((PointwiseBlock(residual, sampler or FixedSamples(jnp.zeros((1, 1))), (term,)),))


@pytest.mark.parametrize("member", MEMBERS)
def test_the_valley_is_followed_to_its_end(member):
    """From the usual start to eight digits in a hundred steps."""
    stage = Stage(objective(valley), SSBroyden(member), steps=100, chunk=10)
    np.testing.assert_allclose(fit([stage], jnp.array([-1.2, 1.0])).trainables, 1.0, atol=1e-8)


def test_turned_variables_take_the_turned_path():
    """Iterates do not depend on an orthogonal change of variables."""
    turn = jnp.array([[0.6, -0.8], [0.8, 0.6]])
    start = jnp.array([-1.2, 1.0])

    def turned(params, sample, key, context):
        return valley(turn @ params, sample, key, context)

    plain = fit([Stage(objective(valley), SSBroyden(), steps=12, chunk=4)], start).trainables
    other = fit([Stage(objective(turned), SSBroyden(), steps=12, chunk=4)], turn.T @ start).trainables
    np.testing.assert_allclose(turn @ other, plain, rtol=1e-6)


def test_any_density_will_do():
    """The logarithm of a cosh, which is no square, on four parameters."""
    target = jnp.array([1.0, -2.0, 3.0, 0.5])

    def residual(params, sample, key, context):
        return {"valley": jnp.array([1.0, 5.0, 0.2, 2.0]) * (params - target)}

    outer = Density(lambda z: jnp.sum(jnp.logaddexp(z, -z)))
    result = fit([Stage(objective(residual, outer), SSBroyden(), steps=60, chunk=10)], jnp.zeros(4))
    np.testing.assert_allclose(result.trainables, target, atol=1e-6)


def test_at_the_minimum_it_stalls():
    """No step helps: the stage ends instead of using its budget."""
    result = fit([Stage(objective(valley), SSBroyden(), steps=1000, chunk=10)], jnp.array([1.0, 1.0]))
    assert result.steps[0] < 1000
    np.testing.assert_array_equal(result.trainables, 1.0)


def test_a_wall_is_not_crossed():
    """Beyond x = 0.9 the loss is not a number: trial steps there are refused and all stays finite."""

    def walled(params, sample, key, context):
        z = valley(params, sample, key, context)["valley"]
        return {"valley": jnp.where(params[0] > 0.9, jnp.nan, z)}

    result = fit([Stage(objective(walled), SSBroyden(), steps=60, chunk=10)], jnp.array([-1.2, 1.0]))
    assert jnp.isfinite(result.trainables).all() and result.trainables[0] <= 0.9
    start = 0.5 * (2.2**2 + 100 * 0.44**2)
    assert result.history[-1]["loss"] < 0.1 * start


def test_new_samples_keep_the_inverse_hessian():
    """After a refresh the value is that of the new samples; an H that is not definite begins anew."""
    optimiser, stage = SSBroyden(), objective(valley)
    result = fit([Stage(stage, optimiser, steps=10, chunk=5)], jnp.array([-1.2, 1.0]))
    assert result.status in ("completed", "stalled")

    class Shifted:
        """Stands for an evaluation at other samples."""

        @staticmethod
        def loss(params):
            return jnp.sum(jnp.square(params - 3.0)), None

    params = jnp.array([0.0, 1.0])
    state = optimiser.init(Shifted, params)._replace(inverse=jnp.diag(jnp.array([2.0, 5.0])), value=jnp.asarray(-1.0))
    kept = optimiser.refresh(Shifted, params, state)
    np.testing.assert_array_equal(kept.inverse, state.inverse)
    assert kept.value == 13.0
    np.testing.assert_array_equal(kept.gradient, [-6.0, -4.0])
    broken = optimiser.refresh(Shifted, params, state._replace(inverse=jnp.diag(jnp.array([2.0, -5.0]))))
    np.testing.assert_array_equal(broken.inverse, jnp.eye(2))


@pytest.mark.slow
def test_a_problem_is_solved():
    """Poisson in one dimension by name: five digits in four hundred steps on points that move."""
    recipe = dataclasses.replace(
        Poisson1D().recipe(),
        network=NetworkConfig(width=12, depth=2),
        points=PointsConfig(interior=128, refresh=100),
        stages=(StageConfig("ssbroyden", steps=400),),
    )
    solution = solve(Poisson1D(), recipe)
    assert solution.summary["relative_l2"] < 1e-5


def test_bad_input_is_named():
    """Members by name; samples that change every step are refused."""
    with pytest.raises(UnknownNameError, match="Did you mean 'ssbroyden'"):
        SSBroyden("ssbroiden")
    with pytest.raises(PdesolveError, match="SSBroyden compares gradients of one loss"):
        SSBroyden().check(objective(valley, sampler=FreshSamples(lambda key: jnp.zeros((1, 1)), 1)))
