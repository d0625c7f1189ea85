import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.problem import reference_error
from problems import Schrodinger
from problems.schrodinger import _split_step

from .pointwise import equation_residuals


def two_solitons(x, t, xp):
    """The solution on the line, Satsuma and Yajima (1974)."""
    numerator = 4 * xp.exp(0.5j * t) * (xp.cosh(3 * x) + 3 * xp.exp(4j * t) * xp.cosh(x))
    return numerator / (xp.cosh(4 * x) + 4 * xp.cosh(2 * x) + 3 * xp.cos(4 * t))


def test_equations_hold_on_two_solitons():
    """Bound state on the line; terms of order 100 cancel to round-off."""

    def functions(at):
        h = two_solitons(at.x, at.t, jnp)
        return {"u": jnp.real(h), "v": jnp.imag(h)}

    points = np.random.default_rng(0).uniform((-4, 0), (4, 1.5), (200, 2))
    for residual in equation_residuals(Schrodinger(), functions, points).values():
        assert np.abs(residual).max() < 1e-10


def values(times, n=4096):
    x = np.linspace(-5, 5, n, endpoint=False)
    reference = Schrodinger().reference()
    fields = [reference.evaluate(np.stack([x, np.full(n, t)], axis=-1)) for t in times]
    return x, np.array([f["u"] + 1j * f["v"] for f in fields])


def test_reference_is_close_to_two_solitons():
    """The circle is long: the kink of size 0.05 at its far side reaches the middle as waves of 1e-2 at most."""
    times = [0.0, np.pi / 4, 1.3]
    x, h = values(times)
    middle = np.abs(x) < 2
    for t, state in zip(times, h, strict=True):
        assert np.abs(state - two_solitons(x, t, np))[middle].max() < 1e-2
    assert abs(np.abs(h[1]).max() - 4) < 1e-2


def test_reference_against_splitting():
    """A method of splitting agrees to its own error, which the modes of the kink limit."""
    reference = Schrodinger().reference()
    assert reference.error_bound < 1e-6
    assert reference_error(Schrodinger(), _split_step(1.0, 1024)) < 1e-5


def test_invariants():
    """Mass and energy; the energy of the kink beyond 2048 modes is about 0.05^2 / 2048."""
    x, h = values([0.0, 0.6, 1.5])
    length = 10.0
    mass = length * np.mean(np.abs(h) ** 2, axis=1)
    np.testing.assert_allclose(mass, 8 * np.tanh(5), rtol=1e-6)
    h_x = np.fft.ifft(2j * np.pi * np.fft.fftfreq(len(x), length / len(x)) * np.fft.fft(h))
    energy = length * np.mean(np.abs(h_x) ** 2 / 2 - np.abs(h) ** 4 / 2, axis=1)
    np.testing.assert_allclose(energy, energy[0], rtol=1e-5)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5])
def test_classical(tolerance):
    assert Schrodinger().classical(tolerance).error <= tolerance
