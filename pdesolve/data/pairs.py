"""Reader of pairs of arrays: NumPy's `.npz`, MATLAB's `.mat` of either kind.

| arrays | shapes |
|---|---|
| `inputs`, `outputs` | (sample, channel, *grid) |
| `a`, `u`, or `coeff`, `sol`, or `x`, `y` | (sample, *grid), one function each; one axis more of the second is time |

Besides, `axis_x`, `axis_y`, ... are the coordinates of the axes (i/n where they are missing), `t` the times.
"""

import os
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np
import scipy.io

from ..errors import PdesolveError
from .source import DataFile, Variable, opened

__all__ = ["read_mat", "read_mat73", "read_npz"]

_CHANNELS = ("inputs", "outputs")
_PAIRS = (_CHANNELS, ("a", "u"), ("coeff", "sol"), ("x", "y"))
_AXES = ("x", "y", "z")


def read_npz(path: str | os.PathLike) -> DataFile:
    """Read an `.npz` file, all of it: its arrays cannot be read in part.

    Raises:
        PdesolveError: If it is damaged, or holds no pair.
    """
    try:
        with open(path, "rb") as raw, np.load(raw) as stored:
            arrays = dict(stored)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise PdesolveError(f"{path}: cannot be read; the file is truncated or damaged ({error}).") from error
    return _pair(str(path), "npz", arrays, lambda name, start, stop: arrays[name][start:stop])


def read_mat(path: str | os.PathLike) -> DataFile:
    """Read a `.mat` file older than MATLAB's version 7.3, all of it.

    Raises:
        PdesolveError: If it is damaged, or holds no pair.
    """
    try:
        arrays = {key: value for key, value in scipy.io.loadmat(path).items() if not key.startswith("__")}
    except Exception as error:  # SciPy's reader fails in many ways on a file that is damaged, or none of MATLAB's
        raise PdesolveError(f"{path}: cannot be read as a MATLAB file; truncated or damaged ({error}).") from error
    return _pair(str(path), "mat", arrays, lambda name, start, stop: arrays[name][start:stop])


def read_mat73(path: str | os.PathLike, file: Any) -> DataFile | None:
    """Describe an open `.mat` file of MATLAB's version 7.3, which is HDF5; None if it holds no pair of arrays."""
    stored = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset)}
    if _find(stored) is None:
        return None

    def load(name: str, start: int, stop: int) -> np.ndarray:
        # MATLAB's first axis runs fastest: in the file axes are in the opposite order.
        with opened(path) as file:
            return np.transpose(file[name][..., start:stop])

    arrays = {name: _Reversed(item) for name, item in stored.items()}
    return _pair(str(path), "mat", arrays, load)


class _Reversed:
    """Shape and, where needed, values of an array whose axes the file has in the opposite order."""

    def __init__(self, stored: Any):
        self.stored, self.shape, self.ndim = stored, stored.shape[::-1], stored.ndim

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.transpose(self.stored[()]).astype(dtype or self.stored.dtype)


def _find(arrays: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the names of input and output; an array of one axis is a coordinate."""
    for first, second in _PAIRS:
        if first in arrays and second in arrays and min(arrays[first].ndim, arrays[second].ndim) >= 2:
            return first, second
    return None


def _pair(path: str, layout: str, arrays: Mapping[str, Any], read: Callable[[str, int, int], np.ndarray]) -> DataFile:
    names = _find(arrays)
    if names is None:
        found = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "none"
        known = "; ".join(f"{first}, {second}" for first, second in _PAIRS)
        raise PdesolveError(f"{path}: no pair of arrays of inputs and outputs; known names: {known}. Found: {found}.")
    given, wanted = (tuple(arrays[name].shape) for name in names)
    channels = names == _CHANNELS
    grid = given[2:] if channels else given[1:]
    in_time = not channels and wanted[:-1] == given
    fits = wanted[0] == given[0] and (wanted[2:] == grid if channels else wanted == given or in_time)
    if not fits or not grid:
        shapes = (
            "(sample, channel, *grid)" if channels else "(sample, *grid), the second perhaps with times as last axis"
        )
        raise PdesolveError(f"{path}: {names[0]} {given} and {names[1]} {wanted} must be {shapes}.")
    variables: dict[Variable, tuple[str, int | None]] = {}
    for array, role, count in zip(names, ("input", "solution"), (given, wanted), strict=True):
        word = {"inputs": "a", "outputs": "u"}.get(array, array)
        if channels:
            many = count[1] > 1
            variables |= {Variable(f"{word}_{c}" if many else word, role): (array, c) for c in range(count[1])}
        else:
            variables[Variable(word, role, in_time and role == "solution")] = array, None
    where = {variable.name: place for variable, place in variables.items()}

    def load(name: str, start: int, stop: int) -> np.ndarray:
        array, channel = where[name]
        values = read(array, start, stop)
        if channel is not None:
            return values[:, channel]
        return np.moveaxis(values, -1, 1) if in_time and array == names[1] else values

    return DataFile(
        path=path,
        layout=layout,
        samples=given[0],
        space={axis: _axis(arrays, axis, n) for axis, n in zip(_AXES, grid, strict=False)},
        times=_times(arrays, wanted[-1]) if in_time else np.zeros(1),
        variables=tuple(variables),
        load=load,
    )


def _axis(arrays: Mapping[str, Any], axis: str, count: int) -> np.ndarray:
    found = np.ravel(np.asarray(arrays[f"axis_{axis}"])) if f"axis_{axis}" in arrays else np.arange(count) / count
    if len(found) != count:
        raise PdesolveError(f"`axis_{axis}` has {len(found)} entries, for {count} points.")
    return found


def _times(arrays: Mapping[str, Any], count: int) -> np.ndarray:
    found = np.ravel(np.asarray(arrays["t"])) if "t" in arrays else np.arange(1.0, count + 1.0)
    return found if len(found) == count else np.arange(1.0, count + 1.0)
