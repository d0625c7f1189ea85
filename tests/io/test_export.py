"""Exports, read back by the tools they are for."""

import csv

import h5py
import numpy as np
import pytest
import xarray as xr

from pdesolve.errors import PdesolveError
from pdesolve.io import KINDS, export, read, write, write_points

from .cases import PROVENANCE, dataset
from .loaders import load_pdebench_groups, load_well


def stored(path, *dims, change=lambda data: data, **options):
    data = change(dataset(*dims, **options))
    write(path, data, name="case", provenance=PROVENANCE, parameters={"nu": 0.1}, model=b"leaves")
    return data


def test_copy_is_exact(tmp_path):
    stored(tmp_path / "u.h5", "time", "x")
    export(tmp_path / "u.h5", "hdf5", tmp_path / "v.h5")
    assert (tmp_path / "v.h5").read_bytes() == (tmp_path / "u.h5").read_bytes()


def test_well_is_single_precision_and_holds_the_solution_alone(tmp_path):
    """The Well trains on every stored field, so a reference must not be among them."""
    given = stored(tmp_path / "u.h5", "sample", "time", "x", change=lambda d: d.assign(u_reference=d["u"] + 1))
    export(tmp_path / "u.h5", "hdf5", tmp_path / "w.h5", layout="well")
    found = load_well(tmp_path / "w.h5")
    assert list(found["fields"]) == ["u"]
    assert np.array_equal(found["fields"]["u"], given["u"].astype(np.float32))
    assert {a.dtype for a in (found["fields"]["u"], found["time"], *found["grid"])} == {np.dtype(np.float32)}
    assert found["parameters"] == {"nu": 0.1}


@pytest.mark.parametrize("dims", [("time", "x"), ("sample", "time", "x"), ("sample", "time", "x", "y")], ids="-".join)
def test_pdebench_groups(tmp_path, dims):
    """Layout B: each sample once, the grid in group "0023", the extent of the domain in the configuration."""

    def change(data):
        moved = data.assign_coords(x=("x", np.arange(7.0), {"staggering": "cells"}))
        return moved.assign(w=moved["u"] * 2)

    given = stored(tmp_path / "u.h5", *dims, change=change)
    export(tmp_path / "u.h5", "hdf5", tmp_path / "b.h5", layout="pdebench-h5")
    values, grid, configs = load_pdebench_groups(tmp_path / "b.h5")
    batch = given if "sample" in dims else given.expand_dims("sample")
    assert len(values) == batch.sizes["sample"]
    for i, sample in enumerate(values):
        assert sample.dtype == np.float32
        for channel, name in enumerate(("u", "w")):
            expected = batch[name].isel(sample=i).transpose(..., "time").astype(np.float32)
            assert np.array_equal(sample[..., channel], expected)
    for axis, dim in zip("txy", ("time", "x", "y"), strict=True):
        assert (axis in grid) == (dim in dims)
        if axis in grid:
            assert np.array_equal(grid[axis], given[dim].astype(np.float32))
    # Cell centres 0 to 6 with width 1 fill the interval from -0.5 to 6.5.
    assert configs[0]["name"] == "case"
    sim = configs[0]["sim"]
    assert (sim["x_left"], sim["x_right"], sim["xdim"], sim["nu"]) == (-0.5, 6.5, 7, 0.1)
    assert ("ydim" in sim) == ("y" in dims)


def test_pdebench_groups_of_many_samples(tmp_path):
    """From 24 samples on group "0023" is simply the 24th."""
    data = dataset("time", "x").expand_dims(sample=30)
    write(tmp_path / "u.h5", data, name="case", provenance={})
    export(tmp_path / "u.h5", "hdf5", tmp_path / "b.h5", layout="pdebench-h5")
    with h5py.File(tmp_path / "b.h5") as file:
        assert list(file) == [f"{i:04d}" for i in range(30)]


def test_pdebench_groups_need_time(tmp_path):
    stored(tmp_path / "u.h5", "x", "y")
    with pytest.raises(PdesolveError, match="1-D and 2-D fields in time"):
        export(tmp_path / "u.h5", "hdf5", tmp_path / "b.h5", layout="pdebench-h5")


def test_netcdf(tmp_path):
    pytest.importorskip("netCDF4")
    given = stored(tmp_path / "u.h5", "time", "x", change=lambda d: d.assign(mask=("x", np.arange(7) > 2)))
    export(tmp_path / "u.h5", "netcdf", tmp_path / "u.nc")
    for engine in ("h5netcdf", "netcdf4"):
        with xr.open_dataset(tmp_path / "u.nc", engine=engine) as found:
            assert np.array_equal(found["u"][:, 3:], given["u"][:, 3:])
            assert np.isnan(found["u"][:, :3]).all()
            assert found["mask"].dtype == bool
            assert found["u"].attrs["units"] == "m/s"
            assert found.attrs["nu"] == 0.1
            assert '"problem": "p"' in found.attrs["config"]


def rows(path):
    with open(path, newline="") as lines:
        return list(csv.DictReader(lines))


def test_csv_of_a_grid(tmp_path):
    """Every point inside the domain has a row, and every digit of its values."""
    given = stored(tmp_path / "u.h5", "x", "y", components=True, change=lambda d: d.assign(mask=d["u"] > 0))
    export(tmp_path / "u.h5", "csv", tmp_path / "u.csv")
    found = {(float(r["x"]), float(r["y"])): r for r in rows(tmp_path / "u.csv")}
    assert len(found) == int((given["u"] > 0).sum())
    for (x, y), row in found.items():
        here = given.sel(x=x, y=y)
        assert float(row["u"]) == here["u"].item()
        assert [float(row["v_0"]), float(row["v_1"])] == here["v"].values.tolist()


def test_csv_of_points(tmp_path):
    rng = np.random.default_rng(4)
    points, u, v = rng.random((5, 2)), rng.random((2, 5)), rng.random((2, 5, 2))
    options = {"time": np.array([0.0, 1.0]), "name": "p", "provenance": {}}
    write_points(tmp_path / "p.h5", points, None, {"u": u, "v": v}, **options)
    export(tmp_path / "p.h5", "csv", tmp_path / "p.csv")
    found = {(float(r["x"]), float(r["y"]), float(r["time"])): r for r in rows(tmp_path / "p.csv")}
    assert len(found) == 10
    assert float(found[*points[3], 1.0]["u"]) == u[1, 3]
    assert float(found[*points[3], 1.0]["v_1"]) == v[1, 3, 1]


@pytest.mark.parametrize(
    ("dims", "axes", "cells"),
    [
        (("x",), "x", 6),
        (("time", "x"), ("x", "time"), 18),
        (("time", "x", "y"), "xy", 24),
        (("x", "y", "z"), "xyz", 120),
    ],
    ids=["x", "time-x", "time-x-y", "x-y-z"],
)
def test_vtu_of_a_grid(tmp_path, dims, axes, cells):
    """Values sit at their nodes and the cells fill the box: their measures sum to the product of its sides."""
    meshio = pytest.importorskip("meshio")
    given = stored(tmp_path / "u.h5", *dims)
    export(tmp_path / "u.h5", "vtu", tmp_path / "u.vtu")
    mesh = meshio.read(tmp_path / "u.vtu")
    at = given if "time" in axes or "time" not in dims else given.isel(time=-1)
    for point, value in zip(mesh.points, mesh.point_data["u"], strict=True):
        assert value == at["u"].sel(dict(zip(axes, point, strict=False))).item()
    (block,) = mesh.cells
    assert len(block.data) == cells
    corners = mesh.points[block.data][..., : len(axes)]
    sides = np.prod(np.ptp(corners, 1), -1)
    # Sums of a hundred products differ from the product of sums by round-off alone.
    assert sides.sum() == pytest.approx(np.prod(np.ptp(mesh.points[:, : len(axes)], 0)), rel=1e-12)


@pytest.mark.parametrize("dims", ["xy", "xyz"])
def test_vtu_cells_are_not_twisted(tmp_path, dims):
    """VTK's own measure of every cell, which a wrong order of nodes would make smaller, fills the box."""
    vtk = pytest.importorskip("vtk")
    given = stored(tmp_path / "u.h5", *dims)
    export(tmp_path / "u.h5", "vtu", tmp_path / "u.vtu")
    reader = vtk.vtkXMLUnstructuredGridReader()
    reader.SetFileName(str(tmp_path / "u.vtu"))
    sizes = vtk.vtkCellSizeFilter()
    sizes.SetInputConnection(reader.GetOutputPort())
    sizes.Update()
    array = sizes.GetOutput().GetCellData().GetArray("Area" if len(dims) == 2 else "Volume")
    total = sum(array.GetValue(i) for i in range(array.GetNumberOfTuples()))
    assert total == pytest.approx(np.prod([np.ptp(given[d].values) for d in dims]), rel=1e-10)


def test_vtu_at_a_time_that_is_not_there(tmp_path):
    stored(tmp_path / "u.h5", "sample", "time", "x", "y")
    with pytest.raises(PdesolveError, match="time 4: the file has 4, counted from 0"):
        export(tmp_path / "u.h5", "vtu", tmp_path / "u.vtu", step=4)
    with pytest.raises(PdesolveError, match="sample -4: the file has 3"):
        export(tmp_path / "u.h5", "vtu", tmp_path / "u.vtu", sample=-4)


def test_vtu_leaves_out_what_is_outside(tmp_path):
    meshio = pytest.importorskip("meshio")
    inside = np.ones((7, 5), bool)
    inside[3, 2] = False
    stored(tmp_path / "u.h5", "x", "y", change=lambda d: d.assign(mask=(("x", "y"), inside)))
    export(tmp_path / "u.h5", "vtu", tmp_path / "u.vtu")
    # One inner node belongs to four of the 24 cells.
    assert len(meshio.read(tmp_path / "u.vtu").cells[0].data) == 20


def test_vtu_of_a_mesh(tmp_path):
    meshio = pytest.importorskip("meshio")
    rng = np.random.default_rng(5)
    points, cells, u = rng.random((4, 2)), np.array([[0, 1, 2], [1, 2, 3]]), rng.random(4)
    write_points(tmp_path / "p.h5", points, cells, {"u": u}, name="p", provenance={})
    export(tmp_path / "p.h5", "vtu", tmp_path / "p.vtu")
    mesh = meshio.read(tmp_path / "p.vtu")
    assert np.array_equal(mesh.points[:, :2], points)
    assert np.array_equal(mesh.cells_dict["triangle"], cells)
    assert np.array_equal(mesh.point_data["u"], u)


def test_vtu_without_meshio(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "meshio", None)
    stored(tmp_path / "u.h5", "x")
    with pytest.raises(PdesolveError, match=r"pip install 'pdesolve\[mesh\]'"):
        export(tmp_path / "u.h5", "vtu", tmp_path / "u.vtu")


def test_xdmf(tmp_path):
    stored(tmp_path / "u.h5", "x")
    assert export(tmp_path / "u.h5", "xdmf", tmp_path / "v.xdmf").read_text().startswith("<?xml")


def test_unknown_names(tmp_path):
    stored(tmp_path / "u.h5", "x")
    with pytest.raises(PdesolveError, match=r"unknown kind of export 'netcfd'\. Did you mean 'netcdf'"):
        export(tmp_path / "u.h5", "netcfd", tmp_path / "u.nc")
    with pytest.raises(PdesolveError, match=r"unknown layout 'wel'\. Did you mean 'well'"):
        export(tmp_path / "u.h5", "hdf5", tmp_path / "v.h5", layout="wel")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_where_it_cannot_be_written(tmp_path, kind):
    stored(tmp_path / "u.h5", "time", "x")
    with pytest.raises(PdesolveError, match="not an existing directory"):
        export(tmp_path / "u.h5", kind, tmp_path / "missing" / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["u.h5"]
    assert read(tmp_path / "u.h5")[1]["has_model"]
