"""The benchmark suite of unit cells and structures, its processes replaced."""

import pytest

from scripts.benchmarks.cell import Failed, Options
from scripts.benchmarks.suites import multiscale
from scripts.benchmarks.workspace import Run, Workspace


@pytest.fixture
def asked(monkeypatch):
    """What the suite asks `pdesolve solve` for; each solve leaves the model's file that the next may need."""
    calls = []

    def solve(workspace, problem, *, name, **given):
        calls.append({"problem": problem, "name": name, **given})
        file = workspace.work / "runs" / name / f"{problem}.h5"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        return {"summary": {}}

    monkeypatch.setattr(multiscale, "solve", solve)
    return calls


def test_cells_measure_what_they_say(asked, tmp_path, monkeypatch):
    """Data first, then methods on them, then structures with the model of seed 0, which is trained if it is missing."""
    suite, space = multiscale.Multiscale(), Workspace(tmp_path, 2)
    cells = {cell.key: cell for cell in suite.cells(Options(problems=("rve3",)))}
    assert list(cells)[:3] == ["rve3/data", "rve3/EquiNO/0", "rve3/EquiNO/1"]
    assert "rve3/VPIONet/0" in cells and "rve3/VPIONet/1" not in cells and len(cells) == 1 + 5 + 4
    with pytest.raises(Failed, match="rve3/data"):
        suite.measure(cells["rve3/EquiNO/0"], space, {})

    words = []

    def ours(self, *given, name, timeout=0.0):
        words.extend(given)
        (self.work / "runs").mkdir(parents=True, exist_ok=True)
        (self.work / "runs" / "multiscale-rve3.h5").touch()
        return Run(0, 3.0, 6.0, tmp_path / "log")

    monkeypatch.setattr(Workspace, "ours", ours)
    assert suite.measure(cells["rve3/data"], space, {}) == {"process_seconds": 3.0, "cpu_seconds": 6.0}
    assert words[2:7] == ["data", "make", "rve3", "--samples", "225"]
    suite.measure(cells["rve3/cook_membrane"], space, {})
    trained, structure = asked
    assert trained["problem"] == "rve3" and 'method = "equino"' in trained["config"]
    assert structure["problem"] == "cook_membrane" and "cells = 4" in structure["config"]
    assert f'micro = "equino:{space.work}' in structure["config"] and 'against = "fe:rve3"' in structure["config"]
    suite.measure(cells["rve3/l_profile"], space, {})
    assert len(asked) == 3  # the model is there


def test_table():
    """Ratios leave the first call out; quantities of one unit are held against the largest of their kind."""
    seconds = {"compile": 1.0, "train": 8.0, "evaluate": 1.0}
    errors = {f"stress_{c}_percent": value for c, value in (("xx", 0.2), ("yy", 0.3), ("xy", 0.9))}
    learned = {
        **errors,
        **{"mean_stress_percent": 0.004, "tangent_percent": 0.01, "seconds_to_prepare": 5.0},
        **{"test_loss": 1.1e-3, "optimum_loss": 1e-3},
    }
    plain = {"mean_stress_percent": 0.5, "tangent_percent": 2.0, "seconds_to_prepare": 0.0}
    coupled = {
        **{"seconds": 1.01, "seconds_of_first_call": 1.0, "seconds (fe:rve3)": 50.0, "gauss_points": 64.0},
        **{"tip_u_mm": -1.0, "tip_u_mm (fe:rve3)": -1.02, "tip_v_mm": 2.0, "tip_v_mm (fe:rve3)": 2.0},
        **{"reaction_y_n_per_mm": -50.0, "reaction_y_n_per_mm (fe:rve3)": -50.1, "largest_strain": 0.03},
        "macro_stress_error": 1e-4,
    }

    def measured(summary, **parameters):
        return {"status": "measured", "parameters": parameters, "result": {"summary": summary}}

    def run(measures):
        return {"measures": measures, "seconds": seconds}

    records = {
        "rve3/data": {"status": "measured", "parameters": {"unit_cell": "rve3"}, "result": {"process_seconds": 1.0}},
        "rve3/EquiNO/0": measured(run(learned), unit_cell="rve3", method="EquiNO", seed=0),
        "rve3/DNN/0": measured(run(plain), unit_cell="rve3", method="DNN", seed=0),
        "rve3/cook_membrane": measured(
            {"measures": coupled, "relative_l2": 2e-4, "status": "solved"}, unit_cell="rve3", structure="cook_membrane"
        ),
        "rve3/l_profile": measured(
            {"measures": coupled, "relative_l2": None, "status": "failed"}, unit_cell="rve3", structure="l_profile"
        ),
    }
    lines = multiscale.Multiscale().table(records).splitlines()
    assert lines[2] == "| rve3, EquiNO | 1 | 0.004 % | 0.2 % | 0.3 % | 0.9 % | 0.01 % | 1.1 | 15 |"
    assert lines[3] == "| rve3, DNN | 1 | 0.5 % | - | - | - | 2 % | - | 10 |"
    assert lines[7] == ("| cook_membrane, rve3 | 64 | 1.01 | 1 | 50 | 5,000 | 0.02 % | 0.01 % | 1 % | 0.03 |")
    assert lines[8].startswith("| l_profile, rve3: failed |")
    assert multiscale.Multiscale().table({}) == ""
