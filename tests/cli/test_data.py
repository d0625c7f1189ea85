"""`pdesolve data make` and `pdesolve data check` on a family in a file of the user's."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from pdesolve import io
from pdesolve.cli._problem import problem_class
from pdesolve.data.make import _blocks

ROOT = Path(__file__).parents[2]
FAMILY = '''
import time
from typing import ClassVar

import numpy as np

from pdesolve import Recipe, parameter
from pdesolve.config import DataConfig
from pdesolve.family import AbstractFamily, FamilyData


class Tones(AbstractFamily):
    """Random sines and their squares."""

    input_names: ClassVar[tuple[str, ...]] = ("a",)
    field_names: ClassVar[tuple[str, ...]] = ("u",)
    factor: float = parameter(1.0, "factor of the square", above=0)
    samples: float = parameter(0.0, "hides an option of ours")
    pause: float = parameter(0.0, "seconds for a block")

    def generate(self, num_samples, resolution, seed):
        """As said."""
        time.sleep(self.pause)
        x = np.arange(resolution) / resolution
        phases = np.array([np.random.default_rng([seed, i]).uniform() for i in range(num_samples)])
        a = np.sin(2 * np.pi * (x + phases[:, None]))[:, None]
        return FamilyData(a, self.factor * a**2, {"x": x}, 1e-9, 1e-6)

    def recipe(self):
        """Never trained."""
        return Recipe(method="operator", data=DataConfig(train=70, resolution=6))
'''


@pytest.fixture
def tones(here):
    (here / "tones.py").write_text(FAMILY)
    yield here
    sys.modules.pop("_pdesolve_user_tones", None)


def test_make_and_check(run, tones):
    """Defaults are those of the recipe; parameters change the data; the file is good, and names what it holds."""
    code, out, err = run("data", "make", "tones.py", "--factor", "2", "--processes", "1", "--quiet")
    assert (code, out, err) == (0, "", "")
    dataset, header = io.read("data/tones.h5")
    assert dataset["u"].shape == (70, 6)
    np.testing.assert_array_equal(dataset["u"], 2 * dataset["a"] ** 2)
    assert header["parameters"] == {"factor": 2.0, "samples": 0.0, "pause": 0.0}
    assert "numpy" in header["provenance"]["versions"]
    code, out, _ = run("data", "check", "data/tones.h5")
    assert code == 0 and "u (sample 70, x 6)" in out and "data/tones.h5: nothing wrong" in out
    # Once more: it is there. Other parameters: it is in the way.
    assert run("data", "make", "tones.py", "--factor", "2", "--quiet")[0] == 0
    code, _, err = run("data", "make", "tones.py", "--factor", "3", "--quiet")
    assert code == 2 and err.startswith("error: data/tones.h5 exists, with parameters = {'factor': 2.0")


def test_options(run, tones):
    """Counts, seed and file; the size of the file is told, and progress goes to standard error."""
    words = ["--samples", "5", "--resolution", "4", "--seed", "3", "--processes", "2", "--problem-samples", "1"]
    code, out, err = run("data", "make", "tones.py:Tones", *words, "--out", "here.h5")
    assert code == 0 and out.startswith("here.h5: ") and "5/5" in err
    assert io.read("here.h5")[0]["u"].shape == (5, 4)


def test_faults_are_told(run, tones):
    """Exit code 1, and a line for each fault."""
    assert run("data", "make", "tones.py", "--samples", "3", "--out", "bad.h5", "--quiet")[0] == 0
    with h5py.File("bad.h5", "r+") as file:
        file["t0_fields/u"][1, 0, 2] = np.nan
    code, out, err = run("data", "check", "bad.h5")
    assert (code, err) == (1, "")
    assert "WRONG: u: 1 of 3 samples is not finite: 1\n" in out and "nothing wrong" not in out
    Path("half.h5").write_bytes(Path("bad.h5").read_bytes()[:3000])
    code, out, _ = run("data", "check", "half.h5")
    assert code == 1 and out.startswith("WRONG: cannot be read; the file is truncated")


def test_interrupted_command_continues(tones):
    """Ctrl-C: exit code 130, blocks are kept, and the same command gives what one without it gives."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "pdesolve", "data", "make", "tones.py", "--samples", "250", "--processes", "1"]
    with subprocess.Popen([*words, "--pause", "0.4"], env=environment, stderr=subprocess.PIPE, text=True) as process:
        parts = Path("data/tones.h5.parts")
        deadline = time.monotonic() + 60
        while not list(parts.glob("*.npz")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        message = process.stderr.read()
    assert process.returncode == 130
    assert message.endswith("finished blocks are kept; the same command continues\ninterrupted\n")
    assert 1 <= len(list(parts.glob("*.npz"))) < 4 and not Path("data/tones.h5").exists()
    subprocess.run([*words, "--pause", "0.4", "--quiet"], env=environment, check=True)
    family = problem_class(Path("tones.py"))()
    whole = [family.generate(block.count, 6, block.seed) for block in _blocks(250, 6, 0)]
    dataset, _ = io.read("data/tones.h5")
    np.testing.assert_array_equal(dataset["a"], np.concatenate([data.inputs[:, 0] for data in whole]))
    np.testing.assert_array_equal(dataset["u"], np.concatenate([data.outputs[:, 0] for data in whole]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mak"], "unknown command of `pdesolve data` 'mak'. Did you mean 'make'? Known: check, convert, make."),
        (["make", "rud"], "unknown problem 'rud'. Did you mean 'rod'? Known: broken, rod."),
        (["make", "rod"], "rod is a single problem; data are made of families of problems: "),
        (["make", "--samples", "3"], "no family given: `pdesolve data make NAME`. Known: "),
        (["make", "tones.py", "--smaples", "3"], "unknown option '--smaples'. Did you mean '--samples'? Known: "),
        (["make", "tones.py", "--samples", "0"], "`samples` must be at least 1, got 0."),
        (["make", "tones.py", "--samples", "1.5"], "--samples: expected an integer, got '1.5'."),
        (["make", "tones.py", "--factor", "-1"], "`factor` must be positive, got -1."),
        (["check"], "the following arguments are required: FILE. See `pdesolve data check --help`."),
        (["check", "none.h5"], "none.h5: no such file."),
    ],
)
def test_bad_input(run, tones, words, message):
    """Exit code 2 and one line."""
    code, _, err = run("data", *words)
    assert code == 2
    assert err.startswith(f"error: {message}")
    assert "Traceback" not in err


@pytest.mark.parametrize("words", [[], ["make"], ["make", "tones.py"], ["check"], ["convert"]])
def test_help(run, tones, words):
    """Every command explains itself, its exit codes and, of a family, the parameters."""
    code, out, _ = run("data", *words, "--help")
    assert code == 0
    assert out.startswith(f"usage: pdesolve data {' '.join(words)}".rstrip()) and "exit codes:" in out
    assert ("--factor VALUE" in out and "default: 70" in out) == ("tones.py" in words)


def test_help_loads_no_jax():
    code = (
        "import sys; from pdesolve.cli import main; assert main(['data', '--help']) == 0; "
        "assert main(['data', 'make', '--help']) == 0; assert main(['data', 'check', '--help']) == 0; "
        "assert not {'jax', 'numpy', 'equinox', 'h5py'} & sys.modules.keys(), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
