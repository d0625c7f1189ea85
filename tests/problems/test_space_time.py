"""Heat and Burgers equation as fields in space and time: data against equation, closed form and another solver."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

from pdesolve.errors import PdesolveError
from problems import BurgersSpaceTime, HeatSpaceTime

FAMILIES = (HeatSpaceTime(), BurgersSpaceTime())
N = 12


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: type(family).__name__)
def case(request):
    family = request.param
    return family, family.generate(40, N, 3), jax.jit(family.residual)


def test_data_satisfy_the_equation(case):
    """To round-off over the step; a field off by 1e-3 at one point and time does not, nor one shifted at one time."""
    family, data, residual = case
    constraint = jax.jit(family.constraint)
    for field in jnp.asarray(data.outputs[:5]):
        assert jnp.max(jnp.abs(residual(field))) < 1e-11 and jnp.max(jnp.abs(constraint(field))) < 1e-12
        for spoilt in (field.at[0, 3, -1].add(1e-3), field.at[0, :, 4].add(1e-3)):
            assert jnp.max(jnp.abs(residual(spoilt))) > 1e-3 and jnp.max(jnp.abs(constraint(spoilt))) > 1e-4


def test_constraint_has_independent_gradients(case):
    """n (n - 1) numbers, whose Jacobian has as many ranks."""
    family, data, _ = case
    field = jnp.asarray(data.outputs[0])
    rows = jax.jit(jax.jacobian(family.constraint))(field).reshape(-1, N * N)
    assert rows.shape[0] == N * (N - 1) == np.linalg.matrix_rank(rows)


def test_heat_by_fourier(key):
    """Every mode is multiplied by (1 - z) / (1 + z) a step, z = 2 d tau n^2 sin^2(pi k / n)."""
    family = HeatSpaceTime(diffusivity=0.03, duration=0.7)
    states = family.generate(5, N, 1).outputs[:, 0]
    z = 2 * 0.03 * 0.7 / (N - 1) * N**2 * np.sin(np.pi * np.arange(N // 2 + 1) / N) ** 2
    modes = np.fft.rfft(states, axis=1)
    factors = ((1 - z) / (1 + z))[:, None] ** np.arange(N)
    np.testing.assert_allclose(modes, modes[:, :, :1] * factors, atol=1e-12 * np.abs(modes).max())


def test_burgers_converges_in_time():
    """Second order in the step towards the system of differences in space, integrated by DOP853."""
    family = BurgersSpaceTime()
    u = family.generate(1, N, 0).outputs[0, 0, :, 0]

    def rate(t, u):
        ahead, behind = np.roll(u, -1), np.roll(u, 1)
        return 0.02 * N**2 * (ahead - 2 * u + behind) - N * (ahead**2 - behind**2) / 4

    expected = scipy.integrate.solve_ivp(rate, (0.0, 0.5), u, method="DOP853", rtol=1e-11, atol=1e-12).y[:, -1]
    errors = [np.abs(family._trajectories(u[None], steps + 1)[0, :, -1] - expected).max() for steps in (16, 32, 64)]
    orders = [np.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert np.abs(np.array(orders) - 2).max() < 0.1 and errors[-1] < 1e-4


def test_law_of_initial_states():
    """Covariance by frequency, within five standard errors; the variance of a point is the square of `deviation`."""
    family, samples = HeatSpaceTime(length=0.15, deviation=0.7), 4000
    modes = np.fft.rfft(family.generate(samples, 16, 0).outputs[:, 0, :, 0], axis=1, norm="forward")
    k = np.arange(-40, 41)
    shape = np.exp(-2 * (np.pi * k * 0.15) ** 2)
    expected = (0.49 * shape / shape.sum())[40:44]
    found = np.mean(np.abs(modes[:, :4]) ** 2, axis=0)
    assert np.all(np.abs(found - expected) < 5 * np.sqrt(2 / samples) * expected)


def test_resolved_and_corrected(case):
    """Solving anew repairs later states; correction gives them the first one's mean, and leaves data alone."""
    family, data, _ = case
    noise = np.random.default_rng(0).standard_normal(data.outputs.shape)
    noise[..., 0] = 0.0
    spoilt = data.outputs + noise
    np.testing.assert_allclose(family.resolved(spoilt), data.outputs, atol=1e-12)
    corrected = jnp.asarray([family.corrected(jnp.asarray(u)) for u in spoilt[:2]])
    np.testing.assert_allclose(corrected.mean(2), np.repeat(data.outputs[:2, :, :, :1].mean(2), N, axis=2), atol=1e-13)
    np.testing.assert_allclose(family.corrected(jnp.asarray(data.outputs[0])), data.outputs[0], atol=1e-13)


def test_samples_by_seed(case):
    """Sample k does not depend on how many are drawn; other seeds give other samples."""
    family, data, _ = case
    np.testing.assert_allclose(family.generate(2, N, 3).outputs, data.outputs[:2], atol=1e-12)
    assert not np.any(family.generate(2, N, 4).outputs == data.outputs[:2])


def test_messages():
    with pytest.raises(PdesolveError, match="`resolution` must be at least 8, got 7"):
        HeatSpaceTime().generate(1, 7, 0)
    wild = BurgersSpaceTime(deviation=100.0, diffusivity=1e-6, duration=10.0)
    with pytest.raises(PdesolveError, match="Newton's method does not end on 12 points"):
        wild.generate(3, 12, 0)
    solved = wild.resolved(200.0 * BurgersSpaceTime().generate(3, 12, 0).outputs)
    assert np.isnan(solved[..., -1]).any() and np.isfinite(solved[..., 0]).all()
