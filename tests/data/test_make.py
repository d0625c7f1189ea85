"""Data sets made block by block: the same numbers whatever happens on the way, and faults that are found."""

import concurrent.futures
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from pdesolve import io
from pdesolve.data import check_data, make_data
from pdesolve.data.make import BLOCK, _blocks, _make_block
from pdesolve.errors import PdesolveError

from .families import Fields, Waves

ROOT = Path(__file__).parents[2]
SAMPLES = 2 * BLOCK + 5
"""Three blocks, the last one short."""


def make(path, samples=SAMPLES, family=None, **options):
    family = Waves() if family is None else family
    options = {"resolution": 8, "seed": 1, "parameters": {"power": 3.0}} | options
    return make_data(family, path, name="waves", samples=samples, **options)


def numbers(path):
    """Every number of the file, by name."""
    dataset, _ = io.read(path)
    return {name: np.asarray(v.values) for name, v in {**dataset.data_vars, **dataset.coords}.items()} | {
        "error_bound": np.asarray(dataset.attrs["error_bound"])
    }


def assert_equal(path, other):
    left, right = numbers(path), numbers(other)
    assert left.keys() == right.keys()
    for name, values in left.items():
        np.testing.assert_array_equal(values, right[name])


@pytest.fixture
def here(monkeypatch):
    """Blocks are made in this process: quicker, where processes are not what is tested."""

    @contextlib.contextmanager
    def workers(family, processes):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            yield pool

    monkeypatch.setattr("pdesolve.data.make._workers", workers)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A data set made in one go by two processes."""
    return make(tmp_path_factory.mktemp("data") / "whole.h5", processes=2)


def test_is_what_the_family_generates(whole):
    """Fields, roles, grid and error bound are those of `generate`, block after block; no block is left behind."""
    blocks = _blocks(SAMPLES, 8, 1)
    assert [block.count for block in blocks] == [BLOCK, BLOCK, 5]
    generated = [Waves().generate(block.count, 8, block.seed) for block in blocks]
    dataset, header = io.read(whole)
    assert dataset["u"].dims == ("sample", "time", "x")
    for name, part, channel in (("a", "inputs", 0), ("u", "outputs", 0), ("v", "outputs", 1)):
        expected = np.concatenate([getattr(data, part)[:, channel] for data in generated])
        np.testing.assert_array_equal(dataset[name].transpose("sample", "x", "time"), expected)
    assert [dataset[name].attrs["role"] for name in "auv"] == ["input", "solution", "solution"]
    np.testing.assert_array_equal(dataset["x"], np.arange(8) / 8)
    assert dataset.attrs["error_bound"] == max(data.error_bound for data in generated)
    assert header["parameters"] == {"power": 3.0} and header["name"] == "waves"
    assert [path.name for path in whole.parent.iterdir()] == ["whole.h5"]


def test_number_of_processes_changes_nothing(whole, tmp_path, monkeypatch):
    """One process too is a process of its own, with one thread; all three blocks are made in it."""
    monkeypatch.setenv("FAMILIES_FOLDER", str(tmp_path))
    assert_equal(make(tmp_path / "one.h5"), whole)
    made = [path.read_text().split() for path in tmp_path.iterdir() if path.name.isdigit()]
    assert len(made) == 3 and len({process for process, *_ in made}) == 1
    assert {threads for _, threads, _ in made} == {"1"} and made[0][0] != str(os.getpid())


def test_sample_does_not_depend_on_how_many():
    """Blocks begin at the same samples with the same seeds; those of another seed, and of one data set, differ."""
    more, fewer, other = _blocks(SAMPLES, 8, 1), _blocks(BLOCK + 3, 8, 1), _blocks(SAMPLES, 8, 2)
    assert [block.count for block in fewer] == [BLOCK, 3]
    assert [block.seed for block in fewer] == [block.seed for block in more[:2]]
    assert len({block.seed for block in [*more, *other]}) == 6


def test_family_sets_the_size_of_a_block(here, tmp_path, monkeypatch):
    """Small blocks where a sample takes long: progress comes, and is kept, so much more often."""
    monkeypatch.setattr(Waves, "block", 2)
    seen = []
    path = make(tmp_path / "few.h5", samples=5, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 5), (2, 5), (4, 5), (5, 5)]
    blocks = _blocks(5, 8, 1, 2)
    assert [(block.first, block.count) for block in blocks] == [(0, 2), (2, 2), (4, 1)]
    assert [b.seed for b in blocks] == [b.seed for b in _blocks(SAMPLES, 8, 1)]
    outputs = np.concatenate([Waves().generate(block.count, 8, block.seed).outputs[:, 0] for block in blocks])
    np.testing.assert_array_equal(io.read(path)[0]["u"].transpose("sample", "x", "time"), outputs)


def test_interrupted_run_continues_bit_for_bit(whole, tmp_path, monkeypatch):
    """After the first block; what is there is not made again, and the file is not there before its time."""
    path, seen = tmp_path / "data.h5", []

    def interrupt(done, total):
        seen.append((done, total))
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(path, progress=interrupt)
    assert seen == [(0, SAMPLES), (BLOCK, SAMPLES)] and not path.exists()
    kept = len(list((tmp_path / "data.h5.parts").glob("*.npz")))
    assert kept == 2, "the first block, and the one under way"
    monkeypatch.setenv("FAMILIES_FOLDER", str(tmp_path))
    seen.clear()
    make(path, processes=2, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (sum(block.count for block in _blocks(SAMPLES, 8, 1)[:kept]), SAMPLES)
    assert seen[-1] == (SAMPLES, SAMPLES)
    assert len([path for path in tmp_path.iterdir() if path.name.isdigit()]) == 3 - kept
    assert_equal(path, whole)
    assert not (tmp_path / "data.h5.parts").exists()


def test_killed_run_continues(whole, tmp_path):
    """SIGKILL in the midst of a block leaves whole blocks or none."""
    path, script = tmp_path / "data.h5", tmp_path / "script.py"
    script.write_text(
        "from tests.data.families import Waves; from pdesolve.data import make_data; from pathlib import Path\n"
        "if __name__ == '__main__':\n"
        f"    make_data(Waves(pause=0.4), Path({str(path)!r}), name='waves', samples={SAMPLES}, resolution=8, seed=1,"
        " parameters={'power': 3.0})"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, str(script)], env=environment, start_new_session=True) as process:
        parts = tmp_path / "data.h5.parts"
        deadline = time.monotonic() + 60
        while not list(parts.glob("*.npz")) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    assert 1 <= len(list(parts.glob("*.npz"))) < 3 and not path.exists()
    assert_equal(make(path), whole)


def test_complete_file_is_left_as_it_is(whole):
    """The same request does nothing; another one is refused, and so is a file of something else."""
    before = whole.stat().st_mtime_ns
    make(whole)
    assert whole.stat().st_mtime_ns == before
    with pytest.raises(PdesolveError, match=r"whole\.h5 exists, with resolution = 8; asked for 16"):
        make(whole, resolution=16)
    with pytest.raises(PdesolveError, match=rf"with samples = {SAMPLES}; asked for 3"):
        make(whole, samples=3)


def test_what_is_not_ours_is_refused(tmp_path, here):
    """A foreign file, blocks of another request, a damaged block, a directory with something else."""
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(PdesolveError, match="exists and is no data set"):
        make(tmp_path / "text.h5")

    def interrupt(done, total):
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "data.h5", progress=interrupt)
    with pytest.raises(PdesolveError, match=r"data\.h5\.parts exists, with seed = 1; asked for 2"):
        make(tmp_path / "data.h5", seed=2)
    block = next((tmp_path / "data.h5.parts").glob("*.npz"))
    block.write_bytes(b"PK")
    with pytest.raises(PdesolveError, match=r"\.npz is damaged: remove it"):
        make(tmp_path / "data.h5")
    block.unlink()
    make(tmp_path / "data.h5")
    (tmp_path / "other.h5.parts").mkdir()
    (tmp_path / "other.h5.parts" / "mine.txt").touch()
    with pytest.raises(PdesolveError, match="holds something else than blocks"):
        make(tmp_path / "other.h5")


@pytest.mark.parametrize(
    ("fault", "message"),
    [(1, "samples 64 to 66: inputs are not finite"), (2, "samples 64 to 66: unknown thing 'x'. Known: y.")],
)
def test_faults_of_the_solver_are_named(tmp_path, fault, message):
    """Nothing is written of a block with a fault; the error can be sent from one process to another."""
    with pytest.raises(PdesolveError, match=message) as caught:
        _make_block(Waves(fault=fault), _blocks(BLOCK + 3, 8, 1)[1], tmp_path)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert not list(tmp_path.iterdir())


def test_process_that_ends_is_reported(tmp_path):
    with pytest.raises(PdesolveError, match="a process ended while it generated samples"):
        make(tmp_path / "data.h5", samples=3, family=Waves(fault=3))
    assert not (tmp_path / "data.h5").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "`samples` must be at least 1, got 0"),
        ({"processes": 0}, "`processes` must be at least 1, got 0"),
        ({"seed": -1}, "`seed` must not be negative, got -1"),
    ],
)
def test_counts_are_checked(tmp_path, options, message):
    with pytest.raises(PdesolveError, match=message):
        make(tmp_path / "data.h5", **options)
    with pytest.raises(PdesolveError, match="is not an existing directory"):
        make(tmp_path / "none" / "data.h5")


def test_fields_without_input(tmp_path, here):
    make(tmp_path / "fields.h5", samples=3, family=Fields())
    assert list(io.read(tmp_path / "fields.h5")[0].data_vars) == ["u"]
    assert check_data(tmp_path / "fields.h5").faults == []


def test_nothing_is_wrong_with_what_was_made(whole):
    found = check_data(whole)
    assert found.faults == []
    assert any(f"u (sample {SAMPLES}, time 3, x 8)" in line for line in found.lines)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_planted_number_is_found(whole, tmp_path, value):
    """In the midst of a copy; the field and the sample are named."""
    path = tmp_path / "copy.h5"
    path.write_bytes(whole.read_bytes())
    with h5py.File(path, "r+") as file:
        file["t0_fields/u"][17, 1, 4] = value
        file["t0_fields/u"][18, 1, 4] = value
    assert check_data(path).faults == [f"u: 2 of {SAMPLES} samples are not finite: 17, 18"]


def test_planted_duplicates_are_found(whole, tmp_path):
    """Equal inputs, whatever the outputs; equal outputs of other inputs are nothing wrong."""
    path = tmp_path / "copy.h5"
    path.write_bytes(whole.read_bytes())
    with h5py.File(path, "r+") as file:
        file["t0_fields/u"][3] = file["t0_fields/u"][5]
    assert check_data(path).faults == []
    with h5py.File(path, "r+") as file:
        for later in (7, 100):
            file["t0_fields/a"][later] = file["t0_fields/a"][2]
    assert check_data(path).faults == ["inputs of samples that occur twice: 7 is 2, 100 is 2"]


def test_uneven_grid_is_found(whole, tmp_path):
    """A coordinate moved by a thousandth of a step is found; the same grid in single precision is uniform."""
    path = tmp_path / "copy.h5"
    path.write_bytes(whole.read_bytes())
    with h5py.File(path, "r+") as file:
        file["dimensions/x"][3] += 1e-3 / 8
    (fault,) = check_data(path).faults
    assert fault.startswith("coordinate x is not uniform: steps from 0.124875 to 0.125125")
    with h5py.File(path, "r+") as file:
        file["dimensions/x"][3] = 0.0
    assert check_data(path).faults == ["coordinate x does not grow at entry 3"]
    x = np.linspace(0, 1, 1000, dtype=np.float32)
    single = xr.Dataset({"u": (("sample", "x"), np.random.default_rng(0).normal(size=(2, 1000)))}, coords={"x": x})
    io.write(tmp_path / "single.h5", single, name="single", provenance={})
    assert check_data(tmp_path / "single.h5").faults == []


def test_missing_samples_are_found(whole, tmp_path):
    """A file with fewer samples than its record of what was asked for."""
    dataset, header = io.read(whole)
    io.write(tmp_path / "fewer.h5", dataset.isel(sample=slice(7)), name="waves", provenance=header["provenance"])
    assert check_data(tmp_path / "fewer.h5").faults == [f"7 samples, of {SAMPLES} that were asked for"]


def test_foreign_and_truncated_files_are_found(whole, tmp_path):
    """HDF5 of somebody else, half a file, no HDF5 at all, and no file."""
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["tensor"] = np.zeros(3)
    (fault,) = check_data(tmp_path / "foreign.h5").faults
    assert fault.startswith("'tensor' must have axes (B, T, X), or (B, 1, X, Y) for Darcy flow; got (3,).")
    (tmp_path / "half.h5").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (fault,) = check_data(tmp_path / "half.h5").faults
    assert fault.startswith("cannot be read; the file is truncated")
    (tmp_path / "text.h5").write_text("some text")
    (fault,) = check_data(tmp_path / "text.h5").faults
    assert fault.startswith("no data file (it begins with")
    with pytest.raises(PdesolveError, match="no such file"):
        check_data(tmp_path / "none.h5")
