"""The unit cell by finite elements: means, periodicity, work, tangent, bounds, special cases, refusals."""

import numpy as np
import pytest

from pdesolve.errors import PdesolveError
from pdesolve.multiscale import RVE, LinearElastic, MicroModel, SaturatingElastic
from pdesolve.multiscale.inclusions import Inclusion, box, core_and_rings, joined

STRAIN = np.array([0.03, -0.02, 0.035])
STIFF = LinearElastic(4.34523810e4, 2.99180328e4)


def cell(matrix, inclusion, **options):
    """One circle off the centre, 8 elements along a side."""
    circle = Inclusion.circle(0.05, 0.02, 0.3)
    outer = box((-0.5, 0.5), (-0.5, 0.5), 8)
    quads, inside = core_and_rings(circle, circle.onto_boundary(outer), outer, (2, 3))
    return RVE(joined(quads, inside, (circle,)), inside, matrix, inclusion, **options)


@pytest.fixture(scope="module")
def composite():
    return cell(SaturatingElastic(out_of_plane=False), STIFF)


def test_curved_edges(composite):
    """The area of the circle to what quadratic arcs leave; a polygon's would be off by more than a hundred times."""
    assert composite.fraction == pytest.approx(np.pi * 0.09, rel=2e-5)
    assert composite.weights.min() > 0 and composite.weights.sum() == pytest.approx(1.0, abs=1e-13)


def test_periodicity_mean_and_work(composite):
    """Opposite sides move alike, the mean strain is the one given, and work is the same on both scales."""
    state = composite.solve(STRAIN)
    for axis in (0, 1):
        low = np.flatnonzero(np.abs(composite.nodes[:, axis] + 0.5) < 1e-9)
        high = np.flatnonzero(np.abs(composite.nodes[:, axis] - 0.5) < 1e-9)
        low, high = (side[np.argsort(composite.nodes[side, 1 - axis])] for side in (low, high))
        assert len(low) == 17
        np.testing.assert_array_equal(state.fluctuation[low], state.fluctuation[high])
    np.testing.assert_allclose(composite.mean(state.strains), STRAIN, atol=1e-15)
    work = composite.mean(np.sum(state.stresses * state.strains, axis=1))
    assert work == pytest.approx(state.stress @ STRAIN, rel=1e-11)
    assert state.residual < 1e-12


@pytest.mark.parametrize("out_of_plane", [False, True])
def test_tangent(out_of_plane):
    """That of central differences, unsymmetric only if the law has no stored energy."""
    rve = cell(SaturatingElastic(out_of_plane=out_of_plane), STIFF)
    assert isinstance(rve, MicroModel)
    step = 1e-5 * np.eye(3)
    high, low = rve.respond(STRAIN + step)[0], rve.respond(STRAIN - step)[0]
    tangent = rve.solve(STRAIN).tangent
    np.testing.assert_allclose(tangent, (high - low).T / 2e-5, rtol=1e-6, atol=1e-3)
    asymmetry = np.abs(tangent - tangent.T).max() / np.abs(tangent).max()
    assert asymmetry < 1e-12 if out_of_plane else 1e-5 < asymmetry < 1e-2


def test_one_material():
    """Nothing fluctuates where both materials are the same: the cell is the material."""
    state = cell(STIFF, STIFF).solve(STRAIN)
    assert np.abs(state.fluctuation).max() < 1e-14
    np.testing.assert_allclose(state.stress, STIFF.stiffness() @ STRAIN, rtol=1e-12)
    np.testing.assert_allclose(state.tangent, STIFF.stiffness(), atol=1e-8)


def test_bounds_of_voigt_and_reuss():
    """For linear materials the energy is below that of a uniform strain, and above that of a uniform stress."""
    soft = LinearElastic()
    rve = cell(soft, STIFF)
    tangent = rve.solve(STRAIN).tangent
    shares = (1 - rve.fraction, rve.fraction)
    voigt = shares[0] * soft.stiffness() + shares[1] * STIFF.stiffness()
    reuss = np.linalg.inv(shares[0] * np.linalg.inv(soft.stiffness()) + shares[1] * np.linalg.inv(STIFF.stiffness()))
    assert np.linalg.eigvalsh(voigt - tangent).min() > 0 and np.linalg.eigvalsh(tangent - reuss).min() > 0
    np.testing.assert_allclose(rve.solve(2 * STRAIN).stress, 2 * tangent @ STRAIN, rtol=1e-11)


def test_fields(composite):
    """Displacements at the corners of the cell are those of the mean strain, up to a translation."""
    fields = composite.fields(STRAIN)
    points, u = fields["points"].values, np.stack([fields["u_x"].values, fields["u_y"].values], axis=1)
    corners = [int(np.argmin(np.abs(points - np.array(c)[None]).sum(axis=1))) for c in ((-0.5, -0.5), (0.5, 0.5))]
    expected = np.array([[0.03, 0.0175], [0.0175, -0.02]]) @ np.ones(2)
    np.testing.assert_allclose(u[corners[1]] - u[corners[0]], expected, atol=1e-14)


def test_refusals(composite):
    with pytest.raises(PdesolveError, match="three finite numbers"):
        composite.solve([0.1, np.nan, 0.0])
    with pytest.raises(PdesolveError, match="ran away"):
        composite.solve([2.0, 0.0, 0.0])
    hasty = cell(SaturatingElastic(), STIFF, max_iterations=1)
    with pytest.raises(PdesolveError, match="did not reach 1e-12 in 1 iterations"):
        hasty.solve(STRAIN)
    quads = np.array([[[-0.5, -0.5], [0.5, -0.5], [0.5, 0.3], [-0.5, 0.5]]])
    quads = np.concatenate([quads, [[[-0.5, 0.5], [0.5, 0.3], [0.5, 0.5], [0.0, 0.5]]]])
    with pytest.raises(PdesolveError, match="opposite sides"):
        RVE(joined(quads, np.zeros(2, bool), (Inclusion.circle(0, 0, 0.1),)), np.zeros(2, bool), STIFF, STIFF)
