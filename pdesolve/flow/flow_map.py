"""The trained model: a map from noise to fields."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .objective import VelocityField
from .sampling import Integral, integrate

__all__ = ["FlowMap", "generate"]


class FlowMap(eqx.Module):
    r"""From standard normal noise to a field, $x \mapsto \mu + s\,\Phi_1(x)$ with $\Phi_1$ the flow of the velocity.

    One sample in, one out; `jax.vmap` makes batches.
    """

    velocity: VelocityField
    r"""Velocity field of the normalised fields $(u - \mu) / s$."""
    mean: Float[Array, " channel"]
    r"""$\mu$, the mean of the training data, by channel."""
    scale: Float[Array, " channel"]
    r"""$s$, their standard deviation."""

    def __call__(
        self, noise: Float[Array, " channel *grid"], *, solver: str = "heun", num_steps: int = 25
    ) -> Float[Array, " channel *grid"]:
        """Return a field; see `integrate` for the arguments."""
        return self.integrate(noise, solver=solver, num_steps=num_steps).value

    def integrate(self, noise: Float[Array, " channel *grid"], **options) -> Integral:
        """Return a field and the number of evaluations of the velocity; `options` are those of `integrate`."""
        normalised, evaluations = integrate(self.velocity, noise, **options)
        return Integral(self.denormalise(normalised), evaluations)

    def denormalise(self, x: Float[Array, " channel *grid"]) -> Float[Array, " channel *grid"]:
        r"""Return $\mu + s x$."""
        mean, scale = self._columns(x.ndim)
        return mean + scale * x

    def normalise(self, u: Float[Array, " channel *grid"]) -> Float[Array, " channel *grid"]:
        r"""Return $(u - \mu) / s$."""
        mean, scale = self._columns(u.ndim)
        return (u - mean) / scale

    def _columns(self, ndim: int) -> tuple[Array, Array]:
        shape = (-1, *[1] * (ndim - 1))
        return self.mean.reshape(shape), self.scale.reshape(shape)


@eqx.filter_jit
def generate(
    model: FlowMap,
    key: PRNGKeyArray,
    num_samples: int,
    shape: tuple[int, ...],
    *,
    solver: str = "heun",
    num_steps: int = 25,
    chunk: int = 256,
) -> Integral:
    """Return `num_samples` fields of `shape` `(channel, *grid)`; sample k does not depend on `num_samples`.

    Args:
        model: The model.
        key: Random key of the noise.
        num_samples: Number of fields.
        shape: Shape of one field.
        solver: See `integrate`.
        num_steps: See `integrate`.
        chunk: Samples integrated at a time, to bound memory.
    """

    def one(k):
        noise = jax.random.normal(jax.random.fold_in(key, k), shape, model.mean.dtype)
        return model.integrate(noise, solver=solver, num_steps=num_steps)

    return jax.lax.map(one, jnp.arange(num_samples), batch_size=min(chunk, num_samples))
