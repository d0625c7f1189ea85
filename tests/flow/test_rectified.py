import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError
from pdesolve.flow import RectifiedFlow, integrate
from pdesolve.flow.objective import FlowResidual
from pdesolve.objective import Context

from .gaussian import GaussianFlow

CONTEXT = Context(jnp.asarray(0), jnp.asarray(0.0))
GAUSSIAN = GaussianFlow(1.5, 0.3)


def straight(x, t):
    """The velocity of the pairs (x0, m + d x0): on x_t = (1 - t + t d) x0 + t m it is m + (d - 1) x0."""
    m, d = GAUSSIAN.mean, GAUSSIAN.deviation
    return m + (d - 1) * (x - t * m) / (1 - t + t * d)


def test_reflow_of_a_gaussian(key):
    """Pairs that the flow has made are (x0, m + d x0); their own velocity is constant along paths, one step exact."""
    start = jax.random.normal(key, (50, 1))
    start, end = RectifiedFlow(num_steps=50).pairs(GAUSSIAN.velocity, start, chunk=16)
    np.testing.assert_allclose(end, GAUSSIAN.end(start), atol=1e-3)
    end = GAUSSIAN.end(start)
    for t in (0.0, 0.3, 1.0):
        t = jnp.asarray(t)
        residual = FlowResidual(RectifiedFlow().block(start, end, 5).residual.path)
        samples = {"noise": start, "field": end, "time": jnp.full(50, t)}
        z = jax.vmap(lambda sample, f=residual: f(straight, sample, key, CONTEXT)["flow"])(samples)
        np.testing.assert_allclose(z, 0 * z, atol=1e-14)
    one = jax.vmap(lambda x: integrate(straight, x, solver="euler", num_steps=1).value)(start)
    np.testing.assert_allclose(one, end, atol=1e-14)


def test_straightness(key):
    """0 for the reflowed flow, to round-off; for the first one the value of an independent sum."""
    start, flow, n = jax.random.normal(key, (40, 1)), RectifiedFlow(), 20
    assert flow.straightness(straight, start) < 1e-25
    x, slopes = np.asarray(start), []
    for k in range(n):
        slopes.append(np.asarray(GAUSSIAN.velocity(x, k / n)))
        x = x + slopes[-1] / n
    expected = np.mean([np.mean((slope - (x - np.asarray(start))) ** 2) for slope in slopes])
    np.testing.assert_allclose(flow.straightness(GAUSSIAN.velocity, start, n), expected, rtol=1e-12)
    assert expected > 1e-2


def test_distillation_times(key):
    """One step asks for time 0 only, where the residual is x0 + v - x1; four steps for k/4, all of them."""
    start, end = jax.random.normal(key, (2, 64, 2, 3))
    block = RectifiedFlow().distillation_block(start, end, 64)
    samples = block.sampler.draw(block.sampler.init(0), key, jnp.asarray(0)).samples
    assert jnp.all(samples["time"] == 0)
    z = jax.vmap(lambda sample: block.residual(lambda x, t: 2 * x, sample, key, CONTEXT)["flow"])(samples)
    np.testing.assert_allclose(z, samples["noise"] + 2 * samples["noise"] - samples["field"], atol=1e-14)
    few = RectifiedFlow().distillation_block(start, end, 64, num_steps=4)
    times = few.sampler.draw(few.sampler.init(0), key, jnp.asarray(0)).samples["time"]
    assert set(np.asarray(times)) == {0.0, 0.25, 0.5, 0.75}


def test_pairs_stay_together(key):
    """However often they are shuffled, each start is drawn with its own end; times lie in [0, 1)."""
    start = jax.random.normal(key, (30, 1))
    block = RectifiedFlow().block(start, 3 * start, 10)
    for step in range(6):
        samples = block.sampler.draw(block.sampler.init(0), key, jnp.asarray(step)).samples
        np.testing.assert_array_equal(samples["field"], 3 * samples["noise"])
        assert jnp.all((samples["time"] >= 0) & (samples["time"] < 1))


def test_messages():
    with pytest.raises(PdesolveError, match=r"as many starts as ends"):
        RectifiedFlow().block(jnp.zeros((3, 1)), jnp.zeros((4, 1)), 2)
    with pytest.raises(PdesolveError, match=r"unknown solver 'eular'"):
        RectifiedFlow("eular")
    with pytest.raises(PdesolveError, match=r"`num_steps` must be an integer, at least 1"):
        RectifiedFlow().distillation_block(jnp.zeros((3, 1)), jnp.zeros((3, 1)), 2, num_steps=0)
