"""Ways to draw fields from a velocity, against closed forms."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError
from pdesolve.flow.guidance import CoCoGenSampling, DFlowSampling, DiffusionPDESampling
from pdesolve.flow.hard_constraints import ECISampling, PCFMSampling, projected
from pdesolve.flow.samplings import StochasticSampling

from .gaussian import GaussianFlow
from .line import equations

PLAIN = StochasticSampling(20)


def velocity(x, t):
    """Towards fields near 0.3 that obey the equation by chance only."""
    return 0.3 + GaussianFlow(0.0, 0.8).slope(t) * (x - 0.3 * t)


@eqx.filter_jit
def drawn(sampling, noise, key):
    return sampling(velocity, noise, key, equations())


def residual(x):
    return jnp.mean(jnp.abs(equations().residual(x)))


@pytest.fixture
def noise(key):
    return jax.random.normal(key, (2, 4))


def test_without_backtracking_it_is_euler(noise, key):
    """t* = 0 is Euler's method, and costs as many evaluations as steps."""
    times, x = np.linspace(0.0, 1.0, 21), np.asarray(noise)
    for t, after in itertools.pairwise(times):
        x = x + (after - t) * velocity(x, t)
    value, evaluations = drawn(PLAIN, noise, key)
    np.testing.assert_allclose(value, x, rtol=0, atol=1e-14)
    assert evaluations == 20


@pytest.mark.parametrize(("backtrack", "expected"), [(0.0, 0.272371), (0.2, 0.2718), (0.5, 0.2628), (1.0, 0.1912)])
def test_variance_of_the_stochastic_sampler(key, backtrack, expected):
    """N(m, s^2) with the exact velocity: V' = (1 - t')^2 + t'^2 k^2 V, k = t s^2 / ((1 - t)^2 + t^2 s^2).

    Samples, 20000 of them, within five standard errors of the recursion, which gives the expected numbers.
    """
    n, steps, flow = 20_000, 20, GaussianFlow(1.5, 0.3)
    times, variance = np.linspace(0.0, 1.0, steps + 1), 1.0
    for i, (t, after) in enumerate(itertools.pairwise(times)):
        if i / steps < backtrack:
            k = t * 0.09 / ((1 - t) ** 2 + t**2 * 0.09)
            variance = (1 - after) ** 2 + after**2 * k**2 * variance
        else:
            variance *= (1 + flow.slope(t) * (after - t)) ** 2
    assert abs(np.sqrt(variance) - expected) < 6e-5
    sampling = StochasticSampling(steps, backtrack)
    keys = jax.random.split(key, n)
    x = jax.jit(
        jax.vmap(lambda k: sampling(flow.velocity, jax.random.normal(jax.random.fold_in(k, 1), (1, 1)), k, None).value)
    )(keys)
    assert abs(jnp.std(x) - np.sqrt(variance)) < 5 * np.sqrt(variance / (2 * n))
    assert sampling(flow.velocity, jnp.zeros((1, 1)), key, None).function_evaluations == steps


def test_renewing_from_the_end_of_the_flow_preserves_the_law(key):
    """With many Euler steps to the end, always renewed noise leaves 0.3 where the published sampler leaves 0.19."""
    n, flow, sampling = 4000, GaussianFlow(1.5, 0.3), StochasticSampling(20, 1.0, 100)
    keys = jax.random.split(key, n)
    x = jax.jit(
        jax.vmap(lambda k: sampling(flow.velocity, jax.random.normal(jax.random.fold_in(k, 1), (1, 1)), k, None).value)
    )(keys)
    assert abs(jnp.std(x) - 0.3) < 0.01 + 5 * 0.3 / np.sqrt(2 * n)
    assert sampling(flow.velocity, jnp.zeros((1, 1)), key, None).function_evaluations == 2000


def test_one_projection_onto_a_plane_is_the_nearest_point(key):
    """Affine h: h = 0 up to the ridge after one step, and the move is the least-squares one."""
    matrix = jax.random.normal(key, (3, 8))
    x = jnp.arange(8.0)
    moved = projected(lambda x: matrix @ x - 1.0, x, ridge=1e-14)
    np.testing.assert_allclose(matrix @ moved, jnp.ones(3), atol=1e-10)
    np.testing.assert_allclose(moved - x, jnp.linalg.pinv(matrix) @ (1.0 - matrix @ x), atol=1e-10)


def test_pcfm_meets_a_nonlinear_constraint(noise, key):
    """|h| < 1e-10 at the end, where Euler's is of order 1; the last correction lies in the range of J^T."""
    plain, (value, evaluations) = drawn(PLAIN, noise, key).value, drawn(PCFMSampling(20), noise, key)
    constraint = equations().constraint
    assert jnp.max(jnp.abs(constraint(value))) < 1e-10 and jnp.max(jnp.abs(constraint(plain))) > 0.1
    assert evaluations == 20
    rows = jax.jacobian(constraint)(plain).reshape(4, -1)
    move = (projected(constraint, plain) - plain).reshape(-1)
    np.testing.assert_allclose(rows.T @ jnp.linalg.lstsq(rows.T, move)[0], move, atol=1e-12)


def test_pcfm_without_constraint_is_not_euler(noise, key):
    """Its steps go back to the first noise, x' = (1 - t') x_0 + t' (x + (1 - t) v): Euler's for straight flows."""
    free = eqx.tree_at(lambda e: e.scale, equations(), jnp.array([0.5, 2.0]))
    sampling = PCFMSampling(20, projections=0, final_projections=1, ridge=1e30)
    value = eqx.filter_jit(sampling)(velocity, noise, key, free).value
    times, x = np.linspace(0.0, 1.0, 21), noise
    for t, after in itertools.pairwise(times):
        x = (1 - after) * noise + after * (x + (1 - t) * velocity(x, t))
    np.testing.assert_allclose(value, x, atol=1e-13)
    assert jnp.max(jnp.abs(value - drawn(PLAIN, noise, key).value)) > 1e-2
    data = noise[::-1] + 1.0

    def straight(x, t):  # towards `data` from wherever it is: constant along the way
        return (data - x) / (1.0 - t)

    ends = [eqx.filter_jit(s)(straight, noise, key, free).value for s in (sampling, PLAIN)]
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-13)


@pytest.mark.parametrize("mixes", [1, 3])
def test_eci_meets_its_linear_constraint(noise, key, mixes):
    """The first value of u is 2, its normalised value 0, to round-off; each round costs an evaluation."""
    value, evaluations = drawn(ECISampling(20, mixes), noise, key)
    assert abs(value[0, 0]) < 1e-14 and jnp.min(jnp.abs(drawn(PLAIN, noise, key).value)) > 1e-6
    assert evaluations == 20 * mixes


def test_guidance_lowers_the_residual(noise, key):
    """Each method ends with a smaller residual than Euler's method, and is Euler's method where it is switched off."""
    plain = drawn(PLAIN, noise, key).value
    for sampling in (DiffusionPDESampling(20, 0.5), DFlowSampling(20, 10), CoCoGenSampling(20, 10, 25, (5e-2, 1e-2))):
        assert residual(drawn(sampling, noise, key).value) < 0.9 * residual(plain), sampling
    for sampling in (DiffusionPDESampling(20, 0.0), CoCoGenSampling(20, 10, 25, (0.0, 0.0)), CoCoGenSampling(20, 0, 0)):
        np.testing.assert_allclose(drawn(sampling, noise, key).value, plain, atol=1e-14)
    assert drawn(DFlowSampling(20, 10), noise, key).function_evaluations == 220


def test_guidance_by_hand(noise, key):
    """One guided step: x + v - zeta grad |R(x + v)| / N, differences for the gradient."""
    sampling = DiffusionPDESampling(1, 0.1, 0.0)

    def size(x):
        return jnp.linalg.norm(equations().residual(x + velocity(x, 0.0))) / 4

    slope = np.zeros((2, 4))
    for i in np.ndindex(2, 4):
        unit = jnp.zeros((2, 4)).at[i].set(1e-5)
        slope[i] = (size(noise + unit) - size(noise - unit)) / 2e-5
    np.testing.assert_allclose(drawn(sampling, noise, key).value, noise + velocity(noise, 0.0) - 0.1 * slope, atol=1e-8)


def test_cocogen_moves_the_dependent_field_only(noise, key):
    """u stays that of Euler's method, whatever is corrected after the last step."""
    value = drawn(CoCoGenSampling(20, 0, 5), noise, key).value
    plain = drawn(PLAIN, noise, key).value
    np.testing.assert_allclose(value[0], plain[0], atol=1e-14)
    assert jnp.max(jnp.abs(value[1] - plain[1])) > 1e-4


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: StochasticSampling(0), "`num_steps` must be an integer, at least 1; got 0"),
        (lambda: StochasticSampling(20, 1.5), "`backtrack` must be from 0 to 1, got 1.5"),
        (lambda: PCFMSampling(20, -1), "`projections` must be an integer, at least 0"),
        (lambda: ECISampling(20, 0), "`mixes` must be an integer"),
        (lambda: DiffusionPDESampling(20, -1.0), "`strength` must not be negative"),
        (lambda: DFlowSampling(20, 20, 0.0), "`learning_rate` must be positive"),
        (lambda: CoCoGenSampling(20, 21), "`corrected_steps` must be from 0 to `num_steps`"),
        (lambda: CoCoGenSampling(lengths=(1.0, -1.0)), "`lengths` needs two numbers, not negative"),
    ],
)
def test_messages(make, words):
    with pytest.raises(PdesolveError, match=words):
        make()
