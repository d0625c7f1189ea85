"""What both layouts of a pdesolve file share: identification, attributes, provenance and the stored model."""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import PdesolveError

FORMAT = 1
"""Version of the file layout, the root attribute `pdesolve_format`."""

Stored = Any
"""A file, group or dataset. What h5py finds under a name may be any of them, which no type checker can tell."""

STRINGS = h5py.string_dtype()


@contextlib.contextmanager
def opened(path: str | os.PathLike) -> Iterator[Stored]:
    """Open a pdesolve file for reading; whatever is wrong with it becomes one readable error.

    Raises:
        PdesolveError: If the file is missing, not HDF5, truncated, written by something else, or lacks a part.
    """
    if not Path(path).is_file():
        raise PdesolveError(f"{path}: no such file.")
    try:
        if not h5py.is_hdf5(path):
            with open(path, "rb") as raw:
                raise PdesolveError(f"{path}: not an HDF5 file (it begins with {raw.read(8)!r}).")
        with h5py.File(path, "r") as file:
            _identify(path, file)
            yield file
    except (OSError, RuntimeError) as error:
        raise PdesolveError(f"{path}: cannot be read; the file is truncated, damaged or locked ({error}).") from error
    except KeyError as error:
        raise PdesolveError(f"{path}: a pdesolve file with a part missing: {error.args[0]}.") from error


def _identify(path: str | os.PathLike, file: Stored) -> None:
    if "pdesolve_format" not in file.attrs:
        found = ", ".join(sorted(file)) or "none"
        raise PdesolveError(
            f"{path}: not a pdesolve file: no attribute 'pdesolve_format'; groups and datasets found: {found}."
        )
    if (version := int(file.attrs["pdesolve_format"])) > FORMAT:
        raise PdesolveError(f"{path}: written in format {version} by a newer pdesolve; this one reads up to {FORMAT}.")


def string_list(values: Iterable[Any]) -> np.ndarray:
    """Strings as HDF5 stores a list of them; also right for an empty list."""
    return np.array(list(values), dtype=STRINGS)


def write_attributes(target: Stored, attributes: Mapping[str, Any]) -> None:
    """Store attributes; nested values become JSON text, listed in the attribute `json_attributes`."""
    encoded = []
    for key, value in attributes.items():
        plain = _plain(value)
        if plain is None:
            encoded.append(key)
        target.attrs[key] = json.dumps(value, default=_jsonable) if plain is None else plain
    if encoded:
        target.attrs["json_attributes"] = string_list(encoded)


def read_attributes(source: Stored) -> dict[str, Any]:
    """The inverse of `write_attributes`, less what HDF5 and netCDF keep for themselves."""
    encoded = set(source.attrs.get("json_attributes", ()))
    hidden = {"json_attributes", "CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "_Netcdf4Dimid"}
    return {
        key: json.loads(value) if key in encoded else native(value)
        for key, value in source.attrs.items()
        if key not in hidden
    }


def _plain(value: Any) -> Any:
    """`value` as HDF5 can store it, or None if it is nested."""
    if isinstance(value, str | bool | int | float | np.generic):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return value
    if isinstance(value, list | tuple) and value:
        if all(isinstance(v, str) for v in value):
            return string_list(value)
        if all(isinstance(v, int | float | np.number) for v in value):
            return np.asarray(value)
    return None


def _jsonable(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def native(value: Any) -> Any:
    """An attribute as Python or NumPy data: h5py's strings and scalars unwrapped."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return [native(v) for v in value]
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value


def write_provenance(file: Stored, provenance: Mapping[str, Any]) -> None:
    """Store where the file comes from in the group `provenance`.

    Strings and numbers are attributes; anything nested, such as the configuration, is a dataset of JSON text
    (HDF5 limits an attribute to 64 kB).
    """
    group = file.create_group("provenance")
    for key, value in provenance.items():
        if _plain(value) is None or (isinstance(value, str) and len(value) > 16_000):
            group[key] = json.dumps(value, default=_jsonable)
        else:
            group.attrs[key] = _plain(value)


def read_provenance(file: Stored) -> dict[str, Any]:
    """The inverse of `write_provenance`."""
    group = file["provenance"]
    return read_attributes(group) | {key: json.loads(item.asstr()[()]) for key, item in group.items()}


def write_model(file: Stored, model: bytes | None, header: Mapping[str, Any] | None) -> None:
    """Store serialised leaves as bytes in `model/leaves` and their description as JSON in `model/header`."""
    if model is None:
        return
    group = file.create_group("model")
    group["leaves"] = np.frombuffer(model, np.uint8)
    group["header"] = json.dumps(dict(header or {}), default=_jsonable)


def write_root(
    file: Stored, *, layout: str, name: str, dims: int, samples: int, parameters: Mapping[str, float]
) -> None:
    """Identify the file; these are The Well's root attributes and our two."""
    file.attrs["pdesolve_format"] = FORMAT
    file.attrs["pdesolve_layout"] = layout
    file.attrs["dataset_name"] = name
    file.attrs["grid_type"] = "cartesian" if layout == "grid" else "unstructured"
    file.attrs["n_spatial_dims"] = dims
    file.attrs["n_trajectories"] = samples
    file.attrs["simulation_parameters"] = string_list(parameters)
    for key, value in parameters.items():
        file.attrs[key] = float(value)


def root_names(file: Stored) -> set[str]:
    """Names of the root attributes that `write_root` wrote; the others are the dataset's own."""
    fixed = {"pdesolve_format", "pdesolve_layout", "dataset_name", "grid_type", "n_spatial_dims"}
    return fixed | {"n_trajectories", "simulation_parameters", *file.attrs["simulation_parameters"]}


def read_header(file: Stored) -> dict[str, Any]:
    """What a file says of itself: `name`, `layout`, `parameters`, `provenance`, `has_model`."""
    return {
        "name": file.attrs["dataset_name"],
        "layout": file.attrs["pdesolve_layout"],
        "parameters": {key: float(file.attrs[key]) for key in file.attrs["simulation_parameters"]},
        "provenance": read_provenance(file),
        "has_model": "model" in file,
    }
