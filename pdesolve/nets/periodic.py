"""Exact periodicity in chosen coordinates, for any network."""

import math
from collections.abc import Callable, Mapping, Sequence

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..errors import PdesolveError, UnknownNameError
from .network import AbstractNetwork, check_point, check_sizes

__all__ = ["PeriodicEmbedding"]


class PeriodicEmbedding(AbstractNetwork):
    r"""A network that sees some coordinates only through cosines and sines, and so is periodic in them.

    A coordinate x of period P becomes $\cos(2\pi k x / P), \sin(2\pi k x / P)$, k = 1, ..., `harmonics`; the others
    pass unchanged. The network and all its derivatives are periodic to round-off, whatever its parameters. E.g.

        PeriodicEmbedding(lambda n: MLP(n, 1, key=key), coordinates=("x", "t"), periods={"x": 2.0})

    Inside a `ScaledNetwork` periods are those of the scaled coordinates: 2 for a whole side of the box.

    Args:
        make_network: Returns the network for a number of entries.
        coordinates: Names of a point's entries.
        periods: Coordinate to its period, positive; at least one.
        harmonics: Number of harmonics. One is complete, more let the network be simpler.

    Raises:
        UnknownNameError: If `periods` names something else than a coordinate.
        PdesolveError: If no period is given, one is not positive, or `harmonics` is less than 1.

    References:
        Dong and Ni, J. Comput. Phys. 435 (2021) 110242.
    """

    periods: tuple[float | None, ...] = eqx.field(static=True)
    harmonics: int = eqx.field(static=True)
    network: AbstractNetwork

    def __init__(
        self,
        make_network: Callable[[int], AbstractNetwork],
        *,
        coordinates: Sequence[str],
        periods: Mapping[str, float],
        harmonics: int = 1,
    ):
        check_sizes(harmonics=harmonics)
        for axis, period in periods.items():
            if axis not in coordinates:
                raise UnknownNameError("coordinate", axis, coordinates)
            if not 0 < period < math.inf:
                raise PdesolveError(f"the period of {axis!r} must be positive and finite, got {period}.")
        if not periods:
            raise PdesolveError("a PeriodicEmbedding needs the period of at least one coordinate.")
        self.periods = tuple(float(periods[axis]) if axis in periods else None for axis in coordinates)
        self.harmonics = harmonics
        self.network = make_network(len(coordinates) + (2 * harmonics - 1) * len(periods))

    @property
    def in_size(self) -> int:
        """Number of coordinates."""
        return len(self.periods)

    @property
    def out_size(self) -> int:
        """That of the network."""
        return self.network.out_size

    def __call__(self, point: Float[Array, " in"]) -> Float[Array, " out"]:
        """Return the values at one point."""
        check_point(point, self.in_size)
        return self.network(jnp.concatenate([self._embed(point[i : i + 1], i) for i in range(self.in_size)]))

    def _embed(self, value: Float[Array, " 1"], axis: int) -> Float[Array, " n"]:
        period = self.periods[axis]
        if period is None:
            return value
        # All harmonics at once: one by one they take minutes to compile where there are many.
        phases = jnp.asarray([2 * math.pi * k / period for k in range(1, self.harmonics + 1)], value.dtype) * value
        return jnp.stack([jnp.cos(phases), jnp.sin(phases)], axis=1).reshape(-1)
