import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.flow import integrate
from problems import RandomField1D

from .gaussian import GaussianFlow

STARTS = jnp.array([[-1.0, 0.0, 0.5, 2.0]])


def end_error(flow, **options):
    end = jax.jit(lambda x: integrate(flow.velocity, x, **options).value)(STARTS)
    return float(jnp.max(jnp.abs(end - flow.end(STARTS))))


@pytest.mark.parametrize(("solver", "order"), [pytest.param("euler", 1, marks=pytest.mark.slow), ("heun", 2)])
@pytest.mark.parametrize("sigma_min", [0.0, pytest.param(0.2, marks=pytest.mark.slow)])
def test_order_on_a_gaussian(solver, order, sigma_min):
    """The exact velocity from N(0, 1) to N(1.5, 0.5^2) is followed with the order of the solver."""
    flow = GaussianFlow(1.5, 0.5, sigma_min)
    steps = np.array([32, 64, 128, 256])
    errors = [end_error(flow, solver=solver, num_steps=int(n)) for n in steps]
    slope = np.polyfit(np.log(1.0 / steps), np.log(errors), 1)[0]
    assert abs(slope - order) < 0.1
    assert errors[-1] < {1: 1e-2, 2: 1e-4}[order]


def test_adaptive_solver_reaches_its_tolerance():
    """The local tolerance 1e-8 gives the end to some multiple of it; 100 covers what accumulates over the steps."""
    assert end_error(GaussianFlow(1.5, 0.3), solver="dopri5", num_steps=10, tolerance=1e-8) < 1e-6


@pytest.mark.parametrize(("num_steps", "deviation"), [(20, 0.272371), (100, 0.294274)])
def test_deviation_after_euler_steps(num_steps, deviation):
    """N Euler steps multiply a deviation by prod_i (1 + A(t_i) / N); numbers for m = 1.5, d = 0.3, to six digits."""
    flow = GaussianFlow(1.5, 0.3)
    low, high = integrate(flow.velocity, jnp.array([[0.0, 1.0]]), solver="euler", num_steps=num_steps).value[0]
    assert abs(float(high - low) - deviation) < 1e-6


def test_covariance_of_a_random_field():
    """The exact velocity, one Gaussian for each Fourier mode, gives the whole covariance matrix of the field.

    The flow is linear, so the images of unit vectors are the columns of M, and the covariance is M M^T.
    """
    family, n = RandomField1D(), 16
    deviations = jnp.sqrt(jnp.asarray(family.spectrum(n)) * n)
    flow = GaussianFlow(0.0, deviations[None])

    def velocity(x, t):
        return jnp.fft.ifft(flow.slope(t) * jnp.fft.fft(x)).real

    solve = functools.partial(integrate, velocity, solver="dopri5", tolerance=1e-9)
    images = jax.jit(jax.vmap(lambda x: solve(x).value))(jnp.eye(n)[:, None])[:, 0]
    x = np.arange(n) / n
    np.testing.assert_allclose(images.T @ images, family.covariance(x[:, None] - x), atol=1e-7)


def test_euler_steps_are_the_written_ones(key):
    """x <- x + v(x, i / N) / N, N times, to round-off."""

    def velocity(x, t):
        return jnp.sin(3 * x) + jnp.cos(5 * t)

    noise, num_steps = jax.random.normal(key, (2, 8)), 7
    x = noise
    for i in range(num_steps):
        x = x + velocity(x, i / num_steps) / num_steps
    np.testing.assert_allclose(integrate(velocity, noise, solver="euler", num_steps=num_steps).value, x, atol=1e-14)


@pytest.mark.parametrize("solver", ["euler", "heun", "dopri5"])
def test_function_evaluations_are_counted(solver):
    """The number reported is how often the velocity field was called, steps that were rejected included."""
    flow, calls = GaussianFlow(1.5, 0.01), []

    def velocity(x, t):
        jax.debug.callback(lambda: calls.append(1))
        return flow.velocity(x, t)

    result = integrate(velocity, STARTS, solver=solver, num_steps=9, tolerance=1e-6)
    jax.block_until_ready(result)
    jax.effects_barrier()
    assert int(result.function_evaluations) == len(calls)
    assert {"euler": 9, "heun": 18}.get(solver, len(calls)) == len(calls)


def test_messages():
    flow = GaussianFlow(0.0, 1.0)
    with pytest.raises(UnknownNameError, match=r"unknown solver 'huen'\. Did you mean 'heun'"):
        integrate(flow.velocity, STARTS, solver="huen")
    with pytest.raises(PdesolveError, match="`num_steps` must be an integer, at least 1"):
        integrate(flow.velocity, STARTS, num_steps=0)
