"""One equation, four representations of the fields: function, spectral grid, stencils, basis."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.calculus import Spectral, Stencil, laplacian, on_basis, on_grid, pointwise

from .test_grid import observed_order, periodic_grid
from .test_pointwise import XT, XYT, burgers, navier_stokes, taylor_green


def biharmonic(fields, at):
    return {"plate": laplacian(laplacian(fields.u)) - jnp.sin(at.x) * jnp.cos(2 * at.y)}


def wave(point):
    """Not a solution of Burgers' equation: its residual is of order one."""
    x, t = point
    return jnp.sin(x - t) + 0.5 * jnp.cos(2 * x + t)


def plate(point):
    x, y = point
    return jnp.sin(x) * jnp.cos(2 * y) + 0.3 * jnp.cos(2 * x + y)


def shifted_vortex(point):
    """Not a solution: the vortex with its pressure displaced, so that the momentum residuals do not vanish."""
    return taylor_green(point) * jnp.array([1.0, 1.0, 2.0])


CASES = {
    "burgers": (burgers, wave, XT, ("u",)),
    "navier_stokes": (navier_stokes, shifted_vortex, XYT, ("u", "v", "p")),
    "biharmonic": (biharmonic, plate, ("x", "y"), ("u",)),
}


def sampled(case, n, num_times):
    """Return coordinates, values on the grid, and the residual of the function at its points."""
    equation, function, coordinates, names = CASES[case]
    axes = {c: np.linspace(0, 1, num_times) if c == "t" else periodic_grid(n) for c in coordinates}
    points = jnp.stack(jnp.meshgrid(*map(jnp.asarray, axes.values()), indexing="ij"), axis=-1)
    flat = points.reshape(-1, len(coordinates))
    shape = points.shape[:-1]
    values = jax.vmap(function)(flat).reshape(*shape, len(names))
    exact = jax.jit(jax.vmap(pointwise(equation, function, coordinates, names)))(flat)
    return axes, {name: values[..., i] for i, name in enumerate(names)}, {k: v.reshape(shape) for k, v in exact.items()}


@pytest.mark.parametrize("case", CASES)
def test_function_and_spectral_grid_agree(case):
    """Band-limited fields: Fourier in space to round-off; in time differences of order 4 with an error of h^4."""
    axes, values, exact = sampled(case, 12, 65)
    rules = {c: Stencil(4) if c == "t" else Spectral() for c in axes}
    residual = on_grid(CASES[case][0], values, axes, rules)
    for name in exact:
        np.testing.assert_allclose(residual[name], exact[name], atol=1e-6 if "t" in axes else 1e-11)
        if name != "continuity":
            assert np.abs(exact[name]).max() > 0.1


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.slow if case == "navier_stokes" else ()) for case in CASES]
)
def test_stencils_converge_to_the_function(case):
    """Space and time refined together: the maximum error falls with the order of the stencil."""
    sizes, errors = (24, 32, 48), {2: [], 4: []}
    for n in sizes:
        axes, values, exact = sampled(case, n, n + 1)
        for accuracy in errors:
            rules = {c: Stencil(accuracy, periodic=c != "t") for c in axes}
            residual = on_grid(CASES[case][0], values, axes, rules)
            errors[accuracy].append(max(float(jnp.abs(residual[name] - exact[name]).max()) for name in exact))
    for accuracy, error in errors.items():
        # Grids this coarse leave the slope of a fourth derivative a little below its limit.
        assert abs(observed_order(1 / np.array(sizes), error) - accuracy) < 0.25
        assert error[-1] < (0.5 if accuracy == 2 else 0.02)


@pytest.mark.parametrize("case", ["burgers", "biharmonic"])
def test_function_and_basis_agree(case, key):
    """The same field as a sum of two basis functions with weights 1 and w."""
    equation, function, coordinates, names = CASES[case]
    terms = lambda p: jnp.stack([function(p), function(2 * p)])  # noqa: E731
    weights = jnp.array([1.0, 0.4])
    points = jax.random.uniform(key, (11, 2))
    exact = jax.vmap(pointwise(equation, lambda p: weights @ terms(p), coordinates, names))(points)
    residual = on_basis(equation, terms, points, coordinates, names)({"u": weights})
    for name in exact:
        np.testing.assert_allclose(residual[name], exact[name], rtol=1e-11, atol=1e-11)
