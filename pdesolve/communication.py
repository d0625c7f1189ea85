"""What a program sends between devices, counted in its compiled text."""

import dataclasses
import math
import re

__all__ = ["Traffic", "traffic"]

_BYTES = {"pred": 1, "bf16": 2, "c64": 8, "c128": 16}
"""Bytes of the types whose names do not end with their bits."""
_COLLECTIVE = re.compile(
    r"= (?P<shape>\(.*?\)|\S+) (?P<kind>all-reduce|all-gather|reduce-scatter|collective-permute|all-to-all)"
    r"(?:-start)?\("
)
_ARRAY = re.compile(r"([a-z]+\d*)\[([\d,]*)\]")


@dataclasses.dataclass(frozen=True)
class Traffic:
    """Collective operations of one kind.

    Attributes:
        kind: `all-reduce` (a sum on every device), `all-gather` and others.
        count: Operations.
        size: Bytes of their results on one device.
    """

    kind: str
    count: int
    size: int


def traffic(text: str) -> tuple[Traffic, ...]:
    """Return the collective operations that a compiled program states, by kind; one in a loop is stated once.

    Args:
        text: HLO, as `Compiled.as_text()` gives it.
    """
    found: dict[str, list[int]] = {}
    for match in _COLLECTIVE.finditer(text):
        sizes = [_size(*array) for array in _ARRAY.findall(match["shape"])]
        found.setdefault(match["kind"], []).append(sum(sizes))
    return tuple(Traffic(kind, len(sizes), sum(sizes)) for kind, sizes in sorted(found.items()))


def _size(dtype: str, shape: str) -> int:
    bits = re.search(r"\d+$", dtype)
    each = _BYTES[dtype] if dtype in _BYTES else int(bits[0]) // 8 if bits else 1
    return each * math.prod(int(n) for n in shape.split(",") if n)
