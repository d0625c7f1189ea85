"""The macroscopic solver against exact fields, closed forms, symmetries and an independent program."""

from itertools import pairwise

import numpy as np
import pytest
import skfem
from skfem.helpers import ddot, dot, eye, sym_grad, trace

from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.multiscale import (
    Body,
    Discretisation,
    ExtrapolationWarning,
    InProcesses,
    LinearElastic,
    SaturatingElastic,
    Support,
    Traction,
    solve_macro,
)
from pdesolve.multiscale.body import patches

from .laminate import Laminate, Matrix, laminate_stiffness

STRAIN = np.array([0.012, -0.007, 0.015])


def everywhere(x):
    return np.ones(x.shape[1], bool)


def left(x):
    return np.isclose(x[0], 0.0)


def right(x):
    return np.isclose(x[0], 1.0)


def edge(x):
    return np.isclose(x, 0.0).any(axis=0) | np.isclose(x, 1.0).any(axis=0)


def square(n, moved=0.0):
    """A mesh of the unit square; `moved` shifts inner nodes by up to so much."""
    mesh = skfem.MeshQuad.init_tensor(*[np.linspace(0, 1, n + 1)] * 2)
    points = mesh.p.copy()
    inner = ~edge(points)
    points[:, inner] += moved * np.random.default_rng(1).uniform(-1, 1, (2, inner.sum()))
    return skfem.MeshQuad(points, mesh.t)


def displaced(mesh, strain=STRAIN):
    """The body whose boundary follows a constant strain."""
    xx, yy, xy = strain
    supports = (
        Support(edge, 0, lambda x: xx * x[0] + xy / 2 * x[1]),
        Support(edge, 1, lambda x: yy * x[1] + xy / 2 * x[0]),
    )
    return Body(mesh, supports)


def pulled(mesh, vector=(3.0, 5.0)):
    """The square held at the left, pulled at the right."""
    return Body(mesh, (Support(left, 0), Support(left, 1)), (Traction(right, vector),))


@pytest.mark.parametrize("element", ["quad8", "triangle6"])
@pytest.mark.parametrize("material", [LinearElastic(), SaturatingElastic()])
def test_patch(element, material):
    """A constant strain on the boundary is one inside, on a distorted mesh; a linear law takes one iteration."""
    body = Discretisation(displaced(square(4, moved=0.05)), element)
    answer = solve_macro(body, material)
    assert answer.status == "converged" and answer.load == 1.0
    np.testing.assert_allclose(answer.strains, np.broadcast_to(STRAIN, answer.strains.shape), atol=1e-13)
    np.testing.assert_allclose(answer.stresses, np.repeat(material.respond(STRAIN[None])[0], len(answer.strains), 0))
    np.testing.assert_allclose(answer.displacement_at((0.3, 0.6)), [0.3 * 0.012 + 0.6 * 0.0075, 0.3 * 0.0075 - 0.0042])
    if isinstance(material, LinearElastic):
        assert answer.iterations == 1 and answer.calls == 2


def test_single_element_without_unknowns():
    """All nodes are prescribed: the stress is that of the material."""
    answer = solve_macro(Discretisation(displaced(square(1))), SaturatingElastic(), load_steps=2)
    assert answer.status == "converged" and answer.iterations == 2
    np.testing.assert_allclose(answer.stresses, np.repeat(SaturatingElastic().respond(STRAIN[None])[0], 4, 0))


@pytest.mark.parametrize("element", ["quad8", "triangle6"])
def test_order(element):
    """For smooth displacements their error falls with the third power of the mesh size, the strains' with the second.

    The displacement is sin(pi x) sin(pi y) (1, 2); its force is worked out by hand.
    """
    k, g = LinearElastic().bulk, LinearElastic().shear
    pi = np.pi

    def exact(x):
        return 1e-2 * np.sin(pi * x[0]) * np.sin(pi * x[1]) * np.array([1.0, 2.0])[(...,) + (None,) * (x.ndim - 1)]

    def force(x):
        ss, cc = np.sin(pi * x[0]) * np.sin(pi * x[1]), np.cos(pi * x[0]) * np.cos(pi * x[1])
        # -div sigma = -G laplace u - (K + G / 3) grad div u
        div_x, div_y = -(pi**2) * ss + 2 * pi**2 * cc, pi**2 * cc - 2 * pi**2 * ss
        return -1e-2 * np.stack(
            [g * -2 * pi**2 * ss + (k + g / 3) * div_x, 2 * g * -2 * pi**2 * ss + (k + g / 3) * div_y]
        )

    sizes, errors, slopes = (8, 16, 32), [], []
    for n in sizes:
        supports = (Support(edge, 0), Support(edge, 1))
        body = Discretisation(Body(square(n), supports, body_force=force), element)
        answer = solve_macro(body, LinearElastic())
        fine = skfem.CellBasis(body.mesh, body.basis.elem, intorder=6)
        u = np.asarray(fine.interpolate(answer.displacements))
        errors.append(np.sqrt((((u - exact(np.asarray(fine.global_coordinates()))) ** 2).sum(0) * fine.dx).sum()))
        x, y = body.gauss_points.T
        xx = 1e-2 * pi * np.cos(pi * x) * np.sin(pi * y)
        slopes.append(np.sqrt(((answer.strains[:, 0] - xx) ** 2 * body.basis.dx.ravel()).sum()))
    h = 1 / np.array(sizes)
    assert abs(np.polyfit(np.log(h), np.log(errors), 1)[0] - 3.0) < 0.2
    assert np.polyfit(np.log(h), np.log(slopes), 1)[0] > 1.9
    assert errors[-1] < 2e-6


@pytest.mark.parametrize("symmetric", [True, False])
def test_newton_converges_quadratically(symmetric):
    """Each residual is at most a constant times the square of the one before, of the unsymmetric law too."""
    body = Discretisation(pulled(square(3), (6.0, 8.0)))
    answer = solve_macro(body, SaturatingElastic(out_of_plane=symmetric), tolerance=1e-13)
    (step,) = answer.steps
    r = np.array(step.residuals)
    assert answer.status == "converged" and len(r) <= 7
    seen = [later / earlier**2 for earlier, later in pairwise(r) if later > 1e-13]
    assert len(seen) >= 2 and max(seen) < 100 * seen[0] and r[-1] < 1e-13


def test_a_wrong_tangent_is_slower():
    """What the test above measures is the tangent: the first one kept, Newton's method becomes linear."""

    class Kept:
        def respond(self, strains):
            tangents = np.broadcast_to(LinearElastic().stiffness()[None], (len(strains), 3, 3))
            return SaturatingElastic().respond(strains)[0], tangents

    body = Discretisation(pulled(square(3), (6.0, 8.0)))
    kept, own = (solve_macro(body, m, max_iterations=400) for m in (Kept(), SaturatingElastic()))
    assert kept.status == own.status == "converged"
    assert kept.iterations > 3 * own.iterations
    np.testing.assert_allclose(kept.displacements, own.displacements, atol=1e-8)


def test_load_steps_do_not_matter():
    """An elastic body has one answer."""
    body = Discretisation(pulled(square(3), (6.0, 8.0)))
    one, four = (solve_macro(body, SaturatingElastic(), load_steps=n) for n in (1, 4))
    assert [step.load for step in four.steps] == [0.25, 0.5, 0.75, 1.0]
    np.testing.assert_allclose(one.displacements, four.displacements, atol=1e-9)


def test_reaction_balances_the_load():
    body = Discretisation(pulled(square(4, moved=0.05)))
    answer = solve_macro(body, SaturatingElastic())
    np.testing.assert_allclose(answer.reaction(left), [-3.0, -5.0], rtol=1e-9)
    np.testing.assert_allclose(answer.reaction(everywhere), [-3.0, -5.0], rtol=1e-9)
    # Moments about the origin: the couple of the reactions holds the traction's.
    forces = body.internal_forces(answer.stresses) - body.forces
    nodes = body.nodes(left)
    x = body.basis.doflocs[:, nodes[0]]
    assert np.isclose((x[0] * forces[nodes[1]] - x[1] * forces[nodes[0]]).sum(), -(1.0 * 5.0 - 0.5 * 3.0))


def test_rotation():
    """Body and load turned by 90 degrees: displacements turn, stresses exchange their components."""
    mesh = square(3, moved=0.05)
    turned = skfem.MeshQuad(np.stack([1 - mesh.p[1], mesh.p[0]]), mesh.t)

    def low(x):
        return np.isclose(x[1], 0.0)

    def high(x):
        return np.isclose(x[1], 1.0)

    first = solve_macro(Discretisation(pulled(mesh)), SaturatingElastic())
    second = solve_macro(
        Discretisation(Body(turned, (Support(low, 0), Support(low, 1)), (Traction(high, (-5.0, 3.0)),))),
        SaturatingElastic(),
    )
    u, v = first.displacement_at((0.7, 0.4)), second.displacement_at((0.6, 0.7))
    np.testing.assert_allclose(v, [-u[1], u[0]], atol=1e-11)
    xx, yy, xy = first.stresses.T
    np.testing.assert_allclose(second.stresses, np.stack([yy, xx, -xy], axis=1), atol=1e-8)


def test_mirror():
    """Load and body symmetric about y = 1/2: so is the answer."""
    answer = solve_macro(Discretisation(pulled(square(4), (6.0, 0.0))), SaturatingElastic())
    up, down = answer.displacement_at((0.8, 0.9)), answer.displacement_at((0.8, 0.1))
    np.testing.assert_allclose(up, [down[0], -down[1]], atol=1e-11)
    assert abs(up[1]) > 1e-5


@pytest.mark.parametrize("processes", [0, 2])
def test_laminate(processes):
    """A layered RVE solved at every Gauss point gives the body of the laminate's closed-form stiffness."""
    layers = LinearElastic(4.78e3, 416.0), LinearElastic(4.3e4, 3.0e4)
    closed = Matrix(laminate_stiffness(*(layer.stiffness() for layer in layers), 0.4))
    body = Discretisation(pulled(square(2)))
    expected = solve_macro(body, closed)
    if processes:
        with InProcesses(Laminate(*layers), processes, chunk=3) as micro:
            answer = solve_macro(body, micro)
    else:
        answer = solve_macro(body, Laminate(*layers))
    assert answer.iterations == 1
    np.testing.assert_allclose(answer.displacements, expected.displacements, atol=1e-13)
    np.testing.assert_allclose(answer.stresses, expected.stresses, rtol=1e-9, atol=1e-9)


def test_nonlinear_laminate_converges_quadratically():
    """The condensed tangent of a nonlinear RVE is consistent."""
    micro = Laminate(SaturatingElastic(out_of_plane=False), LinearElastic(4.3e4, 3.0e4))
    answer = solve_macro(Discretisation(pulled(square(1), (6.0, 8.0))), micro, tolerance=1e-12)
    r = answer.steps[0].residuals
    assert answer.status == "converged" and 3 <= len(r) <= 7
    assert r[-1] < 1e-4 * r[-2]


def cook(n):
    """Cook's membrane in mm, load in MPa."""
    mesh = patches((lambda s, t: (48 * s, 44 * s + t * (44 - 28 * s)),), (n, n))
    held = (Support(left, 0), Support(left, 1))
    return Body(mesh, held, (Traction(lambda x: np.isclose(x[0], 48.0), (0.0, 2.0)),))


def test_cook_membrane():
    """The tip moves as in a program of forms: equal on one mesh of triangles, near on others (corners are singular)."""
    k, g = LinearElastic().bulk, LinearElastic().shear

    @skfem.BilinearForm
    def stiffness(u, v, w):
        e, d = sym_grad(u), sym_grad(v)
        return ddot((k - 2 * g / 3) * eye(trace(e), 2) + 2 * g * e, d)

    @skfem.LinearForm
    def load(v, w):
        return dot(np.array([0.0, 2.0])[:, None, None] + 0 * w.x, v)

    def independent(n):
        mesh = cook(n).mesh.to_meshtri()
        basis = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementTriP2()))
        facets = mesh.facets_satisfying(lambda x: np.isclose(x[0], 48.0), boundaries_only=True)
        force = load.assemble(skfem.FacetBasis(mesh, basis.elem, facets=facets))
        held = basis.get_dofs(mesh.facets_satisfying(left, boundaries_only=True))
        u = skfem.solve(*skfem.condense(stiffness.assemble(basis), force, D=held))
        return basis.probes(np.array([[48.0], [60.0]])) @ u

    def ours(n, element):
        return solve_macro(Discretisation(cook(n), element), LinearElastic()).displacement_at((48.0, 60.0))

    np.testing.assert_allclose(ours(8, "triangle6"), independent(8), rtol=1e-9)
    tip = independent(32)
    for n, tolerance in ((8, 2e-2), (16, 5e-3)):
        np.testing.assert_allclose(ours(n, "quad8"), tip, rtol=tolerance)


def test_what_cannot_be_held_diverges():
    """Shear beyond the strength of a saturating material: the last equilibrium, a status, and a reason."""
    body = Discretisation(pulled(square(2), (0.0, 60.0)))
    answer = solve_macro(body, SaturatingElastic(), load_steps=2, max_cuts=3)
    assert answer.status == "diverged" and 0 < answer.load < 1
    assert "no equilibrium beyond" in answer.reason and np.isfinite(answer.displacements).all()
    np.testing.assert_allclose(answer.reaction(left)[1], -60.0 * answer.load, rtol=1e-8)


def test_increments_are_halved_and_grow_back():
    """A micro model that refuses large jumps of the strain is followed in smaller increments."""

    class Cautious:
        last = 0.0

        def respond(self, strains):
            size = np.abs(strains).max()
            if size > self.last + 2e-3:
                raise PdesolveError("too far.")
            self.last = max(size, self.last)
            return LinearElastic().respond(strains)

    answer = solve_macro(Discretisation(displaced(square(2))), Cautious(), load_steps=2)
    loads = np.diff([0.0, *[step.load for step in answer.steps]])
    assert answer.status == "converged" and loads.max() < 0.5 and np.isclose(loads.sum(), 1.0)


def test_body_that_is_not_held():
    body = Discretisation(Body(square(2), (Support(left, 0),), (Traction(right, (1.0, 0.0)),)))
    answer = solve_macro(body, SaturatingElastic(), max_cuts=0)
    # Factors of a singular matrix may exist by rounding: whatever comes then is no equilibrium of small strains.
    assert answer.status == "diverged" or np.abs(answer.strains).max() < 1e-2


def test_box():
    """Strains outside the box of a trained model are counted and told."""

    class Boxed:
        box = np.array([[-0.01, 0.01]] * 3)

        def respond(self, strains):
            return LinearElastic().respond(strains)

    body = Discretisation(displaced(square(2)))
    with pytest.warns(ExtrapolationWarning, match=r"16 of 16 Gauss points .* 1\.50 times"):
        answer = solve_macro(body, Boxed())
    assert answer.outside.all()
    assert not solve_macro(Discretisation(displaced(square(2), 0.6 * STRAIN)), Boxed()).outside.any()


def test_bad_input():
    with pytest.raises(UnknownNameError, match="unknown element 'quad9'"):
        Discretisation(pulled(square(1)), "quad9")
    with pytest.raises(PdesolveError, match="needs a mesh of quadrilaterals"):
        Discretisation(pulled(square(1).to_meshtri()), "quad8")
    with pytest.raises(PdesolveError, match="support 0 of the body selects no node"):
        Discretisation(Body(square(1), (Support(lambda x: x[0] > 2, 0),)))
    with pytest.raises(PdesolveError, match="traction 0 of the body selects no facet"):
        Discretisation(Body(square(1), (Support(left, 0),), (Traction(lambda x: x[0] > 2, (1.0, 0.0)),)))
    body = Discretisation(pulled(square(1)))
    with pytest.raises(PdesolveError, match="`load_steps` must be at least 1, got 0"):
        solve_macro(body, LinearElastic(), load_steps=0)
    with pytest.raises(PdesolveError, match="must be positive"):
        solve_macro(body, LinearElastic(), tolerance=0.0)
    with pytest.raises(PdesolveError, match=r"must return shapes \(4, 3\) and \(4, 3, 3\); got \(4, 3\) and \(3, 3\)"):
        solve_macro(body, type("Short", (), {"respond": lambda self, e: (e, np.eye(3))})())
    with pytest.raises(PdesolveError, match="a point is not in the body"):
        body.displacements(np.zeros(body.size), np.array([[3.0, 0.0]]))
