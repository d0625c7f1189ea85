import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError
from problems import Reaction

from .pointwise import equation_residuals


def bump(x):
    return jnp.exp(-((x - jnp.pi) ** 2) / (2 * (jnp.pi / 4) ** 2))


@pytest.mark.parametrize("rate", [5.0, -3.0, 20.0])
def test_equation_holds_on_the_exact_solution(rate):
    """To round-off; and the reference is that solution, the bump at the start, equal at both ends."""
    problem = Reaction(rate=rate)
    points = np.random.default_rng(0).uniform((0, 0), (2 * np.pi, 1), (200, 2))

    def exact(at):
        grown = bump(at.x) * jnp.exp(rate * at.t)
        return {"u": grown / (grown + 1 - bump(at.x))}

    residual = equation_residuals(problem, exact, points)["reaction"]
    assert np.abs(residual).max() <= 1e-12
    grown = np.asarray(bump(points[:, 0])) * np.exp(rate * points[:, 1])
    np.testing.assert_allclose(
        problem.reference().evaluate(points)["u"], grown / (grown + 1 - np.asarray(bump(points[:, 0]))), rtol=1e-12
    )
    ends = problem.reference().evaluate(np.array([[0.0, 0.7], [2 * np.pi, 0.7], [1.0, 0.0]]))["u"]
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-12)
    np.testing.assert_allclose(ends[2], bump(1.0), rtol=1e-12)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6])
def test_classical(tolerance):
    assert Reaction().classical(tolerance).error <= tolerance


def test_rate_is_checked():
    with pytest.raises(PdesolveError, match="`rate` must be at least -20"):
        Reaction(rate=30.0)
