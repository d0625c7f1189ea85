import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pdesolve.errors import PdesolveError
from pdesolve.fit import Stage, fit
from pdesolve.flow import MultimarginalInterpolant, StochasticInterpolant, integrate
from pdesolve.objective import Context, Objective
from pdesolve.optim import FirstOrder

CONTEXT = Context(jnp.asarray(0), jnp.asarray(0.0))
THREE = MultimarginalInterpolant(3)
MEANS = jnp.array([[0.0, 0.0], [1.0, -2.0], [3.0, 0.5]])
ROOTS = jnp.array([[[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.2], [0.0, 0.8]], [[1.5, 0.0], [-0.4, 0.3]]])
COVARIANCES = jnp.einsum("kij,klj->kil", ROOTS, ROOTS)


def best(x, alpha):
    """g_k = m_k + alpha_k C_k (sum_j alpha_j^2 C_j)^-1 (x - sum_j alpha_j m_j)."""
    total = jnp.tensordot(alpha**2, COVARIANCES, 1)
    rest = jnp.linalg.solve(total, x - alpha @ MEANS)
    return MEANS + alpha[:, None] * jnp.einsum("kij,j->ki", COVARIANCES, rest)


def test_means_mix_to_the_point(key):
    """sum_k alpha_k g_k(alpha, x) = x."""
    alpha, x = jnp.array([[0.2, 0.5, 0.3], [0.9, 0.1, 0.0], [0.0, 0.4, 0.6]]), jax.random.normal(key, (3, 2))
    mixed = jax.jit(jax.vmap(lambda x, alpha: THREE.position(best(x, alpha), alpha)))(x, alpha)
    np.testing.assert_allclose(mixed, x, atol=1e-12)


class Affine(eqx.Module):
    """g_k = m_k + M_k x."""

    offsets: jax.Array
    matrices: jax.Array

    def __call__(self, x, alpha):
        return self.offsets + jnp.einsum("kij,j->ki", self.matrices, x)


def test_minimiser_is_the_closed_form(key):
    """Least squares over affine g at one alpha; entries within 5 sigma / sqrt(n), sigma below 4, n = 40000."""
    n, alpha = 40_000, jnp.array([0.2, 0.5, 0.3])
    z = jax.random.normal(key, (3, n, 2))
    marginals = MEANS[:, None] + jnp.einsum("kij,knj->kni", ROOTS, z)
    block = THREE.block([None, marginals[1], marginals[2]], n)
    samples = block.sampler.draw((), key, jnp.asarray(0)).samples
    samples["alpha"] = jnp.broadcast_to(alpha, (n, 3))
    zero = Affine(jnp.zeros((3, 2)), jnp.zeros((3, 2, 2)))
    targets = -jax.vmap(lambda sample: block.residual(zero, sample, key, CONTEXT)["marginals"])(samples)
    x = jnp.tensordot(samples["fields"], alpha, (1, 0))
    design = np.column_stack([np.ones(n), x - (alpha @ MEANS)[None]])
    found = np.linalg.lstsq(design, np.asarray(targets.reshape(n, 6)), rcond=None)[0]
    center = alpha @ MEANS
    expected = [best(center, alpha), *(best(center + e, alpha) - best(center, alpha) for e in jnp.eye(2))]
    np.testing.assert_allclose(found, jnp.stack(expected).reshape(3, 6), atol=5 * 4 / np.sqrt(n))


def test_edge_is_the_flow_of_two(key):
    """On an edge the velocity is g_j - g_i, and that of the linear path between the two laws, entry by entry."""
    deviations = jnp.array([0.5, 1.2])
    curve, model = THREE.edge(2, 1), lambda x, alpha: best(x, alpha)
    x, t = jnp.array([0.3, -0.4]), jnp.asarray(0.3)
    velocity, g = THREE.velocity(model, curve)(x, t), best(x, curve(t))
    np.testing.assert_allclose(velocity, g[1] - g[2], atol=1e-13)
    two = MultimarginalInterpolant(2)

    def diagonal(x, alpha):
        variance = jnp.sum((alpha * deviations) ** 2)
        return (alpha * deviations**2 / variance)[:, None] * x[None]

    rates = StochasticInterpolant("linear", "zero").rates(t)
    slope = (rates.start * (1 - t) * 0.25 + rates.end * t * 1.44) / ((1 - t) ** 2 * 0.25 + t**2 * 1.44)
    np.testing.assert_allclose(two.velocity(diagonal, two.edge(0, 1))(x, t), slope * x, rtol=1e-13)


def test_flows_between_laws():
    """Along a curve that bends, the flow is affine and carries covariance C_0 to C_2, to the solver's tolerance."""

    def curve(t):
        return jnp.stack([(1 - t) ** 2, 2 * t * (1 - t), t**2])

    velocity = THREE.velocity(best, curve)
    starts = jnp.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    flow = jax.jit(jax.vmap(lambda x: integrate(velocity, x, solver="dopri5", tolerance=1e-9).value))
    mean, *images = flow(starts)
    matrix = jnp.stack([image - mean for image in images], axis=1)
    np.testing.assert_allclose(mean, MEANS[2], atol=1e-6)
    np.testing.assert_allclose(matrix @ matrix.T, COVARIANCES[2], atol=1e-6)


def test_score(key):
    """-g_0 / alpha_0 is the slope of the log density of x(alpha), as law 0 is standard normal."""
    alpha, x = jnp.array([0.2, 0.5, 0.3]), jnp.array([0.7, 0.1])
    total = jnp.tensordot(alpha**2, COVARIANCES, 1)
    expected = -jnp.linalg.solve(total, x - alpha @ MEANS)
    np.testing.assert_allclose(THREE.score(best)(x, alpha), expected, rtol=1e-12)


@pytest.mark.slow
def test_training(key):
    """Adam lowers the loss; laws may have different numbers of samples."""
    marginals = [None, jnp.ones((5, 2)) + 0.1 * jax.random.normal(key, (5, 2)), -jnp.ones((7, 2))]
    block = THREE.block(marginals, 16)
    model = Affine(jnp.zeros((3, 2)), jnp.zeros((3, 2, 2)))
    result = fit([Stage(Objective((block,)), FirstOrder(optax.adam(1e-2)), steps=200, chunk=100)], model)
    assert result.history[-1]["loss"] < 0.6
    np.testing.assert_allclose(result.trainables.offsets[1], jnp.ones(2), atol=0.4)


def test_messages():
    with pytest.raises(PdesolveError, match=r"`num_marginals` must be at least 2, got 1"):
        MultimarginalInterpolant(1)
    with pytest.raises(PdesolveError, match=r"`concentration` must be positive, got 0"):
        MultimarginalInterpolant(2, 0.0)
    with pytest.raises(PdesolveError, match=r"expected 3 laws with samples of one shape; got 2 of shapes \[\(1,\)\]"):
        THREE.block([None, jnp.zeros((4, 1))], 2)
    with pytest.raises(PdesolveError, match=r"an edge joins two of the laws 0 to 2; got 1 and 3"):
        THREE.edge(1, 3)
