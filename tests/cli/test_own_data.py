"""Files of samples on the command line: what they are solved as, by which recipe, and what is told about bad ones."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from pdesolve import toml
from pdesolve.cli import main
from pdesolve.config import DataConfig, Recipe
from pdesolve.data import read_data
from pdesolve.solution import Solution

from ..data import layouts
from ..learning.families import heat_file


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    """Run a command line in an empty folder, with what is registered in this distribution."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run


def test_a_file_is_a_problem(call, engine):
    """Its functions and its name; trajectories are stepped; samples are divided; the run's configuration repeats it."""
    layouts.pdebench_scalar("burgers.hdf5", samples=24)
    assert call("solve", "--data", "burgers.hdf5", "--method", "fno", "--width", "8")[0] == 0
    first = engine.calls[0]
    assert (first.name, str(first.out)) == ("burgers_data", "runs/burgers_data")  # burgers is another problem
    assert (first.problem.input_names, first.problem.field_names) == (("u_0",), ("u",))
    recipe = first.recipe
    assert (recipe.method, recipe.network.name, recipe.network.width) == ("operator", "fno", 8)
    assert recipe.method_options == {"stepping": "one_step"} and recipe.network.options["modes"] == layouts.X // 2
    data = DataConfig(train=20, test=3, batch=20, resolution=layouts.X, file="burgers.hdf5")
    assert recipe.data == data
    assert call("solve", "--config", "runs/burgers_data/asked.toml")[0] == 0
    assert engine.calls[1].recipe == recipe and engine.calls[1].name == "burgers_data"
    code, text, _ = call("solve", "--data", "burgers.hdf5", "--print-config")
    assert code == 0 and 'problem = "burgers_data"' in text and 'file = "burgers.hdf5"' in text


def test_a_file_of_a_named_family(call, engine):
    """The family's recipe with the operator that `--method` names, and the numbers of the file."""
    layouts.pdebench_darcy("darcy.hdf5", samples=9)
    assert call("solve", "darcy_2d", "--method", "dymixop", "--data", "darcy.hdf5")[0] == 0
    recipe = engine.calls[0].recipe
    assert engine.calls[0].name == "darcy_2d"
    assert (recipe.method, recipe.network.name, recipe.network.options) == ("operator", "dymixop", {})
    assert (recipe.data.train, recipe.data.test, recipe.data.resolution) == (7, 1, layouts.X)
    Path("few.toml").write_text(
        'problem = "darcy_2d"\n[data]\nfile = "darcy.hdf5"\ntrain = 2\ntest = 2\nbatch = 1\nstride = 2\n'
    )
    assert call("solve", "--config", "few.toml")[0] == 0
    data = engine.calls[1].recipe.data
    assert (data.train, data.test, data.batch, data.resolution) == (2, 2, 1, layouts.X // 2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--data", "none.h5"), "none.h5: no such file."),
        (("--data", "text.h5"), "text.h5: no data file (it begins with b'some tex')."),
        (("burgers", "--data", "burgers.hdf5"), "method 'pinn' reads no files of samples: leave out --data"),
        (("darcy_2d", "--data", "burgers.hdf5"), "burgers.hdf5 has 1 axes of space (x); Darcy2D has x, y."),
        (("brgers", "--data", "burgers.hdf5"), "unknown problem 'brgers'. Did you mean 'burgers"),
    ],
)
def test_bad_input(call, tmp_path, words, message):
    """Exit code 2 and one sentence."""
    (tmp_path / "text.h5").write_text("some text")
    layouts.pdebench_scalar(tmp_path / "burgers.hdf5")
    code, out, err = call("solve", *words, "--quiet")
    assert (code, out) == (2, "") and err.startswith("error: ") and message in err and err.count("\n") == 1


@pytest.mark.filterwarnings("default::pdesolve.learning.samples.DataWarning")
@pytest.mark.parametrize("layout", ["pdebench", pytest.param("well", marks=pytest.mark.slow)])
def test_the_whole_way(call, layout):
    """From a file to a solution of the free rollouts, which comes back; a test sample trained on is warned of."""
    heat_file("heat.hdf5", samples=12)
    with h5py.File("heat.hdf5", "r+") as file:
        file["tensor"][11, 0] = file["tensor"][0, 0]
    if layout == "well":
        assert call("data", "convert", "heat.hdf5", "--layout", "well", "--out", "heat.h5")[0] == 0
    name = "heat.hdf5" if layout == "pdebench" else "heat.h5"
    words = ["--method", "fno", "--width", "6", "--depth", "1", "--steps", "20", "--learning-rate", "0.02"]
    code, out, err = call("solve", "--data", name, *words, "--seed", "1")
    assert code in (0, 1) and "files in runs/heat" in out
    assert "warning: 1 of 1 test samples of" in err
    summary = json.loads(Path("runs/heat/summary.json").read_text())
    assert len(summary["rollout"]["relative_l2"]) == 6 and 0 < summary["relative_l2"] < 2
    loaded = Solution.load("runs/heat/heat.h5")
    assert loaded.model is not None and loaded.dataset["u"].sizes["time"] == 6


def test_convert(call):
    """The path of what was written; a file of another layout that reads as the first one."""
    layouts.pdebench_darcy("darcy.hdf5")
    assert call("data", "convert", "darcy.hdf5", "--out", "new.h5") == (0, "new.h5\n", "")
    old, new = read_data("darcy.hdf5"), read_data("new.h5")
    np.testing.assert_array_equal(new.load("nu", 0, layouts.B), old.load("nu", 0, layouts.B))
    code, _, err = call("data", "convert", "darcy.hdf5", "--out", "x.h5", "--layout", "wel")
    assert code == 2 and "unknown layout 'wel'. Did you mean 'well'?" in err


def test_asked_for_is_what_is_merged(call, engine):
    """The configuration of a run with a file is complete."""
    layouts.pdebench_scalar("w.hdf5", samples=8)
    call("solve", "--data", "w.hdf5", "--out", "here")
    assert toml.merge(Recipe(), toml.load("here/asked.toml"), "") == engine.calls[0].recipe
