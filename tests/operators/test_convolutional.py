"""CNO: filtered activations, grids, shifts and resolutions."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from operators import CNO
from operators.cno import FilteredActivation, resample_mirrored
from pdesolve.errors import PdesolveError, UnknownNameError

from .common import filled, normal, relative_error_after_training


class Square(eqx.Module):
    def __call__(self, v):
        return v**2


def interpolation(n, m, periodic):
    """The matrix from n to m points: trigonometric interpolation and projection, from the definition."""
    if n == m:
        return np.eye(n)
    if periodic:
        x, y = np.arange(n) / n, np.arange(m) / m
        kept = range(1, (min(n, m) + 1) // 2)
        return (1 + sum(2 * np.cos(2 * np.pi * k * (y[:, None] - x[None])) for k in kept)) / n
    x, y = (np.arange(n) + 0.5) / n, (np.arange(m) + 0.5) / m
    kept = range(1, min(n, m))
    return (1 + sum(2 * np.cos(np.pi * k * y)[:, None] * np.cos(np.pi * k * x)[None] for k in kept)) / n


def leaky(v):
    return np.where(v > 0, v, 0.01 * v)


@pytest.mark.parametrize("periodic", [True, False])
def test_constants_meet_the_plain_activation(periodic):
    """On any grid, and on the way to any other."""
    activation = eqx.filter_jit(FilteredActivation(None, 2, periodic))
    for grid in ((6, 5), (3, 10)):
        for value in (3.0, -2.0):
            output = activation(jnp.asarray(np.full((2, 6, 5), value)), grid)
            np.testing.assert_allclose(output, np.full((2, *grid), leaky(value)), atol=1e-13)


def test_frequencies_that_a_grid_cannot_hold_are_removed():
    """cos(2 pi 5 x)^2 = 1/2 + cos(2 pi 10 x)/2: on 12 points the second term would come back as frequency 2."""
    v = jnp.asarray(np.cos(2 * np.pi * 5 * np.arange(12) / 12))[None]
    np.testing.assert_allclose(eqx.filter_jit(FilteredActivation(Square(), 2, True))(v, (12,)), 0.5, atol=1e-13)
    plain = np.asarray(v) ** 2
    np.testing.assert_allclose(plain[0], 0.5 + 0.5 * np.cos(2 * np.pi * 2 * np.arange(12) / 12), atol=1e-13)
    mirrored = jnp.asarray(np.cos(np.pi * 8 * (np.arange(12) + 0.5) / 12))[None]
    np.testing.assert_allclose(eqx.filter_jit(FilteredActivation(Square(), 2, False))(mirrored, (12,)), 0.5, atol=1e-13)


def test_cosines_are_resampled_exactly():
    """Sums of cosines between any two grids that hold them; up and down again is the identity for any values."""

    def wave(n, m):
        x, y = np.meshgrid((np.arange(n) + 0.5) / n, (np.arange(m) + 0.5) / m, indexing="ij")
        return jnp.asarray(np.cos(2 * np.pi * x) * np.cos(3 * np.pi * y) + 0.3 * np.cos(np.pi * y) + 2)[None]

    move = jax.jit(resample_mirrored, static_argnums=1)
    for grid in ((24, 7), (5, 20), (12, 9)):
        np.testing.assert_allclose(move(wave(12, 16), grid), wave(*grid), atol=1e-12)
    v = normal(2, 6, 7)
    np.testing.assert_allclose(move(move(v, (12, 9)), (6, 7)), v, atol=1e-12)
    assert jax.eval_shape(lambda v: resample_mirrored(v, (12, 9)), v.astype(jnp.float32)).dtype == jnp.float32


@pytest.mark.parametrize("periodic", [True, False])
def test_cno_by_hand(periodic):
    """One coarser grid in NumPy, with interpolation and convolution written as sums."""
    model = filled(CNO, 2, 3, width=4, depth=1, residuals=1, neck=1, latent=5, periodic=periodic)

    def convolve(layer, v):
        padded = np.pad(v, [(0, 0), (1, 1)], mode="wrap" if periodic else "constant")
        shifted = np.stack([padded[:, j : j + v.shape[1]] for j in range(3)], axis=1)
        return np.einsum("oij,ijn->on", np.asarray(layer.weight), shifted) + np.asarray(layer.bias)

    def normalise(layer, v):
        groups = v.reshape(2, -1)
        groups = (groups - groups.mean(1)[:, None]) / np.sqrt(groups.var(1)[:, None] + 1e-5)
        return groups.reshape(v.shape) * np.asarray(layer.weight)[:, None] + np.asarray(layer.bias)[:, None]

    def block(layer, v, n=None):
        v = convolve(layer.convolution, v)
        v = v if layer.norm is None else normalise(layer.norm, v)
        n = v.shape[1] if n is None else n
        finer = 2 * max(n, v.shape[1])
        up, down = interpolation(v.shape[1], finer, periodic), interpolation(finer, n, periodic)
        return leaky(v @ up.T) @ down.T

    def residual(layer, v):
        return v + normalise(layer.norm, convolve(layer.second, block(layer.first, v)))

    a = np.asarray(normal(2, 9))
    v = convolve(model.lifting[1], block(model.lifting[0], a))
    low = residual(model.chains[1][0], block(model.down[0], v, 5))
    high = block(model.up[0], block(model.inner[0], low), 9)
    joined = np.concatenate([high, residual(model.chains[0][0], v)])
    by_hand = convolve(model.projection[1], block(model.projection[0], joined))
    np.testing.assert_allclose(eqx.filter_jit(model)(jnp.asarray(a)), by_hand, atol=1e-11)


@pytest.mark.parametrize(("oversampling", "step"), [(2, 2), (4, 1)])
def test_commutes_with_shifts_finer_than_the_coarsest_grid(oversampling, step):
    """Of 16 points the coarsest grid has every fourth; a shift by a half (a quarter) of its spacing is exact."""
    options = {"width": 4, "depth": 2, "neck": 1, "latent": 4, "groups": 1, "activation": "sin"}
    model = eqx.filter_jit(filled(CNO, 1, 1, scale=3.0, oversampling=oversampling, **options))
    v = normal(1, 16)

    def difference(shift):
        return float(np.abs(model(jnp.roll(v, shift, 1)) - jnp.roll(model(v), shift, 1)).max())

    assert difference(step) < 1e-10
    assert step == 1 or difference(1) > 1e-3


@pytest.mark.parametrize("periodic", [True, False])
def test_the_answer_does_not_depend_on_the_resolution(periodic):
    """With `resolution` a band-limited input gives one function on all grids; else stencils shrink with the grid."""

    def sample(n):
        x = np.arange(n) / n if periodic else (np.arange(n) + 0.5) / n
        return jnp.asarray(np.cos(2 * np.pi * x) + 0.4 * np.cos(4 * np.pi * x))[None]

    options = {"width": 2, "depth": 1, "residuals": 0, "neck": 0, "latent": 2, "groups": 1, "periodic": periodic}
    fixed, free = (eqx.filter_jit(filled(CNO, 1, 1, resolution=n, **options)) for n in (12, None))
    coarse = np.asarray(fixed(sample(12)))
    expected = coarse @ interpolation(12, 27, periodic).T
    np.testing.assert_allclose(fixed(sample(27)), expected, atol=1e-11)
    assert not np.allclose(free(sample(27)), expected, atol=1e-3)
    np.testing.assert_allclose(coarse, free(sample(12)), atol=1e-12)


def test_widths_and_refusals(key):
    """Widths w/2, w, 2w, 4w; any grid; groups that do not divide, and unknown activations, are errors."""
    model = filled(CNO, 1, 2, num_dims=2, width=8, depth=3, residuals=2, neck=3, latent=4, resolution=(8, 12))
    assert [block.convolution.weight.shape[:2] for block in model.down] == [(8, 4), (16, 8), (32, 16)]
    assert [block.convolution.weight.shape[:2] for block in model.up] == [(16, 32), (8, 32), (4, 16)]
    assert [len(chain) for chain in model.chains] == [2, 2, 2, 3]
    assert jax.eval_shape(model, jnp.ones((1, 7, 10))).shape == (2, 7, 10)
    with pytest.raises(PdesolveError, match="half the `width`; got 2 and 6"):
        CNO(1, 1, width=6, key=key)
    with pytest.raises(PdesolveError, match="`resolution` must be one number or 2"):
        CNO(1, 1, num_dims=2, resolution=(8,), key=key)
    with pytest.raises(UnknownNameError, match="gelu"):
        CNO(1, 1, activation="gellu", key=key)
    with pytest.raises(PdesolveError, match="one sample of shape"):
        model(jnp.ones((3, 1, 8)))


@pytest.mark.slow
def test_one_sample_can_be_learned(key):
    """To a relative error of 1e-2 in 500 steps; the gradient is that of differences."""
    model = CNO(1, 1, width=8, depth=1, residuals=0, neck=1, latent=8, activation="gelu", key=key)
    assert relative_error_after_training(model, key) < 1e-2
