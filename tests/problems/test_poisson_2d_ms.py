"""The square of 25 blocks: its source, and its reference against the equation and finite differences."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import spsolve

from problems import Poisson2DMS, poisson_2d_ms

from .pointwise import equation_residuals


def test_source_of_blocks():
    """In the middle of a block the sines are 1, on its corners 0; a few numbers as published; JAX and NumPy agree."""
    middles = np.linspace(-8, 8, 5)
    a, c, d = (
        np.array(t) for t in (poisson_2d_ms._CONDUCTIVITIES, poisson_2d_ms._CONSTANTS, poisson_2d_ms._AMPLITUDES)
    )
    np.testing.assert_allclose(poisson_2d_ms.source(middles[:, None], middles[None]), (c + d) / a, rtol=1e-12)
    corners = middles - 2 + 1e-9
    np.testing.assert_allclose(poisson_2d_ms.source(corners[:, None], corners[None]), c / a, rtol=1e-6)
    np.testing.assert_allclose((a[0, 0], a[1, 2], a[4, 4]), (46.117281846044594, 82.58022927071506, 6.485008302512252))
    x, y = np.random.default_rng(0).uniform(-10, 10, (2, 100))
    np.testing.assert_allclose(poisson_2d_ms.source(x, y, jnp), poisson_2d_ms.source(x, y), rtol=1e-12)


@pytest.mark.parametrize("block", [(0, 0), (2, 3)])
def test_equation_holds_on_the_reference(block):
    """Inside a block the reference is a polynomial: its residual under our calculus, relative to the source.

    The Chebyshev interpolant through 25 x 25 of its values is the polynomial itself.
    """
    problem, n = Poisson2DMS(), 25
    centre = -8.0 + 4 * np.array(block)
    s = np.cos(np.pi * (np.arange(n) + 0.5) / n)
    grid = np.stack(np.meshgrid(centre[0] + 2 * s, centre[1] + 2 * s, indexing="ij"), -1)
    values = problem.reference().evaluate(grid.reshape(-1, 2))["u"].reshape(n, n)
    transform = np.linalg.inv(np.polynomial.chebyshev.chebvander(s, n - 1))
    coefficients = jnp.asarray(transform @ values @ transform.T)

    def exact(at):
        x, y = ((value - c) / 2 for value, c in ((at.x, centre[0]), (at.y, centre[1])))
        k = jnp.arange(float(n))
        return {"u": jnp.cos(k * jnp.arccos(x)) @ coefficients @ jnp.cos(k * jnp.arccos(y))}

    points = centre + np.random.default_rng(0).uniform(-1.6, 1.6, (40, 2))
    residual = equation_residuals(problem, exact, points)["poisson"]
    scale = np.sqrt(np.mean(poisson_2d_ms.source(*points.T) ** 2))
    # Corners between four sources bound the order in which second derivatives converge.
    assert np.sqrt(np.mean(residual**2)) < 1e-3 * scale


def test_spectral_elements_converge():
    """Each doubling of the degree divides the error by twenty and more, down to the reference's bound."""
    points = np.random.default_rng(1).uniform(-10, 10, (500, 2))
    expected = poisson_2d_ms._galerkin(24)(points)
    errors = [np.linalg.norm(poisson_2d_ms._galerkin(p)(points) - expected) for p in (2, 4, 8, 16)]
    assert all(later < sooner / 20 for sooner, later in itertools.pairwise(errors)), errors
    assert Poisson2DMS().reference().error_bound < 1e-6


def test_finite_differences_agree():
    """An independent solver: cells between the lines of the blocks, so that no source jumps within one; order two."""
    errors = []
    for cells in (40, 80, 160):
        h = 20 / cells
        x = -10 + h * (np.arange(cells) + 0.5)
        second = sp.diags([np.ones(cells - 1), -2 * np.ones(cells), np.ones(cells - 1)], [-1, 0, 1]).tolil()
        # A value beyond the side follows from du/dn = -u there: mean and difference quotient of both.
        second[0, 0] = second[-1, -1] = -2 + (1 / h - 0.5) / (1 / h + 0.5)
        matrix = sp.kron(second, sp.eye(cells)) + sp.kron(sp.eye(cells), second)
        grid = np.stack(np.meshgrid(x, x, indexing="ij"), -1).reshape(-1, 2)
        u = spsolve((-matrix / h**2).tocsc(), poisson_2d_ms.source(*grid.T))
        expected = Poisson2DMS().reference().evaluate(grid)["u"]
        errors.append(np.linalg.norm(u - expected) / np.linalg.norm(expected))
    assert errors[2] < 2e-3
    assert all(3.5 < sooner / later < 4.5 for sooner, later in itertools.pairwise(errors)), errors
