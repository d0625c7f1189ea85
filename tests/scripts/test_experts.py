"""The benchmark suite of hard constraints, its processes replaced."""

from scripts.benchmarks.cell import Options
from scripts.benchmarks.suites import experts
from scripts.benchmarks.workspace import Workspace


def test_cells_ask_for_what_they_say(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(experts, "solve", lambda space, problem, **given: asked.append((problem, given)) or {})
    suite, space = experts.Experts(), Workspace(tmp_path, 2)
    cells = {cell.key: cell for cell in suite.cells(Options(seeds=1))}
    for key in ("diffusion_sorption/PI-HC/0", "diffusion_sorption/experts/8", "diffusion_sorption/points/256"):
        suite.measure(cells[key], space, {})
    (_, whole), (_, blocks), (_, few) = asked
    assert 'method = "pde_cl"' in whole["config"] and whole["seed"] == 0 and "steps" not in whole
    assert 'method = "pihcmoe"' in blocks["config"] and "experts = 8" in blocks["config"] and blocks["steps"] == 20
    assert 'method = "pde_cl"' in few["config"] and "points = 256" in few["config"]


def test_table():
    """Errors by method over seeds; times beside that of one block."""

    def measured(error, train, answer, steps=10, **given):
        seconds = {"train": train, "compile": 1.0}
        summary = {"relative_l2": error, "seconds": seconds, "steps": steps, "measures": {"inference_seconds": answer}}
        return {"status": "measured", "parameters": {"problem": "a", **given}, "result": {"summary": summary}}

    records = {
        "a/PI-HC/0": measured(0.1, 50.0, 0.1, method="PI-HC"),
        "a/PI-HC/1": measured(0.3, 60.0, 0.1, method="PI-HC"),
        "a/experts/1": measured(0.5, 10.0, 0.4, experts=1),
        "a/experts/4": measured(0.5, 5.0, 0.1, experts=4),
        "a/points/256": measured(0.5, 4.0, 0.2, points=256),
    }
    lines = experts.Experts().table(records).splitlines()
    assert lines[2] == "| a, PI-HC | 2 | 2.0e-01 (1.0e-01 to 3.0e-01) | 55 (50 to 60) |"
    assert lines[7] == "| a, 4 blocks | 0.5 | 2 | 0.1 | 4 |"
    assert lines[8] == "| a, one, at 256 points | 0.4 | 2.5 | 0.2 | 2 |"
