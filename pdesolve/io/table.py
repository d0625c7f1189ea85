"""Tables of numbers from files of three kinds."""

import os
import zipfile
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float

from ..errors import PdesolveError

__all__ = ["read_table"]


def read_table(path: str | os.PathLike) -> dict[str, Float[np.ndarray, " row"]]:
    """Return the columns of a table by name, as float64; what is left out in a row is NaN.

    Args:
        path: `.csv` (the first line names the columns, lines that begin with # are comments), `.npz`, or `.h5` and
            `.hdf5` (arrays of one axis in the root group).

    Raises:
        PdesolveError: If there is no such file, or it is not a table of numbers.
    """
    path = Path(path)
    readers = {".csv": _csv, ".npz": _npz, ".h5": _hdf5, ".hdf5": _hdf5}
    if path.suffix not in readers:
        raise PdesolveError(f"{path}: a table is read from {', '.join(readers)}; got {path.suffix or 'no suffix'!r}.")
    if not path.is_file():
        raise PdesolveError(f"{path}: no such file.")
    try:
        columns = readers[path.suffix](path)
        table = {name.strip(): np.asarray(values, dtype=float) for name, values in columns.items()}
    except (OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise PdesolveError(f"{path}: is not a table of numbers ({error}).") from error
    shapes = {name: values.shape for name, values in table.items()}
    if not table or len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        raise PdesolveError(f"{path}: the columns of a table are lists of the same length; got {shapes}.")
    return table


def _csv(path: Path) -> dict[str, np.ndarray]:
    import pandas  # takes a while, and no other kind of file needs it

    frame = pandas.read_csv(path, comment="#", skipinitialspace=True)
    return {str(name): frame[name].to_numpy() for name in frame.columns}


def _npz(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as stored:
        return dict(stored)


def _hdf5(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path, "r") as file:
        return {name: np.asarray(item) for name, item in file.items() if isinstance(item, h5py.Dataset)}
