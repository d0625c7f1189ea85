"""What is written comes back, and what is not ours is refused in words."""

import h5py
import numpy as np
import pytest
import xarray as xr

from pdesolve.errors import PdesolveError
from pdesolve.io import read, read_model, write, write_points

from .cases import PROVENANCE, dataset


def stored(path, data, **options):
    write(path, data, **{"name": "case", "provenance": PROVENANCE, **options})
    return read(path)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "dims",
    [("x",), ("time", "x"), ("x", "y"), ("time", "x", "y"), ("time", "x", "y", "z"), ("sample", "time", "x")],
    ids="-".join,
)
def test_round_trip_is_bit_for_bit(tmp_path, dims, dtype):
    """read(write(u)) = u in every bit, with the same axes, coordinates and precision."""
    given = dataset(*dims, dtype=dtype)
    found, _ = stored(tmp_path / "u.h5", given)
    assert found["u"].dims == dims
    assert found["u"].dtype == dtype
    assert found["u"].values.tobytes() == given["u"].values.tobytes()
    assert set(found.coords) == set(given.coords)
    for axis in given.coords:
        assert found[axis].values.tobytes() == given[axis].values.tobytes()


def test_header_and_attributes_round_trip(tmp_path):
    given = dataset("time", "x").assign_attrs(title="a title", errors={"relative_l2": 1e-4}, seeds=[1, 2])
    given["x"].attrs = {"units": "m", "staggering": "cells"}
    boundary = [
        {"name": "ends", "kind": "wall", "dims": ["x"], "fields": ["u"], "sides": "lower"},
        {"name": "outflow", "kind": "open", "dims": ["x"], "fields": ["u"], "sides": "upper"},
    ]
    found, header = stored(tmp_path / "u.h5", given, parameters={"viscosity": 0.01}, boundary=boundary)
    assert header["name"] == "case"
    assert header["parameters"] == {"viscosity": 0.01}
    assert header["provenance"] == PROVENANCE
    assert header["boundary"] == boundary
    assert header["has_model"] is False
    assert found.attrs["title"] == "a title"
    assert found.attrs["errors"] == {"relative_l2": 1e-4}
    assert list(found.attrs["seeds"]) == [1, 2]
    assert found["x"].attrs == {"units": "m", "staggering": "cells"}
    assert found["u"].attrs == {"units": "m/s", "role": "solution"}


def test_long_configuration_is_stored(tmp_path):
    """HDF5 limits an attribute to 64 kB; a configuration may be longer."""
    long = {"config": {"text": "x" * 100_000}, "log": "y" * 100_000}
    _, header = stored(tmp_path / "u.h5", dataset("x"), provenance=long)
    assert header["provenance"] == long


def test_fields_without_some_axes(tmp_path):
    """A coefficient a(x), a series m(t) and a label per sample keep their own axes."""
    given = dataset("sample", "time", "x")
    given["a"] = "x", np.arange(7.0)
    given["m"] = "time", np.arange(4.0)
    given["label"] = "sample", np.arange(3)
    found, _ = stored(tmp_path / "u.h5", given)
    for name in ("u", "a", "m", "label"):
        xr.testing.assert_equal(found[name].variable, given[name].variable)
    with h5py.File(tmp_path / "u.h5") as file:
        assert list(file["scalars"].attrs["field_names"]) == ["m", "label"]
        assert not file["t0_fields/a"].attrs["sample_varying"]


def test_vectors(tmp_path):
    """A variable with the axis `component` last goes to t1_fields, one entry per axis of space."""
    given = dataset("time", "x", "y", components=True)
    found, _ = stored(tmp_path / "u.h5", given)
    assert found["v"].dims == ("time", "x", "y", "component")
    assert np.array_equal(found["v"], given["v"])
    with pytest.raises(PdesolveError, match="7 components on 2 axes"):
        stored(tmp_path / "w.h5", given.assign(v=(("x", "y", "component"), np.ones((7, 5, 7)))))


def test_reference_and_error_are_flagged(tmp_path):
    given = dataset("time", "x")
    given["u_reference"] = given["u"] + 1
    given["u_error"] = given["u"] * 0
    stored(tmp_path / "u.h5", given)
    with h5py.File(tmp_path / "u.h5") as file:
        roles = {name: file["t0_fields"][name].attrs["role"] for name in file["t0_fields"]}
    assert roles == {"u": "solution", "u_reference": "reference", "u_error": "error"}


def test_masked_values(tmp_path):
    """Outside the domain fields are NaN, and the mask says so in every reader."""
    given = dataset("time", "x", "y")
    inside = np.arange(7)[:, None] + np.arange(5) > 3
    given["mask"] = ("x", "y"), inside
    found, _ = stored(tmp_path / "u.h5", given)
    assert found["mask"].dtype == bool
    assert np.array_equal(found["mask"], inside)
    assert np.array_equal(np.isnan(found["u"].values[0]), ~inside)
    assert np.array_equal(found["u"].values[:, inside], given["u"].values[:, inside])
    with h5py.File(tmp_path / "u.h5") as file:
        assert "NaN" in file["mask"].attrs["meaning"]
    with xr.open_dataset(tmp_path / "u.h5", engine="h5netcdf") as opened:
        assert opened["mask"].dtype == bool
        assert np.array_equal(opened["mask"], inside)


def test_model_round_trip(tmp_path):
    leaves = bytes(range(256)) * 10
    _, header = stored(tmp_path / "u.h5", dataset("x"), model=leaves, model_header={"network": "mlp"})
    assert header["has_model"] is True
    assert read_model(tmp_path / "u.h5") == (leaves, {"network": "mlp"})
    stored(tmp_path / "v.h5", dataset("x"))
    with pytest.raises(PdesolveError, match="holds no model"):
        read_model(tmp_path / "v.h5")


def test_transposed_input_is_put_in_file_order(tmp_path):
    given = dataset("time", "x", "y")
    found, _ = stored(tmp_path / "u.h5", given.transpose("y", "time", "x"))
    assert np.array_equal(found["u"].transpose("time", "x", "y"), given["u"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.rename(time="t"), r"rename\(t='time'\)"),
        (lambda d: d.drop_vars("x"), "'x' has no coordinate"),
        (lambda d: d.rename(u="tensor"), "'tensor' is taken"),
        (lambda d: d.assign_attrs(staggering="corners"), "unknown staggering 'corners'.*cells, nodes"),
        (lambda d: d.astype(complex), "'u' is complex128"),
        (lambda d: d.assign_attrs(viscosity=1), "viscosity: both a parameter and an attribute"),
        (lambda d: d.assign(mask=("x", np.ones(7))), "'mask' must be boolean"),
        (lambda d: d[[]], "no field on a grid"),
    ],
)
def test_unfit_datasets_are_refused(tmp_path, change, message):
    with pytest.raises(PdesolveError, match=message):
        stored(tmp_path / "u.h5", change(dataset("time", "x")), parameters={"viscosity": 1.0})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "periodc"}, "Did you mean 'periodic'"),
        ({"dims": ["y"]}, "entry of dims in boundary 'b': 'y'"),
        ({"fields": ["w"]}, "entry of fields in boundary 'b': 'w'"),
        ({"sides": "left"}, "sides of a boundary 'left'"),
    ],
)
def test_unknown_boundaries_are_refused(tmp_path, change, message):
    entry = {"name": "b", "kind": "wall", "dims": ["x"], "fields": ["u"], **change}
    with pytest.raises(PdesolveError, match=message):
        stored(tmp_path / "u.h5", dataset("time", "x"), boundary=[entry])


def test_missing_file(tmp_path):
    with pytest.raises(PdesolveError, match=r"u\.h5: no such file"):
        read(tmp_path / "u.h5")


def test_file_of_another_kind(tmp_path):
    (tmp_path / "u.h5").write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(PdesolveError, match=r"not an HDF5 file \(it begins with b'PK"):
        read(tmp_path / "u.h5")


def test_foreign_hdf5(tmp_path):
    with h5py.File(tmp_path / "u.h5", "w") as file:
        file["density"] = np.ones(3)
    for reader in (read, read_model):
        with pytest.raises(PdesolveError, match=r"no attribute 'pdesolve_format'.*found: density"):
            reader(tmp_path / "u.h5")


def test_newer_format(tmp_path):
    stored(tmp_path / "u.h5", dataset("x"))
    with h5py.File(tmp_path / "u.h5", "a") as file:
        file.attrs["pdesolve_format"] = 99
    with pytest.raises(PdesolveError, match="format 99 by a newer pdesolve"):
        read(tmp_path / "u.h5")


def test_missing_part(tmp_path):
    stored(tmp_path / "u.h5", dataset("x"))
    with h5py.File(tmp_path / "u.h5", "a") as file:
        del file["provenance"]
    with pytest.raises(PdesolveError, match=r"part missing.*provenance"):
        read(tmp_path / "u.h5")


@pytest.mark.parametrize("fraction", [0.02, 0.3, 0.6, 0.99])
def test_truncated_file(tmp_path, fraction):
    """However much of the file is cut off, the answer is one error and never numbers."""
    stored(tmp_path / "u.h5", dataset("time", "x", "y"))
    whole = (tmp_path / "u.h5").read_bytes()
    (tmp_path / "u.h5").write_bytes(whole[: int(len(whole) * fraction)])
    with pytest.raises(PdesolveError, match="truncated"):
        read(tmp_path / "u.h5")


def test_points_round_trip(tmp_path):
    """Fields on a mesh: positions, cells and values come back in every bit."""
    rng = np.random.default_rng(1)
    points, cells = rng.random((6, 2)), np.array([[0, 1, 2], [2, 3, 4]])
    fields = {"u": rng.random((2, 6)), "v": rng.random((2, 6, 2))}
    path = tmp_path / "p.h5"
    options = {"name": "rve", "provenance": PROVENANCE, "time": np.array([0.0, 1.0]), "units": {"u": "Pa"}}
    write_points(path, points, cells, fields, **options, model=b"m", attributes={"status": "verified"})
    found, header = read(path)
    assert (header["layout"], header["name"], header["has_model"]) == ("points", "rve", True)
    assert header["provenance"] == PROVENANCE
    assert found.attrs == {"status": "verified"}
    assert np.array_equal(found["points"], points)
    assert np.array_equal(found["cells"], cells)
    assert found["cells"].attrs["cell_type"] == "triangle"
    assert found["u"].dims == ("time", "point")
    assert found["u"].attrs == {"units": "Pa"}
    assert found["v"].dims == ("time", "point", "v_component")
    for name, values in fields.items():
        assert found[name].values.tobytes() == values.tobytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": np.ones(6)}, r"shape \(n, d\)"),
        ({"fields": {"u": np.ones(5)}}, r"'u' must have shape \(6,\).*got \(5,\)"),
        ({"cells": np.array([[0, 1, 6]])}, "nodes 0 to 6; there are 6 points"),
        ({"cells": np.zeros((1, 5), int)}, "5 nodes"),
        ({"cell_type": "triangel"}, "Did you mean 'triangle'"),
    ],
)
def test_unfit_points_are_refused(tmp_path, change, message):
    given = {"points": np.ones((6, 2)), "cells": np.array([[0, 1, 2]]), "fields": {"u": np.ones(6)}, **change}
    with pytest.raises(PdesolveError, match=message):
        write_points(tmp_path / "p.h5", **given, name="p", provenance={})


def test_four_nodes_are_a_quadrilateral_in_the_plane_and_a_tetrahedron_in_space(tmp_path):
    for dims, kind in ((2, "quad"), (3, "tetra")):
        cells = np.array([[0, 1, 2, 3]])
        write_points(tmp_path / "p.h5", np.ones((4, dims)), cells, {"u": np.ones(4)}, name="p", provenance={})
        assert read(tmp_path / "p.h5")[0]["cells"].attrs["cell_type"] == kind
