"""Losses and errors against plain NumPy, each under its own name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.learning import error_by_frame, mean_relative_l2, median_relative_l1, relative_mse, spectra
from pdesolve.learning.losses import build_loss

X, Y = 9, 7
COORDINATES = {"x": np.arange(X) / X, "y": np.linspace(0.0, 3.0, Y)}


def samples(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal((5, *shape))


def value(loss, answers, expected):
    """The mean over samples of what is made of z."""

    def mean(answers, expected):
        return jnp.mean(jax.vmap(loss.outer().density)(jax.vmap(loss.residual)(answers, expected)))

    return float(jax.jit(mean)(answers, expected))


def test_losses_are_what_their_names_say():
    p, y = samples(2, X, Y), samples(2, X, Y, seed=1)
    mean_square = np.mean(y**2)
    options = {"coordinates": COORDINATES, "mean_square": mean_square}
    loss = {n: build_loss(n, periodic=False, **options) for n in ("relative_l2", "relative_h1", "relative_mse")}
    np.testing.assert_allclose(value(loss["relative_l2"], p, y), mean_relative_l2(p, y), rtol=1e-13)
    np.testing.assert_allclose(value(loss["relative_mse"], p, y), relative_mse(p, y), rtol=1e-13)
    # One-sided differences of second order at the ends, as NumPy has them.
    expected = []
    for e, u in zip(p - y, y, strict=True):
        parts = [
            [f, np.gradient(f, 1 / X, axis=1, edge_order=2), np.gradient(f, 0.5, axis=2, edge_order=2)] for f in (e, u)
        ]
        expected.append(np.sqrt(np.sum(np.square(parts[0])) / np.sum(np.square(parts[1]))))
    np.testing.assert_allclose(value(loss["relative_h1"], p, y), np.mean(expected), rtol=1e-12)


def test_h1_of_a_sine():
    """Periodic: the difference of sin(2 pi k x) is sin(2 pi k h) / h times a cosine, whose norm is that of the sine."""
    x = np.arange(16) / 16
    loss = build_loss("relative_h1", coordinates={"x": x}, periodic=True, mean_square=1.0)

    def size(k):
        return 0.5 * (1 + (np.sin(2 * np.pi * k / 16) * 16) ** 2)

    expected, error = np.sin(2 * np.pi * x), 0.1 * np.sin(6 * np.pi * x)
    z = loss.residual(jnp.asarray((expected + error)[None]), jnp.asarray(expected[None]))
    np.testing.assert_allclose(jnp.linalg.norm(z), 0.1 * np.sqrt(size(3) / size(1)), rtol=1e-12)


def test_time_is_never_periodic():
    loss = build_loss(
        "relative_h1", coordinates={"t": np.arange(4.0), "x": np.arange(5.0)}, periodic=True, mean_square=1
    )
    assert loss.periodic == (False, True)


@pytest.mark.parametrize("name", ["relative_l2", "relative_h1", "relative_mse"])
def test_gradient_at_a_perfect_fit_is_zero(name):
    """Not NaN."""
    loss = build_loss(name, coordinates={"x": np.arange(8) / 8}, periodic=True, mean_square=1.0)
    y = jnp.asarray(samples(1, 8)[0])
    gradient = jax.jit(jax.grad(lambda p: loss.outer().density(loss.residual(p, y))))(y)
    np.testing.assert_array_equal(gradient, np.zeros((1, 8)))


def test_errors_of_a_loss():
    with pytest.raises(UnknownNameError, match=r"unknown loss 'relative_l1'. Did you mean 'relative_l2'"):
        build_loss("relative_l1", coordinates={}, periodic=True, mean_square=1.0)
    with pytest.raises(PdesolveError, match="nothing to be relative to"):
        build_loss("relative_mse", coordinates={}, periodic=True, mean_square=0.0)
    loss = build_loss("relative_h1", coordinates={"x": np.arange(2.0)}, periodic=False, mean_square=1.0)
    with pytest.raises(PdesolveError, match="at least 3 points"):
        loss.residual(jnp.ones((1, 2)), jnp.ones((1, 2)))


def test_median_and_frames():
    p, y = samples(3, 8), samples(3, 8, seed=1)
    each = [np.abs(a - b).sum() / np.abs(b).sum() for a, b in zip(p, y, strict=True)]
    np.testing.assert_allclose(median_relative_l1(p, y), np.median(each), rtol=1e-14)
    frames = error_by_frame(p, y)
    np.testing.assert_allclose(frames, [mean_relative_l2(p[:, i], y[:, i]) for i in range(3)], rtol=1e-14)


def test_spectrum():
    """Waves land in their shells, with half the square of their amplitude; shells sum to the mean square (Parseval)."""
    x = np.arange(16) / 16
    a, b = np.meshgrid(x, x, indexing="ij")
    y = (2.0 * np.cos(2 * np.pi * (3 * a + 4 * b)))[None, None]  # |k| = 5
    found = spectra(y + 0.5 * np.sin(2 * np.pi * 2 * b)[None, None], y)
    assert found["wavenumber"] == list(range(9))
    np.testing.assert_allclose(found["reference"], [2.0 * (s == 5) for s in range(9)], atol=1e-14)
    np.testing.assert_allclose(found["error"], [0.125 * (s == 2) for s in range(9)], atol=1e-14)
    u = samples(2, 15)
    np.testing.assert_allclose(sum(spectra(u, u)["answer"]), np.mean(np.sum(u**2, axis=1)), rtol=1e-13)
