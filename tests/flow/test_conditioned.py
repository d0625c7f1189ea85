"""Fields given observations: the posterior of Gaussian data in closed form, and observations met exactly."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.flow.conditioned import MisfitGuidance, MomentGuidance, ObservationProjection, conditioned
from pdesolve.flow.field_generator import FieldGenerator
from pdesolve.flow.hard_constraints import PCFMSampling
from pdesolve.flow.observations import observed
from pdesolve.flow.samplings import StochasticSampling

from .line import equations

GRID = {"x": np.arange(4) / 4}
MEAN = np.array([0.3, -0.2, 0.1, 0.5, 1.0, 0.0, -0.4, 0.2])
ROOT = np.random.default_rng(5).standard_normal((8, 8)) / 3 + 0.4 * np.eye(8)
COVARIANCE = ROOT @ ROOT.T
SHIFT, SCALE = np.repeat([2.0, 4.0], 4), np.repeat([0.5, 2.0], 4)
"""u = SHIFT + SCALE x of the equations of `line`, all values in one row."""


def velocity(x, t):
    """The exact one from standard noise to N(MEAN, COVARIANCE), of normalised fields."""
    spread = (1 - t) ** 2 * jnp.eye(8) + t**2 * COVARIANCE
    slope = t * COVARIANCE - (1 - t) * jnp.eye(8)
    return (MEAN + slope @ jnp.linalg.solve(spread, x.reshape(-1) - t * MEAN)).reshape(x.shape)


def observations(sigma, **columns):
    table = {"x": np.array([0.1, 0.5, 0.625]), "u": np.array([2.3, np.nan, 1.6]), "w": np.array([np.nan, 5.0, np.nan])}
    return observed(table | columns, ("u", "w"), GRID, noise=sigma)


def matrix(given):
    """H of all values in one row."""
    return np.stack([given.predicted(unit) for unit in np.eye(8).reshape(8, 2, 4)], axis=1)


@eqx.filter_jit
def affine(sampling):
    """Value at zero and derivative of a sampling of these data, which is an affine map of the noise."""
    noise = jnp.concatenate([jnp.zeros((1, 8)), jnp.eye(8)]).reshape(9, 2, 4)
    ends = jax.vmap(lambda x: sampling(velocity, x, jax.random.key(0), equations()).value.reshape(-1))(noise)
    return ends[0], (ends[1:] - ends[:1]).T


def test_observations_are_linear_interpolation():
    """Of u at 0.1 and 0.625, and of w at a grid point; in this order: all of u first."""
    given = observations(0.1)
    expected = np.zeros((3, 8))
    expected[0, :2], expected[1, 2:4], expected[2, 6] = (0.6, 0.4), (0.5, 0.5), 1.0
    np.testing.assert_allclose(matrix(given), expected, atol=1e-15)
    np.testing.assert_array_equal(given.values, [2.3, 1.6, 5.0])
    np.testing.assert_array_equal(given.noise, [0.1] * 3)
    own = observations(0.1, noise=np.array([0.1, 0.2, 0.3]))
    np.testing.assert_array_equal(own.noise, [0.1, 0.3, 0.2])


def test_observations_on_a_plane():
    """Bilinear: exact for products of linear functions; axes in the order of the grid, whatever that of the table."""
    grid = {"x": np.linspace(0, 1, 5), "y": np.linspace(-1, 1, 4)}
    x, y = np.meshgrid(*grid.values(), indexing="ij")
    rng = np.random.default_rng(0)
    table = {"v": np.zeros(9), "y": rng.uniform(-1, 1, 9), "x": rng.uniform(0, 1, 9)}
    given = observed(table, ("p", "v"), grid)
    field = jnp.stack([0 * x, (1 + 2 * x) * (3 - y)])
    expected = (1 + 2 * table["x"]) * (3 - table["y"])
    np.testing.assert_allclose(given.predicted(field), expected, rtol=1e-13)


@pytest.mark.parametrize("noise", [0.3, 0.0])
def test_moments_give_the_posterior_of_gaussian_data(noise):
    """Mean and covariance in closed form, of first order in the step: 160 and 320 steps, and their extrapolation."""
    given = observations(noise)
    h, prior = matrix(given) * SCALE, COVARIANCE
    gain = prior @ h.T @ np.linalg.inv(h @ prior @ h.T + noise**2 * np.eye(3))
    mean = MEAN + gain @ (np.asarray(given.values) - matrix(given) @ SHIFT - h @ MEAN)
    covariance = prior - gain @ h @ prior
    found = []
    for num_steps in (160, 320):
        value, slope = affine(MomentGuidance(given, num_steps))
        found.append((np.asarray(value), np.asarray(slope @ slope.T)))
    for coarse, fine, exact in zip(*found, (mean, covariance), strict=True):
        errors = [np.abs(part - exact).max() for part in (coarse, fine)]
        assert errors[1] < 0.03 and 1.7 < errors[0] / errors[1] < 2.3
        np.testing.assert_allclose(2 * fine - coarse, exact, atol=2e-3)
    assert np.abs(mean - MEAN).max() > 0.3  # observations that say nothing would prove nothing


def test_without_information_the_law_stays():
    """Errors as large as 1e6 leave the plain flow, step by step."""
    value, slope = affine(MomentGuidance(observations(1e6), 20))
    plain, straight = affine(StochasticSampling(20))
    np.testing.assert_allclose(value, plain, atol=1e-9)
    np.testing.assert_allclose(slope, straight, atol=1e-9)


def test_the_same_observation_twice():
    """It counts once if it has no error: the matrix is singular, the answer is not."""
    once = observed({"x": np.array([0.25]), "u": np.array([2.4])}, ("u", "w"), GRID)
    twice = observed({"x": np.array([0.25, 0.25]), "u": np.array([2.4, 2.4])}, ("u", "w"), GRID)
    for some, other in zip(*(affine(MomentGuidance(given, 20)) for given in (once, twice)), strict=True):
        np.testing.assert_allclose(some, other, atol=1e-6)


def test_an_inexact_velocity_does_not_blow_up(key):
    """Its predictions have covariances of any sign at early times; what is not positive is not used."""
    rough = jax.random.normal(key, (8, 8))

    def inexact(x, t):
        return velocity(x, t) + 0.2 * jnp.tanh(rough @ x.reshape(-1)).reshape(x.shape)

    sampling, noise = MomentGuidance(observations(1e-3), 100), jax.random.normal(key, (16, 2, 4))
    draw = eqx.filter_jit(jax.vmap(lambda x: sampling(inexact, x, key, equations()).value))
    assert jnp.max(jnp.abs(draw(noise))) < 30


def test_projection_meets_observations(key):
    """To round-off, whatever the noise; with the equation, w = u^2, besides, that is met too."""
    noise, given = jax.random.normal(key, (2, 4)), observations(0.0)
    for equation in (False, True):
        sampling = ObservationProjection(given, 20, equation)
        value, evaluations = eqx.filter_jit(sampling)(velocity, noise, key, equations())
        field = equations().denormalise(value)
        np.testing.assert_allclose(given.predicted(field), given.values, atol=1e-10)
        assert (float(jnp.max(jnp.abs(field[1] - field[0] ** 2))) < 1e-9) == equation
        assert evaluations == 20


def test_misfit_guidance_by_hand(key):
    """One step: x + v - zeta grad |W (y - H u)|, differences for the gradient. At t = 0 the exact v has none."""
    given, noise = observations(0.0), jax.random.normal(key, (2, 4))

    def other(x, t):
        return velocity(x, t) + jnp.sin(x)

    def size(x):
        left = np.asarray(given.values - given.predicted(equations().denormalise(x + other(x, 0.0))))
        return np.linalg.norm(left / [0.5, 0.5, 2.0])

    slope = np.zeros((2, 4))
    for i in np.ndindex(2, 4):
        unit = jnp.zeros((2, 4)).at[i].set(1e-5)
        slope[i] = (size(noise + unit) - size(noise - unit)) / 2e-5
    value = MisfitGuidance(given, 1, 0.3)(other, noise, key, equations()).value
    np.testing.assert_allclose(value, noise + other(noise, 0.0) - 0.3 * slope, atol=1e-8)


def test_misfit_guidance_lowers_the_misfit(key):
    """Ends nearer to the observations than Euler's method, and equals it where it is switched off."""
    given, noise = observations(0.0), jax.random.normal(key, (2, 4))
    ends = [
        eqx.filter_jit(sampling)(velocity, noise, key, equations()).value
        for sampling in (StochasticSampling(50), MisfitGuidance(given, 50, 0.0), MisfitGuidance(given, 50, 0.1))
    ]
    plain, off, led = (given.predicted(equations().denormalise(end)) - given.values for end in ends)
    np.testing.assert_allclose(off, plain, atol=1e-12)
    assert jnp.linalg.norm(led) < 0.5 * jnp.linalg.norm(plain)


def test_conditioned_keeps_the_network():
    """By name; the model of a method with hard constraints keeps those."""
    model = FieldGenerator(velocity, equations(), PCFMSampling())
    given = observations(0.0)
    assert isinstance(conditioned(model, given).sampling, MomentGuidance)
    assert conditioned(model, given, "misfit", num_steps=7).sampling.num_steps == 7
    assert conditioned(model, given, "projection").sampling.equation
    plain = dataclasses.replace(model, sampling=StochasticSampling())
    assert not conditioned(plain, given, "projection").sampling.equation
    with pytest.raises(UnknownNameError, match="Did you mean 'moments'"):
        conditioned(model, given, "moment")
    with pytest.raises(PdesolveError, match="meets observations exactly: give no noise, or take 'moments'"):
        conditioned(model, observations(0.1), "projection")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"U": np.zeros(3)}, "unknown column of observations 'U'"),
        ({"x": None}, "a column for every axis of the grid; x is missing"),
        ({"x": np.array([0.1, 0.9, 0.2])}, "must lie on the grid, x from 0 to 0.75; got 0.9"),
        ({"x": np.array([0.1, np.nan, 0.2])}, "must lie on the grid, x from 0 to 0.75; got nan"),
        ({"u": np.full(3, np.nan), "w": None}, "hold no value of a field: give a column u or w"),
        ({"noise": np.array([0.1, -1.0, 0.1])}, "must not be negative, got -1"),
    ],
)
def test_messages(changes, words):
    table = {"x": np.array([0.1, 0.5, 0.625]), "u": np.zeros(3), "w": np.zeros(3)} | changes
    with pytest.raises(PdesolveError, match=words):
        observed({name: values for name, values in table.items() if values is not None}, ("u", "w"), GRID)


def test_options_out_of_range():
    for make, words in (
        (lambda: MomentGuidance(observations(0.0), 0), "`num_steps` must be an integer, at least 1"),
        (lambda: MisfitGuidance(observations(0.0), 20, -1.0), "`strength` must not be negative"),
        (lambda: ObservationProjection(observations(0.0), 0), "`num_steps` must be an integer"),
    ):
        with pytest.raises(PdesolveError, match=words):
            make()
