"""Navier-Stokes in time: its random vorticities, invariants, terms on exact flows, and solves that find such a flow."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from operators import PDECL, AbstractOperator, PIHCMoE
from pdesolve.errors import PdesolveError
from problems import NavierStokes2D, NavierStokesTrajectories
from problems._fields import fourier_values, frequencies
from problems.navier_stokes_trajectories import NavierStokesSystem

SYSTEM = NavierStokesSystem(1e-2, 2.0)
RATE = 8e-2 * np.pi**2
"""At which a Taylor-Green vortex decays at that viscosity."""


@pytest.fixture(scope="module")
def data():
    return NavierStokesTrajectories(duration=0.2, intervals=4).generate(2, 16, seed=3)


def vortex(grid=(9, 8, 10)):
    """Return coordinates, and cos(2 pi x) cos(2 pi y) exp(-RATE t) at all times."""
    coordinates = SYSTEM.coordinates(grid)
    t, x, y = np.meshgrid(*coordinates.values(), indexing="ij")
    return coordinates, jnp.asarray(np.cos(2 * np.pi * x) * np.cos(2 * np.pi * y) * np.exp(-RATE * t))


def test_shapes_and_invariants(data):
    """The input is the first frame at all times; the mean is zero, and the square falls."""
    assert data.inputs.shape == data.outputs.shape == (2, 1, 5, 16, 16)
    assert list(data.coordinates) == ["t", "x", "y"] and data.coordinates["t"][-1] == 0.2
    np.testing.assert_allclose(data.outputs[:, :, :1], data.inputs[:, :, :1], atol=1e-13)
    assert np.ptp(data.inputs, axis=2).max() == 0
    assert np.abs(data.outputs.mean(axis=(3, 4))).max() < 1e-6  # modes of 16 and more are sampled as the mean
    assert np.all(np.diff(np.mean(data.outputs**2, axis=(3, 4)), axis=-1) < 0)
    assert 0 < data.error_bound < 1e-6 and data.seconds > 0


def test_end_is_that_of_the_family_without_time(data):
    """The same vorticities on 64 points, with twelve steps."""
    family = NavierStokesTrajectories()
    flow = NavierStokes2D(viscosity=1e-4, force=0.0, duration=0.2)
    end, _ = flow._solve(family.initial_coefficients(2, 3), 64, 12)
    np.testing.assert_allclose(data.outputs[:, 0, -1], fourier_values(end, 16), atol=1e-5)
    assert np.abs(data.outputs[:, 0, -1] - data.outputs[:, 0, 0]).max() > 0.05


def test_samples_by_seed(data):
    """Sample k does not depend on how many are drawn; inputs can be had without solving."""
    family = NavierStokesTrajectories(duration=0.2, intervals=4)
    drawn = family.draw_inputs(3, 16, 3)
    np.testing.assert_array_equal(drawn.inputs[:2], data.inputs)
    assert drawn.outputs.shape == (3, 0, 5, 16, 16)
    assert not np.any(family.draw_inputs(1, 16, 4).inputs == data.inputs[:1])


def test_random_vorticities():
    """E|c_k|^2 over 400 draws, to 5 sigma, is the series of exp(-2 (sin^2 + sin^2) / l^2) by its values on a grid."""
    d = np.sin(np.pi * np.arange(25) / 25) ** 2
    covariance = np.exp(-2 * (d[:, None] + d[None]) / 0.8**2)
    expected = np.fft.rfft2(covariance, norm="forward").real
    c = NavierStokesTrajectories().initial_coefficients(400, seed=0)
    k, l = frequencies(25)  # noqa: E741
    some = (l > 0) & (np.abs(k) < 8) & (l < 8)
    ratio = (np.mean(np.abs(c) ** 2, axis=0) / expected)[some]
    assert np.all(c[:, 0, 0] == 0)
    np.testing.assert_allclose(ratio, 1, atol=6 / np.sqrt(400))
    assert abs(ratio.mean() - 1) < 0.02


def test_terms_of_a_wave():
    """w = t^2 sin(2 pi (x + 2 y)), for which the differences are exact: psi = w / (20 pi^2)."""
    coordinates = SYSTEM.coordinates((7, 8, 9))
    t, x, y = np.meshgrid(*coordinates.values(), indexing="ij")
    z = 2 * np.pi * (x + 2 * y)
    w, slope = t**2 * np.sin(z), 2 * np.pi * t**2 * np.cos(z)
    found = SYSTEM.terms(jnp.asarray(w)[None], jnp.asarray(w)[None], coordinates)
    expected = {
        "change": 2 * t * np.sin(z) + 1e-2 * 20 * np.pi**2 * w,
        "w_x": slope,
        "w_y": 2 * slope,
        "v_x": 2 * slope / (20 * np.pi**2),
        "v_y": -slope / (20 * np.pi**2),
    }
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-11)


def test_advection_is_what_moves_a_frame():
    """The rate of change by the solver of the family, of a vorticity that does not stand still."""
    family = NavierStokesTrajectories(duration=1e-3, intervals=4)
    data = family.generate(1, 32, seed=0)
    found = family.residuals(jnp.asarray(data.inputs[0]), jnp.asarray(data.outputs[0]), data.coordinates, "spectral")
    terms = family.system().terms(data.inputs[0], jnp.asarray(data.outputs[0]), data.coordinates)
    size = jnp.abs(terms["change"]).max()
    assert size > 0.1 and jnp.abs(found["equation"]).max() < 1e-6 * size
    np.testing.assert_allclose(found["initial"], 0.0, atol=1e-13)
    still = family.residuals(jnp.asarray(data.inputs[0]), jnp.asarray(data.inputs[0]), data.coordinates, "spectral")
    assert jnp.abs(still["equation"]).max() > 0.5 * size


def test_answers_meet_the_initial_condition_and_keep_the_mean(key):
    """Whatever the free function is."""
    given, free = jax.random.normal(key, (2, 1, 7, 8, 8))
    answer = SYSTEM.answer(given, free, SYSTEM.coordinates((7, 8, 8)))
    np.testing.assert_array_equal(answer[:, 0], given[:, 0])
    np.testing.assert_allclose(jnp.mean(answer - given, axis=(2, 3)), 0.0, atol=1e-14)
    assert jnp.abs(answer - given)[:, 1:].min() > 0


class Exact(AbstractOperator):
    """Basis functions of which the first, with weight 1, makes the vortex's decay."""

    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)

    def __init__(self, in_channels, out_channels, *, num_dims, **options: Any):
        self.in_channels, self.out_channels, self.num_dims = in_channels, out_channels, num_dims

    def __call__(self, sample):
        coordinates, w = vortex(sample.shape[1:])
        t = jnp.asarray(coordinates["t"])[1:, None, None]
        decay = jnp.concatenate([jnp.zeros_like(w[:1]), (w[1:] - w[:1]) * SYSTEM.duration / t])
        return jnp.stack([decay, jnp.roll(w, 1, axis=1) ** 2])


@pytest.mark.parametrize("layer", ["pde_cl", pytest.param("pihcmoe", marks=pytest.mark.slow)])
def test_solve_finds_the_flow_in_the_span(layer):
    """Residuals are those of differences in time, of fourth order: so are the weights' errors."""
    family = NavierStokesTrajectories(viscosity=1e-2, duration=2.0, intervals=15)
    _, w = vortex((16, 8, 8))
    constructor, options = (PDECL, {}) if layer == "pde_cl" else (PIHCMoE, {"experts": (1, 2, 2)})
    options |= {"num_dims": 3, "operator": Exact, "basis": 2, "ridge": 1e-9, "key": jax.random.key(0)}
    model = constructor(1, 1, family=family, **options)
    given = jnp.broadcast_to(w[:1], (1, *w.shape))
    answer, (weights, left) = eqx.filter_jit(lambda m, g: (m(g), m.weights(g)))(model, given)
    np.testing.assert_allclose(weights.reshape(-1, 2), np.broadcast_to([1.0, 0.0], (weights.size // 2, 2)), atol=1e-3)
    assert float(jnp.max(left)) < 1e-6
    np.testing.assert_allclose(answer[0], w, atol=1e-3)


def test_bad_input():
    with pytest.raises(PdesolveError, match="`intervals` must be at least 4"):
        NavierStokesTrajectories(intervals=3)
    with pytest.raises(PdesolveError, match=r"`length` must be at least 0\.4"):
        NavierStokesTrajectories(length=0.1)
