"""The Kuramoto-Sivashinsky family: its solver against another one, its invariants, its error bound."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from pdesolve.data import fourier_values
from pdesolve.errors import PdesolveError
from problems.kuramoto_sivashinsky import KuramotoSivashinsky, _integrate

SMALL = KuramotoSivashinsky(length=22.0, duration=4.0)
"""A circle with few humps: less work, the same equation."""


@pytest.fixture(scope="module")
def data():
    return KuramotoSivashinsky().generate(3, 256, seed=3)


@pytest.fixture(scope="module")
def state():
    return SMALL.states(1, seed=5)


def method_of_lines(start, length, duration, num_modes):
    """Fourier-Galerkin with u u_x as a product of two series, an explicit Runge-Kutta method of order 8 in time."""
    q = 2 * np.pi / length * np.arange(num_modes + 1)
    n = 4 * num_modes  # no product of two kept modes aliases onto a kept one

    def rate(t, packed):
        c = packed[: num_modes + 1] + 1j * packed[num_modes + 1 :]
        u, slope = (np.fft.irfft(a, n=n, norm="forward") for a in (c, 1j * q * c))
        result = (q**2 - q**4) * c - np.fft.rfft(u * slope, norm="forward")[: num_modes + 1]
        return np.concatenate([result.real, result.imag])

    packed = np.concatenate([start[: num_modes + 1].real, start[: num_modes + 1].imag])
    solution = solve_ivp(rate, (0.0, duration), packed, method="DOP853", rtol=1e-11, atol=1e-13)
    assert solution.success
    return solution.y[: num_modes + 1, -1] + 1j * solution.y[num_modes + 1 :, -1]


def test_against_an_independent_solver(state):
    """One sample by the method of lines, with the product in another form, within the recorded error bound."""
    family = SMALL.generate(1, 64, seed=5)
    np.testing.assert_allclose(family.inputs[0, 0], fourier_values(state, 64)[0], atol=1e-14)
    expected = fourier_values(method_of_lines(state[0], 22.0, 4.0, 24), 64)
    error = np.linalg.norm(family.outputs[0, 0] - expected) / np.linalg.norm(expected)
    assert error < family.error_bound


def test_fourth_order_in_time(state):
    """Errors of 128 to 512 steps against 4096 of them; with larger ones stiff modes still hide the order."""
    exact, _ = _integrate(state, 22.0, 60, 4.0, 4096)
    steps = np.array([128, 256, 512])
    error = [np.linalg.norm(_integrate(state, 22.0, 60, 4.0, n)[0] - exact) for n in steps]
    assert abs(-np.polyfit(np.log(steps), np.log(error), 1)[0] - 4) < 0.3
    assert error[-1] < 1e-9


def test_small_waves_grow_as_they_should():
    """Without steepening each mode is multiplied by exp((q^2 - q^4) T), whatever the steps."""
    c = np.zeros((1, 11), complex)
    c[0, 1:] = 1e-25
    q = 2 * np.pi / 40.0 * np.arange(11)
    solved, _ = _integrate(c, 40.0, 64, 3.0, 7)
    np.testing.assert_allclose(solved[0, 1:11], 1e-25 * np.exp((q[1:] ** 2 - q[1:] ** 4) * 3.0), rtol=1e-9)


def test_steepening_moves_energy_and_makes_none(state):
    """In a short time dt energy grows by 2 dt sum (q^2 - q^4) |c|^2 alone; the mean stays zero."""
    q = 2 * np.pi / 22.0 * np.arange(state.shape[1])
    dt = 1e-4
    later, _ = _integrate(state, 22.0, 60, dt, 1)
    growth = (np.sum(np.abs(later) ** 2) - np.sum(np.abs(state) ** 2)) / dt
    expected = 2 * np.sum((q**2 - q**4) * np.abs(state) ** 2)
    scale = 2 * np.sum((q**2 + q**4) * np.abs(state) ** 2)
    assert abs(growth - expected) < 1e-3 * scale
    assert later[0, 0] == 0


def test_commutes_with_translations(state):
    """A state moved by a third of the circle ends moved by a third."""
    k = np.arange(state.shape[1])
    turn = np.exp(2j * np.pi * k / 3)
    moved, _ = _integrate(state * turn, 22.0, 60, 4.0, 80)
    still, _ = _integrate(state, 22.0, 60, 4.0, 80)
    np.testing.assert_allclose(moved, still * turn, atol=1e-11)


def test_shapes_mean_and_bound(data):
    """Mean zero, chaotic size, and an error bound well below what a network reaches."""
    assert data.inputs.shape == data.outputs.shape == (3, 1, 256) and data.outputs.dtype == np.float64
    np.testing.assert_allclose(data.coordinates["x"], 64 * math.pi * np.arange(256) / 256)
    np.testing.assert_allclose([data.inputs.mean(axis=-1), data.outputs.mean(axis=-1)], 0, atol=1e-12)
    for values in (data.inputs, data.outputs):
        assert np.all((values.std(axis=-1) > 0.8) & (values.std(axis=-1) < 1.8))
    assert 0 < data.error_bound < 1e-4 and data.seconds > 0
    change = np.linalg.norm(data.outputs - data.inputs) / np.linalg.norm(data.inputs)
    assert change > 0.3, "the map is not the identity"


def test_sample_does_not_depend_on_how_many(data):
    """Nor on the resolution: values at shared points agree, to round-off."""
    fewer = KuramotoSivashinsky().generate(1, 64, seed=3)
    np.testing.assert_allclose(fewer.inputs, data.inputs[:1, :, ::4], atol=1e-13)
    np.testing.assert_allclose(fewer.outputs, data.outputs[:1, :, ::4], atol=1e-13)
    assert not np.allclose(data.inputs[0], data.inputs[1])


def test_classical_solver_is_coarsened_to_the_tolerance():
    """The error it reports is at most the tolerance, and a coarser grid is chosen for a larger one."""
    loose, tight = SMALL.classical(1e-1), SMALL.classical(1e-4)
    assert loose.error <= 1e-1 and tight.error <= 1e-4
    assert loose.resolution < tight.resolution
    points = 22.0 * np.arange(8)[:, None] / 8
    expected = SMALL.generate(1, 8, seed=0).outputs[0, 0]
    assert np.linalg.norm(tight.evaluate(points)["u"] - expected) < 1e-2 * np.linalg.norm(expected)


def test_parameters_are_checked():
    with pytest.raises(PdesolveError, match=r"`length` must be at least 16"):
        KuramotoSivashinsky(length=10.0)
