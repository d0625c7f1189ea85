"""Graphs of scattered points: who hears from whom."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int
from scipy.spatial import cKDTree

from pdesolve.errors import PdesolveError

from .operator import per_axis

__all__ = ["Graph", "edge_graph", "nearest_neighbours"]


class Graph(eqx.Module):
    """Scattered points, each with a list of neighbours from which it hears.

    Lists are as long as the longest one, so that shapes depend on numbers only. What the mask leaves out is padding.
    `nearest_neighbours` and `edge_graph` make such graphs.
    """

    points: Float[Array, "n dims"]
    """In units of the domain's lengths; within [0, 1) along periodic axes."""
    neighbours: Int[Array, "n k"]
    mask: Bool[Array, "n k"]
    """Whether an entry is a neighbour."""
    relative: Float[Array, "n k dims"]
    """A point minus its neighbour, the shorter way around along periodic axes."""


def nearest_neighbours(points: ArrayLike, num_neighbours: int, *, periodic: bool | Sequence[bool] = False) -> Graph:
    """Return the graph in which every point hears from those nearest to it.

    Args:
        points: `(n, dims)`, in units of the domain's lengths.
        num_neighbours: Of every point, itself not counted; less than n.
        periodic: Whether 0 and 1 are the same place: one answer for all axes, or one for each.

    Raises:
        PdesolveError: If points are no such array, or fewer than asked for.
    """
    points, around = _wrapped(points, periodic)
    if not 1 <= num_neighbours < len(points):
        raise PdesolveError(
            f"`num_neighbours` must be at least 1 and less than the number of points, {len(points)}; "
            f"got {num_neighbours}."
        )
    # A box of length 0 is none.
    tree = cKDTree(points, boxsize=around.astype(float))
    _, found = tree.query(points, k=num_neighbours + 1)
    own = found == np.arange(len(points))[:, None]
    # Where many points share a place, a point may be missing among those nearest to itself.
    own[~own.any(axis=1), -1] = True
    neighbours = found[~own].reshape(len(points), num_neighbours)
    return _graph(points, neighbours, np.ones(neighbours.shape, bool), around)


def edge_graph(points: ArrayLike, edges: ArrayLike, *, periodic: bool | Sequence[bool] = False) -> Graph:
    """Return the graph with given edges, such as those of a mesh.

    Args:
        points: `(n, dims)`, in units of the domain's lengths.
        edges: `(m, 2)`: for every pair (i, j) point i hears from point j. Both directions where both are wanted.
        periodic: Whether 0 and 1 are the same place: one answer for all axes, or one for each.

    Raises:
        PdesolveError: If points or edges are no such arrays, or edges name points that there are not.
    """
    points, around = _wrapped(points, periodic)
    edges, n = np.asarray(edges), len(points)
    if edges.ndim != 2 or edges.shape[1] != 2 or not np.issubdtype(edges.dtype, np.integer):
        raise PdesolveError(f"`edges` must be integers of shape (m, 2); got {edges.dtype} of shape {edges.shape}.")
    if edges.size and not (0 <= edges.min() and edges.max() < n):
        raise PdesolveError(f"edges of {n} points are between 0 and {n - 1}; got {edges.min()} to {edges.max()}.")
    receivers, senders = edges[np.argsort(edges[:, 0], kind="stable")].T
    counts = np.bincount(receivers, minlength=n)
    slots = np.arange(len(edges)) - np.repeat(np.cumsum(counts) - counts, counts)
    neighbours = np.repeat(np.arange(n)[:, None], max(1, counts.max()), axis=1)
    mask = np.zeros(neighbours.shape, bool)
    neighbours[receivers, slots], mask[receivers, slots] = senders, True
    return _graph(points, neighbours, mask, around)


def _wrapped(points: ArrayLike, periodic: bool | Sequence[bool]) -> tuple[np.ndarray, np.ndarray]:
    """Return points with periodic coordinates in [0, 1), and which axes are periodic."""
    points = np.array(points, dtype=float)
    if points.ndim != 2 or not points.size or not np.isfinite(points).all():
        raise PdesolveError(f"`points` must be finite, of shape (n, dims); got shape {points.shape}.")
    around = np.array(per_axis("periodic", periodic, points.shape[1]), dtype=bool)
    inside = points % 1.0
    # The remainder of a tiny negative number is rounded to 1.
    return np.where(around[None], np.where(inside < 1.0, inside, 0.0), points), around


def _graph(points: np.ndarray, neighbours: np.ndarray, mask: np.ndarray, around: np.ndarray) -> Graph:
    relative = points[:, None] - points[neighbours]
    relative = np.where(around[None, None], relative - np.round(relative), relative)
    return Graph(*map(jnp.asarray, (points, neighbours, mask, relative)))
