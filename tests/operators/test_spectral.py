"""The spectral convolution: a Fourier multiplier, alike at every resolution."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from operators import SpectralConvolution
from pdesolve.errors import PdesolveError


def with_multiplier(layer, multiplier):
    """Set R(k) of a layer with one channel."""
    parts = np.stack([multiplier.real, multiplier.imag], axis=-1)
    return eqx.tree_at(lambda m: m.weight, layer, jnp.asarray(parts)[None, None])


def apply(layer, v):
    """Jitted: one compilation instead of one for each operation."""
    return eqx.filter_jit(layer)(jnp.asarray(v))


def grid(*sizes):
    return np.meshgrid(*(np.arange(n) / n for n in sizes), indexing="ij")


def band_limited(*sizes):
    """A function of unit period in each coordinate with frequencies up to 3, not symmetric."""
    factors = (
        1 + sum(np.cos(2 * np.pi * k * x + i + 0.3 * k) / k for k in (1, 2, 3)) for i, x in enumerate(grid(*sizes))
    )
    return np.prod(list(factors), axis=0)


def test_derivative_of_a_wave(key):
    """With R = 2 pi i k the layer differentiates: sin(6 pi x) becomes 6 pi cos(6 pi x), to round-off."""
    k = np.arange(8)
    layer = with_multiplier(SpectralConvolution(1, 1, (8,), key=key), 2j * np.pi * k)
    (x,) = grid(32)
    np.testing.assert_allclose(
        apply(layer, np.sin(6 * np.pi * x)[None])[0], 6 * np.pi * np.cos(6 * np.pi * x), atol=1e-12
    )


def test_multiplier_in_two_dimensions(key):
    """The multiplier of d/dx + 2 d/dy on cos(2 pi (2 x - 3 y)): the negative frequency is found on the full axis."""
    kx, ky = np.meshgrid(np.array([0, 1, 2, 3, -4, -3, -2, -1]), np.arange(4), indexing="ij")
    layer = with_multiplier(SpectralConvolution(1, 1, (4, 4), key=key), 2j * np.pi * (kx + 2.0 * ky))
    x, y = grid(16, 12)
    wave = 2 * np.pi * (2 * x - 3 * y)
    np.testing.assert_allclose(apply(layer, np.cos(wave)[None])[0], -2 * np.pi * (2 - 6) * np.sin(wave), atol=1e-12)


def test_heat_kernel_and_cut_off(key):
    """R = exp(-nu k^2) damps each kept mode by its factor; a mode outside is 0."""
    k = np.arange(5)
    layer = with_multiplier(SpectralConvolution(1, 1, (5,), key=key), np.exp(-0.1 * k**2) + 0j)
    (x,) = grid(40)
    given = 2.0 + np.cos(4 * np.pi * x) + np.sin(2 * np.pi * 7 * x)
    np.testing.assert_allclose(apply(layer, given[None])[0], 2.0 + np.exp(-0.4) * np.cos(4 * np.pi * x), atol=1e-13)


@pytest.mark.parametrize("sizes", [(12,), (12, 10), (8, 10, 12)])
def test_same_function_at_two_resolutions(sizes, key):
    """For input without frequencies from n/2 on, values at shared points agree on n and 2n points, to round-off."""
    layer = SpectralConvolution(1, 2, [4] * len(sizes), key=key)
    coarse = apply(layer, band_limited(*sizes)[None])
    fine = apply(layer, band_limited(*(2 * n for n in sizes))[None])
    shared = fine[(slice(None), *[slice(None, None, 2)] * len(sizes))]
    np.testing.assert_allclose(shared, coarse, atol=1e-12)
    assert float(jnp.abs(coarse).max()) > 0.1


def test_more_modes_than_points(key):
    """Modes that a coarse grid does not hold are left out: 20 modes act on 8 points as the first 5 of them."""
    many = SpectralConvolution(1, 1, (20,), key=key)
    few = eqx.tree_at(lambda m: m.weight, SpectralConvolution(1, 1, (5,), key=key), many.weight[:, :, :5])
    v = jax.random.normal(key, (1, 8))
    np.testing.assert_allclose(apply(many, v), apply(few, v), atol=1e-14)
    wide = SpectralConvolution(1, 1, (20, 3), key=key)
    assert apply(wide, jax.random.normal(key, (1, 7, 6))).shape == (1, 7, 6)


@pytest.mark.parametrize("sizes", [(8,), (6, 8), (5, 7)])
def test_real_part_is_taken_where_symmetry_fails(sizes, key):
    """For arbitrary R the output has the real part of w(k) + conj(w(-k)) in the planes 0 and Nyquist of the last axis.

    Equal to the real part of the complex sum over the half spectrum, with weight 1 in those planes and 2 elsewhere.
    """
    modes = [n // 2 + 1 for n in sizes]  # everything the grid holds
    layer = SpectralConvolution(1, 1, modes, key=key)
    v = jax.random.normal(key, (1, *sizes))
    v_hat = np.fft.fftn(v[0], norm="forward")
    multiplier = np.asarray(layer.weight[0, 0, ..., 0] + 1j * layer.weight[0, 0, ..., 1])
    expected = np.zeros(sizes, complex)
    frequencies = [np.round(np.fft.fftfreq(n) * n).astype(int) for n in sizes[:-1]] + [np.arange(sizes[-1] // 2 + 1)]
    for k in np.stack(np.meshgrid(*frequencies, indexing="ij"), -1).reshape(-1, len(sizes)):
        weight = 1.0 if k[-1] == 0 or 2 * k[-1] == sizes[-1] else 2.0
        wave = np.exp(2j * np.pi * sum(ki * x for ki, x in zip(k, grid(*sizes), strict=True)))
        expected += weight * multiplier[tuple(k)] * v_hat[tuple(k)] * wave  # negative k index from the end
    np.testing.assert_allclose(apply(layer, v)[0], expected.real, atol=1e-13)


def test_initial_variance(key):
    """E|R|^2 = 2 / (in + out), to 5 sigma of 80000 exponential draws."""
    weight = SpectralConvolution(100, 50, (16,), key=key).weight
    np.testing.assert_allclose(jnp.mean(jnp.sum(weight**2, -1)), 2 / 150, rtol=5 / np.sqrt(80_000))


def test_parameters_are_real_and_counted(key):
    """2 c_in c_out (2 m_1) m_2 real numbers."""
    layer = SpectralConvolution(3, 5, (4, 6), key=key, dtype=jnp.float32)
    (weight,) = jax.tree.leaves(layer)
    assert weight.dtype == jnp.float32 and weight.size == 2 * 3 * 5 * 8 * 6
    assert apply(layer, jnp.ones((3, 16, 16), jnp.float32)).dtype == jnp.float32


def test_sizes_are_checked(key):
    with pytest.raises(PdesolveError, match="at least 1, got 1, 1"):
        SpectralConvolution(1, 1, (0,), key=key)
