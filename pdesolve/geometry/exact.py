r"""Conditions that are met exactly on any boundary: functions that vanish on parts of it, and values given there.

With $\varphi = 0$ on the parts and g equal to the values there, $u = g + \varphi N$ meets Dirichlet conditions
whatever the network N.

References:
    Sukumar, Srivastava, Comput. Methods Appl. Mech. Engrg. 389 (2022) 114333.
"""

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import PdesolveError
from ._arrays import namespace
from ._rfunctions import join
from .domain import TEMPORAL_PARTS, AbstractDomain

__all__ = ["distance", "transfinite"]


def distance(domain: AbstractDomain, parts: str | Sequence[str] = "boundary") -> Callable[[Any], Any]:
    r"""Return an approximate distance function $\varphi$ to parts of a boundary.

    It is zero on the parts, positive elsewhere in the domain, with slope 1 along the inward normal, and smooth: what
    an exact distance is not, at points with several nearest ones. Where parts end or meet, its second derivatives are
    infinite. Where two boundaries of a `Union` coincide, the slope is another constant.

    Args:
        domain: The domain.
        parts: A part, or several; `"boundary"` is all of them but the first and the last time.

    Returns:
        A pointwise function of `at`, for a problem's `transform`: it reads the domain's coordinates.

    Raises:
        UnknownNameError: If there is no such part.
        PdesolveError: If no part is given, or the domain has no such function.
    """
    names = [parts] if isinstance(parts, str) else list(parts)
    if not names:
        raise PdesolveError("expected at least one boundary part, got none.")
    for name in names:
        if name != "boundary":
            domain.check_part(name)
    spatial = [part for part in domain.boundary_parts if part not in TEMPORAL_PARTS]
    chosen = dict.fromkeys(part for name in names for part in (spatial if name == "boundary" else [name]))

    def phi(at: Any) -> Any:
        point = _point(domain, at)
        return join(domain.part_distance(part, point) for part in chosen)

    return phi


def transfinite(domain: AbstractDomain, values: Mapping[str, float | Callable[[Any], Any]]) -> Callable[[Any], Any]:
    r"""Return a function g with given values on boundary parts, smooth in between.

    $$g = \frac{\sum_i g_i / \varphi_i}{\sum_i 1 / \varphi_i},$$

    with the distances $\varphi_i$ of the parts. Values that differ where parts meet make it jump there.

    Args:
        domain: The domain.
        values: Part to a number, or a pointwise function of `at` that is finite in the whole domain.

    Returns:
        A pointwise function of `at`.

    Raises:
        UnknownNameError: If there is no such part.
        PdesolveError: If no part is given, or the domain has no distance functions.
    """
    if not values:
        raise PdesolveError("expected a value for at least one boundary part, got none.")
    distances = [distance(domain, part) for part in values]

    def g(at: Any) -> Any:
        phi = [each(at) for each in distances]
        # Products of the others, and not reciprocals, which are infinite on the parts.
        weights = [functools.reduce(operator.mul, phi[:i] + phi[i + 1 :], 1.0) for i in range(len(phi))]
        given = [value(at) if callable(value) else value for value in values.values()]
        return sum(w * v for w, v in zip(weights, given, strict=True)) / sum(weights)

    return g


def _point(domain: AbstractDomain, at: Any) -> Any:
    """Return the coordinates as the last axis of an array."""
    values = [getattr(at, name) for name in domain.coordinates]
    return namespace(values[0]).stack(values, axis=-1)
