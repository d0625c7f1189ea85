"""Values of fields at some places: a linear map of the field, and errors."""

import itertools
from collections.abc import Mapping, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..errors import PdesolveError, UnknownNameError

__all__ = ["Observations", "observed"]

NOISE = "noise"
"""Column of a table with the standard deviation of the error of each row."""


class Observations(eqx.Module):
    r"""Observations $y = H u + \sigma \epsilon$ of one field u, $\epsilon$ independent and standard normal."""

    corners: Int[Array, "m corner"]
    """Numbers of the grid values, all channels in one row, between which each observation lies."""
    weights: Float[Array, "m corner"]
    """Their shares, which sum to one."""
    values: Float[Array, " m"]
    """y"""
    noise: Float[Array, " m"]
    r"""$\sigma$"""

    def predicted(self, field: Float[Array, " channel *grid"]) -> Float[Array, " m"]:
        """Return $H u$, linear between grid points."""
        return jnp.sum(self.weights * field.reshape(-1)[self.corners], axis=1)


def observed(
    table: Mapping[str, Float[np.ndarray, " row"]],
    field_names: Sequence[str],
    grid: Mapping[str, Float[np.ndarray, " n"]],
    *,
    noise: float = 0.0,
    dtype: str = "float64",
) -> Observations:
    """Return the observations of a table: each number of a column named after a field, where its row says.

    Args:
        table: Columns by name: every axis of the grid, fields (NaN where not observed), and perhaps `noise`, the
            standard deviation of the errors of a row.
        field_names: Names of the channels.
        grid: Axis name to grid values, increasing, in the order of the field's axes.
        noise: Standard deviation where the table has none, in the fields' units.
        dtype: Of what is returned.

    Raises:
        UnknownNameError: If a column is neither an axis nor a field.
        PdesolveError: If an axis or all fields are missing, a place is off the grid, or a noise is negative.
    """
    for name in table:
        if name not in (*grid, *field_names, NOISE):
            raise UnknownNameError("column of observations", name, (*grid, *field_names, NOISE))
    if missing := [axis for axis in grid if axis not in table]:
        raise PdesolveError(f"observations need a column for every axis of the grid; {', '.join(missing)} is missing.")
    deviation = np.broadcast_to(table.get(NOISE, np.asarray(noise, dtype=float)), np.shape(table[next(iter(grid))]))
    if not np.all(deviation >= 0):
        raise PdesolveError(f"the noise of observations must not be negative, got {np.min(deviation):g}.")
    corners, weights = _between(table, grid)
    size = int(np.prod([len(points) for points in grid.values()]))
    rows = {name: np.isfinite(table[name]) for name in field_names if name in table}
    if not any(chosen.any() for chosen in rows.values()):
        raise PdesolveError(f"observations hold no value of a field: give a column {' or '.join(field_names)}.")
    parts = [
        (field_names.index(name) * size + corners[chosen], weights[chosen], table[name][chosen], deviation[chosen])
        for name, chosen in rows.items()
    ]
    numbers, *rest = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Observations(jnp.asarray(numbers), *(jnp.asarray(part, dtype=dtype) for part in rest))


def _between(
    table: Mapping[str, Float[np.ndarray, " row"]], grid: Mapping[str, Float[np.ndarray, " n"]]
) -> tuple[Int[np.ndarray, "row corner"], Float[np.ndarray, "row corner"]]:
    """Return the corners of the cells in which the places lie, as numbers of one channel, and their weights."""
    below, shares = [], []
    for axis, points in grid.items():
        place, span = table[axis], points[-1] - points[0]
        outside = ~((place >= points[0] - 1e-6 * span) & (place <= points[-1] + 1e-6 * span))
        if outside.any():
            raise PdesolveError(
                f"observations must lie on the grid, {axis} from {points[0]:g} to {points[-1]:g}; got "
                f"{place[outside][0]:g}."
            )
        first = np.clip(np.searchsorted(points, place, side="right") - 1, 0, len(points) - 2)
        below.append(first)
        shares.append(np.clip((place - points[first]) / (points[first + 1] - points[first]), 0.0, 1.0))
    shape = [len(points) for points in grid.values()]
    corners, weights = [], []
    for corner in itertools.product((0, 1), repeat=len(shape)):
        indices = [first + step for first, step in zip(below, corner, strict=True)]
        corners.append(np.ravel_multi_index(indices, shape))
        parts = [share if step else 1.0 - share for share, step in zip(shares, corner, strict=True)]
        weights.append(np.prod(parts, axis=0))
    return np.stack(corners, axis=1), np.stack(weights, axis=1)
