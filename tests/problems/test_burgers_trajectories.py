"""Burgers trajectories: frames against the family that gives the end only, the residual, and the error bound."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.data import fourier_values
from pdesolve.errors import PdesolveError
from problems import BurgersFamily, BurgersTrajectories


@pytest.fixture(scope="module")
def data():
    return BurgersTrajectories(viscosity=0.1, intervals=20).generate(3, 64, seed=3)


def test_shapes_and_grid(data):
    """Time first, both ends included; the input is the initial function at all times, and the first frame."""
    assert data.inputs.shape == data.outputs.shape == (3, 1, 21, 64)
    assert list(data.coordinates) == ["t", "x"]
    np.testing.assert_allclose(data.coordinates["t"], np.linspace(0, 1, 21))
    np.testing.assert_array_equal(data.inputs[:, :, 7], data.inputs[:, :, 0])
    np.testing.assert_array_equal(data.outputs[:, :, 0], data.inputs[:, :, 0])
    assert 0 < data.error_bound < 1e-6 and data.seconds > 0


@pytest.mark.slow
def test_last_frame_is_what_the_other_family_gives(data):
    """Solved with other steps, within the bounds of both."""
    other = BurgersFamily(viscosity=0.1).generate(3, 64, seed=3)
    np.testing.assert_array_equal(other.inputs[:, 0], data.inputs[:, 0, 0])
    errors = np.linalg.norm(data.outputs[:, 0, -1] - other.outputs[:, 0], axis=1)
    # The bound here is relative to all frames, whose norm is that of the first ones.
    bound = data.error_bound * np.linalg.norm(data.outputs.reshape(3, -1), axis=1)
    assert np.all(errors <= bound + other.error_bound * np.linalg.norm(other.outputs[:, 0], axis=1))


def test_inputs_alone(data):
    """Drawn without solving they are the same."""
    drawn = BurgersTrajectories(viscosity=0.1, intervals=20).draw_inputs(2, 64, seed=3)
    np.testing.assert_array_equal(drawn.inputs, data.inputs[:2])
    assert drawn.outputs.shape == (2, 0, 21, 64)


def cole_hopf(t, x, viscosity):
    """u = -2 nu phi_x / phi of the heat equation's phi = 2 + exp(-nu (2 pi)^2 t) cos 2 pi x."""
    k = 2 * np.pi
    decayed = np.exp(-viscosity * k**2 * t)
    return 2 * viscosity * k * decayed * np.sin(k * x) / (2 + decayed * np.cos(k * x))


def test_residual_of_the_exact_solution_vanishes_at_second_order():
    """In time; in space it has none, to round-off. The initial residual is none at all."""
    family = BurgersTrajectories(viscosity=0.05)
    largest = []
    residuals = jax.jit(family.residuals, static_argnums=3)
    for n in (33, 65):
        coordinates = {"t": np.linspace(0, 1, n), "x": np.arange(48) / 48}
        t, x = np.meshgrid(*coordinates.values(), indexing="ij")
        u = jnp.asarray(cole_hopf(t, x, 0.05))[None]
        given = jnp.broadcast_to(u[:, :1], u.shape)
        found = residuals(given, u, coordinates, "spectral")
        assert found["equation"].shape == (n - 2, 48)
        np.testing.assert_array_equal(found["initial"], 0)
        largest.append(float(jnp.abs(found["equation"][(n - 3) // 2]).max()))  # at time 1/2
    assert 3.9 < largest[0] / largest[1] < 4.1
    assert set(family.residuals(given, u, coordinates, "pointwise")) == {"initial"}


def test_residual_sees_what_is_no_solution():
    """u = sin 2 pi x at all times: u u_x - nu u_xx is left."""
    family = BurgersTrajectories(viscosity=0.05)
    coordinates = {"t": np.linspace(0, 1, 5), "x": np.arange(16) / 16}
    k, x = 2 * np.pi, coordinates["x"]
    u = jnp.asarray(np.tile(np.sin(k * x), (5, 1)))[None]
    expected = k * np.sin(k * x) * np.cos(k * x) + 0.05 * k**2 * np.sin(k * x)
    found = jax.jit(lambda u, c: family.residuals(u, u, c, "spectral"))(u, coordinates)["equation"]
    np.testing.assert_allclose(found, np.tile(expected, (3, 1)), atol=1e-11)


@pytest.mark.slow
def test_sample_does_not_depend_on_how_many(data):
    fewer = BurgersTrajectories(viscosity=0.1, intervals=20).generate(1, 32, seed=3)
    np.testing.assert_allclose(fewer.outputs, data.outputs[:1, ..., ::2], atol=1e-13)
    start = BurgersFamily().initial_coefficients(1, 3)
    np.testing.assert_array_equal(fewer.inputs[0, 0, 5], fourier_values(start, 32)[0])


def test_bad_input():
    with pytest.raises(PdesolveError, match="`intervals` must be at least 2"):
        BurgersTrajectories(intervals=1)
