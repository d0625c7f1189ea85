"""The plane Burgers family: an exact solution, symmetries, another solver, its error bound, its random functions."""

import numpy as np
import pytest
import scipy.fft
from scipy.integrate import solve_ivp

from pdesolve.errors import PdesolveError
from problems._fields import fourier_values, frequencies, resized
from problems.burgers_2d import Burgers2D


@pytest.fixture(scope="module")
def family():
    """Viscous and short, hence quick."""
    return Burgers2D(viscosity=0.02, duration=0.1)


@pytest.fixture(scope="module")
def data(family):
    return family.generate(3, 64, seed=3)


def coefficients(v):
    return scipy.fft.rfft2(v, norm="forward")


def grid(n):
    x = np.arange(n) / n
    return np.meshgrid(x, x, indexing="ij")


def cole_hopf(t, nu, n):
    """v = -2 nu grad(phi) / phi with phi_t = nu laplace phi: phi = 2 + sums of decaying cosines."""
    x, y = grid(n)
    one, two = np.exp(-4 * np.pi**2 * nu * t), np.exp(-8 * np.pi**2 * nu * t)
    z = 2 * np.pi * (x + y)
    phi = 2 + 0.8 * one * np.cos(2 * np.pi * x) + 0.6 * two * np.sin(z)
    phi_x = -0.8 * one * 2 * np.pi * np.sin(2 * np.pi * x) + 0.6 * two * 2 * np.pi * np.cos(z)
    phi_y = 0.6 * two * 2 * np.pi * np.cos(z)
    return -2 * nu * np.stack([phi_x, phi_y]) / phi


def test_cole_hopf():
    """A velocity with a potential: the exact solution at two times."""
    flow = Burgers2D(viscosity=0.05, duration=0.5)
    solved, _ = flow._solve(coefficients(cole_hopf(0.0, 0.05, 64))[None], 64, 200)
    expected = cole_hopf(0.5, 0.05, 64)
    assert np.abs(expected - cole_hopf(0.0, 0.05, 64)).max() > 0.1
    np.testing.assert_allclose(fourier_values(solved[0], 64), expected, atol=1e-8)


def test_fourth_order_in_time():
    flow = Burgers2D(viscosity=0.05, duration=0.5)
    start = resized(Burgers2D().initial_coefficients(1, seed=1), 32)
    exact, _ = flow._solve(start, 32, 1024)
    steps = np.array([64, 128, 256])
    error = [np.linalg.norm(flow._solve(start, 32, n)[0] - exact) for n in steps]
    assert abs(-np.polyfit(np.log(steps), np.log(error), 1)[0] - 4) < 0.3
    assert error[-1] < 1e-6 * np.linalg.norm(exact)


def test_against_an_independent_solver():
    """Products on a grid so fine that nothing aliases, and an explicit Runge-Kutta method of order 8 in time."""
    flow = Burgers2D(viscosity=0.02, duration=0.1)
    start = resized(Burgers2D().initial_coefficients(1, seed=1), 32)
    k, l = frequencies(32)  # noqa: E741
    kept = (np.abs(k) <= 10) & (l <= 10)
    k_fine, l_fine = frequencies(64)

    def rate(t, packed):
        v = packed.view(complex).reshape(2, 32, 17)
        fine = resized(v, 64)
        values, v_x, v_y = (
            np.fft.irfft2(a, s=(64, 64), norm="forward")
            for a in (fine, 2j * np.pi * k_fine * fine, 2j * np.pi * l_fine * fine)
        )
        advected = np.fft.rfft2(values[:1] * v_x + values[1:] * v_y, norm="forward")
        change = -1.0 * kept * resized(advected, 32) - 0.02 * 4 * np.pi**2 * (k**2 + l**2) * v
        return change.ravel().view(float)

    packed = np.ascontiguousarray(start).ravel().view(float)
    solution = solve_ivp(rate, (0.0, 0.1), packed, method="DOP853", rtol=1e-10, atol=1e-12)
    expected = np.ascontiguousarray(solution.y[:, -1]).view(complex).reshape(2, 32, 17)
    solved, _ = flow._solve(start, 32, 400)
    assert np.linalg.norm(solved[0] - expected) < 1e-7 * np.linalg.norm(expected)


def test_a_uniform_velocity_only_moves_the_rest():
    """v(x, t; c) = c + v(x - c t, t): with c t a whole number of points the values are the same."""
    flow = Burgers2D(viscosity=0.05, duration=0.25)
    start = resized(Burgers2D().initial_coefficients(1, seed=2), 48)
    start[..., 0, 0] = 0.0
    moving = start.copy()
    moving[0, :, 0, 0] = 1.0, -0.5  # by 12 points along x and -6 along y of 48
    still, moved = (fourier_values(flow._solve(c, 48, 400)[0][0], 48) for c in (start, moving))
    expected = np.roll(still, (12, -6), axis=(1, 2)) + np.array([1.0, -0.5])[:, None, None]
    np.testing.assert_allclose(moved, expected, atol=1e-7)


def test_no_component_exceeds_its_largest_value(data):
    """The maximum principle holds for each component; energy is lost at the fronts."""
    largest = [np.abs(v).max(axis=(2, 3)) for v in (data.inputs, data.outputs)]
    assert np.all(largest[1] <= largest[0] + 1e-3)
    assert np.sum(data.outputs**2) < np.sum(data.inputs**2)


def test_shapes_and_bound(data):
    assert data.inputs.shape == data.outputs.shape == (3, 2, 64, 64) and data.outputs.dtype == np.float64
    np.testing.assert_array_equal(data.coordinates["y"], np.arange(64) / 64)
    assert 0 < data.error_bound < 1e-3 and data.seconds > 0


def test_sample_does_not_depend_on_how_many(family, data):
    """Nor on the resolution: values at shared points agree, to round-off."""
    fewer = family.generate(1, 16, seed=3)
    np.testing.assert_allclose(fewer.inputs, data.inputs[:1, :, ::4, ::4], atol=1e-13)
    np.testing.assert_allclose(fewer.outputs, data.outputs[:1, :, ::4, ::4], atol=1e-13)
    assert not np.allclose(data.inputs[0], data.inputs[1])
    assert not np.allclose(data.inputs[0, 0], data.inputs[0, 1])


def test_random_velocities():
    """The largest deviation from the mean is 1.5 on 64 points; means are uniform in (-1, 1)."""
    c = Burgers2D().initial_coefficients(300, seed=0)
    means = c[..., 0, 0].real
    values = fourier_values(c, 64) - means[..., None, None]
    np.testing.assert_allclose(np.abs(values).max(axis=(2, 3)), 1.5, rtol=1e-12)
    assert np.abs(means).max() < 1 and abs(means.mean()) < 5 * np.sqrt(1 / 3 / 600)
    assert abs(means.var() - 1 / 3) < 0.05


def test_classical_solver_is_coarsened_to_the_tolerance(family):
    loose, tight = family.classical(1e-1), family.classical(1e-3)
    assert loose.error <= 1e-1 and tight.error <= 1e-3
    assert loose.resolution < tight.resolution
    x, y = grid(8)
    expected = family.generate(1, 8, seed=0).outputs[0]
    found = tight.evaluate(np.stack([x.ravel(), y.ravel()], -1))
    values = np.stack([found["u"].reshape(8, 8), found["v"].reshape(8, 8)])
    assert np.linalg.norm(values - expected) < 1e-2 * np.linalg.norm(expected)


def test_parameters_are_checked():
    with pytest.raises(PdesolveError, match=r"`viscosity` must be at least 0\.002"):
        Burgers2D(viscosity=1e-3)
