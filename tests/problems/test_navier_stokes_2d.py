"""The Navier-Stokes family: exact flows, invariants, another solver, its error bound, its random vorticities."""

import numpy as np
import pytest
import scipy.fft
from scipy.integrate import solve_ivp

from pdesolve.errors import PdesolveError
from problems._fields import fourier_values, frequencies, resized
from problems.navier_stokes_2d import NavierStokes2D, _equation


@pytest.fixture(scope="module")
def family():
    """Half a unit of time: enough for the flow to turn, and quick."""
    return NavierStokes2D(duration=0.5)


@pytest.fixture(scope="module")
def data(family):
    return family.generate(3, 64, seed=3)


def coefficients(w):
    return scipy.fft.rfft2(w, norm="forward")


def grid(n):
    x = np.arange(n) / n
    return np.meshgrid(x, x, indexing="ij")


def rough(n=32, seed=0):
    """A vorticity in the modes up to 5, with velocities of order one."""
    w = NavierStokes2D().initial_coefficients(1, seed)[0, 0]
    return 20 * resized(resized(w, 11), n)


def test_taylor_green_vortices_decay():
    """w = cos(2 pi x) cos(2 pi y) is carried along itself, hence decays by exp(-8 pi^2 nu t), to round-off."""
    x, y = grid(32)
    w = np.cos(2 * np.pi * x) * np.cos(2 * np.pi * y)
    flow = NavierStokes2D(viscosity=1e-2, force=0.0, duration=1.0)
    solved, _ = flow._solve(coefficients(w)[None], 32, 10)
    np.testing.assert_allclose(fourier_values(solved, 32)[0], w * np.exp(-8e-2 * np.pi**2), atol=1e-14)


def test_force_alone():
    """From rest the force makes a shear flow, w = f (1 - exp(-r t)) / r with r = 8 pi^2 nu, to round-off."""
    x, y = grid(32)
    z = 2 * np.pi * (x + y)
    rate = 8 * np.pi**2 * 1e-3
    expected = 0.3 * (np.sin(z) + np.cos(z)) * -np.expm1(-2 * rate) / rate
    solved, _ = NavierStokes2D(force=0.3, duration=2.0)._solve(np.zeros((1, 32, 17), complex), 32, 5)
    np.testing.assert_allclose(fourier_values(solved, 32)[0], expected, atol=1e-13)


def test_advection_conserves_mean_energy_and_enstrophy():
    """The rate of change by advection is orthogonal to 1, to the stream function and to the vorticity."""
    linear, nonlinear, kept = _equation(32, 1e-3, 0.0)
    w = rough()
    twice = np.where(frequencies(32)[1] == 0, 1, 2)
    psi = w / np.where(linear == 0, 1.0, -linear / 1e-3)
    rate = nonlinear(0.0, w)
    assert rate[0, 0] == 0 and not np.any(rate[~kept])
    size = np.linalg.norm(rate)
    assert size > 1e-2 * np.linalg.norm(w)
    for other in (psi, w):
        assert abs(np.sum(twice * np.real(np.conj(other) * rate))) < 1e-13 * size * np.linalg.norm(other)


def test_advection_is_v_grad_w():
    """In the form it is written in, with products on a grid so fine that nothing aliases, from w alone."""
    _, nonlinear, kept = _equation(32, 1e-3, 0.0)
    w = rough()
    np.testing.assert_allclose(nonlinear(0.0, w), -1.0 * kept * resized(advection(resized(w, 64)), 32), atol=1e-12)


def advection(w):
    """v . grad w of coefficients for any even number of points; exact for modes below a quarter of it."""
    n = len(w)
    k, l = frequencies(n)  # noqa: E741
    psi = w / np.where(k**2 + l**2 == 0, 1.0, 4 * np.pi**2 * (k**2 + l**2))
    d_x, d_y = 2j * np.pi * k, 2j * np.pi * l
    v_1, v_2, w_x, w_y = (np.fft.irfft2(a, s=(n, n), norm="forward") for a in (d_y * psi, -d_x * psi, d_x * w, d_y * w))
    return np.fft.rfft2(v_1 * w_x + v_2 * w_y, norm="forward")


def test_against_an_independent_solver():
    """v . grad w as it is written, on a fine grid, and an explicit Runge-Kutta method of order 8 in time."""
    flow = NavierStokes2D(viscosity=2e-3, duration=0.5)
    start = rough()
    _, _, kept = _equation(32, 2e-3, 0.0)
    k, l = frequencies(32)  # noqa: E741
    x, y = grid(32)
    force = coefficients(0.1 * (np.sin(2 * np.pi * (x + y)) + np.cos(2 * np.pi * (x + y))))

    def rate(t, packed):
        w = packed.view(complex).reshape(32, 17)
        change = force - kept * resized(advection(resized(w, 64)), 32) - 2e-3 * 4 * np.pi**2 * (k**2 + l**2) * w
        return change.ravel().view(float)

    packed = np.ascontiguousarray(start).ravel().view(float)
    solution = solve_ivp(rate, (0.0, 0.5), packed, method="DOP853", rtol=1e-10, atol=1e-12)
    expected = np.ascontiguousarray(solution.y[:, -1]).view(complex).reshape(32, 17)
    solved, _ = flow._solve(start[None], 32, 200)
    assert np.linalg.norm(solved[0] - start) > 0.1 * np.linalg.norm(start)
    assert np.linalg.norm(solved[0] - expected) < 1e-7 * np.linalg.norm(expected)


def test_fourth_order_in_time():
    """Errors of 5 to 40 steps against 640 of them."""
    flow = NavierStokes2D(viscosity=2e-3, duration=0.5)
    start = rough()[None]
    exact, _ = flow._solve(start, 32, 640)
    steps = np.array([10, 20, 40, 80])
    error = [np.linalg.norm(flow._solve(start, 32, n)[0] - exact) for n in steps]
    assert abs(-np.polyfit(np.log(steps), np.log(error), 1)[0] - 4) < 0.3
    assert error[-1] < 1e-5 * np.linalg.norm(exact)


def test_enstrophy_falls_without_force(family):
    """By at least exp(-2 nu (2 pi)^2 t) (Poincare); the mean stays zero."""
    free = NavierStokes2D(force=0.0, duration=0.5).generate(1, 64, seed=3)
    square = [np.mean(w**2) for w in (free.inputs, free.outputs)]
    assert square[1] <= square[0] * np.exp(-2e-3 * (2 * np.pi) ** 2 * 0.5) * (1 + 1e-9)
    np.testing.assert_allclose(free.outputs.mean(), 0, atol=1e-14)


def test_shapes_and_bound(data):
    assert data.inputs.shape == data.outputs.shape == (3, 1, 64, 64) and data.outputs.dtype == np.float64
    np.testing.assert_array_equal(data.coordinates["y"], np.arange(64) / 64)
    assert 0 < data.error_bound < 1e-3 and data.seconds > 0


def test_sample_does_not_depend_on_how_many(family, data):
    """Nor on the resolution: values at shared points agree, to round-off."""
    fewer = family.generate(1, 16, seed=3)
    np.testing.assert_allclose(fewer.inputs, data.inputs[:1, :, ::4, ::4], atol=1e-13)
    np.testing.assert_allclose(fewer.outputs, data.outputs[:1, :, ::4, ::4], atol=1e-13)
    assert not np.allclose(data.inputs[0], data.inputs[1])


def test_random_vorticities():
    """E|c_k|^2 = 686 (4 pi^2 |k|^2 + 49)^(-5/2), c_0 = 0, to 5 sigma of 400 exponential draws."""
    c = NavierStokes2D().initial_coefficients(400, seed=0)[:, 0]
    k, l = frequencies(43)  # noqa: E741
    ratio = np.mean(np.abs(c) ** 2, axis=0)[:, 1:] / (686 * (4 * np.pi**2 * (k**2 + l**2) + 49) ** -2.5)[:, 1:]
    assert np.all(c[:, 0, 0] == 0)
    np.testing.assert_allclose(ratio, 1, atol=5 / np.sqrt(400) * 1.2)
    assert abs(ratio.mean() - 1) < 0.02


def test_classical_solver_is_coarsened_to_the_tolerance(family):
    """The error it reports is at most the tolerance, and a coarser grid is chosen for a larger one."""
    loose, tight = family.classical(1e-1), family.classical(1e-2)
    assert loose.error <= 1e-1 and tight.error <= 1e-2
    assert loose.resolution < tight.resolution
    x, y = grid(8)
    expected = family.generate(1, 8, seed=0).outputs[0, 0]
    values = tight.evaluate(np.stack([x.ravel(), y.ravel()], -1))["w"].reshape(8, 8)
    assert np.linalg.norm(values - expected) < 5e-2 * np.linalg.norm(expected)


def test_parameters_are_checked():
    with pytest.raises(PdesolveError, match=r"`viscosity` must be at least 0\.0001"):
        NavierStokes2D(viscosity=1e-5)
