"""A pdesolve file in the formats of other tools."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..errors import PdesolveError, UnknownNameError
from . import hdf5
from ._atomic import atomic
from ._sink import new_hdf5
from .xdmf import write_xdmf

__all__ = ["KINDS", "LAYOUTS", "export"]

_Mesh = tuple[np.ndarray, str, np.ndarray, dict[str, Any]]
"""Positions, meshio's name of the cells, their nodes, and values at the nodes by field."""


def export(
    path: str | os.PathLike,
    kind: str,
    out: str | os.PathLike,
    *,
    layout: str = "pdesolve",
    step: int = -1,
    sample: int = 0,
) -> Path:
    """Convert a pdesolve file and return the path of what was written.

    | kind | what is written |
    |---|---|
    | `hdf5` | with `layout` `pdesolve`: a copy; `well`: The Well's float32 file of the solution alone; `pdebench-h5`: PDEBench's file with one group per sample |
    | `xdmf` | the companion text that ParaView opens, beside or away from the HDF5 file; one `sample` |
    | `vtu` | the mesh with the fields of one `sample` at one `step`; a 1-D problem in time as a surface over (x, time) |
    | `netcdf` | netCDF-4, without the model |
    | `csv` | a row per point: coordinates, then fields; points outside the domain are left out |

    Args:
        path: A file written by `pdesolve.io.write` or `pdesolve.io.write_points`.
        kind: One of `KINDS`.
        out: The file to write.
        layout: For `hdf5`, one of `LAYOUTS`.
        step: For `vtu`, which time: an index, by default the last.
        sample: For `vtu` and `xdmf`, which sample.

    Raises:
        PdesolveError: If the kind is unknown, the data do not fit it, a file cannot be read or written, or an
            optional package is missing.
    """  # noqa: E501
    if kind not in KINDS:
        raise UnknownNameError("kind of export", kind, KINDS)
    if layout not in LAYOUTS:
        raise UnknownNameError("layout", layout, LAYOUTS)
    if kind == "xdmf":
        return write_xdmf(path, out, sample=sample)
    dataset, header = hdf5.read(path)
    options = {"path": path, "layout": layout, "step": step, "sample": sample}
    _WRITERS[kind](dataset, header, Path(out), options)
    return Path(out)


def _hdf5(dataset: xr.Dataset, header: dict[str, Any], out: Path, options: dict[str, Any]) -> None:
    if options["layout"] == "pdesolve":
        with atomic(out) as temporary:
            shutil.copyfile(options["path"], temporary)
        return
    if header["layout"] != "grid":
        raise PdesolveError(f"layout {options['layout']!r} holds fields on a grid; the file holds points.")
    _LAYOUT_WRITERS[options["layout"]](dataset, header, out)


def _well(dataset: xr.Dataset, header: dict[str, Any], out: Path) -> None:
    """The Well reads every stored field as part of the state, in float32: references and errors stay behind."""
    solution = dataset.drop_vars(
        [n for n, v in dataset.items() if v.attrs.get("role") in ("input", "reference", "error")]
    )
    single = solution.map(lambda v: v.astype(np.float32) if v.dtype.kind == "f" else v, keep_attrs=True)
    coords = {n: c.astype(np.float32) for n, c in single.coords.items() if c.dtype.kind == "f"}
    keys = ("name", "provenance", "parameters", "boundary")
    hdf5.write(out, single.assign_coords(coords), **{key: header[key] for key in keys})


def _pdebench(dataset: xr.Dataset, header: dict[str, Any], out: Path) -> None:
    """PDEBench's file with one group per sample: `data` (T, X[, Y], C), `grid/x`, `grid/t`, attribute `config`.

    Its loader `FNODatasetSingle` takes the grid from the group named "0023", whichever groups there are. With
    fewer than 24 samples the last one is therefore called "0023", so that no sample is stored twice.
    """
    fields = [n for n, v in dataset.items() if v.attrs.get("role") == "solution" and v.dtype.kind == "f"]
    space = [str(d) for d in dataset[fields[0]].dims if d not in ("sample", "time", "component")]
    if len(space) not in (1, 2) or "time" not in dataset.dims:
        raise PdesolveError(f"layout 'pdebench-h5' holds 1-D and 2-D fields in time; got dims {dict(dataset.sizes)}.")
    batch = dataset if "sample" in dataset.dims else dataset.expand_dims("sample")
    full = ("sample", "time", *space)
    if unfit := [n for n in fields if set(batch[n].dims) != set(full)]:
        raise PdesolveError(f"layout 'pdebench-h5' needs scalar fields over {full}; {unfit[0]!r} is not one.")
    data = np.stack([batch[n].transpose(*full).values for n in fields], -1).astype(np.float32)
    names = [f"{i:04d}" for i in range(len(data))]
    if len(names) < 24:
        names[-1] = "0023"
    with new_hdf5(out) as file:
        for name, values in zip(names, data, strict=True):
            group = file.create_group(name)
            group.create_dataset("data", data=values, compression="lzf")
            # PDEBench calls the axes x and y whatever ours are called.
            for axis, dim in zip(("t", "x", "y"), full[1:], strict=False):
                group[f"grid/{axis}"] = dataset[dim].values.astype(np.float32)
            group.attrs["config"] = _pdebench_config(dataset, header, space)


def _pdebench_config(dataset: xr.Dataset, header: dict[str, Any], space: list[str]) -> str:
    """The configuration its loaders look into, as JSON, which is YAML too."""
    sim: dict[str, float] = dict(header["parameters"])
    for axis, dim, low, high in zip("xy", space, ("x_left", "y_bottom"), ("x_right", "y_top"), strict=False):
        values = dataset[dim].values
        margin = (values[1] - values[0]) / 2 if dataset[dim].attrs.get("staggering") == "cells" else 0.0
        sim |= {low: float(values[0] - margin), high: float(values[-1] + margin), f"{axis}dim": len(values)}
    return json.dumps({"name": header["name"], "sim": sim})


def _netcdf(dataset: xr.Dataset, header: dict[str, Any], out: Path, options: dict[str, Any]) -> None:
    flat = {k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in header["provenance"].items()}
    attributes = dataset.attrs | header["parameters"] | flat | {"name": header["name"]}
    plain = {k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in attributes.items() if v is not None}
    # Through memory: the HDF5 library ends the process when the disk fills up.
    image = dataset.assign_attrs(plain).to_netcdf(engine="h5netcdf")
    with atomic(out) as temporary:
        temporary.write_bytes(image)


def _csv(dataset: xr.Dataset, header: dict[str, Any], out: Path, options: dict[str, Any]) -> None:
    table = _scattered(dataset) if header["layout"] == "points" else dataset
    frame = _split_components(table).to_dataframe().reset_index().drop(columns="point", errors="ignore")
    if "mask" in frame:
        frame = frame[frame["mask"]].drop(columns="mask")
    with atomic(out) as temporary:
        frame.to_csv(temporary, index=False)


def _scattered(dataset: xr.Dataset) -> xr.Dataset:
    """Points as variables `x`, `y`, `z` beside the fields."""
    positions = dataset["points"].values.T
    columns = {axis: ("point", values) for axis, values in zip("xyz", positions, strict=False)}
    return xr.Dataset(columns).merge(dataset.drop_vars(["points", "cells"], errors="ignore"))


def _split_components(dataset: xr.Dataset) -> xr.Dataset:
    """Vectors as one scalar for each component: `v` becomes `v_0`, `v_1`, ..."""
    columns: dict[str, xr.DataArray] = {}
    for name, field in dataset.items():
        axis = next((d for d in field.dims if str(d).endswith("component")), None)
        if axis is None:
            columns[str(name)] = field
        else:
            parts = {f"{name}_{i}": field.isel({axis: i}, drop=True) for i in range(field.sizes[axis])}
            columns |= parts
    return xr.Dataset(columns)


def _vtu(dataset: xr.Dataset, header: dict[str, Any], out: Path, options: dict[str, Any]) -> None:
    try:
        import meshio
    except ImportError as error:
        raise PdesolveError("kind 'vtu' needs meshio: pip install 'pdesolve[mesh]'.") from error
    shown = _chosen(dataset, "sample", options["sample"])
    if header["layout"] == "points":
        points, kind, cells, fields = _points_mesh(shown, options["step"])
    else:
        points, kind, cells, fields = _grid_mesh(shown, options["step"])
    # VTK's points have three coordinates.
    points = np.pad(points, ((0, 0), (0, 3 - points.shape[1])))
    with atomic(out) as temporary:
        meshio.vtu.write(temporary, meshio.Mesh(points, [(kind, cells)], point_data=fields))


def _chosen(dataset: xr.Dataset, axis: str, index: int) -> xr.Dataset:
    """One entry along an axis; the dataset as it is if it has no such axis."""
    if axis not in dataset.dims:
        return dataset
    if not -(size := dataset.sizes[axis]) <= index < size:
        raise PdesolveError(f"{axis} {index}: the file has {size}, counted from 0 (or from -1 backwards).")
    return dataset.isel({axis: index})


def _points_mesh(dataset: xr.Dataset, step: int) -> _Mesh:
    points = dataset["points"].values
    chosen = _chosen(dataset, "time", step)
    fields = {str(n): v.values for n, v in chosen.drop_vars(["points", "cells"], errors="ignore").items()}
    if "cells" in dataset:
        return points, dataset["cells"].attrs["cell_type"], dataset["cells"].values, fields
    return points, "vertex", np.arange(len(points))[:, None], fields


def _grid_mesh(dataset: xr.Dataset, step: int) -> _Mesh:
    """The grid as lines, quadrilaterals or hexahedra, without the cells that reach outside the domain."""
    fields = {n: v for n, v in dataset.items() if v.dtype.kind == "f"}
    longest = max((v.dims for v in fields.values()), key=len)
    axes = [d for d in longest if d not in ("time", "component")]
    if len(axes) == 1 and "time" in dataset.dims:
        axes.append("time")
    else:
        dataset = _chosen(dataset, "time", step)
    if len(axes) > 3:
        raise PdesolveError(f"kind 'vtu' shows at most three axes of space; the file has {len(axes)}.")
    points = np.stack(np.meshgrid(*[dataset[a].values for a in axes], indexing="ij"), -1).reshape(-1, len(axes))
    shape = tuple(dataset.sizes[a] for a in axes)
    kind, cells = _grid_cells(shape)
    full = {n: dataset[n] for n in fields if set(axes) <= set(dataset[n].dims)}
    values = {
        str(n): v.transpose(*axes, ...).values.reshape(len(points), *v.shape[len(axes) :]) for n, v in full.items()
    }
    if "mask" in dataset:
        mask = dataset["mask"].broadcast_like(xr.DataArray(np.zeros(shape), dims=axes)).transpose(*axes)
        cells = cells[mask.values.ravel()[cells].all(1)]
    return points, kind, cells, values


def _grid_cells(shape: tuple[int, ...]) -> tuple[str, np.ndarray]:
    """Nodes of every cell of a grid, in VTK's order around the cell."""
    corners = {
        1: ("line", [(0,), (1,)]),
        2: ("quad", [(0, 0), (1, 0), (1, 1), (0, 1)]),
        3: ("hexahedron", [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)]),
    }
    kind, offsets = corners[len(shape)]
    nodes = np.arange(np.prod(shape)).reshape(shape)
    take = [tuple(slice(o, n - 1 + o) for o, n in zip(offset, shape, strict=True)) for offset in offsets]
    return kind, np.stack([nodes[t].ravel() for t in take], -1)


_Writer = Callable[[xr.Dataset, dict[str, Any], Path, dict[str, Any]], None]
_WRITERS: dict[str, _Writer] = {"csv": _csv, "hdf5": _hdf5, "netcdf": _netcdf, "vtu": _vtu}
_LAYOUT_WRITERS = {"pdebench-h5": _pdebench, "well": _well}
KINDS = ("csv", "hdf5", "netcdf", "vtu", "xdmf")
LAYOUTS = ("pdesolve", "pdebench-h5", "well")
