import dataclasses
import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.fit import Stage, fit
from pdesolve.flow import StochasticInterpolant, diffuse, integrate, integrate_sde, interpolant_block
from pdesolve.flow.interpolant_objective import QUANTITIES, InterpolantResidual
from pdesolve.flow.interpolants import GAMMAS, ONE_SIDED, PATHS
from pdesolve.objective import Context, Objective
from pdesolve.optim import FirstOrder, LevenbergMarquardt
from pdesolve.samplers import FixedSamples

CONTEXT = Context(jnp.asarray(0), jnp.asarray(0.0))
ALL = [
    StochasticInterpolant(path, None if path in ONE_SIDED else gamma)
    for path, gamma in itertools.product(PATHS, GAMMAS)
    if (path, gamma) not in (("trigonometric", "sine_squared"), ("mirror", "zero"))
    and (path not in ONE_SIDED or gamma == "zero")
]
NAMES = [f"{each.path}-{each.gamma}" for each in ALL]


class Gaussian:
    """N(m0, s0^2) to N(m1, s1^2), independent: mean and variance of x_t, velocity and score in closed form."""

    def __init__(self, interpolant, m0=-1.0, s0=0.5, m1=2.0, s1=1.2):
        self.interpolant, self.m0, self.s0, self.m1, self.s1 = interpolant, m0, s0, m1, s1

    def mean(self, t):
        by = self.interpolant.coefficients(t)
        return by.start * self.m0 + by.end * self.m1

    def variance(self, t):
        by = self.interpolant.coefficients(t)
        return (by.start * self.s0) ** 2 + (by.end * self.s1) ** 2 + by.noise**2

    def drift(self, x, t):
        """E[a' x0 + b' x1 | x_t = x] by the covariance of target and x_t."""
        by, rates = self.interpolant.coefficients(t), self.interpolant.rates(t)
        mean = rates.start * self.m0 + rates.end * self.m1
        covariance = rates.start * by.start * self.s0**2 + rates.end * by.end * self.s1**2
        return mean + covariance / self.variance(t) * (x - self.mean(t))

    def denoiser(self, x, t):
        return self.interpolant.coefficients(t).noise / self.variance(t) * (x - self.mean(t))

    def score(self, x, t):
        return -(x - self.mean(t)) / self.variance(t)

    def velocity(self, x, t):
        """m' + S' / (2 S) (x - m), with the derivative of S from that of gamma squared, finite at the ends."""
        by, rates = self.interpolant.coefficients(t), self.interpolant.rates(t)
        mean = rates.start * self.m0 + rates.end * self.m1
        half = rates.start * by.start * self.s0**2 + rates.end * by.end * self.s1**2 + self.interpolant.product(t)
        return mean + half / self.variance(t) * (x - self.mean(t))


@pytest.mark.parametrize("interpolant", ALL, ids=NAMES)
def test_end_points(interpolant):
    """x_0 at 0 (the noise on one-sided paths, x_1 for mirror), x_1 at 1, to round-off."""
    start, end, z = jnp.asarray(3.0), jnp.asarray(5.0), jnp.asarray(7.0)
    first = z if interpolant.path in ONE_SIDED else (end if interpolant.path == "mirror" else start)
    np.testing.assert_allclose(interpolant.position(start, end, z, jnp.asarray(0.0)), first, atol=1e-14)
    np.testing.assert_allclose(interpolant.position(start, end, z, jnp.asarray(1.0)), end, atol=1e-14)


@pytest.mark.parametrize("interpolant", ALL, ids=NAMES)
def test_rates_are_derivatives(interpolant):
    """a', b', gamma' and gamma gamma' by forward differentiation, at times inside, to round-off."""
    for t in (0.1, 0.3, 0.7, 0.9):
        t = jnp.asarray(t)
        values, rates = jax.jvp(lambda t: interpolant.coefficients(t), (t,), (jnp.ones(()),))
        np.testing.assert_allclose(interpolant.rates(t), rates, atol=1e-13)
        np.testing.assert_allclose(interpolant.product(t), values.noise * rates.noise, atol=1e-14)
    ends = jnp.asarray([interpolant.product(jnp.asarray(t)) for t in (0.0, 1.0)])
    assert jnp.isfinite(ends).all()


def test_numbers_of_an_example():
    """S(0.3) = 0.4621 and S'/(2S) = 0.98896 from N(-1, 0.5^2) to N(2, 1.2^2) with sqrt(t (1 - t))."""
    gaussian, t = Gaussian(StochasticInterpolant()), jnp.asarray(0.3)
    assert abs(gaussian.variance(t) - 0.4621) < 1e-12
    assert abs(gaussian.velocity(1.0 + gaussian.mean(t), t) - 3.0 - 0.98896) < 5e-6


def test_velocity_and_score_from_each_other():
    """b = v - gamma gamma' s and s = -eta / gamma agree with the closed forms, to round-off."""
    for interpolant in ALL:
        if not interpolant.has_noise:
            continue
        gaussian, x, t = Gaussian(interpolant), jnp.asarray([0.3, 2.0]), jnp.asarray(0.4)
        velocity = interpolant.velocity_of(gaussian.drift, gaussian.score)
        np.testing.assert_allclose(velocity(x, t), gaussian.velocity(x, t), rtol=1e-12)
        np.testing.assert_allclose(interpolant.score_of(gaussian.denoiser)(x, t), gaussian.score(x, t), rtol=1e-12)


class Affine(eqx.Module):
    """f(x, t) = a x + b at the one time that is looked at."""

    a: jax.Array
    b: jax.Array

    def __call__(self, x, t):
        return self.a * x + self.b


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("path", ["linear", "trigonometric", "one_sided_linear"])
def test_minimiser_is_the_closed_form(key, quantity, path):
    """Least squares of the targets over affine f, at one time, gives the mean of the target given x_t.

    Slope and value at the mean within 5 sigma / sqrt(n) of the closed form, n = 40000; sigma, the deviation of the
    target over that of x_t, is below 4 in all cases.
    """
    n, t, interpolant = 40_000, 0.3, StochasticInterpolant(path)
    gaussian = Gaussian(interpolant)
    start, end = jax.random.normal(key, (2, n, 1))
    start = gaussian.m0 + gaussian.s0 * start if interpolant.has_start else None
    end = gaussian.m1 + gaussian.s1 * end
    block = interpolant_block(interpolant, end, n, start=start, quantity=quantity)
    samples = block.sampler.draw(block.sampler.init(0), key, jnp.asarray(0)).samples
    samples["time"] = jnp.full(n, t)

    z, _ = block.evaluate(Affine(jnp.ones(()), jnp.zeros(())), samples, key, CONTEXT)  # f = x
    x, target = jnp.moveaxis(z[quantity], 1, 0)
    slope, intercept = np.polyfit(np.ravel(x), np.ravel(target), 1)
    mean = gaussian.mean(t)
    expected = getattr(gaussian, quantity)
    assert abs(slope - (expected(mean + 1, t) - expected(mean, t))) < 5 * 4 / np.sqrt(n)
    assert abs(slope * mean + intercept - expected(mean, t)) < 5 * 4 / np.sqrt(n)


def test_pairs_keep_the_loss_finite(key):
    """Near the ends the gradient from pairs z, -z stays of order 1 while that of single draws grows as 1 / gamma."""
    model = Affine(jnp.asarray(0.3), jnp.asarray(0.1))
    start, end, z = jax.random.normal(key, (3, 500, 1))
    residual = InterpolantResidual(StochasticInterpolant())

    @functools.partial(jax.jit, static_argnums=1)
    def slopes(t, signs):
        def loss(model, start, end, z):
            sample = {"start": start, "end": end, "noise": z, "time": t}
            f, g = residual(model, sample, key, CONTEXT)["velocity"][:, :signs]
            return jnp.mean(f**2 / 2 - f * g)

        return jax.vmap(jax.grad(loss), (None, 0, 0, 0))(model, start, end, z).b

    near, nearer = jnp.asarray(1e-4), jnp.asarray(1e-8)
    assert jnp.std(slopes(nearer, 2)) < 1.1 * jnp.std(slopes(near, 2))
    assert jnp.std(slopes(nearer, 1)) > 50 * jnp.std(slopes(near, 1))


@pytest.mark.slow
def test_curvature_is_that_of_the_loss(key):
    """Levenberg-Marquardt solves the quadratic problem, over affine f, in a few steps; samples are fixed."""
    interpolant = StochasticInterpolant(gamma="quadratic")
    end = jax.random.normal(key, (64, 2))
    block = interpolant_block(interpolant, end, 64, start=end[::-1] - 1, quantity="drift")
    samples = block.sampler.draw(block.sampler.init(0), key, jnp.asarray(0)).samples
    block = dataclasses.replace(block, sampler=FixedSamples(samples))
    stage = Stage(Objective((block,)), LevenbergMarquardt(), steps=20, chunk=20)
    model = fit([stage], Affine(jnp.zeros(()), jnp.zeros(()))).trainables
    x = jax.vmap(interpolant.position)(samples["start"], samples["end"], samples["noise"], samples["time"])
    target = jax.vmap(interpolant.drift)(samples["start"], samples["end"], samples["time"])
    slope, intercept = np.polyfit(np.ravel(x), np.ravel(target), 1)
    np.testing.assert_allclose([model.a, model.b], [slope, intercept], atol=1e-6)


@pytest.mark.slow
def test_velocity_and_score_in_one_fit(key):
    """Two blocks train two networks of one dictionary, with independent draws of both laws."""
    start, end = jax.random.normal(key, (16, 2)), 1 + jax.random.normal(key, (24, 2))
    blocks = tuple(
        interpolant_block(
            StochasticInterpolant(), end, 8, start=start, paired=False, quantity=part, part=part, margin=0.1
        )
        for part in ("velocity", "score")
    )
    model = {part: Affine(jnp.zeros(()), jnp.zeros(())) for part in ("velocity", "score")}
    result = fit([Stage(Objective(blocks), FirstOrder(optax.adam(1e-2)), steps=20, chunk=10)], model)
    assert result.status == "completed"
    assert all(jnp.abs(result.trainables[part].a) > 0.01 for part in model)


@pytest.mark.parametrize("path", ["encoding_decoding", pytest.param("trigonometric", marks=pytest.mark.slow)])
def test_flow_of_the_velocity(path):
    """The flow of b carries N(m0, s0^2) to N(m1, s1^2): x -> m1 + s1 / s0 (x - m0), to the solver's tolerance."""
    gaussian = Gaussian(StochasticInterpolant(path))

    @functools.partial(jax.jit, static_argnums=1)
    def along(x, times):
        # In two halves: the velocity of encoding and decoding has a corner between them.
        for span in itertools.pairwise(times):
            x = integrate(gaussian.velocity, x, solver="dopri5", tolerance=1e-9, num_steps=50, span=span).value
        return x

    x = jnp.array([-2.0, -1.0, 0.5])
    end = along(x, (0.0, 0.5, 1.0))
    np.testing.assert_allclose(end, 2.0 + 1.2 / 0.5 * (x + 1.0), atol=1e-6)
    np.testing.assert_allclose(along(end, (1.0, 0.5, 0.0)), x, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("strength", "backwards"), [(2.0, False), (0.5, False), (0.5, True)])
def test_law_of_euler_maruyama(key, strength, backwards):
    """Mean and variance of 10000 samples are those of the method's own recursion, within five standard errors.

    X + h (A X + c) + sqrt(2 e h) Z has variance (1 + h A)^2 V + 2 e h. The recursion itself tends to the exact law:
    with 400 steps its deviation is 1.2 (backwards 0.5) to 1 %, whatever e is.
    """
    gaussian = Gaussian(StochasticInterpolant())
    ends = [(gaussian.m0, gaussian.s0), (gaussian.m1, gaussian.s1)]
    (mean, deviation), (_, exact) = ends[::-1] if backwards else ends
    sign = -1.0 if backwards else 1.0

    def change(x, t):
        return sign * gaussian.velocity(x, t) + strength * gaussian.score(x, t)

    def recursion(steps):
        times = jnp.linspace(1.0, 0.0, steps + 1) if backwards else jnp.linspace(0.0, 1.0, steps + 1)
        constants, m, variance = np.asarray(change(0.0, times)), mean, deviation**2
        for constant, slope in zip(constants[:-1], np.asarray(change(1.0, times) - constants)[:-1], strict=True):
            m += (slope * m + constant) / steps
            variance = (1 + slope / steps) ** 2 * variance + 2 * strength / steps
        return m, np.sqrt(variance)

    n, steps = 10_000, 20
    x = mean + deviation * jax.random.normal(key, (n, 1))
    keys = jax.random.split(jax.random.fold_in(key, 1), n)
    options = {"strength": strength, "backwards": backwards, "solver": "euler_maruyama", "num_steps": steps}
    sample = jax.jit(jax.vmap(lambda x, key: diffuse(gaussian.velocity, gaussian.score, x, key, **options).value))
    end, (middle, spread) = sample(x, keys), recursion(steps)
    assert abs(jnp.mean(end) - middle) < 5 * spread / np.sqrt(n)
    assert abs(jnp.std(end) - spread) < 5 * spread / np.sqrt(2 * n)
    assert abs(recursion(400)[1] / exact - 1) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["euler_heun", "sra1", "shark"])
def test_law_of_other_solvers(key, solver):
    """With 40 steps of a solver of higher order the deviation is 1.2 within five standard errors and 1 %."""
    gaussian, n = Gaussian(StochasticInterpolant()), 4000
    x = gaussian.m0 + gaussian.s0 * jax.random.normal(key, (n, 1))
    keys = jax.random.split(jax.random.fold_in(key, 1), n)

    @jax.jit
    @jax.vmap
    def sample(x, key):
        return diffuse(gaussian.velocity, gaussian.score, x, key, solver=solver, num_steps=40)

    end, evaluations = sample(x, keys)
    tolerance = 0.05 if solver == "euler_heun" else 0.01
    assert abs(jnp.std(end) / 1.2 - 1) < tolerance + 5 / np.sqrt(2 * n)
    assert abs(jnp.mean(end) - 2.0) < 1.2 * (tolerance + 5 / np.sqrt(n))
    assert jnp.all(evaluations == (40 if solver == "euler_heun" else 80))


@pytest.mark.slow
def test_without_noise_it_is_the_flow(key):
    """Strength 0 is Euler's method along the velocity, to round-off."""
    gaussian, x = Gaussian(StochasticInterpolant()), jnp.array([0.2, -0.7])
    end = diffuse(gaussian.velocity, gaussian.score, x, key, strength=0.0, solver="euler_maruyama", num_steps=10).value
    np.testing.assert_allclose(end, integrate(gaussian.velocity, x, solver="euler", num_steps=10).value, rtol=1e-13)


@pytest.mark.slow
def test_noise_that_depends_on_time(key):
    """The integral of 2 t dW over [0, 1] has variance 4/3, within five standard errors."""
    keys = jax.random.split(key, 4000)
    ends = jax.jit(jax.vmap(lambda k: integrate_sde(lambda x, t: 0 * x, jnp.zeros(1), k, noise=lambda t: 2 * t).value))
    assert abs(jnp.var(ends(keys)) / (4 / 3) - 1) < 5 * np.sqrt(2 / 4000)


def test_messages(key):
    with pytest.raises(UnknownNameError, match=r"unknown path 'liner'. Did you mean 'linear'"):
        StochasticInterpolant("liner")
    with pytest.raises(UnknownNameError, match=r"unknown gamma 'brown'"):
        StochasticInterpolant("linear", "brown")
    with pytest.raises(PdesolveError, match=r"has its own gamma: leave out 'zero'"):
        StochasticInterpolant("one_sided_linear", "zero")
    with pytest.raises(PdesolveError, match=r"would have a kink"):
        StochasticInterpolant("trigonometric", "sine_squared")
    with pytest.raises(PdesolveError, match=r"does not move"):
        StochasticInterpolant("mirror", "zero")
    with pytest.raises(PdesolveError, match=r"there is no score: choose another gamma"):
        InterpolantResidual(StochasticInterpolant("linear", "zero"), "score")
    with pytest.raises(UnknownNameError, match=r"unknown quantity of an interpolant 'speed'"):
        InterpolantResidual(StochasticInterpolant(), "speed")
    with pytest.raises(PdesolveError, match=r"path 'linear' has an x_0; `start` gave none"):
        interpolant_block(StochasticInterpolant(), jnp.zeros((4, 1)), 2)
    with pytest.raises(PdesolveError, match=r"as many if `paired`"):
        interpolant_block(StochasticInterpolant(), jnp.zeros((4, 1)), 2, start=jnp.zeros((5, 1)))
    with pytest.raises(PdesolveError, match=r"`margin` must be at least 0 and below 1/2, got 0.7"):
        interpolant_block(StochasticInterpolant(), jnp.zeros((4, 1)), 2, start=jnp.zeros((4, 1)), margin=0.7)
    with pytest.raises(PdesolveError, match=r"`strength` must not be negative, got -1"):
        diffuse(None, None, jnp.zeros(1), key, strength=-1)
    with pytest.raises(UnknownNameError, match=r"unknown solver of stochastic equations 'sharc'"):
        integrate_sde(lambda x, t: x, jnp.zeros(1), key, noise=1.0, solver="sharc")
    with pytest.raises(PdesolveError, match=r"the first one the smaller"):
        integrate_sde(lambda x, t: x, jnp.zeros(1), key, noise=1.0, span=(1.0, 0.0))
