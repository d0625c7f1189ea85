"""One file, opened by readers that know nothing of us; values are compared, not only shapes."""

import h5py
import numpy as np
import pytest
import xarray as xr

from pdesolve.io import write

from .cases import PROVENANCE, dataset
from .loaders import load_pdebench_single, load_well

BOUNDARY = [
    {"name": "x_periodic", "kind": "periodic", "dims": ["x"], "fields": ["u"]},
    {"name": "y_wall", "kind": "wall", "dims": ["y"], "fields": ["u"], "sides": "lower"},
]


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
@pytest.mark.parametrize("dims", [("time", "x"), ("sample", "time", "x", "y")], ids="-".join)
def test_xarray(tmp_path, engine, dims):
    """xarray finds dimensions, coordinates, fields and units in the root group, in both engines."""
    pytest.importorskip({"netcdf4": "netCDF4"}.get(engine, engine))
    given = dataset(*dims)
    write(tmp_path / "u.h5", given, name="case", provenance=PROVENANCE, parameters={"nu": 0.1}, boundary=[])
    with xr.open_dataset(tmp_path / "u.h5", engine=engine) as found:
        full = given if "sample" in dims else given.expand_dims("sample")
        assert found["u"].dims == full["u"].dims
        assert found["u"].values.tobytes() == full["u"].values.tobytes()
        assert found["u"].attrs["units"] == "m/s"
        assert set(found.coords) - {"x-coordinate", "t-coordinate"} == set(dims) - {"sample"}
        for axis in given.coords:
            assert np.array_equal(found[axis], given[axis])
        assert found.attrs["nu"] == 0.1
        assert set(found.data_vars) - {"tensor"} == {"u"}


@pytest.mark.parametrize("dims", [("sample", "time", "x", "y"), ("x", "y")], ids="-".join)
def test_well(tmp_path, dims):
    """The Well: (sample, time, x, y), steady problems with one time; boundary codes for each side."""
    given = dataset(*dims, components=True)
    given["a"] = "y", np.arange(5.0)
    given["g"] = (), 9.81
    options = {"parameters": {"nu": 0.1, "beta": 2.0}, "boundary": BOUNDARY}
    write(tmp_path / "u.h5", given, name="case", provenance=PROVENANCE, **options)
    found = load_well(tmp_path / "u.h5")
    assert found["name"] == "case"
    assert found["parameters"] == {"nu": 0.1, "beta": 2.0}
    for axis, values in zip("xy", found["grid"], strict=True):
        assert np.array_equal(values, given[axis])
    steady = "time" not in dims
    assert np.array_equal(found["time"], [0.0] if steady else given["time"])
    for name in ("u", "v"):
        expected = given[name].values[None, None] if steady else given[name].values
        assert np.array_equal(found["fields"][name], expected)
    assert np.array_equal(found["fields"]["a"], np.broadcast_to(given["a"], found["fields"]["u"].shape))
    assert found["scalars"] == {"g": (9.81, False, False)}
    assert found["boundary"].tolist() == [[2, 2], [0, 1]]


def test_well_groups_exist_when_empty(tmp_path):
    """The Well's reader asks every group for its `field_names`."""
    write(tmp_path / "u.h5", dataset("x"), name="case", provenance={})
    with h5py.File(tmp_path / "u.h5") as file:
        for group in ("scalars", "t1_fields", "t2_fields"):
            assert list(file[group].attrs["field_names"]) == []
        assert list(file.attrs["simulation_parameters"]) == []
        assert isinstance(file.attrs["dataset_name"], str)


@pytest.mark.parametrize("dims", [("time", "x"), ("sample", "time", "x")], ids="-".join)
def test_pdebench_scalar_1d(tmp_path, dims):
    """PDEBench's 1-D case: (B, X, T, 1) with x and t; a reference does not get in its way."""
    given = dataset(*dims)
    given["u_reference"] = given["u"] + 1
    write(tmp_path / "u.hdf5", given, name="case", provenance={})
    values, x, t = load_pdebench_single(tmp_path / "u.hdf5")
    expected = given["u"].values if "sample" in dims else given["u"].values[None]
    assert np.array_equal(values[..., 0], expected.swapaxes(1, 2))
    assert np.array_equal(x, given["x"])
    assert np.array_equal(t, given["time"])


@pytest.mark.parametrize("dims", [("x",), ("x", "y"), ("time", "x", "y")], ids="-".join)
def test_no_pdebench_names_where_it_has_no_case(tmp_path, dims):
    write(tmp_path / "u.h5", dataset(*dims), name="case", provenance={})
    with h5py.File(tmp_path / "u.h5") as file:
        assert not {"tensor", "x-coordinate", "t-coordinate"} & set(file)


def test_nothing_is_stored_twice(tmp_path):
    """The names in the root group are links to the same objects."""
    write(tmp_path / "u.h5", dataset("time", "x"), name="case", provenance={})
    with h5py.File(tmp_path / "u.h5") as file:
        assert file["u"] == file["t0_fields/u"] == file["tensor"]
        assert file["x"] == file["dimensions/x"] == file["x-coordinate"]
        assert file["time"] == file["dimensions/time"] == file["t-coordinate"]
