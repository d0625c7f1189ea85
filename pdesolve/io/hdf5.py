"""Fields on a Cartesian grid in one HDF5 file that four kinds of readers open, with no number stored twice.

    /                      The Well's attributes, the dataset's own, pdesolve_format, pdesolve_layout
    /dimensions            time, x, ...: the grid, also dimension scales (netCDF-4)
    /t0_fields             u (sample, time, x, ...): scalars; /t1_fields (..., component): vectors
    /scalars               what has no axis in space
    /boundary_conditions   one group for each periodic, wall or open boundary
    /mask                  boolean, where the domain does not fill the grid
    /mesh/points           node positions in 2-D and 3-D, for ParaView
    /provenance, /model    where the file comes from; the serialised model
    /u, /time, /x, ...     hard links, because xarray looks for dimension scales in the root group
    /tensor, /x-coordinate, /t-coordinate   hard links for PDEBench, where it has the case

The Well: https://polymathic-ai.org/the_well/data_format. PDEBench: layout of its 1-D Advection and Burgers
files. It holds scalar 1-D fields in time; other fields have no PDEBench names. xarray shows PDEBench's links as
one more variable and two more coordinates; `pdesolve.io.read` does not.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import h5py
import numpy as np
import xarray as xr

from ..errors import PdesolveError, UnknownNameError
from . import _header
from ._sink import new_hdf5
from .points import points_dataset

__all__ = ["STAGGERINGS", "read", "read_model", "write"]

BOUNDARY_KINDS = ("open", "periodic", "wall")
SIDES = {"lower": (True, False), "upper": (False, True), "both": (True, True)}
STAGGERINGS = ("cells", "nodes")
ROLES = ("error", "input", "reference", "solution")
_STRUCTURE = {"sample_varying", "time_varying", "dim_varying", "field_names"}
_RESERVED = {
    *("boundary_conditions", "component", "dimensions", "mesh", "model", "provenance", "sample", "scalars"),
    *("t0_fields", "t1_fields", "t2_fields", "time", "tensor"),
}


class _Grid(NamedTuple):
    """A dataset with every field's axes in file order, and which of its leading axes were not there before."""

    dataset: xr.Dataset
    space: tuple[str, ...]
    added: tuple[str, ...]


def write(
    path: str | os.PathLike,
    dataset: xr.Dataset,
    *,
    name: str,
    provenance: Mapping[str, Any],
    parameters: Mapping[str, float] | None = None,
    boundary: Sequence[Mapping[str, Any]] = (),
    model: bytes | None = None,
    model_header: Mapping[str, Any] | None = None,
) -> None:
    """Write a dataset to one HDF5 file, whole or not at all. Numbers are stored in the precision they have.

    Args:
        path: The file, replaced if it exists.
        dataset: One variable per field with dims `(sample?, time?, *space, component?)` in any order and a
            one-dimensional coordinate for `time` and each axis of space. `component` makes a vector with one
            entry per axis of space. A boolean variable `mask` is true inside the domain; fields are stored as
            NaN where it is false. Attributes are kept; those with a meaning here are `units`, `role`
            (`solution`, `reference`, `error` or `input`; by default from the suffix `_reference` or `_error`) and on a
            coordinate or the dataset `staggering` (`nodes`, the default, or `cells`).
        name: Name of the problem.
        provenance: Configuration, seed, versions, commit, date: anything JSON can hold.
        parameters: Physical parameters, one number each.
        boundary: Entries `{"name", "kind", "dims", "fields"}` with kind `periodic`, `wall` or `open`, and
            optionally `"sides"`: `lower`, `upper` or `both` (the default). Several dims are stored one by one.
        model: Serialised leaves of the model.
        model_header: What is needed to rebuild the model before its leaves are read.

    Raises:
        PdesolveError: If the dataset does not fit the layout, or the file cannot be written.
    """
    parameters = parameters or {}
    grid = _arranged(dataset)
    if taken := sorted(set(parameters) & set(dataset.attrs)):
        raise PdesolveError(f"{', '.join(taken)}: both a parameter and an attribute of the dataset; rename one.")
    entries = [part for entry in boundary for part in _boundary_parts(entry, grid)]
    with new_hdf5(path) as file:
        samples = grid.dataset.sizes["sample"]
        _header.write_root(file, layout="grid", name=name, dims=len(grid.space), samples=samples, parameters=parameters)
        _header.write_attributes(file, {k: v for k, v in dataset.attrs.items() if k != "staggering"})
        file.attrs["added_dims"] = _header.string_list(grid.added)
        scales = _write_dimensions(file, grid)
        _write_boundary(file, entries, grid)
        _write_fields(file, grid, scales)
        _write_mesh(file, grid)
        _link_pdebench(file, grid)
        _header.write_provenance(file, provenance)
        _header.write_model(file, model, model_header)


def _arranged(dataset: xr.Dataset) -> _Grid:
    """Check a dataset, bring its axes into file order, and add the axes `sample` and `time` it lacks."""
    dataset = dataset.reset_coords()
    if "t" in dataset.dims:
        raise PdesolveError("dimension 't': in datasets and files time is called 'time'; dataset.rename(t='time').")
    if clash := sorted(_RESERVED & set(dataset.data_vars)):
        raise PdesolveError(f"field name {clash[0]!r} is taken by the file layout; rename the field.")
    longest = max((v.dims for v in dataset.data_vars.values()), key=len, default=())
    order = [*longest, *(d for d in dataset.dims if d not in longest)]
    space = tuple(str(d) for d in order if d not in ("sample", "time", "component"))
    _check_coordinates(dataset, space)
    added = tuple(d for d in ("sample", "time") if d not in dataset.dims)
    fields = [n for n, v in dataset.data_vars.items() if set(v.dims) & set(space) and v.dtype != bool]
    if not fields:
        raise PdesolveError(f"no field on a grid among the variables: {', '.join(map(str, dataset)) or 'none'}.")
    masked = _masked(dataset, fields)
    # Only fields get the axes of length one: a scalar without time does not vary in time.
    arranged = masked.assign({n: masked[n].expand_dims(added) for n in fields}) if added else masked
    if "time" in added:
        arranged = arranged.assign_coords(time=np.zeros(1))
    return _Grid(arranged.transpose("sample", "time", *space, "component", missing_dims="ignore"), space, added)


def _check_coordinates(dataset: xr.Dataset, space: tuple[str, ...]) -> None:
    for axis in (*space, *(("time",) if "time" in dataset.dims else ())):
        if axis not in dataset.coords:
            raise PdesolveError(f"dimension {axis!r} has no coordinate; dataset.assign_coords({axis}=...).")
        if (value := _staggering(dataset, axis)) not in STAGGERINGS:
            raise UnknownNameError("staggering", value, STAGGERINGS)
    for field, variable in dataset.data_vars.items():
        if variable.dtype.kind not in "biuf":
            raise PdesolveError(f"field {field!r} is {variable.dtype}; the file holds real numbers only.")
        if "component" in variable.dims and variable.sizes["component"] != len(space):
            raise PdesolveError(
                f"field {field!r} has {variable.sizes['component']} components on {len(space)} axes of space; "
                "a vector has one for each. Give the components as scalar fields."
            )
        if (role := _role(str(field), variable)) not in ROLES:
            raise UnknownNameError("role of a field", role, ROLES)


def _masked(dataset: xr.Dataset, fields: Sequence[Any]) -> xr.Dataset:
    """Set the fields to NaN where the variable `mask` is false."""
    if "mask" not in dataset:
        return dataset
    mask = dataset["mask"]
    if mask.dtype != bool:
        raise PdesolveError(f"'mask' must be boolean (true inside the domain), got {mask.dtype}.")
    if unfit := [n for n in fields if dataset[n].dtype.kind != "f" and set(mask.dims) <= set(dataset[n].dims)]:
        raise PdesolveError(f"field {unfit[0]!r} is {dataset[unfit[0]].dtype}: only floats can be masked.")
    inside = {n: dataset[n].where(mask) for n in fields if set(mask.dims) <= set(dataset[n].dims)}
    return dataset.assign({n: v.assign_attrs(dataset[n].attrs) for n, v in inside.items()})


def _staggering(dataset: xr.Dataset, axis: str) -> str:
    return dataset[axis].attrs.get("staggering", dataset.attrs.get("staggering", "nodes"))


def _role(name: str, variable: xr.DataArray) -> str:
    suffix = name.rpartition("_")[2]
    return variable.attrs.get("role", suffix if suffix in ("reference", "error") else "solution")


def _scale(file: _header.Stored, where: str, axis: str, values: np.ndarray | None, size: int) -> _header.Stored:
    """Create a dimension scale; without values one that netCDF-4 takes for a dimension with no coordinate."""
    if values is None:
        scale = file.create_dataset(where, (size,), ">f4")
        scale.make_scale(f"This is a netCDF dimension but not a netCDF variable.{size:10d}")
    else:
        data = _header.string_list(values) if values.dtype.kind in "OUT" else values
        scale = file.create_dataset(where, data=data)
        scale.make_scale(axis)
    return scale


def _write_dimensions(file: _header.Stored, grid: _Grid) -> dict[str, _header.Stored]:
    """Write the grid and return the dimension scales by axis."""
    dataset, group = grid.dataset, file.create_group("dimensions")
    group.attrs["spatial_dims"] = _header.string_list(grid.space)
    scales = {}
    for axis in ("time", *grid.space):
        scales[axis] = _scale(file, f"dimensions/{axis}", axis, dataset[axis].values, dataset.sizes[axis])
        attributes = dict(dataset[axis].attrs)
        if axis != "time":
            attributes["staggering"] = _staggering(dataset, axis)
        attributes |= {"sample_varying": False, "time_varying": False}
        _header.write_attributes(scales[axis], attributes)
        file[axis] = scales[axis]
    for axis in ("sample", *(("component",) if "component" in dataset.dims else ())):
        values = dataset[axis].values if axis in dataset.coords else None
        scales[axis] = _scale(file, axis, axis, values, dataset.sizes[axis])
    return scales


def _write_fields(file: _header.Stored, grid: _Grid, scales: Mapping[str, _header.Stored]) -> None:
    """Write every variable to the group of its tensor order, and link it in the root group."""
    names: dict[str, list[str]] = {"scalars": [], "t0_fields": [], "t1_fields": [], "t2_fields": []}
    for group in names:
        file.create_group(group)
    for name, variable in grid.dataset.data_vars.items():
        is_flag = variable.dtype == bool
        group = "/" if is_flag else _group_of(variable, grid.space)
        # xarray's own convention for booleans, which netCDF lacks.
        data = variable.values.astype(np.int8) if is_flag else variable.values
        stored = file[group].create_dataset(str(name), data=data)
        for axis, dim in enumerate(variable.dims):
            stored.dims[axis].attach_scale(scales[str(dim)])
        attributes = variable.attrs | ({"dtype": "bool"} if is_flag else {"role": _role(str(name), variable)})
        if name == "mask":
            attributes.setdefault("meaning", "true inside the domain; fields are NaN where it is false")
        _header.write_attributes(stored, attributes)
        stored.attrs["sample_varying"] = "sample" in variable.dims
        stored.attrs["time_varying"] = "time" in variable.dims
        if group != "scalars":
            stored.attrs["dim_varying"] = np.array([d in variable.dims for d in grid.space], bool)
        if not is_flag:
            names[group].append(str(name))
            file[str(name)] = stored
    for group, members in names.items():
        file[group].attrs["field_names"] = _header.string_list(members)


def _group_of(variable: xr.DataArray, space: tuple[str, ...]) -> str:
    if "component" in variable.dims:
        return "t1_fields"
    return "t0_fields" if set(variable.dims) & set(space) else "scalars"


def _boundary_parts(entry: Mapping[str, Any], grid: _Grid) -> list[dict[str, Any]]:
    """One entry per axis, checked: The Well's reader understands only boundaries normal to one axis."""
    if (kind := str(entry["kind"]).lower()) not in BOUNDARY_KINDS:
        raise UnknownNameError("kind of boundary", kind, BOUNDARY_KINDS)
    if (sides := entry.get("sides", "both")) not in SIDES:
        raise UnknownNameError("sides of a boundary", sides, SIDES)
    for what, given, known in (("dims", entry["dims"], grid.space), ("fields", entry["fields"], grid.dataset)):
        for item in given:
            if item not in known:
                raise UnknownNameError(f"entry of {what} in boundary {entry['name']!r}:", item, map(str, known))
    single = len(entry["dims"]) == 1
    return [
        {"name": entry["name"] if single else f"{entry['name']}_{dim}", "kind": kind, "dims": [dim]}
        | {"fields": list(entry["fields"]), "sides": sides}
        for dim in entry["dims"]
    ]


def _write_boundary(file: _header.Stored, entries: Sequence[Mapping[str, Any]], grid: _Grid) -> None:
    parent = file.create_group("boundary_conditions")
    for entry in entries:
        group = parent.create_group(entry["name"])
        group.attrs["associated_dims"] = _header.string_list(entry["dims"])
        group.attrs["associated_fields"] = _header.string_list(entry["fields"])
        group.attrs["bc_type"] = entry["kind"]
        group.attrs["sample_varying"] = group.attrs["time_varying"] = False
        mask = np.zeros(grid.dataset.sizes[entry["dims"][0]], bool)
        mask[[0, -1]] = SIDES[entry["sides"]]
        group["mask"] = mask


def _write_mesh(file: _header.Stored, grid: _Grid) -> None:
    """Store where each node is. ParaView would take our first axis, x, for the last of its own without it."""
    if len(grid.space) in (2, 3):
        axes = [grid.dataset[axis].values.astype(float) for axis in grid.space]
        file["mesh/points"] = np.stack(np.meshgrid(*axes, indexing="ij"), -1)


def _link_pdebench(file: _header.Stored, grid: _Grid) -> None:
    """Add PDEBench's names for one scalar field of (time, x); its loader has no other case of ours."""
    solutions = [n for n in file["t0_fields"] if file["t0_fields"][n].attrs["role"] == "solution"]
    if len(grid.space) == 1 and "time" not in grid.added and len(solutions) == 1 and not len(file["t1_fields"]):
        field = file["t0_fields"][solutions[0]]
        if field.ndim == 3:
            file["tensor"] = field
            file["x-coordinate"] = file["dimensions"][grid.space[0]]
            file["t-coordinate"] = file["dimensions/time"]


def read(path: str | os.PathLike) -> tuple[xr.Dataset, dict[str, Any]]:
    """Read a file that `write` or `write_points` wrote.

    Returns:
        The dataset as it was given to `write`, with axes in file order and the attributes `role` and
        `staggering` filled in, and the header: `name`, `layout`, `parameters`, `boundary` (grids only),
        `provenance`, `has_model`.

    Raises:
        PdesolveError: If the file is missing, damaged, or not a pdesolve file.
    """
    with _header.opened(path) as file:
        header = _header.read_header(file)
        own = {k: v for k, v in _header.read_attributes(file).items() if k not in _header.root_names(file)}
        added = own.pop("added_dims", [])
        if header["layout"] == "points":
            dataset = points_dataset(file)
        else:
            header["boundary"] = _read_boundary(file)
            dataset = _grid_dataset(file, added)
        return dataset.assign_attrs(own), header


def _grid_dataset(file: _header.Stored, added: Sequence[str]) -> xr.Dataset:
    space = list(file["dimensions"].attrs["spatial_dims"])
    coords: dict[str, Any] = {
        axis: (axis, file["dimensions"][axis][()], _own(file["dimensions"][axis])) for axis in ("time", *space)
    }
    for axis in ("sample", "component"):
        if axis in file and not file[axis].attrs["NAME"].startswith(b"This is a netCDF dimension"):
            values = file[axis].asstr()[()] if h5py.check_string_dtype(file[axis].dtype) else file[axis][()]
            coords[axis] = (axis, values)
    stored = {n: file[g][n] for g in ("t0_fields", "t1_fields", "scalars") for n in file[g].attrs["field_names"]}
    flags = {n: d for n, d in file.items() if isinstance(d, h5py.Dataset) and d.attrs.get("dtype") == "bool"}
    ordered = [n for n in file if n in stored or n in flags]
    variables = {n: _variable((stored | flags)[n], space) for n in ordered}
    dataset = xr.Dataset(variables, coords)
    return dataset.isel(dict.fromkeys(added, 0), drop=True, missing_dims="ignore")


def _variable(stored: _header.Stored, space: Sequence[str]) -> xr.Variable:
    """A variable with the axes that The Well's flags say it has."""
    varies = stored.attrs.get("dim_varying", np.zeros(len(space), bool))
    dims = [d for d in ("sample", "time") if stored.attrs[f"{d}_varying"]]
    dims += [d for d, present in zip(space, varies, strict=True) if present]
    dims += ["component"] if stored.ndim > len(dims) else []
    attributes = _own(stored)
    is_flag = attributes.pop("dtype", None) == "bool"
    return xr.Variable(dims, stored[()].astype(bool) if is_flag else stored[()], attributes)


def _own(stored: _header.Stored) -> dict[str, Any]:
    return {k: v for k, v in _header.read_attributes(stored).items() if k not in _STRUCTURE}


def _read_boundary(file: _header.Stored) -> list[dict[str, Any]]:
    sides = {flags: name for name, flags in SIDES.items()}
    return [
        {
            "name": name,
            "kind": group.attrs["bc_type"],
            "dims": list(group.attrs["associated_dims"]),
            "fields": list(group.attrs["associated_fields"]),
            "sides": sides[bool(group["mask"][0]), bool(group["mask"][-1])],
        }
        for name, group in file["boundary_conditions"].items()
    ]


def read_model(path: str | os.PathLike) -> tuple[bytes, dict[str, Any]]:
    """Read the serialised leaves and their header.

    Raises:
        PdesolveError: If the file is not a pdesolve file, or holds fields only.
    """
    with _header.opened(path) as file:
        if "model" not in file:
            raise PdesolveError(f"{path}: holds no model, only fields; use pdesolve.io.read.")
        return file["model/leaves"][()].tobytes(), _header.json.loads(file["model/header"].asstr()[()])
