"""Fronts in the plane: initial waves, and the closed form against the equation and against a spectral method."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft

from problems import Burgers2DC, burgers_2d_c
from problems._fields import fourier_at, frequencies
from problems._modes import etdrk4

from .pointwise import as_vector, equation_residuals


def test_initial_velocity():
    """Its waves are those of the benchmark, free of rotation, at most 2 in size, and repeat; seeds differ."""
    problem, n = Burgers2DC(), 64
    waves = problem._waves()
    x = np.arange(n) / n
    grid = np.meshgrid(x, x, indexing="ij")
    velocity = waves.velocity(*grid)
    moving = velocity - np.reshape(waves.drift, (2, 1, 1))
    assert abs(np.abs(moving).max() - 2) < 1e-12 and np.abs(moving.mean(axis=(1, 2))).max() < 1e-13
    u, v = np.fft.fft2(moving) / n**2
    k = np.fft.fftfreq(n, 1 / n)
    np.testing.assert_allclose(k[:, None] * v, k[None] * u, atol=1e-13)
    used = {(i, j) for i, j in np.argwhere(np.abs(u) + np.abs(v) > 1e-12) if i < n / 2 and j < n / 2}
    assert used == {(i, j) for i in range(4) for j in range(4)} - {(0, 0)}
    np.testing.assert_allclose(waves.velocity(grid[0] + 1, grid[1] - 3), velocity, atol=1e-12)
    traced = jax.vmap(lambda x, y: waves.velocity(x, y, jnp))(jnp.asarray(x), jnp.asarray(x[::-1]))
    np.testing.assert_allclose(traced.T, waves.velocity(x, x[::-1]), atol=1e-13)
    assert np.abs(Burgers2DC(seed=1)._waves().velocity(*grid) - velocity).max() > 0.5


def test_equation_holds_on_the_closed_form():
    """The integral by a rule of its own, Gauss-Hermite, under our calculus, at a viscosity for which that suits."""
    problem = Burgers2DC(viscosity=0.5)
    waves, nu = problem._waves(), 0.5
    s, w = np.polynomial.hermite.hermgauss(40)
    sx, sy = (jnp.asarray(offset.ravel()) for offset in np.meshgrid(s, s))
    weights = jnp.asarray(np.outer(w, w).ravel())
    lengths = 2 * math.pi * np.linalg.norm(waves.vectors, axis=0)

    def exact(at):
        step = 2 * jnp.sqrt(nu * at.t)
        x, y = at.x - waves.drift[0] * at.t + step * sx, at.y - waves.drift[1] * at.t + step * sy
        potential = jnp.sin(jax.vmap(waves._angles)(x, y)) @ jnp.asarray(waves.amplitudes / lengths)
        mass = weights * jnp.exp(-potential / (2 * nu))
        u, v = (mass / mass.sum()) @ jax.vmap(lambda x, y: waves.velocity(x, y, jnp))(x, y)
        return {"u": u, "v": v}

    points = np.random.default_rng(0).uniform((0, 0, 0.002), (4, 4, 0.01), (20, 3))
    for name, residual in equation_residuals(problem, exact, points).items():
        assert np.abs(residual).max() < 1e-8, name
    found = problem.reference().evaluate(points)
    expected = jax.vmap(as_vector(problem, exact))(jnp.asarray(points)).T
    np.testing.assert_allclose(np.stack(list(found.values())), expected, atol=1e-10)


def test_fourier_series_agree():
    """An independent solver: dealiased series and ETDRK4, for fronts that are ten times as wide."""
    problem, n, nu = Burgers2DC(viscosity=0.02), 96, 0.02
    k, l = frequencies(n)  # noqa: E741
    kept = (np.abs(k) < n / 3) & (l < n / 3)
    derivatives = 2j * np.pi * np.stack(np.broadcast_arrays(k, l))

    def nonlinear(t, v):
        velocity, v_x, v_y = np.asarray(
            scipy.fft.irfft2(np.stack([v, *(derivatives[:, None] * v)]), s=(n, n), norm="forward")
        )
        advected = velocity[0] * v_x + velocity[1] * v_y
        return -1.0 * kept * np.asarray(scipy.fft.rfft2(advected, norm="forward"))

    x = np.arange(n) / n
    start = problem._waves().velocity(*np.meshgrid(x, x, indexing="ij"))
    linear = -4 * np.pi**2 * nu * (k**2 + l**2)
    solved = etdrk4(
        np.asarray(scipy.fft.rfft2(start, norm="forward")) * kept, linear, nonlinear, duration=0.1, steps=150, every=150
    )[-1]
    points = np.random.default_rng(1).uniform(0, 1, (200, 3))
    points[:, 2] = 0.1
    found = problem.reference().evaluate(points + np.array([2.0, 1.0, 0.0]))
    for name, series in zip("uv", solved, strict=True):
        np.testing.assert_allclose(found[name], fourier_at(series, points[:, :2]), atol=2e-4)


def test_both_quadratures_agree_and_converge():
    """Across the time at which one takes over from the other nothing jumps; more points divide the error."""
    waves, nu, n = burgers_2d_c._waves(0), 0.001, 256
    early = 1 / (2 * nu * n**2)
    points = np.random.default_rng(2).uniform(0, 4, (50, 3))
    points[:, 2] = early * np.repeat([1 - 1e-9, 1 + 1e-9], 25)
    points[25:, :2] = points[:25, :2]
    u = burgers_2d_c._cole_hopf(waves, nu, n)(points)["u"]
    np.testing.assert_allclose(u[25:], u[:25], atol=1e-6)
    points[:, 2] = 0.4
    expected = burgers_2d_c._cole_hopf(waves, nu, 512)(points)["u"]
    errors = [np.abs(burgers_2d_c._cole_hopf(waves, nu, n)(points)["u"] - expected).max() for n in (48, 72, 108)]
    assert all(later < sooner / 5 for sooner, later in itertools.pairwise(errors)), errors
    assert Burgers2DC().reference().error_bound < 1e-8


def test_classical():
    assert Burgers2DC().classical(1e-2).error <= 1e-2
