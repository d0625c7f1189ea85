"""Scaling by channel."""

import jax
import jax.numpy as jnp
import numpy as np

from pdesolve.data import ChannelNormaliser

SAMPLES = np.random.default_rng(0).normal([[[3.0]], [[-1.0]]], [[[0.01]], [[5.0]]], (50, 2, 4, 6))


def test_samples_get_mean_zero_and_variance_one():
    """By channel, over samples and grid, to round-off of the mean 3 over the deviation 0.01."""
    encoded = jax.vmap(ChannelNormaliser.fit(SAMPLES).encode)(jnp.asarray(SAMPLES))
    np.testing.assert_allclose(encoded.mean(axis=(0, 2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(encoded.std(axis=(0, 2, 3)), 1, rtol=1e-12)


def test_decode_undoes_encode_at_any_resolution():
    """decode(encode(v)) = v, on grids of another shape too."""
    normaliser = ChannelNormaliser.fit(SAMPLES)
    v = jnp.asarray(np.random.default_rng(1).standard_normal((2, 9)))
    np.testing.assert_allclose(normaliser.decode(normaliser.encode(v)), v, atol=1e-14)


def test_constant_channel_is_only_shifted():
    normaliser = ChannelNormaliser.fit(np.full((4, 1, 8), 7.0))
    np.testing.assert_array_equal(normaliser.encode(jnp.full((1, 8), 8.0)), np.ones((1, 8)))


def test_identity_changes_nothing():
    v = jnp.asarray(SAMPLES[0])
    np.testing.assert_array_equal(ChannelNormaliser.identity(2).encode(v), v)
