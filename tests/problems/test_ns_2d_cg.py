"""The step: its reference against the equations, conservation, the flow at the corner, and Taylor-Hood elements."""

import jax.numpy as jnp
import numpy as np
import pytest
import skfem

from problems import NS2DCG

from . import taylor_hood
from .pointwise import equation_residuals


def interpolated(values, low, high):
    """Return the polynomial through values on Gauss points of a box, as `at -> {name: scalar}`; NumPy in, JAX out."""
    n = len(next(iter(values.values())))
    s = np.polynomial.legendre.leggauss(n)[0]
    inverse = np.linalg.inv(np.polynomial.chebyshev.chebvander(s, n - 1))
    coefficients = {name: jnp.asarray(inverse @ value @ inverse.T) for name, value in values.items()}
    k = jnp.arange(float(n))

    def functions(at):
        x, y = ((2 * value - a - b) / (b - a) for value, a, b in zip((at.x, at.y), low, high, strict=True))
        along_x, along_y = (jnp.cos(k * jnp.arccos(value)) for value in (x, y))
        return {name: along_x @ c @ along_y for name, c in coefficients.items()}

    return functions


@pytest.mark.parametrize("low, high", [((1.0, 0.0), (1.8, 0.8)), ((2.2, 0.0), (3.0, 0.8)), ((2.2, 1.2), (3.0, 2.0))])
def test_equations_hold_on_the_reference(low, high):
    """In a cell the reference is a polynomial, whose residuals under our calculus are small."""
    problem, n = NS2DCG(), 8
    s = np.polynomial.legendre.leggauss(n)[0]
    axes = [(a + b) / 2 + (b - a) / 2 * s for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    values = {name: value.reshape(n, n) for name, value in problem.reference().evaluate(grid).items()}
    points = np.random.default_rng(0).uniform(np.array(low) + 0.1, np.array(high) - 0.1, (60, 2))
    residuals = equation_residuals(problem, interpolated(values, low, high), points)
    # Terms of the balances are of the order of 0.1; second derivatives of polynomials of degree 7 have two digits.
    for name, residual in residuals.items():
        assert np.sqrt(np.mean(residual**2)) < 2e-3, name


def test_the_flow_is_conserved():
    """2/3 passes every section; at the outlet the fluid behind the step flows backwards."""
    evaluate = NS2DCG().reference().evaluate
    for x, top in ((0.0, 1.0), (1.0, 1.0), (1.9, 1.0), (2.5, 2.0), (4.0, 2.0)):
        y, w = np.polynomial.legendre.leggauss(100)
        section = np.stack([np.full(100, x), top * (1 + y) / 2], axis=-1)
        assert abs(top / 2 * w @ evaluate(section)["u"] - 2 / 3) < 1e-4
    outlet = evaluate(np.stack([np.full(50, 4.0), np.linspace(0, 2, 50)], axis=-1))
    assert outlet["u"].min() < -0.02 and np.abs(outlet["v"]).max() < 1e-12
    assert np.abs(outlet["p"]).max() < 1e-2


def test_reference_is_converged():
    assert NS2DCG().reference().error_bound < 5e-4


def test_classical():
    assert NS2DCG().classical(1e-2).error <= 1e-2


@pytest.mark.slow
def test_reference_against_finite_elements():
    """Taylor-Hood elements on a uniform mesh: velocities agree, and pressures at some distance from the corner."""
    errors = []
    for n in (12, 24):
        mesh = skfem.MeshTri.init_tensor(np.linspace(0, 4, 4 * n + 1), np.linspace(0, 2, 2 * n + 1))
        centre = mesh.p[:, mesh.t].mean(axis=1)
        mesh = mesh.restrict(np.flatnonzero((centre[0] > 2) | (centre[1] < 1)))

        def held(basis):
            at = basis.doflocs
            open_side = basis.get_dofs(lambda x: np.abs(x[0] - 4) < 1e-9).all("u^1")
            inside = open_side[(at[1][open_side] > 1e-9) & (at[1][open_side] < 2 - 1e-9)]
            return np.setdiff1d(basis.get_dofs().all(), inside)

        def prescribed(at):
            u = np.where(at[0] < 1e-9, 4 * at[1] * (1 - at[1]), 0.0)
            return u, 0 * u

        points, values = taylor_hood.solve(mesh, 0.01, prescribed, held)
        expected = NS2DCG().reference().evaluate(points)
        far = np.linalg.norm(points - np.array([2.0, 1.0]), axis=1) > 0.3
        errors.append([np.sqrt(np.mean((values[name] - expected[name])[far] ** 2)) for name in "uvp"])
    coarse, fine = np.array(errors)
    assert (fine < (3e-3, 2e-3, 1e-3)).all(), errors
    assert (fine < coarse / 1.5).all(), errors
