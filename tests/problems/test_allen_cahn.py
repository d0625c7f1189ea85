import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from pdesolve.comparison import Comparison
from pdesolve.problem import evaluation_grid, reference_error
from problems import AllenCahn
from problems.allen_cahn import heat_of_kinks


def finite_differences(n, times):
    """Fourth-order differences of the even solution on [0, 1], LSODA in time: no series, no closed form."""
    x, h = np.linspace(0, 1, n + 1), 1 / n

    def rate(t, u):
        w = np.concatenate([u[2:0:-1], u, u[-2:-4:-1]])
        second = (-w[4:] + 16 * w[3:-1] - 30 * w[2:-2] + 16 * w[1:-3] - w[:-4]) / (12 * h**2)
        return 1e-4 * second + 5 * (u - u**3)

    start = x**2 * np.cos(np.pi * x)
    solution = solve_ivp(rate, (0, 1), start, "LSODA", times, rtol=1e-9, atol=1e-10, lband=3, uband=3, first_step=1e-6)
    return x, solution.y.T


def test_reference_against_finite_differences():
    """Two discretisations that treat the kink differently agree.

    Differences are of fourth order where the solution is smooth, of second order at the kink.
    """
    reference, times = AllenCahn().reference(), np.array([0.05, 0.3, 1.0])
    errors = []
    for n in (500, 1000):
        x, u = finite_differences(n, times)
        points = np.stack([np.tile(-x, len(times)), np.repeat(times, len(x))], axis=-1)
        expected = reference.evaluate(points)["u"]
        errors.append(np.linalg.norm(u.ravel() - expected) / np.linalg.norm(expected))
    assert errors[1] < 3e-6
    assert errors[0] / errors[1] > 4
    assert reference.error_bound < 1e-8


def test_kinks_solve_the_heat_equation():
    """K_t = D K_xx to round-off, K_x(1, t) = 0, and K takes its initial value as t falls to 0."""
    diffusivity = 1e-2
    x, t = np.random.default_rng(0).uniform([[-1], [0.01]], [[1], [1]], (2, 200))

    def K(x, t):
        return heat_of_kinks(x, t, diffusivity, xp=jnp)

    K_t, K_x = (jax.jit(jax.vmap(jax.grad(K, axis))) for axis in (1, 0))
    K_xx = jax.jit(jax.vmap(jax.grad(jax.grad(K))))
    np.testing.assert_allclose(K_t(x, t), diffusivity * K_xx(x, t), atol=1e-12)
    np.testing.assert_allclose(K_x(np.ones(200), t), 0.0, atol=1e-12)
    # The boundary layer is sqrt(D t) = 1e-9 high.
    np.testing.assert_allclose(K(x, 1e-16), K(x, 0.0), atol=1e-8)
    np.testing.assert_allclose(heat_of_kinks(x, t, diffusivity), K(x, t), atol=1e-14)


def test_transform_has_no_kink_after_the_start():
    """With periodic raw outputs the first and the third derivatives at x = 1 vanish, as those of the solution do."""
    problem = AllenCahn()

    class At:
        t = 0.3

        def __init__(self, x):
            self.x = x

    def u(x):
        return problem.transform({"u": jnp.cos(jnp.pi * x)}, At(x))["u"]

    slope, third = jax.jit(jax.grad(u)), jax.jit(jax.grad(jax.grad(jax.grad(u))))
    assert abs(slope(1.0)) < 1e-12
    # Without the closed form it is 6 pi^2 = 59; derivatives of the layer amplify round-off by 1 / (4 D t)^(3/2).
    assert abs(third(1.0)) < 1e-8


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5])
def test_classical(tolerance):
    classical = AllenCahn().classical(tolerance)
    assert reference_error(AllenCahn(), classical.evaluate) == classical.error <= tolerance


@pytest.mark.parametrize("problem", [AllenCahn(diffusivity=1e-2), AllenCahn(diffusivity=1e-3, rate=10.0)])
def test_reference_at_other_parameters(problem):
    assert problem.reference().error_bound < 1e-7
    assert problem.classical(1e-5).error <= 1e-5


def test_error_away_from_the_kink_is_told():
    """An error at the ends alone is in the whole norm, and not in that of |x| <= 0.95."""
    problem = AllenCahn()
    comparison = Comparison(problem, evaluation_grid(problem))
    assert comparison.expected is not None
    x, expected = comparison.points[:, 0], comparison.expected["u"]
    verdict = comparison.verdict({"u": expected + 0.1 * (np.abs(x) > 0.95)})
    assert verdict["relative_l2"] > 1e-2
    assert verdict["measures"] == {"relative_l2 where |x| <= 0.95": 0.0}
