import jax.numpy as jnp
import numpy as np
import pytest
import skfem

from pdesolve.calculus import partial
from problems import LidDrivenCavity
from problems.lid_driven_cavity import _reference, corner_pressure, corner_velocity

from . import taylor_hood
from .pointwise import equation_residuals


def finite_elements(reynolds, n):
    """The cavity on a mesh graded to the walls."""
    nodes = np.sin(np.pi * np.linspace(0, 1, n + 1) / 2) ** 2
    mesh = skfem.MeshTri.init_tensor(nodes, nodes)

    def prescribed(at):
        lid = np.where(at[1] == 1.0, 4 * at[0] * (1 - at[0]), 0.0)
        return lid, 0 * lid

    return taylor_hood.solve(mesh, 1 / reynolds, prescribed, lambda basis: basis.get_dofs().all(), pin=0)


def test_reference_against_finite_elements():
    """Taylor-Hood elements know nothing of corner flows: velocities agree, and pressures away from the corners."""
    errors = []
    for n in (16, 32):
        points, values = finite_elements(100.0, n)
        expected = LidDrivenCavity().reference().evaluate(points)
        velocity = np.concatenate([values[name] - expected[name] for name in "uv"])
        below = points[:, 1] < 0.8
        pressure = (values["p"] - expected["p"])[below]
        errors.append((np.sqrt(np.mean(velocity**2)), np.std(pressure)))
    errors = np.array(errors)
    assert (errors[1] < (1e-4, 4e-4)).all()
    # Between second and third order, by the corners.
    assert (errors[0] / errors[1] > 4).all()


def test_reference_is_converged():
    assert LidDrivenCavity().reference().error_bound < 5e-6


def test_corner_flow_is_a_stokes_flow():
    """Delta u = grad p and div u = 0 for the closed form at both corners; no slip on the wall, 4 a on the lid."""

    def stokes(fields, at):
        u, v, p = fields.u, fields.v, fields.p
        return {
            "x": partial(p, "x") - partial(u, "x", 2) - partial(u, "y", 2),
            "y": partial(p, "y") - partial(v, "x", 2) - partial(v, "y", 2),
            "mass": partial(u, "x") + partial(v, "y"),
        }

    class Problem(LidDrivenCavity):
        def equations(self, fields, at):
            return stokes(fields, at)

    def corners(at):
        (u, v), (far_u, far_v) = (corner_velocity(a, 1 - at.y, xp=jnp) for a in (at.x, 1 - at.x))
        return {"u": u + far_u, "v": v - far_v, "p": corner_pressure(at.x, at.y, xp=jnp)}

    points = Problem().domain().sample_interior(100, "uniform", 0)
    for residual in equation_residuals(Problem(), corners, points).values():
        # Terms are as large as 8 / r.
        assert np.abs(residual).max() < 1e-9
    a = np.linspace(0, 1, 5)
    np.testing.assert_allclose(corner_velocity(a, 0 * a), (4 * a, 0 * a), atol=1e-15)
    np.testing.assert_allclose(corner_velocity(0 * a, a), 0.0, atol=1e-15)


def test_mass_and_momentum_of_the_reference():
    """No net flow through the vertical at x = 1/2, and div u = 0 by differences of fourth order."""
    evaluate, h = _reference(100.0)[0].evaluate, 1e-3
    points = np.random.default_rng(0).uniform(0.1, 0.9, (200, 2))

    def derivative(name, axis):
        u = [evaluate(points + k * h * np.eye(2)[axis])[name] for k in (-2, -1, 1, 2)]
        return (u[0] - 8 * u[1] + 8 * u[2] - u[3]) / (12 * h)

    np.testing.assert_allclose(derivative("u", 0) + derivative("v", 1), 0.0, atol=1e-8)
    y, weights = np.polynomial.legendre.leggauss(60)
    section = np.stack([np.full(60, 0.5), (1 + y) / 2], axis=-1)
    assert abs(weights @ evaluate(section)["u"]) < 1e-12


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5])
def test_classical(tolerance):
    assert LidDrivenCavity().classical(tolerance).error <= tolerance


def test_creeping_flow_is_symmetric():
    """As Re falls to 0 the flow is Stokes flow: u even and v odd about x = 1/2, up to terms of order Re."""
    x, y = np.random.default_rng(0).uniform(size=(2, 50))
    evaluate = LidDrivenCavity(reynolds=1e-3).reference().evaluate
    left, right = evaluate(np.stack([x, y], -1)), evaluate(np.stack([1 - x, y], -1))
    np.testing.assert_allclose(left["u"], right["u"], atol=1e-4)
    np.testing.assert_allclose(left["v"], -right["v"], atol=1e-4)
