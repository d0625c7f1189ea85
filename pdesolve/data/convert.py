"""Files of samples in another layout."""

import os
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

from .. import io
from ..errors import PdesolveError, UnknownNameError
from ..io import atomic
from .reading import read_data
from .source import DataFile

__all__ = ["LAYOUTS", "convert_data"]

LAYOUTS = ("npz", "pdebench-h5", "pdesolve", "well")


def convert_data(path: str | os.PathLike, out: str | os.PathLike, *, layout: str = "pdesolve") -> Path:
    """Write the samples of a file in another layout, and return the path of what was written.

    | layout | what is written |
    |---|---|
    | `pdesolve` | HDF5 as `make_data` writes it: The Well's layout, inputs marked as such, in the file's precision |
    | `well` | The Well's, in single precision, without inputs, which its readers would take for a part of the state |
    | `pdebench-h5` | PDEBench's with one group for each sample, in which only what varies in time has a place |
    | `npz` | `inputs` and `outputs` (sample, channel, *grid), of samples without time |

    All samples are in memory at once.

    Args:
        path: A file of any layout that `read_data` knows.
        out: The file to write; it may not be `path`.
        layout: One of `LAYOUTS`.

    Raises:
        UnknownNameError: If there is no such layout.
        PdesolveError: If the file cannot be read, its samples do not fit the layout, or the file cannot be written.
    """
    if layout not in LAYOUTS:
        raise UnknownNameError("layout", layout, LAYOUTS)
    out = Path(out)
    if out.exists() and out.resolve() == Path(path).resolve():
        raise PdesolveError(f"{out} is the file to convert; give another file to write.")
    file = read_data(path)
    if layout == "npz":
        _write_npz(file, out)
        return out
    if layout == "pdesolve":
        _write(file, out, out.stem)
        return out
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.h5"
        _write(file, whole, out.stem, constants=layout == "well")
        return io.export(whole, "hdf5", out, layout=layout)


def _write(file: DataFile, out: Path, name: str, *, constants: bool = True) -> None:
    axes = tuple(file.space)
    fields = {}
    chosen = [variable for variable in file.variables if constants or variable.role != "constant"]
    for variable in chosen:
        dims = ("sample", *["time"] * variable.in_time, *axes)
        # A constant is told from an input by standing beside trajectories, as in The Well's own files.
        role = "input" if variable.role == "input" else "solution"
        values = np.array(file.load(variable.name, 0, file.samples))
        fields[variable.name] = xr.DataArray(values, dims=dims, attrs={"role": role, "units": "1"})
    coordinates = dict(file.space) | ({"time": file.times} if any(variable.in_time for variable in chosen) else {})
    attributes = {"error_bound": file.error_bound, "seconds_per_sample": file.seconds}
    dataset = xr.Dataset(fields, coords=coordinates, attrs={k: v for k, v in attributes.items() if v is not None})
    names = list(file.named("solution"))
    boundary = [{"name": "ends", "kind": "periodic", "dims": list(axes), "fields": names}] if file.periodic else []
    source = {"source": os.path.basename(file.path), "source_layout": file.layout}
    io.write(out, dataset, name=name, provenance=source, parameters=file.parameters, boundary=boundary)


def _write_npz(file: DataFile, out: Path) -> None:
    if len(file.times) > 1 or not file.named("input"):
        raise PdesolveError(f"{file.path}: layout 'npz' holds inputs and outputs without time; the file has others.")
    inputs = file.stacked([*file.named("input"), *file.named("constant")], 0, file.samples)
    outputs = file.stacked(file.named("solution"), 0, file.samples)
    axes = {f"axis_{axis}": points for axis, points in file.space.items()}
    with atomic(out) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, inputs=inputs, outputs=outputs, **axes)  # pyright: ignore[reportArgumentType]
