"""Where a flow ends, predicted from a point on the way by a few steps of Euler's method."""

import jax
from jaxtyping import Array, Float

from .objective import VelocityField

__all__ = ["unrolled"]


def unrolled(
    velocity: VelocityField,
    x: Float[Array, " channel *grid"],
    t: Float[Array, ""],
    first: Float[Array, " channel *grid"],
    num_steps: int,
    *,
    last_only: bool = False,
) -> Float[Array, " channel *grid"]:
    r"""Return the end at time 1 of n Euler steps of size $h = (1 - t) / n$ from $x$ at time t.

    One step is $x + (1 - t) v(x, t)$, the mean of the data given x if the velocity is exact; more steps come closer to
    where the flow itself ends, which is one of the data.

    Args:
        velocity: The velocity field.
        x: Where the path begins.
        t: When.
        first: `velocity(x, t)`, known already.
        num_steps: n.
        last_only: Whether gradients see the last step only.

    References:
        Baldan, Liu, Guardone, Thuerey, arXiv:2506.08604 (2025), for unrolling in training.
    """
    h = (1.0 - t) / num_steps
    slope = first
    for k in range(1, num_steps):
        x = x + h * slope
        x = jax.lax.stop_gradient(x) if last_only else x
        slope = velocity(x, t + k * h)
    return x + h * slope
