"""Errors a user can act on: what was given, what is accepted, the nearest valid name."""

import difflib
from collections.abc import Iterable

__all__ = ["PdesolveError", "UnknownNameError", "nearest"]


class PdesolveError(ValueError):
    """Wrong input. The command line prints the message without a traceback and exits with code 2."""


class UnknownNameError(PdesolveError):
    """A name that is not registered.

    Args:
        kind: What was asked for, e.g. `"problem"`.
        name: The name given.
        known: The names that exist.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]):
        known = sorted(known)
        super().__init__(f"unknown {kind} {name!r}.{nearest(name, known)} Known: {', '.join(known)}.")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the known name closest to `name`, or `""` if none is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
