"""The square with random diffusivity: its field, and its reference against the equation and another method."""

import itertools

import jax.numpy as jnp
import numpy as np

from pdesolve.spectral import chebyshev_matrix, chebyshev_points
from problems import Heat2DVC, heat_2d_vc

from .pointwise import equation_residuals


def test_diffusivity():
    """Its logarithm is periodic, of mean 0 and variance 1; JAX and NumPy agree; seeds differ."""
    x = np.arange(32) / 32
    problem = Heat2DVC()
    a = problem.diffusivity(x[:, None], x[None])
    assert abs(np.log(a).mean()) < 1e-13 and abs(np.log(a).std() - 1) < 1e-13
    np.testing.assert_allclose(problem.diffusivity(x[:, None] + 1, x[None] - 1), a, rtol=1e-12)
    np.testing.assert_allclose(problem.diffusivity(x[:, None], x[None], jnp), a, rtol=1e-12)
    assert np.abs(np.log(Heat2DVC(seed=1).diffusivity(x[:, None], x[None]) / a)).max() > 0.5


def test_equation_holds_on_the_reference():
    """Its residual on the Chebyshev interpolant of the reference in space and time, relative to the source."""
    problem, n = Heat2DVC(), 40
    x, t = chebyshev_points(n, (0, 1)), chebyshev_points(24, (2.0, 3.0))
    grid = np.stack(np.meshgrid(x, x, t, indexing="ij"), -1)
    u = problem.reference().evaluate(grid.reshape(-1, 3))["u"].reshape(n, n, 24)
    second = chebyshev_matrix(n, (0, 1))
    second = second @ second
    laplacian = np.einsum("ab,bct->act", second, u) + np.einsum("ab,cbt->cat", second, u)
    rate = u @ chebyshev_matrix(24, (2.0, 3.0)).T
    source = (
        200 * np.sin(np.pi * x[:, None, None]) * np.sin(5 * np.pi * x[None, :, None]) * np.sin(np.pi * t)[None, None]
    )
    residual = rate - problem.diffusivity(x[:, None], x[None])[..., None] * laplacian - source
    # Two derivatives of polynomials of degree 38 cost three of the six digits of the reference.
    assert np.sqrt(np.mean(residual[1:-1, 1:-1] ** 2)) < 1e-3 * np.sqrt(np.mean(source**2))


def test_equation_agrees_with_the_plain_formula():
    """On a function in closed form that does not solve it."""
    problem = Heat2DVC()
    points = problem.domain().sample_interior(50, "uniform", 0)
    x, y, t = points.T
    residual = equation_residuals(problem, lambda at: {"u": at.t * jnp.sin(at.x) * jnp.cos(2 * at.y)}, points)["heat"]
    shape = np.sin(x) * np.cos(2 * y)
    source = 200 * np.sin(np.pi * x) * np.sin(5 * np.pi * y) * np.sin(np.pi * t)
    np.testing.assert_allclose(residual, shape + 5 * problem.diffusivity(x, y) * t * shape - source, atol=1e-10)


def test_galerkin_converges_spectrally():
    """Each four polynomials more divide the error by three and more; the reference's own bound is small."""
    points = np.random.default_rng(1).uniform((0, 0, 1), (1, 1, 1.001), (100, 3))
    points[:, 2] = 1.3
    expected = heat_2d_vc._reference(0)[0](points)
    errors = [np.linalg.norm(heat_2d_vc._galerkin(0, n)(points) - expected) for n in (8, 12, 16, 20, 24)]
    assert all(later < sooner / 3 for sooner, later in itertools.pairwise(errors)), errors
    assert Heat2DVC().reference().error_bound < 1e-5


def test_classical():
    assert Heat2DVC().classical(1e-2).error <= 1e-2
