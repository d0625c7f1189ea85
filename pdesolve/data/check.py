"""What a data file holds, and what is wrong with it."""

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from .. import io
from ..errors import PdesolveError
from .reading import read_data
from .scan import not_finite, sample_digests
from .source import DataFile

__all__ = ["Findings", "check_data"]

_NAMED = 8
"""Samples that a finding names; it counts all of them."""
_BLOCK = 64
"""Samples of a file of another layout that are looked at together."""


@dataclasses.dataclass(frozen=True)
class Findings:
    """What `check_data` found.

    Attributes:
        lines: What the file holds, as lines of text; empty if it cannot be read.
        faults: What is wrong with it, one sentence each; empty if nothing is.
    """

    lines: list[str]
    faults: list[str]


def check_data(path: str | os.PathLike) -> Findings:
    """Look through a data file, such as `make_data` writes.

    Found are: a file that is foreign, truncated or damaged; numbers that are not finite (outside the domain they may
    be); coordinates that do not grow by equal steps; samples that occur twice; fewer samples than were asked for. Equal
    means equal to the last bit, of the inputs where there are some.

    Of the other layouts that `read_data` knows the same is looked for; a grid that is not uniform is refused there.

    Raises:
        PdesolveError: If there is no such file.
    """
    if not Path(path).is_file():
        raise PdesolveError(f"{path}: no such file.")
    if _is_foreign(path):
        return _check_foreign(path)
    try:
        dataset, header = io.read(path)
        lines = io.to_lines(io.describe(path))
    except PdesolveError as error:
        return Findings([], [str(error).removeprefix(f"{path}: ")])
    faults = [*_not_finite(dataset), *_not_uniform(dataset), *_twice(dataset), *_too_few(dataset, header)]
    return Findings(lines, faults)


def _not_finite(dataset: xr.Dataset) -> list[str]:
    """Fields with values inside the domain that are not numbers, and in which samples."""
    faults = []
    for name, field in dataset.items():
        if field.dtype.kind != "f" or name in ("points", "cells"):
            continue
        wrong = ~np.isfinite(field)
        if "mask" in dataset and set(dataset["mask"].dims) <= set(field.dims):
            wrong = wrong & dataset["mask"]
        if not wrong.any():
            continue
        if "sample" not in field.dims:
            faults.append(f"{name}: {int(wrong.sum())} values are not finite")
            continue
        samples = np.flatnonzero(wrong.any([d for d in wrong.dims if d != "sample"]))
        faults.append(f"{name}: {_count(samples, field.sizes['sample'])} not finite: {_list(samples)}")
    return faults


def _not_uniform(dataset: xr.Dataset) -> list[str]:
    """Axes of the grid that do not grow by equal steps, to the precision in which they are stored."""
    faults = []
    for axis, coordinate in dataset.coords.items():
        values = np.asarray(coordinate.values)
        if axis in ("sample", "component") or values.dtype.kind != "f" or values.ndim != 1 or len(values) < 2:
            continue
        steps = np.diff(values.astype(float))
        rounding = 4 * np.finfo(values.dtype).eps * np.abs(values).max()
        if not np.isfinite(steps).all():
            faults.append(f"coordinate {axis} is not finite")
        elif steps.min() <= 0:
            faults.append(f"coordinate {axis} does not grow at entry {int(np.argmax(steps <= 0)) + 1}")
        elif np.ptp(steps) > 1e-6 * steps.mean() + rounding:
            faults.append(f"coordinate {axis} is not uniform: steps from {steps.min():.6g} to {steps.max():.6g}")
    return faults


def _twice(dataset: xr.Dataset) -> list[str]:
    """Samples equal to an earlier one."""
    if "sample" not in dataset.dims:
        return []
    varying = {n: v for n, v in dataset.items() if "sample" in v.dims}
    inputs = {n: v for n, v in varying.items() if v.attrs.get("role") == "input"}
    chosen = [field.transpose("sample", ...).values for field in (inputs or varying).values()]
    seen: dict[bytes, int] = {}
    pairs = []
    for sample in range(dataset.sizes["sample"] if chosen else 0):
        digest = hashlib.sha256()
        for values in chosen:
            digest.update(np.ascontiguousarray(values[sample]).tobytes())
        first = seen.setdefault(digest.digest(), sample)
        if first != sample:
            pairs.append(f"{sample} is {first}")
    what = "inputs of samples" if inputs else "samples"
    return [f"{what} that occur twice: {_list(pairs)}"] if pairs else []


def _too_few(dataset: xr.Dataset, header: dict[str, Any]) -> list[str]:
    """Compare with what `make` was asked for, where it made the file."""
    text = header["provenance"].get("data")
    try:
        asked = json.loads(text)["samples"] if text else None
    except (TypeError, ValueError, KeyError):
        return ["the record of what was asked for cannot be read"]
    found = dataset.sizes.get("sample", 1)
    return [] if asked in (None, found) else [f"{found} samples, of {asked} that were asked for"]


def _count(samples: np.ndarray, total: int) -> str:
    return f"{len(samples)} of {total} samples {'is' if len(samples) == 1 else 'are'}"


def _list(entries: Any) -> str:
    shown = ", ".join(str(entry) for entry in entries[:_NAMED])
    return shown + (f" and {len(entries) - _NAMED} more" if len(entries) > _NAMED else "")


def _is_foreign(path: str | os.PathLike) -> bool:
    """Say whether a file is none of ours; one that cannot be opened may have been."""
    if not h5py.is_hdf5(path):
        return True
    try:
        with h5py.File(path, "r") as file:
            return "pdesolve_format" not in file.attrs
    except (OSError, RuntimeError):
        return False


def _check_foreign(path: str | os.PathLike) -> Findings:
    """Look through a file of another layout, some samples at a time."""
    try:
        file = read_data(path)
        return Findings(_described(file), _faults(file))
    except PdesolveError as error:
        return Findings([], [str(error).removeprefix(f"{path}: ")])


def _described(file: DataFile) -> list[str]:
    lines = [f"{file.path}: layout {file.layout}, {file.samples} samples"]
    lines += [f"  {name} = {value}" for name, value in file.parameters.items()]
    axes = ", ".join(f"{axis} {len(points)}" for axis, points in file.space.items())
    for variable in file.variables:
        time = f"time {len(file.times)}, " if variable.in_time else ""
        lines.append(f"  {variable.name} (sample {file.samples}, {time}{axes}), {variable.role}")
    coordinates = {"time": file.times, **file.space} if len(file.times) > 1 else file.space
    return lines + [f"  {axis}: {len(p)} from {p[0]:.6g} to {p[-1]:.6g}" for axis, p in coordinates.items()]


def _faults(file: DataFile) -> list[str]:
    """Samples that are not finite, and samples that give the same as an earlier one."""
    wrong: dict[str, list[int]] = {variable.name: [] for variable in file.variables}
    given = [v for v in file.variables if v.role == "input"] or list(file.variables)
    seen: dict[bytes, int] = {}
    pairs = []
    for start in range(0, file.samples, _BLOCK):
        stop = min(start + _BLOCK, file.samples)
        values = {variable.name: file.load(variable.name, start, stop) for variable in file.variables}
        for name, block in values.items():
            wrong[name] += (start + not_finite(block)).tolist()
        for sample, digest in enumerate(sample_digests(*(values[v.name] for v in given)), start=start):
            if (first := seen.setdefault(digest, sample)) != sample:
                pairs.append(f"{sample} is {first}")
    faults = [f"{n}: {_count(np.array(s), file.samples)} not finite: {_list(s)}" for n, s in wrong.items() if s]
    what = "inputs of samples" if any(v.role == "input" for v in given) else "samples"
    return faults + ([f"{what} that occur twice: {_list(pairs)}"] if pairs else [])
