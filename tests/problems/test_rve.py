"""The three registered unit cells: geometry, symmetry, numbers, data, and the command line."""

import json

import h5py
import numpy as np
import pytest

from pdesolve.cli import main
from pdesolve.data import make_data
from pdesolve.errors import PdesolveError
from pdesolve.multiscale import MicroModel
from problems.rve import RVE1, RVE2, RVE3

STRAIN = np.array([0.04, -0.03, 0.035])


@pytest.mark.parametrize(
    ("problem", "elements", "inside", "nodes", "fraction"),
    [
        (RVE1, 3456, 2112, 10561, 2 * np.pi * 0.29586**2),
        (RVE2, 2112, 1056, 6433, np.pi / np.sqrt(14.241 * 26.370 - 10.504**2)),
        (RVE3, 1872, 864, 5713, np.pi * (2 * 0.1**2 + 0.15**2)),
    ],
)
def test_geometry(problem, elements, inside, nodes, fraction):
    """The numbers of elements and nodes of the released meshes, and the areas of the ellipses."""
    rve = problem().rve()
    assert (len(rve.cells), rve.inside.sum() // 9, len(rve.nodes)) == (elements, inside, nodes)
    assert rve.fraction == pytest.approx(fraction, rel=3e-5)
    assert rve.weights.min() > 0 and rve.weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert isinstance(problem(), MicroModel)


def test_numbers():
    """Mean stress and tangent of the third cell as on the released mesh with the released law, to one part in 1000."""
    rve = RVE3().rve()
    np.testing.assert_allclose(rve.solve(STRAIN).stress, [72.7825, 38.1614, 8.4994], rtol=1e-3)
    state = rve.solve([0.012, -0.007, 0.015])
    np.testing.assert_allclose(state.stress, [35.5745, 20.5292, 5.8307], rtol=1e-3)
    expected = [[5911.1, 5264.0, -52.0], [5258.1, 5931.0, 50.7], [-49.5, 53.2, 352.0]]
    np.testing.assert_allclose(state.tangent, expected, rtol=1e-3, atol=0.3)


def test_mirror_symmetry():
    """The first cell is its own mirror image: the other shear strain gives the other shear stress, and no more."""
    rve = RVE1().rve(8)
    one, other = rve.solve(STRAIN), rve.solve(STRAIN * np.array([1, 1, -1]))
    np.testing.assert_allclose(other.stress, one.stress * np.array([1, 1, -1]), rtol=1e-10)
    # Directions x and y of the packing differ by no more than a rotation.
    turned = rve.solve(STRAIN[[1, 0, 2]])
    np.testing.assert_allclose(turned.stress, one.stress[[1, 0, 2]], rtol=1e-10)


def test_samples(tmp_path):
    """Strains are spread evenly and do not depend on their number; a file holds fields beside mean stresses."""
    problem = RVE2()
    strains = problem.strains(16, seed=3)
    np.testing.assert_array_equal(problem.strains(20, seed=3)[:16], strains)
    assert sorted(np.floor((strains[:, 1] / 0.04 + 1) * 8).astype(int)) == list(range(16))
    path = make_data(problem, tmp_path / "two.h5", name="rve2", samples=2, resolution=8, processes=1)
    rve = problem.rve(8)
    with h5py.File(path) as file:
        names = ("mean_strain", "mean_stress", "arrays/stress", "arrays/tangent", "arrays/fluctuation")
        strain, mean, stress, tangent, fluctuation = (np.asarray(file[name]) for name in names)
    strain, mean = strain[:, 0], mean[:, 0]
    assert fluctuation.shape == (2, *rve.nodes.shape) and tangent.shape == (2, 3, 3)
    np.testing.assert_allclose([rve.mean(field) for field in stress], mean, rtol=1e-12)
    for k in range(2):
        forces, scale = rve.unbalance(stress[k])
        assert np.linalg.norm(forces) < 1e-12 * scale
        expected = rve.law(strain[k][None] + rve.strain_of(fluctuation[k]))[0]
        np.testing.assert_allclose(stress[k], expected, rtol=1e-10, atol=1e-10)


def test_command_line(tmp_path):
    """Three numbers after one option; stress and tangent in the summary."""
    out = str(tmp_path)
    words = ["solve", "rve3", "--strain", "-0.01", "2e-3", "0.005", "--cells", "8", "--out", out, "--quiet"]
    assert main(words) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    state = RVE3().rve(8).solve([-0.01, 2e-3, 0.005])
    np.testing.assert_allclose(summary["homogenised_stress"], state.stress, rtol=1e-12)
    np.testing.assert_allclose(summary["tangent"], state.tangent, rtol=1e-12)
    assert (summary["status"], summary["parameters"]["strain_yy"]) == ("unverified", 2e-3)
    assert summary["coarse_mesh_change"] > 1e-4


def test_refusals(capsys):
    assert main(["solve", "rve3", "--strain", "0.01", "0.02"]) == 2
    assert "--strain takes 3 numbers: strain_xx, strain_yy, strain_xy" in capsys.readouterr().err
    with pytest.raises(PdesolveError, match="multiple of 4, got 10"):
        RVE1().rve(10)
    with pytest.raises(PdesolveError, match=r"`out_of_plane` must be 0 or 1, got 0\.5"):
        RVE1(out_of_plane=0.5).rve(8)
    with pytest.raises(PdesolveError, match="at least 8, got 4"):
        RVE1().generate(1, 4, 0)
