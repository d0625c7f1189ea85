"""A file of samples in whatever layout: what it holds, and the numbers of any of its samples."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import PdesolveError

__all__ = ["ROLES", "DataFile", "Variable", "checked", "joined", "opened"]

ROLES = ("constant", "input", "solution")
"""`solution`: what is sought; `input`: a function it depends on; `constant`: one that stays while time passes."""


@dataclasses.dataclass(frozen=True)
class Variable:
    """One function of every sample, scalar: components of vectors are variables of their own.

    Attributes:
        name: Its name.
        role: One of `ROLES`.
        in_time: Whether it has an axis of time.
    """

    name: str
    role: str = "solution"
    in_time: bool = False


@dataclasses.dataclass(frozen=True)
class DataFile:
    """What a file of samples holds; numbers are read when they are asked for.

    Attributes:
        path: The file, or the folder of files.
        layout: `pdesolve`, `well`, `pdebench`, `pdebench-h5`, `npz` or `mat`.
        samples: Number of samples.
        space: Axis of space to its coordinates, in the order of the axes.
        times: Times of the frames; one entry where there is no axis of time.
        variables: What there is for every sample.
        load: `(name, start, stop)` to the values of consecutive samples, `(sample, time, *space)` if the variable is
            in time, else `(sample, *space)`.
        periodic: Whether the file says that every axis closes on itself.
        parameters: Physical parameters, one number each.
        error_bound: Relative L2 error of the solutions, if the file says so.
        seconds: Wall time of the solver for one sample, if the file says so.
    """

    path: str
    layout: str
    samples: int
    space: Mapping[str, np.ndarray]
    times: np.ndarray
    variables: tuple[Variable, ...]
    load: Callable[[str, int, int], np.ndarray]
    periodic: bool = False
    parameters: Mapping[str, float] = dataclasses.field(default_factory=dict)
    error_bound: float | None = None
    seconds: float | None = None

    @property
    def grid(self) -> tuple[int, ...]:
        """Points along each axis of space."""
        return tuple(len(points) for points in self.space.values())

    def named(self, role: str) -> tuple[str, ...]:
        """Return the names of the variables of a role."""
        return tuple(variable.name for variable in self.variables if variable.role == role)

    def stacked(self, names: Sequence[str], start: int, stop: int) -> np.ndarray:
        """Return variables side by side, `(sample, variable, time, *space)`; without time where none of them has it.

        Raises:
            PdesolveError: If the file cannot be read.
        """
        in_time = {variable.name: variable.in_time for variable in self.variables}
        values = [self.load(name, start, stop) for name in names]
        if any(in_time[name] for name in names):
            values = [
                v if in_time[name] else np.broadcast_to(v[:, None], (len(v), len(self.times), *self.grid))
                for name, v in zip(names, values, strict=True)
            ]
        return np.stack(values, axis=1) if values else np.zeros((stop - start, 0, *self.grid))


@contextlib.contextmanager
def opened(path: str | os.PathLike) -> Iterator[Any]:
    """Open an HDF5 file of any origin for reading; whatever is wrong with it becomes one readable error.

    Raises:
        PdesolveError: If the file is missing, truncated or damaged, or lacks a part of its layout.
    """
    if not Path(path).is_file():
        raise PdesolveError(f"{path}: no such file.")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        raise PdesolveError(f"{path}: cannot be read; the file is truncated, damaged or locked ({error}).") from error
    except KeyError as error:
        raise PdesolveError(f"{path}: a part of the layout is missing: {error.args[0]}.") from error


def checked(file: DataFile) -> DataFile:
    """Return the file if samples of it can be learned from.

    Raises:
        PdesolveError: If it holds no sample or no solution, or its grid is not uniform.
    """
    if file.samples < 1 or not file.grid or min(file.grid) < 1:
        raise PdesolveError(f"{file.path}: holds no samples on a grid: {file.samples} samples, grid {file.grid}.")
    if not file.named("solution"):
        known = ", ".join(v.name for v in file.variables) or "none"
        raise PdesolveError(f"{file.path}: holds no solution; variables: {known}.")
    names = [variable.name for variable in file.variables]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise PdesolveError(f"{file.path}: two variables are called {twice[0]!r}.")
    for axis, points in {**file.space, "time": file.times}.items():
        _check_uniform(file.path, axis, np.asarray(points))
    return file


def _check_uniform(path: str, axis: str, points: np.ndarray) -> None:
    if points.ndim != 1 or not np.isfinite(points).all():
        raise PdesolveError(f"{path}: the coordinate {axis} must be a list of finite numbers, got {points.shape}.")
    steps = np.diff(points.astype(float))
    if not len(steps):
        return
    # Coordinates are often kept in single precision.
    rounding = 1e-3 * abs(steps.mean()) + 8 * np.finfo(np.float32).eps * np.abs(points).max()
    if steps.min() <= 0 or np.ptp(steps) > rounding:
        raise PdesolveError(
            f"{path}: operators need a uniform grid; steps along {axis} are from {steps.min():.6g} to "
            f"{steps.max():.6g}. Interpolate the samples to a uniform grid first."
        )


def joined(files: Sequence[DataFile], path: str) -> DataFile:
    """Return files of the same grid and variables as one, samples in the order of the files.

    Raises:
        PdesolveError: If they differ.
    """
    first = files[0]
    for other in files[1:]:
        same = other.variables == first.variables and other.grid == first.grid and len(other.times) == len(first.times)
        if not same:
            raise PdesolveError(
                f"{other.path}: differs from {first.path} in variables or grid: {_summary(other)}; {_summary(first)}."
            )
    ends = np.cumsum([file.samples for file in files])

    def load(name: str, start: int, stop: int) -> np.ndarray:
        parts = []
        for file, end in zip(files, ends, strict=True):
            begin = end - file.samples
            low, high = max(start, begin), min(stop, end)
            if low < high:
                parts.append(file.load(name, int(low - begin), int(high - begin)))
        return np.concatenate(parts)

    return dataclasses.replace(first, path=path, samples=int(ends[-1]), load=load)


def _summary(file: DataFile) -> str:
    return f"{', '.join(v.name for v in file.variables)} on {len(file.times)} times and {file.grid} points"
