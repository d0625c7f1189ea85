import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pdesolve.errors import PdesolveError
from pdesolve.fit import Stage, fit
from pdesolve.flow import ActionMatching
from pdesolve.flow.action_matching import ActionResidual, QuadraticAction
from pdesolve.objective import Context, Objective
from pdesolve.optim import FirstOrder

CONTEXT = Context(jnp.asarray(0), jnp.asarray(0.0))
A, B = 1.3, 0.7
"""The laws are N(A t, (1 + B t)^2)."""


class Linear(eqx.Module):
    """s = slope x + rate t."""

    slope: jax.Array
    rate: jax.Array

    def __call__(self, x, t):
        return self.slope * x[0] + self.rate * t


def best(x, t, noise=0.0):
    """s = A x + C(t) (x - A t)^2 / 2 with C = B / (1 + B t) - sigma^2 / (2 (1 + B t)^2)."""
    width = 1 + B * t
    return A * x[0] + (B / width - noise**2 / (2 * width**2)) * (x[0] - A * t) ** 2 / 2


def quadrature():
    """Samples of the residual, one for each pair of a Gauss-Hermite and a Gauss-Legendre node, and their weights."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    times, shares = np.polynomial.legendre.leggauss(24)
    times, shares = (times + 1) / 2, shares / 2
    z, t = (jnp.asarray(values.ravel()) for values in np.meshgrid(nodes, times))
    samples = {name: (A * at + (1 + B * at) * z)[:, None] for name, at in (("first", 0 * t), ("last", 0 * t + 1))}
    samples |= {"inside": (A * t + (1 + B * t) * z)[:, None], "time": t}
    return samples, jnp.asarray(np.outer(shares, weights / weights.sum()).ravel())


def loss(matching, action):
    """The loss without sampling error: polynomials of the nodes are integrated exactly."""
    samples, weights = quadrature()
    block = matching.block(lambda key, t: jnp.zeros(1), 1)
    z = jax.vmap(lambda sample: ActionResidual(matching)(action, sample, jax.random.key(0), CONTEXT)["action"])(samples)
    return weights @ jax.vmap(block.terms[0].outer.density)(z)


def mean_square(function):
    samples, weights = quadrature()
    return weights @ jax.vmap(function)(samples["inside"], samples["time"]) ** 2


def test_least_value_is_minus_the_kinetic_energy():
    """L(s*) = -(A^2 + B^2) / 2."""
    np.testing.assert_allclose(loss(ActionMatching(), best), -(A**2 + B**2) / 2, rtol=1e-12)


def test_gap():
    """L(s) - L(s*) is half the mean square of the difference of the slopes."""

    def other(x, t):
        return 0.3 * x[0] ** 2 + jnp.sin(t) * x[0] + t**2

    gap = mean_square(lambda x, t: jax.grad(other)(x, t)[0] - jax.grad(best)(x, t)[0]) / 2
    np.testing.assert_allclose(loss(ActionMatching(), other) - loss(ActionMatching(), best), gap, rtol=1e-11)


def test_noise():
    """With noise the best slope is v + sigma^2 / 2 d log q / dx, and L = -E|slope|^2 / 2; others have more."""
    matching = ActionMatching(noise=0.8)

    def action(x, t):
        return best(x, t, noise=0.8)

    np.testing.assert_allclose(
        loss(matching, action), -mean_square(lambda x, t: jax.grad(action)(x, t)[0]) / 2, rtol=1e-11
    )
    assert loss(matching, best) > loss(matching, action) + 0.01


def test_weight_of_times():
    """With weight w the gap is that of w, whatever time adds to s: boundary terms and w' cancel."""
    matching = ActionMatching(weight=lambda t: 1.0 + t**2)

    def other(x, t):
        return best(x, t) + 0.2 * x[0] + jnp.exp(t)

    np.testing.assert_allclose(loss(matching, other) - loss(matching, best), 0.02 * (1 + 1 / 3), rtol=1e-10)


def test_unbalanced():
    """A constant s = c adds c^2 / 2 to a loss that is otherwise zero; weights grow as exp(c t), and nothing moves."""
    matching = ActionMatching(unbalanced=True)
    np.testing.assert_allclose(loss(matching, lambda x, t: 0.4 + 0 * x[0]), 0.5 * 0.4**2, rtol=1e-12)
    value, log_weight = matching.transport(lambda x, t: 1.0 + 0 * x[0], jnp.asarray([0.3]))
    np.testing.assert_allclose([value[0], log_weight], [0.3, 1.0], rtol=1e-12)


def test_transport_carries_the_law():
    """x -> A + (1 + B) x, by the flow of the best action, to the solver's tolerance."""
    matching, x = ActionMatching(), jnp.array([-0.5, 0.1, 2.0])
    end = jax.jit(jax.vmap(lambda x: matching.transport(best, x[None], solver="dopri5", tolerance=1e-9).value[0]))(x)
    np.testing.assert_allclose(end, A + (1 + B) * x, atol=1e-6)


@pytest.mark.slow
def test_transport_with_noise(key):
    """The law is that of the flow, to sampling error and 1 %; balanced samples keep their weight."""
    matching, n = ActionMatching(noise=0.8), 4000
    starts = jax.random.normal(key, (n, 1))

    @jax.jit
    @jax.vmap
    def sample(x, key):
        return matching.transport(lambda x, t: best(x, t, noise=0.8), x, key=key, num_steps=40)

    ends, log_weights = sample(starts, jax.random.split(key, n))
    assert abs(jnp.mean(ends) - A) < 5 * (1 + B) / np.sqrt(n)
    assert abs(jnp.std(ends) / (1 + B) - 1) < 5 / np.sqrt(2 * n) + 0.01
    assert jnp.all(log_weights == 0)


@pytest.mark.slow
def test_blocks(key):
    """Adam finds the slope A of laws that move at constant speed, from draws and from snapshots of them."""

    def draw(key, t):
        return 0.3 * jax.random.normal(key, (1,)) + A * t

    times = np.linspace(0.0, 1.0, 6) ** 1.5
    keys = jax.random.split(key, 400)
    snapshots = jnp.stack([jax.vmap(draw, (0, None))(keys, t) for t in times])
    action = Linear(jnp.zeros(()), jnp.zeros(()))
    for block in (ActionMatching().block(draw, 64), ActionMatching().snapshot_block(times, snapshots, 64)):
        stage = Stage(Objective((block,)), FirstOrder(optax.adam(2e-2)), steps=300, chunk=100)
        result = fit([stage], action)
        assert abs(result.trainables.slope - A) < 0.1


def test_shares_of_snapshots():
    """The probability of a snapshot is its weight in the trapezoidal rule, exact for linear functions."""
    times = np.array([0.0, 0.1, 0.5, 1.0])
    block = ActionMatching().snapshot_block(times, jnp.zeros((4, 3, 1)), 2)
    shares = block.sampler.function.shares
    np.testing.assert_allclose([shares.sum(), shares @ times], [1.0, 0.5], rtol=1e-14)


def test_quadratic_action():
    """s = |x - h|^2 / 2."""
    action = QuadraticAction(lambda x, t: t * x)
    np.testing.assert_allclose(action(jnp.array([[1.0, 2.0]]), jnp.asarray(0.5)), 0.5 * 0.25 * 5, rtol=1e-14)


def test_messages(key):
    with pytest.raises(PdesolveError, match=r"`noise` must not be negative, got -1"):
        ActionMatching(noise=-1.0)
    with pytest.raises(PdesolveError, match=r"`times` must grow from 0 to 1"):
        ActionMatching().snapshot_block(np.array([0.0, 0.5]), jnp.zeros((2, 3, 1)), 2)
    with pytest.raises(PdesolveError, match=r"got 2 times and 3 snapshots"):
        ActionMatching().snapshot_block(np.array([0.0, 1.0]), jnp.zeros((3, 3, 1)), 2)
    with pytest.raises(PdesolveError, match=r"a path is random: give `key`"):
        ActionMatching(noise=1.0).transport(best, jnp.zeros(1))
