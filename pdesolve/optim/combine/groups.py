"""Which loss terms count as one loss to a combination rule."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from ...errors import UnknownNameError

__all__ = ["group_terms"]


def group_terms(names: Sequence[str], patterns: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Return the names in groups: each joins the first group of which it matches a pattern, the rest form a last one.

    `[["momentum_*", "mass"]]` makes one loss of all equations, and one of all conditions.

    Args:
        names: Names of the terms.
        patterns: Names or shell patterns (`*`, `?`) of each group.

    Raises:
        UnknownNameError: If a pattern matches no name, or none that an earlier group has left.
    """
    left, groups = list(names), []
    for group in patterns:
        for pattern in group:
            if not any(fnmatchcase(name, pattern) for name in left):
                raise UnknownNameError("term of a group", pattern, left)
        groups.append(tuple(name for name in left if any(fnmatchcase(name, pattern) for pattern in group)))
        left = [name for name in left if name not in groups[-1]]
    return (*groups, tuple(left)) if left else tuple(groups)
