from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.comparison import Comparison
from pdesolve.errors import PdesolveError
from pdesolve.problem import evaluation_grid
from problems import Poisson5D, Poisson10D, PoissonND

from .pointwise import equation_residuals


def cosines(at):
    return {"u": sum(jnp.cos(jnp.pi * getattr(at, f"x{i}")) for i in range(1, 6))}


def products(at):
    return {"u": sum(getattr(at, f"x{i}") * getattr(at, f"x{i + 1}") for i in range(1, 11, 2))}


def sines(at):
    return {"u": sum(jnp.sin(jnp.pi / 2 * value) for name, value in vars(at).items() if name.startswith("x"))}


CASES = [(Poisson5D(), cosines), (Poisson10D(), products), (PoissonND(), sines), (PoissonND(dimension=3), sines)]


@pytest.mark.parametrize(("problem", "exact"), CASES)
def test_equation_holds_on_the_exact_solution(problem, exact):
    """And the reference is that solution."""
    points = problem.domain().sample_interior(50, "uniform", 0)
    (residual,) = equation_residuals(problem, exact, points).values()
    assert np.abs(residual).max() < 1e-12
    at = SimpleNamespace(**dict(zip(problem.domain().coordinates, points.T, strict=True)))
    np.testing.assert_allclose(problem.reference().evaluate(points)["u"], exact(at)["u"], atol=1e-14)


@pytest.mark.parametrize("problem", [Poisson5D(), PoissonND()])
def test_classical_converges_in_five_dimensions(problem):
    """Spectrally, against a source."""
    coarse, fine = (problem.classical(tolerance) for tolerance in (1e-2, 1e-6))
    assert coarse.error <= 1e-2 and fine.error <= 1e-6
    assert fine.resolution <= 10


def test_classical_is_exact_in_ten_dimensions():
    """The solution is a polynomial of the first degree in each coordinate."""
    assert Poisson10D().classical(1e-12).resolution == 3


def test_compared_inside_and_stored_on_a_plane():
    """Errors are those of points inside; what is stored is a field of two dimensions through the centre."""
    problem = Poisson10D()
    comparison = Comparison(problem, evaluation_grid(problem))
    assert comparison.points.shape == (2**14, 10)
    assert (np.abs(comparison.points - 0.5) < 0.5).all()
    exact = problem.reference().evaluate
    assert comparison.errors(exact(comparison.points))["relative_l2"] < 1e-14
    dataset = comparison.dataset(lambda points: {"u": exact(points)["u"] + points[:, 2]})
    assert dict(dataset.sizes) == {"x1": 257, "x2": 257}
    assert dataset.attrs["section_x3"] == 0.5
    x1, x2 = np.meshgrid(dataset.x1, dataset.x2, indexing="ij")
    np.testing.assert_allclose(dataset.u_reference, x1 * x2 + 1.0, atol=1e-14)
    np.testing.assert_allclose(dataset.u - dataset.u_reference, 0.5, atol=1e-14)


def test_dimension_is_a_parameter():
    """As many coordinates and faces as asked for; none of them outside the range."""
    problem = PoissonND(dimension=7)
    assert problem.domain().coordinates == tuple(f"x{i}" for i in range(1, 8))
    assert len(problem.conditions()) == 14
    with pytest.raises(PdesolveError, match="`dimension` must be at least 2 and at most 10, got 11"):
        PoissonND(dimension=11)
