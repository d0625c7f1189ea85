"""The method `two_scale` and its files, from Python and from the command line."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from pdesolve import Recipe, Solution, io, registry, solve
from pdesolve.cli import main
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.multiscale import ExtrapolationWarning, SaturatingElastic, micro_model, two_scale
from problems import Burgers, CookMembrane, SingleElement


def recipe(**options):
    return Recipe(method="two_scale", method_options={"load_steps": 1, **options})


class Boxed:
    """A micro model as a trained one is: with a box and with fields of its own."""

    box = np.array([[-0.04, 0.04]] * 3)

    def respond(self, strains):
        return SaturatingElastic().respond(strains)

    def fields(self, strain):
        points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        cells = ("cell", "vertex"), np.array([[0, 1, 2]])
        return xr.Dataset({"points": (("point", "axis"), points), "cells": cells, "w": ("point", points @ strain[:2])})


@pytest.fixture
def trained(monkeypatch):
    """`micro_model` gives a model of no closed form for the name `trained`."""
    monkeypatch.setattr(two_scale, "micro_model", lambda name: Boxed() if name == "trained" else micro_model(name))


def test_files(tmp_path):
    """Fields and reference come back from the file, on the mesh; the Gauss points have a file of their own."""
    solution = solve(CookMembrane(cells=2), recipe(micro="nonlinear"), out=tmp_path)
    assert solution.status == "solved" and solution.source == "classical solver"
    assert 0 < solution.summary["reference_error"] < solution.summary["relative_l2"] < 0.2
    stored, header = io.read(tmp_path / "cook_membrane.h5")
    assert header["layout"] == "points" and header["parameters"] == {"traction": 5.0, "cells": 2.0}
    for name in ("points", "u", "v", "u_reference", "stress_xx", "stress_xy"):
        np.testing.assert_array_equal(stored[name], solution.dataset[name])
    assert stored["u"].attrs["units"] == "mm" and stored["cells"].attrs["cell_type"] == "quad"
    assert (tmp_path / "cook_membrane.xdmf").is_file() and (tmp_path / "cook_membrane.png").is_file()
    gauss, _ = io.read(tmp_path / "companions" / "gauss_points.h5")
    strains = np.stack([gauss[f"strain_{c}"] for c in ("xx", "yy", "xy")], axis=1)
    np.testing.assert_allclose(SaturatingElastic().respond(strains)[0][:, 0], gauss["stress_xx"], rtol=1e-12)
    assert len(strains) == 16
    # The fields are known everywhere, in memory; a file has them on its mesh.
    np.testing.assert_allclose(solution([[48.0, 60.0]])["v"], solution.summary["measures"]["tip_v_mm"])
    assert Solution.load(tmp_path / "cook_membrane.h5").source == "grid"


def test_same_on_triangles():
    """Two discretisations, nearly one answer."""
    tips = [
        solve(CookMembrane(cells=8), recipe(element=element)).summary["measures"]["tip_v_mm"]
        for element in ("quad8", "triangle6")
    ]
    np.testing.assert_allclose(tips[0], tips[1], rtol=1e-2)


def test_against_another_micro_model(trained):
    """On one mesh the same law gives no difference, another one does, and both times are told."""
    same = solve(CookMembrane(cells=2), recipe(micro="trained", against="nonlinear")).summary
    assert same["status"] == "solved" and same["relative_l2"] < 1e-12
    assert same["reference"] == "nonlinear on the same mesh" and same["classical_seconds"] > 0
    assert same["measures"]["tip_v_mm"] == pytest.approx(same["measures"]["tip_v_mm (nonlinear)"], rel=1e-12)
    other = solve(CookMembrane(cells=2), recipe(micro="trained", against="linear")).summary
    assert 1e-3 < other["relative_l2"] < 1 and other["measures"]["macro_stress_error"] > 1e-4


def test_micro_fields_are_stored_where_asked(trained, tmp_path):
    """Without a model to compare with the answer is unverified; the fields at two Gauss points are files."""
    solution = solve(SingleElement(), recipe(micro="trained", recover=(0, 3)), out=tmp_path)
    assert solution.status == "unverified" and "against" in solution.reason
    assert sorted(file.name for file in (tmp_path / "companions").glob("*.h5")) == [
        *("gauss_points.h5", "micro_0.h5", "micro_3.h5")
    ]
    fields, _ = io.read(tmp_path / "companions" / "micro_3.h5")
    np.testing.assert_allclose(fields["w"], [0.0, 0.012, -0.007], atol=1e-14)
    assert fields.attrs["gauss_point"] == 3 and (tmp_path / "companions" / "micro_3.xdmf").is_file()
    # Those of an earlier run do not stay beside a later one's.
    solve(SingleElement(), recipe(micro="trained"), out=tmp_path)
    assert [file.name for file in (tmp_path / "companions").glob("*.h5")] == ["gauss_points.h5"]
    with pytest.raises(PdesolveError, match="there are Gauss points 0 to 3, got 4"):
        solve(SingleElement(), recipe(micro="trained", recover=(4,)))
    with pytest.raises(PdesolveError, match="SaturatingElastic has no fields of its own"):
        solve(SingleElement(), recipe(recover=(0,)))


def test_extrapolation_is_told(trained):
    with pytest.warns(ExtrapolationWarning, match=r"4 of 4 Gauss points .* 1\.50 times"):
        summary = solve(SingleElement(strain_xx=0.06), recipe(micro="trained")).summary
    assert summary["measures"]["points_outside_box"] == 4


def test_failure_is_a_status(tmp_path):
    """No equilibrium under the full load: status and exit code say so, and no picture is drawn."""
    words = ["solve", "cook_membrane", "--traction", "60", "--cells", "2", "--quiet", "--out", str(tmp_path)]
    assert main(words) == 1
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["status"] == "failed" and "no equilibrium beyond" in summary["reason"]
    assert 0 < summary["measures"]["load_reached"] < 1
    assert not (tmp_path / "cook_membrane.png").exists()


def test_command_line(tmp_path):
    """`--micro` changes the material and keeps the other options; the run's file repeats it."""
    out = tmp_path / "first"
    assert main(["solve", "cook_membrane", "--micro", "linear", "--cells", "2", "--quiet", "--out", str(out)]) == 0
    first = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert 'method_options = { micro = "linear", load_steps = 5 }' in (out / "run.toml").read_text(encoding="utf-8")
    assert len(first["load_steps"]) == 5 and first["measures"]["newton_iterations"] == 5
    again = tmp_path / "again"
    assert main(["solve", "--config", str(out / "run.toml"), "--quiet", "--out", str(again)]) == 0
    second = json.loads((again / "summary.json").read_text(encoding="utf-8"))
    assert first["measures"]["tip_v_mm"] == second["measures"]["tip_v_mm"]
    assert main(["info", str(out)]) == 0


BAR = """
import numpy as np
from pdesolve.multiscale import AbstractStructure, Body, Support, Traction
from pdesolve.multiscale.body import patches


class Bar(AbstractStructure):
    \"\"\"A square, pulled.\"\"\"

    def body(self, refinement=1):
        held = lambda x: np.isclose(x[0], 0.0)
        corner = lambda x: held(x) & np.isclose(x[1], 0.0)
        mesh = patches((lambda s, t: (s, t),), (refinement, refinement))
        pull = Traction(lambda x: np.isclose(x[0], 1.0), (2.0, 0.0))
        return Body(mesh, (Support(held, 0), Support(corner, 1)), (pull,))

    def quantities(self, answer):
        return {"end_u_mm": float(answer.displacement_at((1.0, 0.5))[0])}
"""


def test_structure_in_a_file(tmp_path):
    """A structure of one's own: a bar under uniform stress, s = E / (1 - nu^2) e in plane strain."""
    (tmp_path / "bar.py").write_text(BAR, encoding="utf-8")
    out = tmp_path / "run"
    assert main(["solve", str(tmp_path / "bar.py"), "--micro", "linear", "--quiet", "--out", str(out)]) == 0
    found = json.loads((out / "summary.json").read_text(encoding="utf-8"))["measures"]["end_u_mm"]
    k, g = 4.78e3, 25e3 / 60
    young, poisson = 9 * k * g / (3 * k + g), (3 * k - 2 * g) / (2 * (3 * k + g))
    assert found == pytest.approx(2.0 * (1 - poisson**2) / young, rel=1e-9)


def test_names():
    for name, message in (
        ("liner", "unknown micro model 'liner'. Did you mean 'linear'"),
        ("fe:", "what stands after the colon is missing"),
        ("fe:burgers", "problem 'burgers' is no micro model"),
        ("fe:burgers,viscosity", "expected PARAMETER=NUMBER, got 'viscosity'"),
        ("fe:burgers,viscous=8", "unknown parameter of Burgers 'viscous'. Did you mean 'viscosity'"),
        ("equno:file", "unknown kind of micro model 'equno'. Did you mean 'equino'"),
        ("equino:nowhere.eqx", "no file 'nowhere.eqx'"),
    ):
        with pytest.raises(PdesolveError, match=message):
            micro_model(name)
    with pytest.raises(UnknownNameError, match="unknown problem 'rve_none'"):
        micro_model("fe:rve_none")


def test_operators_without_files(monkeypatch):
    """What another package registers must be able to read a file, and to answer."""
    monkeypatch.setattr(registry, "names", lambda group: ("deaf", "mute"))
    monkeypatch.setattr(registry, "load", lambda group, name: SimpleNamespace(load=len) if name == "mute" else object())
    with pytest.raises(PdesolveError, match=r"operator 'deaf' is no micro model: it has no `load\(file\)`"):
        micro_model("deaf:file")
    with pytest.raises(PdesolveError, match=r"operator 'mute' is no micro model: it has no `respond\(strains\)`"):
        micro_model(f"mute:{__file__}")


def test_what_does_not_suit():
    with pytest.raises(PdesolveError, match="method 'two_scale' solves structures"):
        solve(Burgers(), recipe())
    with pytest.raises(UnknownNameError, match="unknown element 'quad4'"):
        solve(SingleElement(), recipe(element="quad4"))
    with pytest.raises(PdesolveError, match="`processes` must not be negative, got -1"):
        solve(SingleElement(), recipe(processes=-1))
