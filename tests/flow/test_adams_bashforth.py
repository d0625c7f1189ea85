import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import UnknownNameError
from pdesolve.flow import AdamsBashforth, integrate

from .gaussian import GaussianFlow


def field(t, y, args):
    """y' = -y^2 + sin(3 t), not linear, and not autonomous."""
    return -(y**2) + jnp.sin(3 * t)


def end(times, start="heun", y0=1.0, term=field):
    times = jnp.asarray(times)
    return diffrax.diffeqsolve(
        diffrax.ODETerm(term),
        AdamsBashforth(start),
        times[0],
        times[-1],
        None,
        jnp.asarray([y0]),
        stepsize_controller=diffrax.StepTo(times),
        max_steps=len(times) - 1,
    ).ys[0, 0]


def exact(t0, t1):
    term = diffrax.ODETerm(field)
    controller = diffrax.PIDController(rtol=1e-12, atol=1e-12)
    y0 = jnp.asarray([1.0])
    return diffrax.diffeqsolve(term, diffrax.Dopri8(), t0, t1, (t1 - t0) / 100, y0, stepsize_controller=controller).ys[
        0, 0
    ]


@pytest.mark.parametrize(("start", "order"), [("heun", 3), pytest.param("euler", 2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("span", [(0.0, 1.0), pytest.param((1.0, 0.2), marks=pytest.mark.slow)])
def test_order(start, order, span):
    """Order 3, also backwards in time; Euler's first step leaves order 2."""
    steps = np.array([32, 64, 128])
    errors = [abs(float(end(np.linspace(*span, n + 1), start) - exact(*span))) for n in steps]
    slope = np.polyfit(np.log(1.0 / steps), np.log(errors), 1)[0]
    assert abs(slope - order) < 0.1
    assert errors[-1] < {3: 8e-6, 2: 4e-4}[order]


def test_order_of_uneven_steps():
    """Steps whose lengths differ by up to a factor of four leave the order as it is."""
    errors = []
    for n in (32, 64, 128):
        s = np.linspace(0.0, 1.0, n + 1)
        errors.append(abs(float(end(0.625 * s + 0.375 * s**2 + 0.02 * np.sin(6 * np.pi * s)) - exact(0.0, 1.0))))
    assert abs(np.polyfit(np.log([1, 1 / 2, 1 / 4]), np.log(errors), 1)[0] - 3) < 0.15
    assert errors[-1] < 8e-6


def test_steps_are_the_written_ones():
    """Equal steps after Heun's and the line's, in plain Python, to round-off."""
    n, h = 12, 1 / 12
    t, y, slopes = 0.0, 1.0, []
    for k in range(n):
        f = float(field(t, y, None))
        slopes.append(f)
        if k == 0:
            y = y + h / 2 * (f + float(field(t + h, y + h * f, None)))
        elif k == 1:
            y = y + h / 2 * (3 * slopes[-1] - slopes[-2])
        else:
            y = y + h / 12 * (23 * slopes[-1] - 16 * slopes[-2] + 5 * slopes[-3])
        t += h
    np.testing.assert_allclose(end(np.arange(n + 1) / n), y, rtol=1e-13)


@pytest.mark.parametrize("lengths", [(0.3, 0.2, 0.5), (0.1, 0.4, 0.15)])
def test_a_parabola_is_integrated_exactly(lengths):
    """y' = 1 + t + t^2 over a third step of any length: what two exact steps would leave, plus round-off.

    Heun's step and the line's err by what their rules leave of t^2, h^3/6 and h^2 (2h/6 + p/2) each by hand.
    """
    p, h, _ = lengths
    times = np.cumsum([0.0, *lengths])
    integral = times[-1] + times[-1] ** 2 / 2 + times[-1] ** 3 / 3
    heun = p / 2 * (0 + p**2) - p**3 / 3
    line = (1 + h / (2 * p)) * p**2 * h - ((p + h) ** 3 - p**3) / 3
    found = end(times, term=lambda t, y, args: (1 + t + t**2) * jnp.ones_like(y), y0=0.0)
    np.testing.assert_allclose(found, integral + heun + line, rtol=1e-13)


def test_by_name():
    """`integrate` knows it: one evaluation a step and one to begin with, as many as the program makes."""
    calls = []

    def counted(x, t):
        jax.debug.callback(lambda: calls.append(1))
        return GaussianFlow(1.5, 0.5).velocity(x, t)

    value, evaluations = integrate(counted, jnp.ones((1, 3)), solver="adams_bashforth", num_steps=16)
    jax.effects_barrier()
    assert int(evaluations) == 17 == len(calls)
    np.testing.assert_allclose(value, GaussianFlow(1.5, 0.5).end(jnp.ones((1, 3))), atol=1e-3)


@pytest.mark.slow
def test_gradient():
    """The derivative by the start equals a central difference, to its own error."""
    times = np.linspace(0.0, 1.0, 9)
    slope = jax.grad(lambda y: end(times, y0=y))(1.0)
    np.testing.assert_allclose(slope, (end(times, y0=1.0 + 1e-5) - end(times, y0=1.0 - 1e-5)) / 2e-5, rtol=1e-8)


def test_messages():
    with pytest.raises(UnknownNameError, match=r"unknown first step 'hein'. Did you mean 'heun'"):
        AdamsBashforth("hein")
