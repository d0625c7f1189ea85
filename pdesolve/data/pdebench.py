"""Reader of PDEBench's three layouts, written from their description.

- One file with all samples (`.hdf5`): `tensor` (B, T, X) for scalar fields in one dimension; `tensor` (B, 1, X, Y) and
  `nu` (B, X, Y) for Darcy flow, which any `tensor` of four axes is; `density`, `pressure`, `Vx`, ...
  (B, T, X[, Y[, Z]]) for compressible flow.
- One file with a group for each sample (`.h5`): `data` (T, X[, Y], C) and `grid/x`, ...
- Incompressible flow (`.h5`): `velocity` (B, T, X, Y, 2), `particles` (B, T, X, Y, 1), `force` (B, X, Y, 2), `t`
  (B, T), without a grid.
"""

from typing import Any

import h5py
import numpy as np

from ..errors import PdesolveError
from .source import DataFile, Variable, opened

__all__ = ["read_pdebench"]

_FLOW = ("density", "pressure", "Vx", "Vy", "Vz")
_AXES = ("x", "y", "z")


def read_pdebench(path: str, file: Any) -> DataFile | None:
    """Describe an open file; None if it has none of the layouts.

    Raises:
        PdesolveError: If it has one of them, and a part is missing or of another shape.
    """
    if "tensor" in file:
        return _tensor(path, file)
    if "velocity" in file and "particles" in file:
        return _incompressible(path, file)
    if any(name in file for name in _FLOW):
        names = [name for name in _FLOW if name in file]
        return _whole(path, file, {name: name for name in names}, file[names[0]].shape[2:])
    groups = sorted(name for name in file if isinstance(file[name], h5py.Group))
    return _groups(path, file, groups) if groups and all("data" in file[name] for name in groups) else None


def _tensor(path: str, file: Any) -> DataFile:
    shape = file["tensor"].shape
    if len(shape) == 3:
        return _whole(path, file, {"u": "tensor"}, shape[2:])
    if len(shape) != 4:
        raise PdesolveError(f"{path}: 'tensor' must have axes (B, T, X), or (B, 1, X, Y) for Darcy flow; got {shape}.")
    if "nu" not in file or file["nu"].shape != (shape[0], *shape[2:]) or shape[1] != 1:
        found = f"shape {file['nu'].shape}" if "nu" in file else "none"
        raise PdesolveError(
            f"{path}: a 'tensor' of four axes is the solution of Darcy flow, (B, 1, X, Y), and needs the coefficient "
            f"'nu' (B, X, Y); got tensor {shape} and nu of {found}."
        )

    def load(name: str, start: int, stop: int) -> np.ndarray:
        with opened(path) as file:
            return file["nu"][start:stop] if name == "nu" else file["tensor"][start:stop, 0]

    return DataFile(
        path=path,
        layout="pdebench",
        samples=shape[0],
        space=_space(path, file, shape[2:]),
        times=np.zeros(1),
        variables=(Variable("nu", "input"), Variable("u")),
        load=load,
        parameters=_parameters(file),
    )


def _whole(path: str, file: Any, places: dict[str, str], grid: tuple[int, ...]) -> DataFile:
    """Fields (B, T, *grid), each a dataset of its own."""
    shape = file[next(iter(places.values()))].shape
    for dataset in places.values():
        if file[dataset].shape != shape or not grid:
            raise PdesolveError(f"{path}: {dataset!r} must have axes (B, T, X, ...); got {file[dataset].shape}.")
    times = np.asarray(file["t-coordinate"][()], float) if "t-coordinate" in file else np.arange(float(shape[1]))
    if times.ndim != 1 or len(times) < shape[1]:
        raise PdesolveError(f"{path}: 't-coordinate' has shape {times.shape}, for {shape[1]} times.")

    def load(name: str, start: int, stop: int) -> np.ndarray:
        with opened(path) as file:
            return file[places[name]][start:stop]

    return DataFile(
        path=path,
        layout="pdebench",
        samples=shape[0],
        space=_space(path, file, grid),
        times=times[: shape[1]],  # files have one time more than there are frames
        variables=tuple(Variable(name, "solution", True) for name in places),
        load=load,
        parameters=_parameters(file),
    )


def _groups(path: str, file: Any, groups: list[str]) -> DataFile:
    """One group for each sample."""
    first = file[groups[0]]
    shape = first["data"].shape
    if len(shape) not in (3, 4, 5):
        raise PdesolveError(f"{path}: 'data' of group {groups[0]!r} must have axes (T, X[, Y], C); got {shape}.")
    for name in groups:
        if file[name]["data"].shape != shape:
            raise PdesolveError(f"{path}: group {name!r} has data {file[name]['data'].shape}, others {shape}.")
    axes = _AXES[: len(shape) - 2]
    space = {axis: np.asarray(first["grid"][axis][()], float) for axis in axes}
    if tuple(len(points) for points in space.values()) != shape[1:-1]:
        raise PdesolveError(f"{path}: the grid of group {groups[0]!r} does not fit its data {shape}.")
    names = ["u"] if shape[-1] == 1 else [f"u_{c}" for c in range(shape[-1])]
    times = np.asarray(first["grid"]["t"][()], float)[: shape[0]] if "t" in first["grid"] else np.arange(shape[0])

    def load(name: str, start: int, stop: int) -> np.ndarray:
        channel = names.index(name)
        with opened(path) as file:
            return np.stack([file[group]["data"][..., channel] for group in groups[start:stop]])

    return DataFile(
        path=path,
        layout="pdebench-h5",
        samples=len(groups),
        space=space,
        times=times,
        variables=tuple(Variable(name, "solution", True) for name in names),
        load=load,
    )


def _incompressible(path: str, file: Any) -> DataFile:
    shape = file["velocity"].shape
    if len(shape) != 5 or file["particles"].shape[:4] != shape[:4]:
        raise PdesolveError(
            f"{path}: 'velocity' must have axes (B, T, X, Y, 2) and 'particles' (B, T, X, Y, 1); "
            f"got {shape} and {file['particles'].shape}."
        )
    places = {"velocity_x": ("velocity", 0), "velocity_y": ("velocity", 1), "particles": ("particles", 0)}
    forces = {"force_x": ("force", 0), "force_y": ("force", 1)} if "force" in file else {}

    def load(name: str, start: int, stop: int) -> np.ndarray:
        dataset, channel = (places | forces)[name]
        with opened(path) as file:
            return file[dataset][start:stop, ..., channel]

    variables = [Variable(name, "solution", True) for name in places]
    return DataFile(
        path=path,
        layout="pdebench-h5",
        samples=shape[0],
        # The file has no grid: cell centres of the unit square.
        space={axis: (np.arange(n) + 0.5) / n for axis, n in zip(("x", "y"), shape[2:4], strict=True)},
        times=np.asarray(file["t"][0], float) if "t" in file else np.arange(float(shape[1])),
        variables=(*variables, *(Variable(name, "constant") for name in forces)),
        load=load,
    )


def _space(path: str, file: Any, grid: tuple[int, ...]) -> dict[str, np.ndarray]:
    space = {}
    for axis, size in zip(_AXES, grid, strict=False):
        points = np.asarray(file[f"{axis}-coordinate"][()], float)
        if points.shape != (size,):
            raise PdesolveError(f"{path}: '{axis}-coordinate' has shape {points.shape}, for {size} points.")
        space[axis] = points
    return space


def _parameters(file: Any) -> dict[str, float]:
    return {name: float(value) for name, value in file.attrs.items() if np.ndim(value) == 0 and _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number)
