"""Scaling of a network's input and output to numbers of order one."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..errors import PdesolveError
from .network import AbstractNetwork, check_point

__all__ = ["ScaledNetwork"]


class ScaledNetwork(AbstractNetwork):
    r"""A network whose points are scaled to [-1, 1]^d, and whose values are scaled and shifted.

    $$x \mapsto \text{shift} + \text{scale}\cdot N\!\left(\frac{2x - (a + b)}{b - a}\right).$$

    Networks train well where their input and output are of order one; this makes it so for any units. The scaling
    is not trained.

    Args:
        network: N.
        bounds: (a, b) of each entry of a point, as `AbstractDomain.bounds`.
        scale: One positive number for each value, its typical size; 1 where not given.
        shift: One number for each value; 0 where not given.

    Raises:
        PdesolveError: If a length does not match the network, low < high does not hold, or a scale is not positive.
    """

    network: AbstractNetwork
    bounds: tuple[tuple[float, float], ...] = eqx.field(static=True)
    scale: tuple[float, ...] = eqx.field(static=True)
    shift: tuple[float, ...] = eqx.field(static=True)

    def __init__(
        self,
        network: AbstractNetwork,
        bounds: Sequence[Sequence[float]] | Float[np.ndarray, "d 2"],
        scale: Sequence[float] | None = None,
        shift: Sequence[float] | None = None,
    ):
        self.network = network
        self.bounds = tuple((float(low), float(high)) for low, high in bounds)
        self.scale = (1.0,) * network.out_size if scale is None else tuple(float(value) for value in scale)
        self.shift = (0.0,) * network.out_size if shift is None else tuple(float(value) for value in shift)

    def __check_init__(self):
        if len(self.bounds) != self.in_size:
            raise PdesolveError(
                f"expected {self.in_size} bounds, one for each entry of a point; got {len(self.bounds)}."
            )
        for name, values in (("scale", self.scale), ("shift", self.shift)):
            if len(values) != self.out_size:
                raise PdesolveError(
                    f"expected `{name}` of {self.out_size} numbers, one for each value; got {len(values)}."
                )
        if not all(low < high for low, high in self.bounds):
            raise PdesolveError(f"bounds must have low < high, got {self.bounds}.")
        if not all(0 < value < np.inf for value in self.scale):
            raise PdesolveError(f"`scale` must be positive and finite, got {self.scale}.")

    @property
    def in_size(self) -> int:
        """That of the network."""
        return self.network.in_size

    @property
    def out_size(self) -> int:
        """That of the network."""
        return self.network.out_size

    def __call__(self, point: Float[Array, " in"]) -> Float[Array, " out"]:
        """Return the values at one point."""
        check_point(point, self.in_size)
        low, high = jnp.asarray(self.bounds, point.dtype).T
        # From the differences to both ends: exact where a box is far from the origin and small.
        values = self.network(((point - low) - (high - point)) / (high - low))
        return jnp.asarray(self.shift, values.dtype) + jnp.asarray(self.scale, values.dtype) * values
