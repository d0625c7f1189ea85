"""Diffusion with sorption: the solver's order, an independent solver, what enters and stays, and the differences."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

from pdesolve.errors import PdesolveError
from problems import DiffusionSorption
from problems.diffusion_sorption import DiffusionSorptionSystem


@pytest.fixture(scope="module")
def family():
    return DiffusionSorption(intervals=8)


@pytest.fixture(scope="module")
def data():
    return DiffusionSorption(intervals=10, duration=100.0).generate(2, 33, seed=3)


def test_shapes_and_grid(data):
    """Time, then space, both with both ends; the input is the first frame everywhere, and constant."""
    assert data.inputs.shape == data.outputs.shape == (2, 1, 11, 33)
    assert list(data.coordinates) == ["t", "x"] and data.coordinates["t"][-1] == 100.0
    np.testing.assert_array_equal(data.outputs[:, :, 0], data.inputs[:, :, 0])
    assert np.ptp(data.inputs[0]) == 0 and 0 < data.inputs.max() < 0.2
    np.testing.assert_array_equal(data.outputs[:, 0, 1:, 0], 1.0)
    assert 0 < data.error_bound < 1e-3 and data.seconds > 0


def test_order_two_in_space_and_time(family):
    """Changes under refinement fall by four when cells and steps are halved."""
    solved = [family.solution(0.1, 64 * r, refinement=r)[:, ::r] for r in (1, 2, 4)]
    first, second = (np.linalg.norm(b - a) for a, b in itertools.pairwise(solved))
    assert 3.4 < first / second < 4.6
    assert second < 1e-3 * np.linalg.norm(solved[-1])


def test_against_another_integrator(family):
    """The same volumes by SciPy's BDF for u itself, R in place of its integral: errors in time only."""
    cells, start = 32, 0.15
    system, h = family.system(), 1.0 / cells

    def slope(t, u):
        u = np.concatenate([[1.0], u])
        flux = system.diffusivity * np.diff(u) / h
        change = np.append(np.diff(flux) / h, 2 * (-flux[-1] - u[-1]) / h)
        factor = (1 - 0.29) / 0.29 * 2880 * 3.5e-4 * 0.874
        return change / (1 + factor * (np.maximum(u[1:], 0) + 1e-6) ** (0.874 - 1))

    times = np.linspace(0, 500, 9)
    expected = scipy.integrate.solve_ivp(slope, (0, 500), np.full(cells, start), "BDF", times, rtol=1e-7, atol=1e-9)
    found = family.solution(start, cells, refinement=4)[:, 1:]
    np.testing.assert_allclose(found, expected.y.T, atol=2e-4)


def test_nothing_is_lost(family):
    """What has come in through the left end and gone on the right is what is held more, to second order in time."""
    frames = DiffusionSorption(intervals=400, duration=100.0).solution(0.1, 64)
    h, system = 1 / 64, DiffusionSorptionSystem(5e-4, 100.0)
    held = h * (system.stored(frames[:, 1:-1])[0].sum(1) + 0.5 * system.stored(frames[:, -1])[0])
    entering = -system.diffusivity * (frames[:, 1] - frames[:, 0]) / h - frames[:, -1]
    gained = 0.25 * np.cumsum(0.5 * (entering[1:] + entering[:-1])[100:])
    np.testing.assert_allclose(gained, held[101:] - held[100], atol=2e-5)
    assert gained[-1] > 1e-2


def test_solution_grows_with_its_start_and_stays_between_the_ends(family):
    low, high = family.solution(0.01, 64), family.solution(0.2, 64)
    assert np.all(low <= high + 1e-12) and np.all(high <= 1.0 + 1e-12) and low.min() > -1e-6


def test_residuals_of_the_solution_are_small(data):
    """After the first times, beside terms of order one; conditions hold to the order of the differences."""
    family = DiffusionSorption(intervals=10, duration=100.0)
    given, answer = jnp.asarray(data.inputs[0]), jnp.asarray(data.outputs[0])
    found = family.residuals(given, answer, data.coordinates, "differences")
    terms = family.system().terms(given, answer, data.coordinates)
    late = slice(4, None)
    assert jnp.abs(found["equation"][late]).max() < 0.05 * 100.0 * jnp.abs(terms["u_t"][late]).max()
    np.testing.assert_array_equal(found["initial"], 0.0)
    np.testing.assert_array_equal(found["left"], 0.0)
    assert jnp.abs(found["right"]).max() < 1e-3
    wrong = family.residuals(given, answer.at[0, 5].multiply(1.1), data.coordinates, "differences")
    assert jnp.abs(wrong["equation"]).max() > 10 * jnp.abs(found["equation"][late]).max()


def test_differences_are_exact_for_what_they_are_made_of():
    """u = (1 + 3 sqrt t + 2 t)(1 + x - 4 x^2): both derivatives to round-off at all times after the first."""
    system = DiffusionSorptionSystem(5e-4, 2.0)
    coordinates = system.coordinates((7, 9))
    t, x = np.meshgrid(*coordinates.values(), indexing="ij")
    shape = 1 + x - 4 * x**2
    u = jnp.asarray((1 + 3 * np.sqrt(t) + 2 * t) * shape)[None]
    terms = system.terms(u, u, coordinates)
    np.testing.assert_allclose(terms["u_t"][1:], ((1.5 / np.sqrt(t[1:]) + 2) * shape[1:]), atol=1e-12)
    np.testing.assert_allclose(terms["u_xx"], -8 * (1 + 3 * np.sqrt(t) + 2 * t), atol=1e-11)


def test_equation():
    """T (u_t - D u_xx / R), with numbers put in by hand; nothing at the start and at the ends."""
    system = DiffusionSorptionSystem(5e-4, 500.0)
    terms = {"u": jnp.array([0.5]), "u_t": jnp.array([2e-3]), "u_xx": jnp.array([3.0])}
    r = 1 + 0.71 / 0.29 * 2880 * 3.5e-4 * 0.874 * 0.5**-0.126
    found = system.balance(terms, {"inside": jnp.ones(1)})["equation"]
    np.testing.assert_allclose(found, 500 * (2e-3 - 5e-4 * 3.0 / r), rtol=1e-4)
    inside = system.data(jnp.zeros((1, 4, 5)), system.coordinates((4, 5)))["inside"]
    assert inside.sum() == 9 and inside[0].sum() == inside[:, 0].sum() == inside[:, -1].sum() == 0


def test_samples_by_seed(data):
    """Sample k does not depend on how many are drawn; inputs can be had without solving."""
    family = DiffusionSorption(intervals=10, duration=100.0)
    np.testing.assert_array_equal(family.draw_inputs(5, 33, 3).inputs[:2], data.inputs)
    assert family.draw_inputs(5, 33, 3).outputs.shape == (5, 0, 11, 33)
    assert not np.any(family.draw_inputs(2, 33, 4).inputs == data.inputs)


def test_bad_input(family):
    with pytest.raises(PdesolveError, match="`resolution` must be at least 5, got 4"):
        family.generate(1, 4, 0)
    with pytest.raises(PdesolveError, match="`intervals` must be at least 2"):
        DiffusionSorption(intervals=1)
