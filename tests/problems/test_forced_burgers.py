"""Forced conservation laws: conservation, exact solutions, an independent solver, and what steps are given."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

from pdesolve.config import DataConfig, Recipe
from pdesolve.data import make_data
from pdesolve.learning import draw_splits
from problems import ForcedBurgers, ForcedKdVBurgers, ForcedViscousBurgers
from problems._weno import Law, _face_values, _flux_difference, evolve

LENGTH = 16.0


def law(amplitudes, numbers=(1.0, 2.0), frequencies=(0.3, -0.2), convection=1.0, viscosity=0.0, dispersion=0.0):
    """One sample with two waves, the other three without amplitude."""
    rest = np.zeros(3)
    parts = [np.concatenate([part, rest])[None] for part in (amplitudes, frequencies, (0.4, 1.3), numbers)]
    return Law(*parts, *(np.asarray([value]) for value in (convection, viscosity, dispersion)))


def solution(sample, cells, *, interval=0.5, intervals=2, kept=None):
    options = {"length": LENGTH, "cells": cells, "kept": kept or cells, "interval": interval, "intervals": intervals}
    return evolve(sample, **options)[0][0]


def averages(values, cells):
    """Averages over cells of a function given at many points of each, Gauss-Legendre of three."""
    nodes, weights = np.polynomial.legendre.leggauss(3)
    x = LENGTH * (np.arange(cells)[:, None] + 0.5 + nodes[None] / 2) / cells
    return values(x) @ weights / 2


@pytest.fixture(scope="module")
def data():
    return ForcedKdVBurgers(intervals=4, duration=0.4, cells=100).generate(3, 25, seed=2)


def test_shapes_and_what_is_drawn(data):
    """Cells at their centres; a coefficient is one number of a sample at all times; the first frame is the input."""
    assert data.inputs.shape == (3, 4, 5, 25) and data.outputs.shape == (3, 1, 5, 25)
    np.testing.assert_allclose(data.coordinates["x"][[0, -1]], [0.32, 15.68])
    np.testing.assert_array_equal(data.inputs[:, 0, 3], data.outputs[:, 0, 0])
    coefficients = data.inputs[:, 1:]
    assert np.ptp(coefficients, axis=(2, 3)).max() == 0
    low, high = np.array([0.0, 0.1, 0.0]), np.array([6.0, 0.4, 1.0])
    assert np.all((low < coefficients[:, :, 0, 0]) & (coefficients[:, :, 0, 0] < high))
    assert 0 < data.error_bound < 1e-2 and data.seconds > 0


def test_mean_is_conserved_and_samples_stand_alone(data):
    """Force and fluxes have mean zero; one sample alone has the same numbers, to the last bit."""
    assert np.abs(data.outputs.mean(axis=-1)).max() < 1e-14
    alone = ForcedKdVBurgers(intervals=4, duration=0.4, cells=100).generate(1, 25, seed=2)
    np.testing.assert_array_equal(alone.outputs, data.outputs[:1])


def test_linear_equation_is_exact_up_to_the_force():
    """Without convection every wave obeys one equation, c' = (-nu q^2 + i gamma q^3) c + force; third order in time."""
    sample = law((0.4, -0.3), convection=0.0, viscosity=0.15, dispersion=0.6)
    found = solution(sample, 64, interval=1.0, intervals=2)

    def exact(x):
        total = 0.0
        for a, w, p, k in zip(
            sample.amplitudes[0], sample.frequencies[0], sample.phases[0], sample.numbers[0], strict=True
        ):
            q = 2 * np.pi / LENGTH * k
            rate = -0.15 * q**2 + 0.6j * q**3
            forced = a * np.exp(1j * p) / (1j * w - rate) if a else 0.0
            c = (a * np.exp(1j * p) - forced) * np.exp(2.0 * rate) + forced * np.exp(2.0j * w)
            total = total + np.imag(c * np.exp(1j * q * x))
        return total

    np.testing.assert_allclose(found[-1], averages(exact, 64), atol=1e-8)


def test_face_values_are_of_fifth_order():
    """From averages of a sine, in its smooth parts and at its extrema."""
    errors = []
    for cells in (32, 64):
        edges = 2 * np.pi * np.arange(cells + 1) / cells
        means = jnp.asarray(-np.diff(np.cos(edges)) / np.diff(edges))
        errors.append(np.abs(jax.jit(_face_values)(means) - np.sin(edges[1:])).mean())
    assert 4.5 < np.log2(errors[0] / errors[1]) < 5.5


def test_fluxes_at_jumps():
    """Godunov's fluxes: that of the left state at a shock to the right, none in a rarefaction through zero."""
    cells = 20
    u = np.full(cells, 1.0)
    u[10:] = -1.0  # a shock at rest at cell 10, a rarefaction at the end
    difference = np.asarray(jax.jit(_flux_difference)(jnp.asarray(u), jnp.asarray(2.0)))
    expected = np.zeros(cells)
    expected[0], expected[-1] = 1.0, -1.0  # no flux between -1 and 1: both sides are drawn apart
    np.testing.assert_allclose(difference, expected, atol=1e-6)


def test_shocks_have_the_right_speed():
    """Averages of a wave with a shock that moves, on 100 and 200 cells against 400: the error is halved at least."""
    sample = law((2.0, 0.0), frequencies=(0.0, 0.0))
    coarse, middle, fine = (solution(sample, cells, interval=3.0, intervals=2, kept=50) for cells in (100, 200, 400))
    errors = [np.linalg.norm(u[-1] - fine[-1]) / np.linalg.norm(fine[-1]) for u in (coarse, middle)]
    assert errors[1] < 0.5 * errors[0] and errors[1] < 2e-2


def test_against_an_independent_solver():
    """Fourier series and SciPy's Runge-Kutta method of eighth order, all three terms at once."""
    sample = law((0.5, -0.4), convection=2.0, viscosity=0.3, dispersion=0.4)
    n = 96
    x = LENGTH * np.arange(n) / n
    q = 2 * np.pi / LENGTH * np.fft.rfftfreq(n, 1 / n)

    def force(t):
        waves = zip(*(part[0] for part in sample[:4]), strict=True)
        return sum(a * np.sin(w * t + 2 * np.pi * k * x / LENGTH + p) for a, w, p, k in waves)

    def slope(t, u):
        flux = np.fft.rfft(u**2)  # alpha / 2 = 1
        linear = (-0.3 * q**2 + 0.4j * q**3) * np.fft.rfft(u)
        return np.fft.irfft(linear - 1j * q * flux, n) + force(t)

    solved = scipy.integrate.solve_ivp(slope, (0.0, 1.0), force(0.0), method="DOP853", rtol=1e-8, atol=1e-9)
    coefficients = np.fft.rfft(solved.y[:, -1], norm="forward")

    def exact(points):
        waves = np.exp(1j * q[:, None, None] * points[None])
        return np.real(np.tensordot(2 * coefficients, waves, 1)) - coefficients[0].real

    found = solution(sample, 192, interval=1.0, intervals=1)[-1]
    expected = averages(exact, 192)
    assert np.linalg.norm(found - expected) < 1e-5 * np.linalg.norm(expected)


def test_steps_are_given_the_coefficients(tmp_path):
    """Trajectories with the viscosity beside them, generated or from a file that was made of the family."""
    family = ForcedViscousBurgers(intervals=3, duration=0.3, cells=32)
    config = DataConfig(train=3, test=2, resolution=16, batch=1)
    recipe = Recipe(method="operator", data=config)
    train = draw_splits(family, recipe, stepped=True).train.load(0, 3)
    assert train.inputs.shape == (3, 1, 16) and train.outputs.shape == (3, 1, 4, 16)
    seed = int(np.random.SeedSequence(0).generate_state(3)[0])
    made = family.generate(3, 16, seed)
    np.testing.assert_array_equal(train.inputs[:, 0], made.inputs[:, 1, 0])
    np.testing.assert_array_equal(train.outputs, made.outputs)


@pytest.mark.slow
def test_steps_from_a_file(tmp_path):
    """The constants of the family are among the inputs of its file."""
    family = ForcedViscousBurgers(intervals=3, duration=0.3, cells=32)
    path = make_data(family, tmp_path / "e2.h5", name="forced_viscous_burgers", samples=6, resolution=16)
    config = DataConfig(train=3, test=2, resolution=16, batch=1, file=str(path))
    train = draw_splits(family, Recipe(method="operator", data=config), stepped=True).train.load(0, 3)
    assert train.inputs.shape == (3, 1, 16) and np.ptp(train.inputs, axis=2).max() == 0
    assert train.inputs.min() > 0 and train.outputs.shape == (3, 1, 4, 16)


@pytest.mark.slow
def test_inviscid_family():
    """No coefficients beside the trajectories."""
    data = ForcedBurgers(intervals=2, duration=0.1, cells=32).generate(1, 16, seed=0)
    assert data.inputs.shape == data.outputs.shape == (1, 1, 3, 16)
