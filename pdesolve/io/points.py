"""Fields on scattered points or on the nodes of a mesh, for domains that are not boxes.

/points (n, d)    positions            /cells (m, k)    nodes of each cell, with attribute `cell_type`
/fields/u         (n,), (time, n), (n, component) or (time, n, component)
/time             if the fields vary in time
/provenance, /model, root attributes: as in `pdesolve.io.hdf5`
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from ..errors import PdesolveError, UnknownNameError
from . import _header
from ._sink import new_hdf5

__all__ = ["CELL_TYPES", "points_dataset", "write_points", "write_points_dataset"]

CELL_TYPES = {"line": 2, "triangle": 3, "quad": 4, "tetra": 4, "hexahedron": 8, "triangle6": 6, "tetra10": 10}
"""Nodes of a cell, by meshio's names."""


def write_points(
    path: str | os.PathLike,
    points: np.ndarray,
    cells: np.ndarray | None,
    fields: Mapping[str, np.ndarray],
    *,
    name: str,
    provenance: Mapping[str, Any],
    time: np.ndarray | None = None,
    cell_type: str | None = None,
    units: Mapping[str, str] | None = None,
    attributes: Mapping[str, Any] | None = None,
    parameters: Mapping[str, float] | None = None,
    model: bytes | None = None,
    model_header: Mapping[str, Any] | None = None,
) -> None:
    """Write fields on points to one HDF5 file, whole or not at all.

    Args:
        path: The file, replaced if it exists.
        points: Positions, shape `(n, d)`, d from 1 to 3.
        cells: Nodes of each cell, shape `(m, k)`, or None for points without connection.
        fields: By name, shape `(n,)` or `(n, component)`; with `time` a leading axis for it.
        name: Name of the problem.
        provenance: As in `pdesolve.io.write`.
        time: Times, shape `(t,)`, if the fields vary in time.
        cell_type: meshio's name; by default the lowest-order cell with k nodes in d dimensions.
        units: Units by field.
        attributes: Attributes of the whole file, such as a title or a status.
        parameters: Physical parameters, one number each.
        model: Serialised leaves of the model.
        model_header: What is needed to rebuild the model.

    Raises:
        PdesolveError: If a shape does not fit, or the file cannot be written.
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] not in (1, 2, 3):
        raise PdesolveError(f"points must have shape (n, d) with d = 1, 2 or 3, got {points.shape}.")
    dims = {field: _dims(field, np.shape(value), len(points), time) for field, value in fields.items()}
    kind = None if cells is None else _cell_type(np.asarray(cells), points, cell_type)
    with new_hdf5(path) as file:
        _header.write_root(
            file,
            layout="points",
            name=name,
            dims=points.shape[1],
            samples=1,
            parameters=parameters or {},
        )
        _header.write_attributes(file, attributes or {})
        file["points"] = points
        if cells is not None:
            file["cells"] = np.asarray(cells)
            file["cells"].attrs["cell_type"] = kind
        if time is not None:
            file["time"] = np.asarray(time)
        group = file.create_group("fields")
        for field, value in fields.items():
            group[field] = np.asarray(value)
            group[field].attrs["dims"] = _header.string_list(dims[field])
            if units and field in units:
                group[field].attrs["units"] = units[field]
        _header.write_provenance(file, provenance)
        _header.write_model(file, model, model_header)


def write_points_dataset(
    path: str | os.PathLike,
    dataset: xr.Dataset,
    *,
    name: str,
    provenance: Mapping[str, Any],
    parameters: Mapping[str, float] | None = None,
    model: bytes | None = None,
    model_header: Mapping[str, Any] | None = None,
) -> None:
    """Write a dataset on points by `write_points`; `pdesolve.io.read` gives it back.

    Args:
        path: The file, replaced if it exists.
        dataset: `points (point, axis)`, optionally `cells (cell, vertex)` with the attribute `cell_type`, a coordinate
            `time`, and fields `([time,] point [, component])` with the attribute `units`.
        name: Name of the problem.
        provenance: As in `pdesolve.io.write`.
        parameters: Physical parameters, one number each.
        model: Serialised leaves of the model.
        model_header: What is needed to rebuild the model.

    Raises:
        PdesolveError: If a shape does not fit, or the file cannot be written.
    """
    fields = {str(field): values for field, values in dataset.data_vars.items() if field not in ("points", "cells")}
    cells = dataset.get("cells")
    write_points(
        path,
        dataset["points"].values,
        None if cells is None else cells.values,
        {field: values.values for field, values in fields.items()},
        name=name,
        provenance=provenance,
        time=dataset["time"].values if "time" in dataset.coords else None,
        cell_type=None if cells is None else cells.attrs.get("cell_type"),
        units={field: values.attrs["units"] for field, values in fields.items() if "units" in values.attrs},
        attributes={str(key): value for key, value in dataset.attrs.items()},
        parameters=parameters,
        model=model,
        model_header=model_header,
    )


def _dims(field: str, shape: tuple[int, ...], num_points: int, time: np.ndarray | None) -> list[str]:
    leading = [] if time is None else ["time"]
    expected = ([] if time is None else [len(time)]) + [num_points]
    if list(shape[: len(expected)]) != expected or len(shape) > len(expected) + 1:
        raise PdesolveError(
            f"field {field!r} must have shape {tuple(expected)} ({', '.join([*leading, 'point'])}), and at most "
            f"one more axis for components; got {shape}."
        )
    return [*leading, "point", *(["component"] if len(shape) > len(expected) else [])]


def _cell_type(cells: np.ndarray, points: np.ndarray, given: str | None) -> str:
    if cells.ndim != 2 or cells.dtype.kind not in "iu":
        raise PdesolveError(f"cells must be integers of shape (m, k), got {cells.dtype} {cells.shape}.")
    if cells.size and not 0 <= cells.min() <= cells.max() < len(points):
        raise PdesolveError(f"cells name nodes {cells.min()} to {cells.max()}; there are {len(points)} points.")
    if given is not None and given not in CELL_TYPES:
        raise UnknownNameError("cell type", given, CELL_TYPES)
    fitting = [name for name, nodes in CELL_TYPES.items() if nodes == cells.shape[1]]
    if given in fitting:
        return given
    if given is not None or not fitting:
        raise PdesolveError(f"cells have {cells.shape[1]} nodes; known cells: {CELL_TYPES}.")
    # Four nodes are a quadrilateral in the plane and a tetrahedron in space.
    return fitting[-1] if points.shape[1] == 3 else fitting[0]


def points_dataset(file: _header.Stored) -> xr.Dataset:
    """The content of an open file as a dataset: `points (point, axis)`, `cells (cell, vertex)` and the fields."""
    variables: dict[str, Any] = {"points": (("point", "axis"), file["points"][()])}
    if "cells" in file:
        variables["cells"] = (("cell", "vertex"), file["cells"][()], _header.read_attributes(file["cells"]))
    # Components of different fields may differ in number, so each field has an axis of its own for them.
    for name, stored in file["fields"].items():
        attributes = _header.read_attributes(stored)
        dims = [f"{name}_component" if d == "component" else d for d in attributes.pop("dims")]
        variables[name] = (dims, stored[()], attributes)
    coords = {"time": file["time"][()]} if "time" in file else {}
    return xr.Dataset(variables, coords)
