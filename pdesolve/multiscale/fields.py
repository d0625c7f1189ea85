"""Fields of a solved structure, and of the micro models at chosen points of it, as datasets on points."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from ..errors import PdesolveError
from .macro import MacroAnswer
from .micro import MicroModel

__all__ = ["gauss_fields", "macro_fields", "micro_fields"]

_COMPONENTS = ("xx", "yy", "xy")


def macro_fields(answer: MacroAnswer) -> xr.Dataset:
    """Return displacements and smoothed stresses at the vertices of the mesh.

    Displacements u, v are those of the finite elements; stresses are the piecewise (bi)linear functions nearest to
    the values at the Gauss points.
    """
    body = answer.discretisation
    u = body.at_vertices(answer.displacements)
    stresses = body.smoothed(answer.stresses)
    kind = "triangle" if body.element == "triangle6" else "quad"
    return xr.Dataset(
        {
            "points": (("point", "axis"), body.mesh.p.T.copy()),
            "cells": (("cell", "vertex"), body.mesh.t.T.astype(np.int64), {"cell_type": kind}),
            "u": ("point", u[:, 0].copy(), {"units": "mm"}),
            "v": ("point", u[:, 1].copy(), {"units": "mm"}),
            **_by_component("stress", stresses, "MPa"),
        }
    )


def gauss_fields(answer: MacroAnswer) -> xr.Dataset:
    """Return strains (engineering shear) and stresses where they are computed, and where the model extrapolates."""
    return xr.Dataset(
        {
            "points": (("point", "axis"), answer.discretisation.gauss_points),
            **_by_component("strain", answer.strains, "1"),
            **_by_component("stress", answer.stresses, "MPa"),
            "outside": ("point", answer.outside.astype(float), {"units": "1"}),
        }
    )


def micro_fields(answer: MacroAnswer, micro: MicroModel, index: int, cell: Any = None) -> xr.Dataset:
    """Return the fields inside the micro model at the Gauss point of that number.

    Args:
        answer: A solved structure.
        micro: Its material: one with `fields(strain)`, which are on a mesh, or with `micro_fields(strain)`, arrays by
            name at the Gauss points of the unit cell it was trained on.
        index: Number of the Gauss point of the structure.
        cell: That unit cell, for `micro_fields`; an object with `gauss_points`, shape `(n, 2)`.

    Raises:
        PdesolveError: If there is no such point, the micro model has no fields of its own, or they do not fit the cell.
    """
    n = len(answer.strains)
    if not 0 <= index < n:
        raise PdesolveError(f"there are Gauss points 0 to {n - 1}, got {index}.")
    strain, at = answer.strains[index], answer.discretisation.gauss_points[index]
    if hasattr(micro, "fields"):
        found = micro.fields(strain)  # pyright: ignore[reportAttributeAccessIssue]
    elif not hasattr(micro, "micro_fields"):
        raise PdesolveError(f"micro model {type(micro).__name__} has no fields of its own: leave out `recover`.")
    elif cell is None:
        raise PdesolveError(
            f"micro model {type(micro).__name__} does not know where its fields are: name the unit cell it was trained "
            "on by `cell`, e.g. `rve1`."
        )
    else:
        found = _on_points(micro.micro_fields(strain), cell.gauss_points)  # pyright: ignore[reportAttributeAccessIssue]
    return found.assign_attrs({**found.attrs, "gauss_point": index, "gauss_x": float(at[0]), "gauss_y": float(at[1])})


def _on_points(fields: Mapping[str, Any], points: Float[np.ndarray, "n 2"]) -> xr.Dataset:
    """Return the fields that have three components at each point of a cell; others are left out."""
    arrays = {name: np.asarray(values) for name, values in fields.items()}
    chosen = {name: values for name, values in arrays.items() if values.shape == (len(points), 3)}
    if not chosen:
        shapes = {name: values.shape for name, values in arrays.items()}
        raise PdesolveError(f"no field of the micro model belongs to the {len(points)} points of the cell: {shapes}.")
    variables = {}
    for name, values in chosen.items():
        variables |= _by_component(name, values, "1" if name == "strain" else "MPa")
    return xr.Dataset({"points": (("point", "axis"), points), **variables})


def _by_component(name: str, values: np.ndarray, units: str) -> dict[str, xr.Variable]:
    return {
        f"{name}_{component}": xr.Variable("point", values[:, k].copy(), {"units": units})
        for k, component in enumerate(_COMPONENTS)
    }
