"""R-functions: smooth functions that vanish on parts of a boundary, made of those of simpler parts.

Each is zero on its part with slope 1 along the inward normal (it is *normalised*), and so are combinations, away from
the places where parts meet. Arguments are arrays of values at points, for NumPy and JAX alike.

References:
    Rvachev, Sheiko, Appl. Mech. Rev. 48 (1995) 151-188.
    Sukumar, Srivastava, Comput. Methods Appl. Mech. Engrg. 389 (2022) 114333.
"""

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np

from ._arrays import namespace, norm

__all__ = ["conjunction", "inside_interval", "join", "magnitude", "trim"]


def magnitude(f: Any, length: float) -> Any:
    """Return |f|, but f itself, of slope 1, where its negative values are round-off of coordinates up to `length`."""
    return namespace(f).where(f >= -_round_off(f, length), f, -f)


def join(functions: Iterable[Any]) -> Any:
    r"""Combine functions that are not negative to one that vanishes where any of them does: $1 / \sum_i 1 / f_i$."""
    return functools.reduce(_join, functions)


def _join(f: Any, g: Any) -> Any:
    # A quotient, and not a sum of reciprocals, is finite with its derivatives where one of them vanishes.
    xp, total = namespace(f), f + g
    return xp.where(total == 0, 0.0, f * g / xp.where(total == 0, 1.0, total))


def conjunction(functions: Iterable[Any]) -> Any:
    r"""Combine functions to one that is positive where all of them are: $f + g - \sqrt{f^2 + g^2}$ of each two."""
    return functools.reduce(lambda f, g: f + g - norm(namespace(f).stack([f, g], axis=-1)), functions)


def inside_interval(x: Any, low: float, high: float) -> Any:
    """Return a function that is positive between `low` and `high`, of slope 1 at both."""
    return (x - low) * (high - x) / (high - low)


def trim(f: Any, t: Any, length: float) -> Any:
    r"""Restrict the zeros of f, which is not negative, to the region $t \ge 0$.

    $$\varphi = \sqrt{f^2 + \tfrac14 (\Phi - t)^2}, \quad \Phi = \sqrt{t^2 + f^4},$$

    which is f to third order where t > 0, and positive where t < 0.
    """
    xp = namespace(f)
    root = norm(xp.stack([t, f * f], axis=-1))
    # Two forms: on the part the first loses no digits, and unlike a root of squares it has the slope 1 at f = 0.
    within = t >= -_round_off(f, length)
    excess = f**3 / (2 * xp.where(within & (root + t > 0), root + t, 1.0))
    beyond = norm(xp.stack([f, (root - t) / 2], axis=-1))
    return xp.where(within, f * xp.sqrt(1 + excess**2), beyond)


def _round_off(f: Any, length: float) -> float:
    return 64 * float(np.finfo(f.dtype).eps) * length
