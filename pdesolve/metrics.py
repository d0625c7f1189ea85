r"""Errors of a computed field against a reference, in named norms over the points where both are given.

With $e_i = u_i - r_i$ at $n$ points, values outside the domain (NaN in the reference) left out:

- relative L2: $\sqrt{\sum e_i^2 / \sum r_i^2}$
- relative maximum: $\max|e_i| / \max|r_i|$
- maximum: $\max|e_i|$, in the units of the field
- root mean square: $\sqrt{\sum e_i^2 / n}$, in the units of the field

All points count alike, so on a uniform grid these are the norms of the functions. A computed value that is NaN
where the reference is a number makes every norm NaN: a diverged solution has no error that could look small.

A quantity defined up to a constant, such as a pressure, is compared after its mean over the points has been
taken from both sides (`up_to_constant=True`).
"""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from .errors import PdesolveError

__all__ = ["NORMS", "errors", "max_error", "relative_l2", "relative_max", "rmse", "trivial_errors"]


def relative_l2(value: Any, reference: Any, *, up_to_constant: bool = False) -> float:
    """Relative L2 error.

    Args:
        value: The computed field, any shape; or several by name, which are pooled: squares are summed over all.
        reference: The same shape or names; NaN outside the domain.
        up_to_constant: Take the mean from each field first.

    Raises:
        PdesolveError: If shapes or names differ, no point is left, or the reference is zero everywhere.
    """
    error, scale = _differences(value, reference, up_to_constant)
    return _ratio(np.linalg.norm(error), np.linalg.norm(scale))


def relative_max(value: Any, reference: Any, *, up_to_constant: bool = False) -> float:
    """Largest error over the largest size of the reference; arguments and errors as `relative_l2`."""
    error, scale = _differences(value, reference, up_to_constant)
    return _ratio(np.abs(error).max(), np.abs(scale).max())


def max_error(value: Any, reference: Any, *, up_to_constant: bool = False) -> float:
    """Largest error, in the units of the field; arguments and errors as `relative_l2`."""
    return float(np.abs(_differences(value, reference, up_to_constant)[0]).max())


def rmse(value: Any, reference: Any, *, up_to_constant: bool = False) -> float:
    """Root mean square error, in the units of the field; arguments and errors as `relative_l2`."""
    error, _ = _differences(value, reference, up_to_constant)
    return float(np.linalg.norm(error) / math.sqrt(error.size))


NORMS: dict[str, Callable[..., float]] = {
    "relative_l2": relative_l2,
    "relative_max": relative_max,
    "max_error": max_error,
    "rmse": rmse,
}
"""Every norm by name."""


def errors(
    values: Mapping[str, Any], references: Mapping[str, Any], *, up_to_constant: Collection[str] = ()
) -> dict[str, dict[str, float]]:
    """Every norm of every field, and pooled over all of them.

    Args:
        values: The computed fields by name; names without a reference are left out.
        references: The reference fields by name.
        up_to_constant: Names of the fields that are defined up to a constant.

    Returns:
        `{"pooled": {"relative_l2": ..., ...}, "u": {...}, ...}`. A relative norm is absent where the reference
        is zero everywhere.

    Raises:
        PdesolveError: If a reference has no computed field, or shapes differ.
    """
    if missing := sorted(set(references) - set(values)):
        raise PdesolveError(f"no computed field {missing[0]!r} for the reference; fields: {', '.join(values)}.")
    pairs = {name: _pair(name, values[name], references[name], name in up_to_constant) for name in references}
    computed, expected = ({n: pair[i] for n, pair in pairs.items()} for i in (0, 1))
    groups = {"pooled": (computed, expected)} | {n: (computed[n], expected[n]) for n in pairs}
    return {name: _all_norms(*group) for name, group in groups.items()}


def trivial_errors(reference: Any, *, up_to_constant: bool = False) -> dict[str, float]:
    """Relative L2 errors of the answers that take no work: zero, and each field's mean.

    A method that does not beat both has learned nothing.
    """
    fields = _named(reference)
    zero = {name: np.zeros(np.shape(field)) for name, field in fields.items()}
    mean = {name: np.full(np.shape(field), np.nanmean(field)) for name, field in fields.items()}
    return {
        "zero": relative_l2(zero, fields, up_to_constant=up_to_constant),
        "mean": relative_l2(mean, fields, up_to_constant=up_to_constant),
    }


def _all_norms(value: Any, reference: Any) -> dict[str, float]:
    scale = _differences(value, reference, False)[1]
    names = [n for n in NORMS if scale.any() or not n.startswith("relative")]
    return {name: NORMS[name](value, reference) for name in names}


def _named(fields: Any) -> dict[str, np.ndarray]:
    """One field or several, always by name."""
    given = fields if isinstance(fields, Mapping) else {"field": fields}
    return {str(name): np.asarray(field, np.float64) for name, field in given.items()}


def _differences(value: Any, reference: Any, up_to_constant: bool) -> tuple[np.ndarray, np.ndarray]:
    """Errors and reference values at all points of all fields, flat."""
    values, references = _named(value), _named(reference)
    if set(values) != set(references):
        raise PdesolveError(f"fields differ: computed {sorted(values)}, reference {sorted(references)}.")
    pairs = [_pair(name, values[name], references[name], up_to_constant) for name in references]
    return (
        np.concatenate([computed - expected for computed, expected in pairs]),
        np.concatenate([expected for _, expected in pairs]),
    )


def _pair(name: str, value: Any, reference: Any, up_to_constant: bool) -> tuple[np.ndarray, np.ndarray]:
    """Both sides at the points of the domain, flat."""
    value, reference = np.asarray(value, np.float64), np.asarray(reference, np.float64)
    if value.shape != reference.shape:
        raise PdesolveError(f"{name}: computed shape {value.shape}, reference shape {reference.shape}.")
    inside = ~np.isnan(reference)
    if not inside.any():
        raise PdesolveError(f"{name}: the reference is NaN at every point; nothing to compare.")
    value, reference = value[inside], reference[inside]
    if up_to_constant:
        value, reference = value - value.mean(), reference - reference.mean()
    return value, reference


def _ratio(error: Any, scale: Any) -> float:
    if scale == 0:
        raise PdesolveError("a relative error needs a reference that is not zero everywhere; use max_error or rmse.")
    return float(error / scale)
