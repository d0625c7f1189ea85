"""Flow matching as an objective: the velocity field against the velocity of the path, at random times."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from ..objective import Context, PointwiseBlock, Term
from ..samplers import DataBatches
from .paths import LinearPath

__all__ = ["FlowResidual", "VelocityField", "flow_matching_block", "with_noise_and_time"]

VelocityField = Callable[[Float[Array, " channel *grid"], Float[Array, ""]], Float[Array, " channel *grid"]]
"""`model(x, t)`: the velocity of one field at one time."""


class FlowResidual(eqx.Module):
    r"""$z = v_\theta(x_t, t) - \dot x_t$ of one sample `{"noise", "field", "time"}`, shape `(channel, *grid)`.

    The mean of $|z|^2$ is least where $v_\theta(x, t) = \mathrm{E}[\dot x_t \mid x_t = x]$, the velocity which carries
    the law of the noise to that of the data.

    References:
        Lipman et al., ICLR (2023), eq. (9) and theorem 2.
    """

    path: LinearPath

    def __call__(self, model: VelocityField, sample: dict[str, Array], key: PRNGKeyArray, context: Context | None):
        """Return `{"flow": z}`."""
        noise, field, t = sample["noise"], sample["field"], sample["time"]
        return {"flow": model(self.path.position(noise, field, t), t) - self.path.velocity(noise, field)}


def with_noise_and_time(key: PRNGKeyArray, field: Float[Array, " channel *grid"]) -> dict[str, Array]:
    """Return a field with standard normal noise of its shape and a time uniform on [0, 1)."""
    noise_key, time_key = jax.random.split(key)
    return {
        "noise": jax.random.normal(noise_key, field.shape, field.dtype),
        "field": field,
        "time": jax.random.uniform(time_key, (), field.dtype),
    }


def flow_matching_block(
    fields: Float[Array, "sample channel *grid"], batch_size: int, path: LinearPath, **options: Any
) -> PointwiseBlock:
    """Return the block whose loss is the mean over samples, channels and grid of the squared velocity error.

    Args:
        fields: The data, in units in which they compare with standard normal noise.
        batch_size: Samples of a step; each gets new noise and a new time whenever it is drawn.
        path: The path from noise to data.
        **options: Of `PointwiseBlock`, e.g. `chunk`.
    """
    # The default outer function is half the sum over the entries of a sample.
    term = Term("flow", weight=2.0 / fields[0].size)
    sampler = DataBatches(data=fields, batch_size=batch_size, prepare=with_noise_and_time)
    return PointwiseBlock(residual=FlowResidual(path), sampler=sampler, terms=(term,), **options)
