"""A solution beside its reference, on the grid where it is stored."""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from .errors import PdesolveError
from .metrics import errors, relative_l2, trivial_errors
from .problem import AbstractProblem, Points, Values, comparison_points, grid_points

__all__ = ["Comparison"]


class Comparison:
    """The evaluation grid of a problem and the points of comparison, with the reference there if there is one.

    Args:
        problem: The problem.
        grid: Coordinate name to values, as from `evaluation_grid`.
    """

    def __init__(self, problem: AbstractProblem, grid: dict[str, np.ndarray]):
        self.problem = problem
        self.grid = grid
        every = grid_points(self.grid)
        self.inside = problem.domain().contains(every)
        self.stored: Points = every[self.inside]
        self.points: Points = comparison_points(problem, grid)
        self.reference = problem.reference()
        self.expected: Values | None = None if self.reference is None else self.reference.evaluate(self.points)
        if self.expected is not None and not any(np.any(values) for values in self.expected.values()):
            raise PdesolveError(
                f"the reference of {type(problem).__name__} is zero everywhere, and a relative error has no meaning. "
                "Leave `reference` out, or choose other data."
            )

    def errors(self, values: Values) -> dict[str, float]:
        """Return `relative_l2` and `max_error`, pooled over fields and by field (`relative_l2/u`); {} if unverified."""
        if self.expected is None:
            return {}
        table = errors(values, self.expected, up_to_constant=self.problem.up_to_constant())
        pooled = {name: table["pooled"][name] for name in ("relative_l2", "max_error")}
        if len(self.problem.field_names) == 1:
            return pooled
        by_field = {
            f"{norm}/{field}": table[field][norm]
            for field in self.problem.field_names
            for norm in ("relative_l2", "max_error")
            if norm in table[field]
        }
        return pooled | by_field

    def verdict(self, values: Values) -> dict[str, Any]:
        """Return errors with what they are to be held against: the trivial predictors and the reference's own error."""
        if self.expected is None or self.reference is None:
            return {"relative_l2": None, "max_error": None, "reference_error": None, "trivial_error": None}
        free = self.problem.up_to_constant()
        centred = {name: v - v.mean() if name in free else v for name, v in self.expected.items()}
        regions = {
            f"relative_l2 where {name}": relative_l2(*_chosen(inside(self.points), values, self.expected))
            for name, inside in self.problem.error_regions().items()
        }
        return {
            **self.errors(values),
            **({"measures": regions} if regions else {}),
            "reference_error": self.reference.error_bound,
            "reference": self.reference.description,
            "trivial_error": trivial_errors(centred),
        }

    def dataset(self, evaluate: Callable[[Points], Values]) -> xr.Dataset:
        """Return the fields on the grid, with `NAME_reference` beside where there is one.

        Where the domain does not fill the grid, fields are NaN outside, and `mask` is true inside.
        """
        values = evaluate(self.stored)
        fields = {name: values[name] for name in self.problem.field_names}
        if self.reference is not None:
            same = np.array_equal(self.points, self.stored)
            expected = self.expected if same and self.expected else self.reference.evaluate(self.stored)
            fields |= {f"{name}_reference": expected[name] for name in self.problem.field_names}
        # Axes of one point are not stored as axes: a section has fewer dimensions.
        held = {axis: float(values[0]) for axis, values in self.grid.items() if len(values) == 1}
        grid = {axis: values for axis, values in self.grid.items() if axis not in held}
        names = ["time" if axis == "t" else axis for axis in grid]
        order = ["time"] * ("time" in names) + [name for name in names if name != "time"]
        units = self.problem.units()
        coords = {
            name: (name, axis, {"units": units.get(key, "1")})
            for name, (key, axis) in zip(names, grid.items(), strict=True)
        }
        arrays, shape = {}, [len(axis) for axis in grid.values()]
        for name, flat in fields.items():
            array = np.full(self.inside.shape, np.nan, dtype=flat.dtype)
            array[self.inside] = flat
            unit = units.get(name.removesuffix("_reference"), "1")
            arrays[name] = xr.DataArray(array.reshape(shape), dims=names, attrs={"units": unit}).transpose(*order)
        if not self.inside.all():
            inside = xr.DataArray(self.inside.reshape(shape), dims=names)
            # The domain does not change in time.
            arrays["mask"] = inside.isel(time=0, drop=True) if "time" in names else inside
        return xr.Dataset(arrays, coords=coords, attrs={f"section_{axis}": value for axis, value in held.items()})


def _chosen(inside: np.ndarray, *parts: Values) -> list[Values]:
    return [{name: values[inside] for name, values in part.items()} for part in parts]
