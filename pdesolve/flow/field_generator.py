"""The trained model of a method with an equation: a network, and how fields are drawn from it."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .objective import VelocityField
from .physics import Equations
from .sampling import Integral
from .samplings import AbstractSampling

__all__ = ["FieldGenerator", "generate_fields"]


class FieldGenerator(eqx.Module):
    """From standard normal noise to a field that should obey an equation; one sample in, one out."""

    network: VelocityField
    """The velocity of normalised fields."""
    equations: Equations
    sampling: AbstractSampling

    def __call__(self, noise: Float[Array, " channel *grid"], *, key: PRNGKeyArray) -> Float[Array, " channel *grid"]:
        """Return a field; `key` is that of noise on the way."""
        return self.integrate(noise, key=key).value

    def integrate(self, noise: Float[Array, " channel *grid"], *, key: PRNGKeyArray) -> Integral:
        """Return a field and the number of evaluations of the network."""
        normalised, evaluations = self.sampling(self.network, noise, key, self.equations)
        return Integral(self.equations.denormalise(normalised), evaluations)


@eqx.filter_jit
def generate_fields(
    model: FieldGenerator, key: PRNGKeyArray, num_samples: int, shape: tuple[int, ...], *, chunk: int = 256
) -> Integral:
    """Return `num_samples` fields of `shape` `(channel, *grid)`; sample k does not depend on `num_samples`.

    Args:
        model: The model.
        key: Random key of all noise.
        num_samples: Number of fields.
        shape: Shape of one field.
        chunk: Samples drawn at a time, to bound memory.
    """

    def one(k):
        begin, way = jax.random.split(jax.random.fold_in(key, k))
        noise = jax.random.normal(begin, shape, model.equations.mean.dtype)
        return model.integrate(noise, key=way)

    return jax.lax.map(one, jnp.arange(num_samples), batch_size=min(chunk, num_samples))
