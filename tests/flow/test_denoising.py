"""Physics-informed diffusion: algebra of the noise levels, its losses by hand, and what it samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.flow.denoising import (
    AncestralSampling,
    DenoisingResidual,
    clean_estimate,
    cosine_schedule,
    denoising_block,
)
from pdesolve.objective import Context

from .gaussian import GaussianFlow
from .line import equations

CONTEXT = Context(jnp.asarray(0), jnp.asarray(0.0))


def test_cosine_schedule():
    r"""abar falls from nearly 1 to nearly 0 as the cosine says; c_1 + c_2 sqrt(abar_k) = sqrt(abar_{k-1})."""
    levels = cosine_schedule(100)
    assert levels.alpha_bar[0] > 0.999 and levels.alpha_bar[-1] < 1e-5
    f = np.cos(0.5 * np.pi * (np.arange(101) / 100 + 0.008) / 1.008) ** 2
    np.testing.assert_allclose(levels.alpha_bar[:-1], f[1:-1] / f[0], rtol=1e-12)  # the last beta is cut off
    before = np.concatenate([[1.0], levels.alpha_bar[:-1]])
    np.testing.assert_allclose(levels.clean + levels.noisy * np.sqrt(levels.alpha_bar), np.sqrt(before), rtol=1e-12)
    assert levels.variance[0] == 0 and np.all(levels.variance[1:] > 0)


def oracle(data):
    """The velocity that leads to `data` from everywhere."""
    return lambda x, t: (data - x) / (1.0 - t)


def test_an_oracle_sees_the_clean_field(key):
    """With v towards the data the estimate is the data at every level; so is the estimate of a sample."""
    data, noise = jax.random.normal(key, (2, 2, 4))
    levels = cosine_schedule(100).alpha_bar
    for k in (0, 40, 98):
        a = jnp.asarray(levels[k])
        x = jnp.sqrt(a) * data + jnp.sqrt(1 - a) * noise
        np.testing.assert_allclose(clean_estimate(oracle(data), x, a), data, atol=1e-12)
        sampled = DenoisingResidual(equations()).sampled(oracle(data), x, data, jnp.asarray(k))
        np.testing.assert_allclose(sampled, data, atol=1e-12)


def test_velocity_and_denoiser_are_one(key):
    """For N(m, s^2) the estimate is E[x_1 | x] = m + sqrt(a) s^2 (x - sqrt(a) m) / (a s^2 + 1 - a)."""
    flow, x = GaussianFlow(1.5, 0.3), jax.random.normal(key, (2, 4))
    for a in (0.05, 0.6, 0.99):
        expected = 1.5 + np.sqrt(a) * 0.09 * (x - np.sqrt(a) * 1.5) / (a * 0.09 + 1 - a)
        np.testing.assert_allclose(clean_estimate(flow.velocity, x, jnp.asarray(a)), expected, rtol=1e-10)


@pytest.mark.parametrize("estimate", ["mean", "sample"])
@pytest.mark.parametrize("k", [0, 1, 30, 99])
def test_residual_by_hand(key, estimate, k):
    """sqrt(min(SNR, 5)) (xhat - x), and R / sqrt(Sigma_k) with Sigma_0 = Sigma_1."""
    flow = GaussianFlow(0.2, 0.7)
    noise, field = jax.random.normal(key, (2, 2, 4))
    sample = {"noise": noise, "field": field, "level": jnp.asarray(k)}
    z = DenoisingResidual(equations(), estimate=estimate)(flow.velocity, sample, key, CONTEXT)
    levels = cosine_schedule(100)

    def denoise(x, a):
        return 0.2 + np.sqrt(a) * 0.49 * (x - np.sqrt(a) * 0.2) / (a * 0.49 + 1 - a)

    a, first = levels.alpha_bar[k], levels.alpha_bar[0]
    x = np.sqrt(a) * field + np.sqrt(1 - a) * noise
    clean = denoise(x, a)
    np.testing.assert_allclose(z["flow"], np.sqrt(min(a / (1 - a), 5)) * (clean - field), atol=1e-10)
    if estimate == "sample":
        z_hat = (x - np.sqrt(a) * clean) / np.sqrt(1 - a)
        clean = denoise(np.sqrt(first) * clean + np.sqrt(1 - first) * z_hat, first)
    u, w = 2.0 + 0.5 * clean[0], 4.0 + 2.0 * clean[1]
    expected = (w - u**2)[None] / np.sqrt(levels.variance[max(k, 1)])
    np.testing.assert_allclose(z["residual"], expected, rtol=1e-7, atol=1e-8)


def test_ancestral_sampling_of_a_gaussian(key):
    """With the exact velocity the law of N(1.5, 0.3^2) comes out: V' = (c k + d)^2 V + beta at each of 100 levels."""
    n, flow, levels = 20_000, GaussianFlow(1.5, 0.3), cosine_schedule(100)
    variance, mean = 1.0, 0.0
    for k in reversed(range(100)):
        a = levels.alpha_bar[k]
        slope = np.sqrt(a) * 0.09 / (a * 0.09 + 1 - a)
        mean = levels.clean[k] * (1.5 + slope * (mean - np.sqrt(a) * 1.5)) + levels.noisy[k] * mean
        variance = (levels.clean[k] * slope + levels.noisy[k]) ** 2 * variance + (levels.beta[k] if k else 0.0)
    assert abs(mean - 1.5) < 1e-2 and abs(np.sqrt(variance) - 0.3) < 2e-2
    sampling = AncestralSampling()

    @jax.jit
    @jax.vmap
    def draw(k):
        noise = jax.random.normal(jax.random.fold_in(k, 1000), (1, 1))
        return sampling(flow.velocity, noise, k, None).value

    x = draw(jax.random.split(key, n))
    assert abs(jnp.std(x) - np.sqrt(variance)) < 5 * np.sqrt(variance / (2 * n))
    assert abs(jnp.mean(x) - mean) < 5 * np.sqrt(variance / n)
    assert sampling(flow.velocity, jnp.zeros((1, 1)), key, None).function_evaluations == 100


def test_levels_and_weights_of_the_block(key):
    """All levels are drawn; the residual's loss is c times half its mean square."""
    fields = jax.random.normal(key, (200, 2, 4))
    block = denoising_block(fields, 200, DenoisingResidual(equations(), num_levels=4), weight=0.01)
    samples = jax.jit(lambda key: block.sampler.draw(block.sampler.init(0), key, jnp.asarray(0)).samples)(key)
    assert set(np.asarray(samples["level"])) == {0, 1, 2, 3}
    assert [term.name for term in block.terms] == ["flow", "residual"]
    assert [term.weight for term in block.terms] == [2.0 / 8, 0.01 / 4]


def test_messages():
    with pytest.raises(UnknownNameError, match="Did you mean 'sample'"):
        DenoisingResidual(equations(), estimate="samples")
    with pytest.raises(PdesolveError, match="`num_levels` must be at least 2, got 1"):
        AncestralSampling(1)
