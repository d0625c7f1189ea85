"""What a file holds, for people: fields with their ranges, the grid, errors, where it comes from."""

import os
from typing import Any

import numpy as np
import xarray as xr

from .hdf5 import read

__all__ = ["describe", "to_lines"]


def describe(path: str | os.PathLike) -> dict[str, Any]:
    """Summarise a pdesolve file.

    Returns:
        `name`, `layout`, `attributes` (status, errors, ...), `parameters`, `provenance`, `has_model`,
        `coordinates` ({axis: size, first, last, units, staggering}), `fields` ({name: dims, shape, dtype,
        minimum, maximum, units, role, masked, not_finite}), and for grids `boundary`. `masked` counts values
        outside the domain, `not_finite` those inside that are not numbers: a file in good order has none.

    Raises:
        PdesolveError: If the file is missing, damaged, or not a pdesolve file.
    """
    dataset, header = read(path)
    mask = dataset.get("mask")
    return {
        "path": os.fspath(path),
        "bytes": os.path.getsize(path),
        **header,
        "attributes": dict(dataset.attrs),
        "coordinates": {str(n): _coordinate(dataset[n]) for n in dataset.coords},
        "fields": {str(n): _field(v, mask) for n, v in dataset.items() if n not in ("points", "cells", "mask")},
    }


def _coordinate(values: xr.DataArray) -> dict[str, Any]:
    data = values.values
    return {"size": data.size, "first": data.flat[0].item(), "last": data.flat[-1].item(), **values.attrs}


def _field(field: xr.DataArray, mask: xr.DataArray | None) -> dict[str, Any]:
    outside = np.zeros(field.shape, bool)
    if mask is not None and set(mask.dims) <= set(field.dims):
        outside = ~mask.broadcast_like(field).transpose(*field.dims).values
    finite = np.isfinite(field.values)
    inside = field.values[finite]
    return {
        "dims": list(map(str, field.dims)),
        "shape": list(field.shape),
        "dtype": str(field.dtype),
        "minimum": inside.min().item() if inside.size else None,
        "maximum": inside.max().item() if inside.size else None,
        "units": field.attrs.get("units", ""),
        "role": field.attrs.get("role", "solution"),
        "masked": int(outside.sum()),
        "not_finite": int((~finite & ~outside).sum()),
    }


def to_lines(description: dict[str, Any]) -> list[str]:
    """Lay a description out as lines of text."""
    d = description
    lines = [f"{d['path']}: {d['name']}, {d['layout']}, {d['bytes'] / 1e6:.3g} MB"]
    lines += [f"  {key} = {value}" for key, value in d["parameters"].items()]
    lines += ["fields"]
    lines += [f"  {_field_line(name, field)}" for name, field in d["fields"].items()]
    lines += ["coordinates"] if d["coordinates"] else []
    for name, c in d["coordinates"].items():
        extra = ", ".join(str(c[k]) for k in ("units", "staggering") if c.get(k))
        lines.append(f"  {name}: {c['size']} from {_short(c['first'])} to {_short(c['last'])}{extra and f' ({extra})'}")
    for entry in d.get("boundary", []):
        lines.append(f"  {entry['name']}: {entry['kind']} in {', '.join(entry['dims'])}")
    for title in ("attributes", "provenance"):
        lines += [title] if d[title] else []
        lines += [f"  {key}: {value}" for key, value in d[title].items()]
    return [*lines, f"model: {'stored' if d['has_model'] else 'none'}"]


def _field_line(name: str, field: dict[str, Any]) -> str:
    shape = ", ".join(f"{n} {size}" for n, size in zip(field["dims"], field["shape"], strict=True))
    line = f"{name} ({shape}) {field['dtype']} in [{_short(field['minimum'])}, {_short(field['maximum'])}]"
    line += f" {field['units']}" if field["units"] else ""
    line += f", {field['role']}" if field["role"] != "solution" else ""
    line += f", {field['masked']} outside the domain" if field["masked"] else ""
    return line + (f", {field['not_finite']} NOT FINITE" if field["not_finite"] else "")


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else str(value)
