import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.integrate

from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.flow import LinearPath
from pdesolve.flow.mlp_velocity import MLPVelocity
from pdesolve.flow.physics_objective import PhysicsFlowResidual, physics_block
from pdesolve.flow.times import legacy_weight, with_noise_and_logit_normal_time
from pdesolve.flow.unrolled import unrolled
from pdesolve.objective import Context, Evaluation, Objective
from pdesolve.optim.combine import ConFIG

from .gaussian import GaussianFlow
from .line import equations

T = jnp.asarray(0.3)


def context(progress=0.0):
    return Context(jnp.asarray(0), jnp.asarray(progress))


def velocity(x, t):
    return jnp.sin(3.0 * x + t) - x * t


def network(key):
    model = MLPVelocity(2, 4, width=16, depth=2, key=key)
    return eqx.tree_at(lambda m: m.layers[-1].weight, model, 0.3 * jax.random.normal(key, (8, 16)))


def test_one_step_is_the_mean_prediction(key):
    """n = 1 is x + (1 - t) v to the last bit."""
    x = jax.random.normal(key, (2, 4))
    v = velocity(x, T)
    np.testing.assert_array_equal(unrolled(velocity, x, T, v, 1), x + (1.0 - T) * v)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 20])
def test_the_oracle_velocity_ends_at_the_data(key, n):
    """With v = x_1 - x_0 the prediction is x_1 for every n and t, to round-off."""
    noise, data = jax.random.normal(key, (2, 2, 4))
    path = LinearPath()
    for t in (0.0, 0.3, 0.99):
        end = unrolled(lambda x, t: data - noise, path.position(noise, data, t), jnp.asarray(t), data - noise, n)
        np.testing.assert_allclose(end, data, rtol=0, atol=1e-14)


@pytest.mark.parametrize("n", [1, 2, 4, 20])
def test_unrolling_is_euler(key, n):
    """Another integrator's Euler steps of the rescaled equation give the same, to the last bits."""
    x = jax.random.normal(key, (2, 4))
    term = diffrax.ODETerm(lambda tau, y, args: (1.0 - T) * velocity(y, T + (1.0 - T) * tau))
    steps = diffrax.StepTo(jnp.linspace(0.0, 1.0, n + 1))
    end = diffrax.diffeqsolve(term, diffrax.Euler(), 0.0, 1.0, None, x, stepsize_controller=steps).ys[0]
    np.testing.assert_allclose(unrolled(velocity, x, T, velocity(x, T), n), end, rtol=0, atol=2e-15)


def test_gradient_of_the_last_step_only(key):
    """`last_only` gives the same value, and the gradient by parameters of the last evaluation alone."""
    x = jax.random.normal(key, (2, 4))

    def end(a, last_only):
        return jnp.sum(unrolled(lambda x, t: a * x, x, T, a * x, 2, last_only=last_only))

    h = 0.35  # (1 + a h)^2 x, and h (1 + a h) x of the last step
    for last_only, slope in ((False, 2 * h * (1 + 0.7 * h)), (True, h * (1 + 0.7 * h))):
        np.testing.assert_allclose(end(0.7, last_only), (1 + 0.7 * h) ** 2 * jnp.sum(x), rtol=1e-12)
        np.testing.assert_allclose(jax.grad(end)(0.7, last_only), slope * jnp.sum(x), rtol=1e-12)


@eqx.filter_jit
def losses_of(bound, params):
    return bound.term_losses(params)[0]


def evaluation(key, progress=0.0, **options):
    fields = jax.random.normal(key, (12, 2, 4))
    norm = options.pop("norm", "l1")
    residual = PhysicsFlowResidual(LinearPath(), equations(), **options)
    block = physics_block(fields, 6, residual, norm=norm)
    batch = block.sampler.draw(block.sampler.init(3), key, jnp.asarray(0))
    params, frozen = eqx.partition(network(key), eqx.is_inexact_array)
    return Evaluation(Objective((block,)), (batch,), {}, key, context(progress), frozen), params


@pytest.mark.parametrize(("norm", "progress", "n"), [("l1", 0.0, 1), ("l2", 0.49, 2), ("l1", 0.51, 3), ("l2", 1.0, 4)])
def test_losses_by_hand(key, norm, progress, n):
    """Mean squared velocity error, and mean of |t R| or (t R)^2 at the end of as many steps as the progress says."""
    bound, params = evaluation(key, progress, norm=norm)
    losses = losses_of(bound, params)
    model, samples = eqx.filter_jit(eqx.combine(params, bound.frozen)), bound.batches[0].samples
    flow, residual = [], []
    for noise, field, t in zip(samples["noise"], samples["field"], samples["time"], strict=True):
        x = (1 - t) * noise + t * field
        flow.append((model(x, t) - (field - noise)) ** 2)
        for k in range(n):
            x = x + (1 - t) / n * model(x, t + k * (1 - t) / n)
        u, w = 2.0 + 0.5 * x[0], 4.0 + 2.0 * x[1]
        residual.append(abs(t * (w - u**2)) if norm == "l1" else (t * (w - u**2)) ** 2)
    np.testing.assert_allclose(losses["flow"], np.mean(flow), rtol=1e-12)
    np.testing.assert_allclose(losses["residual"], np.mean(residual), rtol=1e-12)


def test_each_sample_has_its_own_weight(key):
    """The weight t^p is that of each sample, not of the batch: dL/dR_j = t_j^p sign / (n m)."""
    bound, params = evaluation(key, unroll=(1,), time_power=2.0)
    plain, _ = evaluation(key, unroll=(1,), time_power=0.0)
    z, unweighted = (e.residuals(params)["residual"] for e in (bound, plain))
    times = bound.batches[0].samples["time"]
    assert jnp.std(times) > 0.05
    np.testing.assert_allclose(z, times[:, None, None] ** 2 * unweighted, rtol=1e-12)


def test_gradients_of_both_terms_share_the_forward_pass(key):
    """Gradients by term are those of the losses on their own, and ConFIG's closed form makes one of them.

    It raises no loss: (|g_1| + |g_2|) / 2 (u_1 + u_2), with non-negative products.
    """
    bound, params = evaluation(key, unroll=(2,))
    gradients = eqx.filter_jit(lambda bound, params: bound.term_gradients(params)[1])(bound, params)
    for name, gradient in gradients.items():
        alone = jax.grad(lambda p, name=name: losses_of(bound, p)[name])(params)
        difference = optax.tree.norm(jax.tree.map(jnp.subtract, gradient, alone))
        assert difference < 1e-12 * optax.tree.norm(alone)
    first, second = gradients["flow"], gradients["residual"]
    lengths = [optax.tree.norm(g) for g in (first, second)]
    expected = jax.tree.map(lambda a, b: 0.5 * sum(lengths) * (a / lengths[0] + b / lengths[1]), first, second)
    combined = ConFIG()(jax.tree.map(lambda a, b: jnp.stack([a, b]), first, second))
    assert optax.tree.norm(jax.tree.map(jnp.subtract, combined, expected)) < 1e-12 * sum(lengths)
    assert optax.tree.vdot(combined, first) > 0 and optax.tree.vdot(combined, second) > 0


def test_logit_normal_times(key):
    """The logit of the time is standard normal: mean and variance within five standard errors of 20000 draws."""
    n = 20_000
    times = jax.vmap(lambda k: with_noise_and_logit_normal_time(k, jnp.zeros(1))["time"])(jax.random.split(key, n))
    logit = jnp.log(times / (1 - times))
    assert abs(jnp.mean(logit)) < 5 / np.sqrt(n) and abs(jnp.var(logit) - 1) < 5 * np.sqrt(2 / n)


def test_legacy_weight():
    """It integrates to e^(1/2) over [0, 1], is largest, 3.94, at t = 0.844, and zero at both ends."""
    integral, _ = scipy.integrate.quad(lambda t: float(legacy_weight(jnp.asarray(t))), 0, 1, epsabs=1e-10)
    assert abs(integral - np.exp(0.5)) < 1e-8
    t = jnp.linspace(0.0, 1.0, 1001)
    weights = legacy_weight(t)
    assert abs(t[jnp.argmax(weights)] - 0.844) < 1e-3 and abs(jnp.max(weights) - 3.94) < 1e-2
    assert weights[0] == 0 and weights[-1] < 1e-100


def test_a_new_network_is_linear(key):
    """It is the velocity of data without correlation and of unit variance: -x at t = 0, x at t = 1, A(t) x between."""
    model = MLPVelocity(2, 4, width=16, depth=2, key=key)
    x = jax.random.normal(key, (2, 4))
    for t in (0.0, 0.3, 1.0):
        np.testing.assert_allclose(model(x, jnp.asarray(t)), GaussianFlow(0.0, 1.0).slope(t) * x, rtol=1e-14)
    sizes = (2 * 4 + 32) * 16 + 16 + 16 * 16 + 16 + 16 * 8 + 8
    assert sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array))) == sizes
    with pytest.raises(PdesolveError, match=r"expected one field of 2 channels on 4 points, got \(2, 5\)"):
        model(jnp.zeros((2, 5)), T)


def test_messages():
    for options, words in (
        ({"unroll": (1, 0)}, "`unroll` needs numbers of steps, at least 1 each"),
        ({"time_power": -1.0}, "`time_power` must not be negative"),
        ({"time_weight": "legaci"}, "Did you mean 'legacy'"),
    ):
        with pytest.raises(PdesolveError, match=words):
            PhysicsFlowResidual(LinearPath(), equations(), **options)
    residual = PhysicsFlowResidual(LinearPath(), equations())
    with pytest.raises(UnknownNameError, match="unknown law of the time 'lognormal'"):
        physics_block(jnp.zeros((8, 2, 4)), 4, residual, times="lognormal")
    with pytest.raises(UnknownNameError, match="unknown norm of the residual 'l3'"):
        physics_block(jnp.zeros((8, 2, 4)), 4, residual, norm="l3")
