"""The periodic Burgers family: its solver against an independent one, its error bound, its random functions."""

import jax
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from pdesolve.data import fourier_values
from pdesolve.errors import PdesolveError
from problems import BurgersFamily


@pytest.fixture(scope="module")
def data():
    return BurgersFamily().generate(4, 256, seed=3)


def method_of_lines(u0_hat, viscosity, num_modes):
    """Fourier-Galerkin in space, an explicit Runge-Kutta method of order 8 in time (SciPy's DOP853)."""
    k = 2j * np.pi * np.arange(num_modes + 1)
    n = 4 * num_modes  # no product of two kept modes aliases onto a kept one

    def rate(t, packed):
        c = packed[: num_modes + 1] + 1j * packed[num_modes + 1 :]
        squared = np.fft.irfft(c, n=n, norm="forward") ** 2
        result = viscosity * k**2 * c - 0.5 * k * np.fft.rfft(squared, norm="forward")[: num_modes + 1]
        return np.concatenate([result.real, result.imag])

    start = u0_hat[: num_modes + 1]
    packed = np.concatenate([start.real, start.imag])
    solution = solve_ivp(rate, (0.0, 1.0), packed, method="DOP853", rtol=1e-11, atol=1e-14)
    assert solution.success
    return solution.y[: num_modes + 1, -1] + 1j * solution.y[num_modes + 1 :, -1]


def test_against_an_independent_solver(data):
    """Two samples by the method of lines, other in space and in time, within the recorded error bound.

    The other one has 48 modes instead of 255. What the rest of the initial function contributes is less than the
    bound too: 32, 48 and 64 modes differ by 2e-9 at most.
    """
    family = BurgersFamily()
    for c, output in zip(family.initial_coefficients(2, seed=3), data.outputs[:2, 0], strict=True):
        expected = fourier_values(method_of_lines(c, 0.1, 48), 256)
        assert np.linalg.norm(output - expected) < data.error_bound * np.linalg.norm(expected)


def test_error_bound_holds_and_is_small(data):
    """Samples solved with the same solver at four times the resolution differ by no more than the recorded bound."""
    from problems.burgers_family import _PHASES, _POINTS, _solve

    start = BurgersFamily().initial_coefficients(4, seed=3)
    finer, _ = _solve(start, 0.1, 4 * _POINTS, tuple((t, 4 * steps) for t, steps in _PHASES), batch=4)
    expected = fourier_values(finer, 256)
    errors = np.linalg.norm(data.outputs[:, 0] - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert errors.max() <= data.error_bound < 1e-6


def test_shapes_and_grid(data):
    assert data.inputs.shape == data.outputs.shape == (4, 1, 256) and data.outputs.dtype == np.float64
    np.testing.assert_array_equal(data.coordinates["x"], np.arange(256) / 256)
    assert data.seconds > 0


def test_sample_does_not_depend_on_how_many(data):
    """Nor on the resolution: values at shared points agree, to round-off."""
    fewer = BurgersFamily().generate(2, 64, seed=3)
    np.testing.assert_allclose(fewer.inputs, data.inputs[:2, :, ::4], atol=1e-14)
    np.testing.assert_allclose(fewer.outputs, data.outputs[:2, :, ::4], atol=1e-14)
    assert not np.allclose(BurgersFamily().initial_coefficients(1, seed=4)[0], fewer.inputs[0, 0, 0])


def test_mean_is_conserved_and_energy_falls(data):
    """The integral of u stays 0, and that of u^2 falls at least as exp(-2 nu (2 pi)^2 t) (Poincare)."""
    np.testing.assert_allclose(data.outputs.mean(axis=-1), 0, atol=1e-14)
    energy = [np.mean(u**2, axis=(1, 2)) for u in (data.inputs, data.outputs)]
    assert np.all(energy[1] <= energy[0] * np.exp(-0.2 * (2 * np.pi) ** 2) * (1 + 1e-6))


def test_random_functions():
    """E|c_k|^2 = 625 / (4 pi^2 k^2 + 25)^2 and c_0 = 0, to 5 sigma of 2000 exponential draws."""
    c = BurgersFamily().initial_coefficients(2000, seed=0)
    k = np.arange(1, 256)
    assert np.all(c[:, 0] == 0)
    ratio = np.mean(np.abs(c[:, 1:]) ** 2, axis=0) / (625 / (4 * np.pi**2 * k**2 + 25) ** 2)
    np.testing.assert_allclose(ratio, 1, atol=5 / np.sqrt(2000))


def test_float64_whatever_the_precision_of_the_caller(data):
    """With 64-bit types off, as in a float32 training, the data are the same."""
    with jax.enable_x64(False):
        again = BurgersFamily().generate(4, 256, seed=3)
    np.testing.assert_array_equal(again.outputs, data.outputs)


def test_classical_solver_is_coarsened_to_the_tolerance():
    """The error it reports is at most the tolerance, and a coarser grid is chosen for a larger one."""
    family = BurgersFamily()
    loose, tight = family.classical(1e-2), family.classical(1e-4)
    assert loose.error <= 1e-2 and tight.error <= 1e-4
    assert loose.resolution < tight.resolution
    points = np.arange(8)[:, None] / 8
    expected = family.generate(1, 8, seed=0).outputs[0, 0]
    assert np.linalg.norm(tight.evaluate(points)["u"] - expected) < 1e-2 * np.linalg.norm(expected)


def test_viscosity_is_checked():
    with pytest.raises(PdesolveError, match=r"`viscosity` must be at least 0\.005"):
        BurgersFamily(viscosity=1e-3)
