"""A file to begin a problem with: written once, and solved as it stands."""

import json

import pytest

from pdesolve.cli import main


def test_what_is_written_is_solved(tmp_path, capsys, monkeypatch):
    """The class bears the file's name; its residual falls; twenty-five lines of code at most."""
    monkeypatch.chdir(tmp_path)
    assert main(["new", "warm_rod.py"]) == 0
    assert "pdesolve solve warm_rod.py" in capsys.readouterr().out
    text = (tmp_path / "warm_rod.py").read_text()
    assert "class WarmRod(AbstractProblem)" in text
    code = [line for line in text.split("class ")[1].splitlines() if line.strip() and not line.strip().startswith("#")]
    assert len(code) <= 25
    assert main(["solve", "warm_rod.py", "--steps", "8", "--points", "64", "--out", "run", "--quiet"]) == 0
    assert json.loads((tmp_path / "run/summary.json").read_text())["loss"] < 0.05


@pytest.mark.parametrize(
    ("name", "message"),
    [("rod", "should end in .py"), ("1d.py", "begin with a letter"), ("there.py", "exists; choose another name")],
)
def test_refused(name, message, tmp_path, capsys, monkeypatch):
    """Bad names, and a file that is there, which stays as it is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.py").write_text("mine")
    assert main(["new", name]) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "there.py").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["there.py"]
