"""Readers of foreign layouts: every number where it belongs, and what is wrong said in one line."""

import h5py
import numpy as np
import pytest
import scipy.io

from pdesolve.data import check_data, convert_data, make_data, read_data, read_splits
from pdesolve.data.scan import sample_digests
from pdesolve.errors import PdesolveError, UnknownNameError

from . import layouts
from .families import Waves
from .layouts import B, T, X, Y


def values(file, name, start=2, stop=5):
    return np.asarray(file.load(name, start, stop))


def test_pdebench_scalar(tmp_path):
    """(B, T, X) as it is; the last of T + 1 times has no frame."""
    file = read_data(layouts.pdebench_scalar(tmp_path / "burgers.hdf5"))
    assert (file.layout, file.samples, file.grid) == ("pdebench", B, (X,))
    assert (file.named("solution"), file.named("input")) == (("u",), ())
    np.testing.assert_allclose(file.times, np.linspace(0, 1, T + 1)[:T], rtol=1e-6)
    np.testing.assert_allclose(file.space["x"], layouts.cells(X))
    np.testing.assert_array_equal(values(file, "u"), layouts.numbers(B, T, X)[2:5])
    assert file.parameters == {"Nu": 0.01} and not file.periodic


def test_pdebench_darcy(tmp_path):
    """The axis of length one goes; the coefficient is the input."""
    file = read_data(layouts.pdebench_darcy(tmp_path / "darcy.hdf5"))
    assert (file.named("input"), file.named("solution"), file.grid) == (("nu",), ("u",), (X, Y))
    np.testing.assert_array_equal(values(file, "u"), layouts.numbers(B, 1, X, Y)[2:5, 0])
    np.testing.assert_array_equal(values(file, "nu"), np.exp(layouts.numbers(B, X, Y))[2:5])


def test_pdebench_flow(tmp_path):
    """Four fields, each from its own array."""
    file = read_data(layouts.pdebench_flow(tmp_path / "cfd.hdf5"))
    assert file.named("solution") == ("density", "pressure", "Vx", "Vy")
    for seed, name in enumerate(("Vx", "Vy", "density", "pressure")):
        np.testing.assert_array_equal(values(file, name), layouts.numbers(B, T, X, Y, seed=seed)[2:5])
    stacked = file.stacked(("density", "Vy"), 0, 2)
    np.testing.assert_array_equal(stacked[:, 1], layouts.numbers(B, T, X, Y, seed=1)[:2])


@pytest.mark.parametrize(("channels", "dims", "names"), [(2, 2, ("u_0", "u_1")), (1, 1, ("u",))])
def test_pdebench_groups(tmp_path, channels, dims, names):
    """Group k is sample k; the last axis of `data` is taken apart."""
    file = read_data(layouts.pdebench_groups(tmp_path / "groups.h5", channels, dims))
    assert (file.layout, file.samples, file.named("solution")) == ("pdebench-h5", B, names)
    assert file.grid == (X, Y)[:dims] and len(file.times) == T
    shape = (T, *(X, Y)[:dims], channels)
    for channel, name in enumerate(names):
        expected = np.stack([layouts.numbers(*shape, seed=sample)[..., channel] for sample in range(2, 5)])
        np.testing.assert_array_equal(values(file, name), expected)


def test_pdebench_incompressible(tmp_path):
    """Velocity and particles in time, the force constant."""
    file = read_data(layouts.pdebench_incompressible(tmp_path / "ns_incom.h5"))
    assert file.named("solution") == ("velocity_x", "velocity_y", "particles")
    assert file.named("constant") == ("force_x", "force_y") and file.grid == (X, Y)
    np.testing.assert_array_equal(values(file, "velocity_y"), layouts.numbers(B, T, X, Y, 2)[2:5, ..., 1])
    np.testing.assert_array_equal(values(file, "force_x"), layouts.numbers(B, X, Y, 2)[2:5, ..., 0])


def test_well(tmp_path):
    """Vectors by component; what is not stored along an axis is filled in; constants are told from what evolves."""
    file = read_data(layouts.well(tmp_path / "well.hdf5"))
    assert (file.layout, file.samples, file.grid, file.periodic) == ("well", B, (X, Y), True)
    assert file.named("solution") == ("density", "velocity_x", "velocity_y")
    assert file.named("constant") == ("depth",) and file.parameters == {"Re": 100.0}
    np.testing.assert_array_equal(values(file, "density"), layouts.numbers(B, T, X, Y)[2:5])
    np.testing.assert_array_equal(values(file, "velocity_y"), layouts.numbers(B, T, X, Y, 2, seed=1)[2:5, ..., 1])
    depth = np.broadcast_to(layouts.numbers(X)[None, :, None], (3, X, Y))
    np.testing.assert_array_equal(values(file, "depth"), depth)
    assert not read_data(layouts.well(tmp_path / "walls.hdf5", periodic=False)).periodic


def test_folder_of_the_well(tmp_path):
    """Files of a folder are one, in the order of their names; a range may begin in one and end in another."""
    for split, name, samples, seed in (("train", "a", 3, 0), ("train", "b", 4, 10), ("valid", "a", 2, 20)):
        folder = tmp_path / "data" / split
        folder.mkdir(parents=True, exist_ok=True)
        layouts.well(folder / f"{name}.hdf5", samples=samples, seed=seed)
    files = read_splits(tmp_path)
    assert {split: file.samples for split, file in files.items()} == {"train": 7, "valid": 2}
    parts = [layouts.numbers(3, T, X, Y), layouts.numbers(4, T, X, Y, seed=10)]
    np.testing.assert_array_equal(files["train"].load("density", 1, 6), np.concatenate(parts)[1:6])
    with pytest.raises(PdesolveError, match="expected HDF5 files in"):
        read_splits(tmp_path / "data" / "valid")
    layouts.pdebench_scalar(tmp_path / "data" / "train" / "c.h5")
    with pytest.raises(PdesolveError, match=r"c\.h5: differs from .* in variables or grid: u on 5 times"):
        read_splits(tmp_path)


def test_own_files(tmp_path):
    """What `make_data` writes, time and all: inputs by their role, numbers to the last bit, error bound and seconds."""
    path = make_data(Waves(), tmp_path / "waves.h5", name="waves", samples=5, resolution=8)
    file = read_data(path)
    assert (file.layout, file.named("input"), file.named("solution")) == ("pdesolve", ("a",), ("u", "v"))
    assert file.grid == (8,) and len(file.times) == 3
    with h5py.File(path) as stored:
        np.testing.assert_array_equal(values(file, "v"), stored["t0_fields/v"][2:5])
    assert file.error_bound is not None and 0 < file.error_bound < 1e-3 and file.seconds == 1e-6


@pytest.mark.parametrize("kind", ["npz", "mat", "mat73"])
def test_pairs(tmp_path, kind):
    """`a`, `u` without channels; `t` and a last axis of the second are times."""
    a, u = layouts.numbers(B, X, Y).astype(float), layouts.numbers(B, X, Y, T).astype(float)
    arrays = {"a": a, "u": u, "t": np.linspace(1, 2, T)[None]}
    path = tmp_path / f"pairs.{kind[:3]}"
    if kind == "npz":
        np.savez(path, **arrays)
    elif kind == "mat":
        scipy.io.savemat(path, arrays)
    else:
        layouts.matlab73(path, **arrays)
    file = read_data(path)
    assert (file.layout, file.samples, file.grid) == (kind[:3], B, (X, Y))
    assert (file.named("input"), file.named("solution")) == (("a",), ("u",))
    np.testing.assert_allclose(file.times, np.linspace(1, 2, T))
    np.testing.assert_array_equal(values(file, "a"), a[2:5])
    np.testing.assert_array_equal(values(file, "u"), np.moveaxis(u, -1, 1)[2:5])


def test_pairs_with_channels(tmp_path):
    """`inputs`, `outputs` have channels, and coordinates of their own."""
    np.savez(tmp_path / "p.npz", inputs=layouts.numbers(B, 2, X), outputs=layouts.numbers(B, 1, X), axis_x=cells_of(X))
    file = read_data(tmp_path / "p.npz")
    assert (file.named("input"), file.named("solution")) == (("a_0", "a_1"), ("u",))
    np.testing.assert_array_equal(values(file, "a_1"), layouts.numbers(B, 2, X)[2:5, 1])
    np.testing.assert_array_equal(file.space["x"], cells_of(X))


def cells_of(n):
    return layouts.cells(n).astype(float)


def broken(tmp_path, name):
    """A file of every kind of fault."""
    path = tmp_path / f"{name}.h5"
    if name == "text":
        path.write_text("some text")
    elif name in ("half", "npz"):
        whole = tmp_path / "whole"
        if name == "half":
            layouts.pdebench_scalar(whole)
        else:
            path = path.with_suffix(".npz")
            with open(whole, "wb") as stream:
                np.savez(stream, a=np.zeros((3, 400)), u=np.zeros((3, 400)))
        path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    else:
        with h5py.File(path, "w") as file:
            if name == "foreign":
                file["things"] = np.zeros((3, 4))
            elif name == "no_nu":
                file["tensor"] = np.zeros((3, 1, 4, 5))
            elif name == "no_grid":
                file["tensor"] = np.zeros((3, 4, 5))
            elif name == "uneven":
                file["tensor"], file["x-coordinate"] = np.zeros((3, 4, 5)), np.arange(5.0) ** 2
            elif name == "shapes":
                file["a"], file["u"] = np.zeros((7, 3)), np.zeros((6, 4))
    return path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("text", r"text\.h5: no data file \(it begins with b'some tex'\)\. Known are files of `pdesolve data make`"),
        ("half", r"half\.h5: cannot be read; the file is truncated"),
        ("npz", r"npz\.npz: cannot be read; the file is truncated"),
        ("foreign", r"foreign\.h5: no layout of samples; groups and datasets found: things"),
        ("no_nu", r"no_nu\.h5: a 'tensor' of four axes is the solution of Darcy flow.* and nu of none"),
        ("no_grid", r"no_grid\.h5: a part of the layout is missing: .*x-coordinate"),
        ("uneven", r"uneven\.h5: operators need a uniform grid; steps along x are from 1 to 7"),
        ("shapes", r"shapes\.h5: a \(3, 7\) and u \(4, 6\) must be \(sample, \*grid\)"),
    ],
)
def test_broken_files(tmp_path, name, message):
    with pytest.raises(PdesolveError, match=message):
        read_data(broken(tmp_path, name))


def test_no_file(tmp_path):
    with pytest.raises(PdesolveError, match=r"none\.h5: no such file"):
        read_data(tmp_path / "none.h5")
    with pytest.raises(PdesolveError, match="is a folder"):
        read_data(tmp_path)


def test_check_of_foreign_files(tmp_path):
    """What they hold, and planted faults: a number that is none, and a sample that is another."""
    path = layouts.pdebench_darcy(tmp_path / "darcy.hdf5")
    found = check_data(path)
    assert found.faults == []
    assert found.lines[1:4] == [
        "  beta = 1.0",
        f"  nu (sample {B}, x {X}, y {Y}), input",
        f"  u (sample {B}, x {X}, y {Y}), solution",
    ]
    with h5py.File(path, "r+") as file:
        file["tensor"][4, 0, 1, 2] = np.nan
        file["nu"][5] = file["nu"][1]
    assert check_data(path).faults == [
        f"u: 1 of {B} samples is not finite: 4",
        "inputs of samples that occur twice: 5 is 1",
    ]


@pytest.mark.parametrize("layout", ["pdesolve", "npz"])
def test_conversion_of_pairs(tmp_path, layout):
    """Numbers and grid come back, whichever way."""
    path = layouts.pdebench_darcy(tmp_path / "darcy.hdf5")
    out = convert_data(path, tmp_path / ("new.npz" if layout == "npz" else "new.h5"), layout=layout)
    before, after = read_data(path), read_data(out)
    names = ("a", "u") if layout == "npz" else ("nu", "u")
    for old, new in zip(("nu", "u"), names, strict=True):
        np.testing.assert_array_equal(after.load(new, 0, B), before.load(old, 0, B))
    np.testing.assert_allclose(after.space["y"], before.space["y"])
    assert check_data(out).faults == []


@pytest.mark.parametrize("layout", ["pdesolve", "well", "pdebench-h5"])
def test_conversion_of_trajectories(tmp_path, layout):
    """Trajectories of The Well, vectors by component, in three layouts."""
    path = layouts.well(tmp_path / "well.hdf5")
    out = convert_data(path, tmp_path / "new.h5", layout=layout)
    file = read_data(out)
    assert file.layout == {"well": "pdesolve"}.get(layout, layout)
    assert file.samples == B and file.periodic == (layout != "pdebench-h5")
    assert file.named("constant") == (() if layout == "pdebench-h5" else ("depth",)) and not file.named("input")
    name = "u_1" if layout == "pdebench-h5" else "velocity_x"
    np.testing.assert_array_equal(file.load(name, 0, B), layouts.numbers(B, T, X, Y, 2, seed=1)[..., 0])


def test_conversion_errors(tmp_path):
    path = layouts.pdebench_scalar(tmp_path / "burgers.hdf5")
    with pytest.raises(UnknownNameError, match="unknown layout 'hdf'"):
        convert_data(path, tmp_path / "x", layout="hdf")
    with pytest.raises(PdesolveError, match="is the file to convert"):
        convert_data(path, path)
    with pytest.raises(PdesolveError, match="layout 'npz' holds inputs and outputs without time"):
        convert_data(path, tmp_path / "x.npz", layout="npz")


def test_digests():
    """Equal for equal numbers, in whatever precision; different for a change in one place."""
    a = layouts.numbers(3, 4)
    b = a.astype(float)
    assert sample_digests(a) == sample_digests(b)
    b[1, 2] += 1e-3
    same = [x == y for x, y in zip(sample_digests(a, a), sample_digests(a, b), strict=True)]
    assert same == [True, False, True]
