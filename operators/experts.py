"""Blocks of a grid, one for each expert."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Float, Int

from pdesolve.errors import PdesolveError

__all__ = ["assemble", "centres", "chosen_points", "partition"]


def partition(v: Float[Array, "*lead_and_grid"], blocks: Sequence[int]) -> Float[Array, " expert *lead_and_block"]:
    """Return the equal blocks of a grid, without overlap, first axis the blocks: the axis to spread over devices.

    Args:
        v: Its last axes are the grid.
        blocks: How many blocks there are along each axis of the grid.

    Raises:
        PdesolveError: If an axis cannot be cut into as many equal parts.
    """
    dims = len(blocks)
    lead, grid = v.shape[: v.ndim - dims], v.shape[v.ndim - dims :]
    sizes = _sizes(grid, blocks)
    v = v.reshape(*lead, *(n for pair in zip(blocks, sizes, strict=True) for n in pair))
    start = len(lead)
    order = (*range(start, v.ndim, 2), *range(start), *range(start + 1, v.ndim, 2))
    return v.transpose(order).reshape(math.prod(blocks), *lead, *sizes)


def assemble(parts: Float[Array, " expert *lead_and_block"], blocks: Sequence[int]) -> Float[Array, "*lead_and_grid"]:
    """Return the array of which `partition` makes these blocks."""
    dims = len(blocks)
    lead, sizes = parts.shape[1 : parts.ndim - dims], parts.shape[parts.ndim - dims :]
    v = parts.reshape(*blocks, *lead, *sizes)
    after = dims + len(lead)
    order = (*range(dims, after), *(axis for i in range(dims) for axis in (i, after + i)))
    return v.transpose(order).reshape(*lead, *(k * n for k, n in zip(blocks, sizes, strict=True)))


def chosen_points(total: int, count: int) -> Int[np.ndarray, " chosen"]:
    """Return the numbers of points at which equations are imposed: all if `count` is 0, else that many, drawn once.

    They depend on nothing but the two numbers, so that they are the same in every block, step and process.

    Raises:
        PdesolveError: If there are not as many.
    """
    if count > total:
        raise PdesolveError(f"`points` must be at most the {total} points of an expert's block, got {count}.")
    if count in (0, total):
        return np.arange(total)
    return np.sort(np.random.default_rng(total).choice(total, count, replace=False))


def centres(grid: Sequence[int], blocks: Sequence[int]) -> Float[np.ndarray, "expert dims *grid"]:
    """Return for every expert the distance along each axis to the centre of its block, in blocks."""
    positions = np.meshgrid(*[(np.arange(n) + 0.5) / n * k for n, k in zip(grid, blocks, strict=True)], indexing="ij")
    middles = np.stack(np.meshgrid(*[np.arange(k) + 0.5 for k in blocks], indexing="ij")).reshape(len(blocks), -1)
    return np.stack(positions)[None] - middles.T.reshape(-1, len(blocks), *[1] * len(grid))


def _sizes(grid: tuple[int, ...], blocks: Sequence[int]) -> list[int]:
    if len(grid) != len(blocks) or any(n % k for n, k in zip(grid, blocks, strict=True)):
        raise PdesolveError(f"blocks need points that are multiples of {tuple(blocks)} along the axes; got {grid}.")
    return [n // k for n, k in zip(grid, blocks, strict=True)]
