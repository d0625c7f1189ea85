"""Reader of The Well's layout, and of this package's own files, which follow it.

The layout: https://polymathic-ai.org/the_well/data_format. Axes along which a field does not vary are not stored;
they are filled in here. Fields that do not vary in time stand beside trajectories as constants; in this package's files
the attribute `role` says which functions are inputs.
"""

import itertools
from typing import Any

import numpy as np

from ..errors import PdesolveError
from .source import DataFile, Variable, opened

__all__ = ["is_well", "read_well"]

_GROUPS = ("t0_fields", "t1_fields", "t2_fields")


def is_well(file: Any) -> bool:
    """Say whether an open HDF5 file has this layout."""
    return "pdesolve_format" in file.attrs or ("dimensions" in file and any(group in file for group in _GROUPS))


def read_well(path: str, file: Any) -> DataFile:
    """Describe an open file.

    Raises:
        PdesolveError: If it holds scattered points, or fields on a part of its grid only.
    """
    own = "pdesolve_format" in file.attrs
    if own and file.attrs["pdesolve_layout"] != "grid":
        raise PdesolveError(f"{path}: holds fields at scattered points; operators need a grid.")
    if "mask" in file:
        raise PdesolveError(f"{path}: the domain does not fill the grid; operators need values at all points.")
    dimensions = file["dimensions"]
    axes = [_text(axis) for axis in dimensions.attrs["spatial_dims"]]
    for axis in axes:
        if dimensions[axis].ndim != 1:
            raise PdesolveError(f"{path}: the grid along {axis} differs between samples or times; one grid is needed.")
    space = {axis: dimensions[axis][()] for axis in axes}
    times = dimensions["time"][()]
    times = times[0] if times.ndim == 2 else times  # of each sample; steps are equal
    samples = int(file.attrs["n_trajectories"])
    places = {
        variable: place
        for order, group in enumerate(_GROUPS)
        if group in file
        for field in map(_text, file[group].attrs["field_names"])
        for variable, place in _variables(file[group][field], group, field, order, axes, len(times))
    }
    sizes = tuple(len(points) for points in space.values())

    def load(name: str, start: int, stop: int) -> np.ndarray:
        variable, (group, field, component) = next((v, p) for v, p in places.items() if v.name == name)
        with opened(path) as file:
            stored = file[group][field]
            varies = [bool(v) for v in stored.attrs.get("dim_varying", np.ones(len(sizes), bool))]
            in_sample, in_time = bool(stored.attrs["sample_varying"]), bool(stored.attrs["time_varying"])
            values = stored[(*[slice(start, stop)] * in_sample, ..., *component)]
        shape = [stop - start if in_sample else 1, len(times) if in_time else 1]
        shape += [size if present else 1 for size, present in zip(sizes, varies, strict=True)]
        count = len(times) if variable.in_time else 1
        full = np.broadcast_to(values.reshape(shape), (stop - start, count, *sizes))
        return full if variable.in_time else full[:, 0]

    return DataFile(
        path=path,
        layout="pdesolve" if own else "well",
        samples=samples,
        space=space,
        times=times,
        variables=tuple(places),
        load=load,
        periodic=_periodic(file, axes),
        parameters={p: float(file.attrs[p]) for p in map(_text, file.attrs["simulation_parameters"])},
        error_bound=_number(file, "error_bound"),
        seconds=_number(file, "seconds_per_sample"),
    )


def _variables(stored: Any, group: str, field: str, order: int, axes: list[str], num_times: int) -> Any:
    """Yield the variables of a field, one for each component, and where they lie."""
    role = _text(stored.attrs.get("role", "solution"))
    if role not in ("input", "solution"):  # a reference, or an error
        return
    in_time = num_times > 1 and bool(stored.attrs["time_varying"])
    if role == "solution" and num_times > 1 and not in_time:
        role = "constant"
    for component in itertools.product(range(len(axes)), repeat=order):
        suffix = "".join(axes[i] for i in component)
        name = f"{field}_{suffix}" if order else field
        yield Variable(name, role, in_time), (group, field, component)


def _periodic(file: Any, axes: list[str]) -> bool:
    """Say whether every axis is periodic."""
    found = {
        _text(axis)
        for condition in file.get("boundary_conditions", {}).values()
        if _text(condition.attrs["bc_type"]).lower() == "periodic"
        for axis in condition.attrs["associated_dims"]
    }
    return set(axes) <= found


def _number(file: Any, name: str) -> float | None:
    return float(file.attrs[name]) if name in file.attrs else None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
