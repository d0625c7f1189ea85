import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pdesolve.errors import PdesolveError
from pdesolve.fit import Stage, fit
from pdesolve.flow import LightSchrodingerBridge, light_bridge_block
from pdesolve.objective import Objective
from pdesolve.optim import FirstOrder

S0, S1, EPSILON = 1.2, 0.7, 0.5
COVARIANCE = (np.sqrt(4 * S0**2 * S1**2 + EPSILON**2) - EPSILON) / 2
"""Of start and end of the bridge from N(0, S0^2) to N(0, S1^2)."""


def gaussian(scale=COVARIANCE / S0**2):
    """The bridge of one component with r = 0."""
    model = LightSchrodingerBridge(jnp.zeros((1, 1)), 1, EPSILON, key=jax.random.key(0))
    return eqx.tree_at(lambda m: m.log_diagonal, model, jnp.full((1, 1), np.log(scale)))


def mixture(key, components=4, dim=2):
    """A bridge with random parameters."""
    model = LightSchrodingerBridge(jax.random.normal(key, (9, dim)), components, 0.3, key=key)
    logits, diagonal = jax.random.normal(key, (components,)), jax.random.normal(key, (components, dim))
    return eqx.tree_at(lambda m: (m.logits, m.log_diagonal), model, (0.3 * logits, 0.7 * diagonal))


def unit(n):
    """Numbers of mean 0 and mean square 1, exactly: the loss of one component depends on nothing else."""
    values = np.random.default_rng(0).standard_normal(n)
    values -= values.mean()
    return jnp.asarray(values / np.sqrt(np.mean(values**2)))[:, None]


def test_numbers_of_the_gaussian_bridge():
    """c = 0.6264131, S* = 0.4350091, conditional variance 0.2175046 = s1^2 - c^2 / s0^2."""
    plan = gaussian().plan(jnp.ones(1))
    np.testing.assert_allclose(COVARIANCE, 0.6264131, atol=5e-8)
    np.testing.assert_allclose(plan.means[0, 0], 0.4350091, atol=5e-8)
    np.testing.assert_allclose(plan.variances[0, 0], 0.2175046, atol=5e-8)
    np.testing.assert_allclose(plan.variances[0, 0], S1**2 - COVARIANCE**2 / S0**2, rtol=1e-13)


def test_loss_is_least_at_the_gaussian_bridge():
    """With samples of the exact moments all derivatives are zero at S*, r = 0, and not beside it."""
    block = light_bridge_block(S0 * unit(64), S1 * unit(64), 64)
    samples = {"start": S0 * unit(64), "end": S1 * unit(64)}

    @jax.jit
    @jax.grad
    def slopes(model):
        z = jax.vmap(lambda sample: block.residual(model, sample, jax.random.key(0), None)["bridge"])(samples)
        return jnp.mean(z)

    for leaf in jax.tree.leaves(slopes(gaussian())):
        np.testing.assert_allclose(leaf, 0.0, atol=1e-13)
    assert abs(slopes(gaussian(0.5)).log_diagonal[0, 0]) > 0.05


@pytest.mark.slow
def test_training_finds_the_gaussian_bridge():
    """Samples with the exact moments give S* and r = 0, to what Adam leaves after 400 steps."""
    start, end = S0 * unit(64), S1 * unit(64)[::-1]
    block = light_bridge_block(start, end, 64)
    model = LightSchrodingerBridge(end, 1, EPSILON, key=jax.random.key(1))
    result = fit([Stage(Objective((block,)), FirstOrder(optax.adam(3e-2)), steps=400, chunk=200)], model)
    np.testing.assert_allclose(jnp.exp(result.trainables.log_diagonal)[0, 0], COVARIANCE / S0**2, rtol=1e-3)
    np.testing.assert_allclose(result.trainables.centres, 0.0, atol=1e-3)


def test_plan_is_the_exponential_times_the_potential(key):
    """log pi(y | x) = x y / e + log v(y) - log c(x) at any x, y."""
    model = mixture(key)
    for k in jax.random.split(key, 4):
        x, y = jax.random.normal(k, (2, 2))
        plan = model.plan(x)
        weights, means, variances = (np.asarray(leaf) for leaf in jax.tree.leaves(plan))
        exponents = (np.asarray(y) - means) ** 2 / variances + np.log(2 * np.pi * variances)
        density = np.log(np.sum(np.exp(weights - 0.5 * exponents.sum(1))))
        expected = x @ y / model.epsilon + model.log_potential(y) - model.log_normaliser(x)
        np.testing.assert_allclose(density, expected, rtol=1e-10)
        np.testing.assert_allclose(jnp.sum(jnp.exp(plan.log_weights)), 1.0, rtol=1e-13)


@pytest.mark.parametrize("t", [0.0, 0.3, 0.9])
def test_drift_is_the_published_one(key, t):
    """g as printed, with A_k and q_k, which 1 - t divides, by differences of its logarithm."""
    model, x = mixture(key), np.array([0.4, -0.8])
    e, scales, centres = model.epsilon, np.exp(model.log_diagonal), np.asarray(model.centres)

    def logarithm(x):
        a = t / (e * (1 - t)) + 1 / (e * scales)
        q = x / (e * (1 - t)) + centres / (e * scales)
        terms = -np.log(scales) - np.log(a) - centres**2 / (e * scales) + q**2 / a
        return np.log(np.sum(np.exp(np.asarray(model.logits) / e + 0.5 * terms.sum(1))))

    h = 1e-5
    slope = [(logarithm(x + h * unit) - logarithm(x - h * unit)) / (2 * h) for unit in np.eye(2)]
    expected = -x / (1 - t) + e * np.array(slope)
    np.testing.assert_allclose(model.drift(jnp.asarray(x), jnp.asarray(t)), expected, rtol=1e-6, atol=1e-7)


def test_drift_points_to_the_mean_of_the_end(key):
    """g(x, 0) = E[y | x] - x; at t = 1 it is finite, and e times the slope of log v plus x^2 / (2 e)."""
    model, x = mixture(key), jnp.array([0.4, -0.8])
    plan = model.plan(x)
    np.testing.assert_allclose(model.drift(x, jnp.asarray(0.0)), jnp.exp(plan.log_weights) @ plan.means - x, rtol=1e-11)
    slope = model.epsilon * jax.grad(model.log_potential)(x) + x
    np.testing.assert_allclose(model.drift(x, jnp.asarray(1.0)), slope, rtol=1e-11)


def test_drift_has_the_variance_of_the_bridge():
    """V = (1-t)^2 s0^2 + 2 t (1-t) c + t^2 s1^2 + e t (1-t) satisfies V' = 2 A V + e with A the slope of the drift."""
    model = gaussian()

    def variance(t):
        return (1 - t) ** 2 * S0**2 + 2 * t * (1 - t) * COVARIANCE + t**2 * S1**2 + EPSILON * t * (1 - t)

    for t in (0.0, 0.2, 0.5, 0.9, 1.0):
        t = jnp.asarray(t)
        slope = model.drift(jnp.ones(1), t)[0]
        np.testing.assert_allclose(jax.grad(variance)(t), 2 * slope * variance(t) + EPSILON, atol=1e-13)


def moments(plan):
    """Mean and variance of a mixture, entry by entry."""
    weights, means, variances = np.exp(plan.log_weights), np.asarray(plan.means), np.asarray(plan.variances)
    mean = weights @ means
    return mean, weights @ (variances + (means - mean) ** 2)


def test_samples_of_the_plan(key):
    """10000 ends from one start have mean and variance of the mixture, within five standard errors."""
    model, x, n = mixture(key), jnp.array([0.2, 0.1]), 10_000
    ends = np.asarray(jax.jit(jax.vmap(lambda k: model.sample_end(x, k)))(jax.random.split(key, n)))
    mean, variance = moments(model.plan(x))
    assert np.all(np.abs(ends.mean(0) - mean) < 5 * np.sqrt(variance / n))
    fourth = np.mean((ends - mean) ** 4, axis=0)
    assert np.all(np.abs(np.mean((ends - mean) ** 2, axis=0) - variance) < 5 * np.sqrt(fourth / n))


@pytest.mark.slow
def test_plan_and_process_agree(key):
    """From one start, the process and the plan have the same first two moments at the end, within sampling error."""
    model, x, n = mixture(key, dim=1), jnp.array([0.2]), 10_000
    keys = jax.random.split(key, n)
    ends = np.asarray(jax.jit(jax.vmap(lambda k: model.simulate(x, k, num_steps=60).value))(keys))
    mean, variance = moments(model.plan(x))
    assert np.all(np.abs(ends.mean(0) - mean) < 5 * np.sqrt(variance / n) + 0.01)
    assert np.all(np.abs(ends.var(0) / variance - 1) < 0.1)


def test_bridge_of_a_pair(key):
    """Ends at t = 0 and 1, to the last bit; in the middle a quarter of e."""
    model, (x, y, z) = gaussian(), jax.random.normal(key, (3, 1))
    np.testing.assert_array_equal(model.bridge(x, y, jnp.asarray(0.0), z), x)
    np.testing.assert_array_equal(model.bridge(x, y, jnp.asarray(1.0), z), y)
    np.testing.assert_allclose(
        model.bridge(x, y, jnp.asarray(0.5), z), (x + y) / 2 + np.sqrt(EPSILON / 4) * z, rtol=1e-13
    )


def test_messages(key):
    with pytest.raises(PdesolveError, match=r"`components` from 1 to n; got \(3, 1\), 4"):
        LightSchrodingerBridge(jnp.zeros((3, 1)), 4, 0.1, key=key)
    with pytest.raises(PdesolveError, match=r"`epsilon` and `scale` must be positive, got 0"):
        LightSchrodingerBridge(jnp.zeros((3, 1)), 2, 0.0, key=key)
    with pytest.raises(PdesolveError, match=r"must be of one shape `\(n, d\)`; got \(3, 1\) and \(4, 1\)"):
        light_bridge_block(jnp.zeros((3, 1)), jnp.zeros((4, 1)), 2)
