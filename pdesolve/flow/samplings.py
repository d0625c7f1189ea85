"""How fields are drawn from a trained network: the interface, and the sampler with renewed noise."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import PdesolveError
from .objective import VelocityField
from .physics import Equations
from .sampling import Integral

__all__ = ["AbstractSampling", "StochasticSampling", "check_steps", "end_from", "euler", "steps_of"]


class AbstractSampling(eqx.Module):
    """A way from standard normal noise to a normalised field; one sample in, one out."""

    @abc.abstractmethod
    def __call__(
        self, network: VelocityField, noise: Float[Array, " channel *grid"], key: PRNGKeyArray, equations: Equations
    ) -> Integral:
        """Return a field and the number of evaluations of the network.

        Args:
            network: The trained network.
            noise: Where the path begins.
            key: Of further noise.
            equations: What the field should satisfy.
        """


class StochasticSampling(AbstractSampling):
    r"""Euler's method, with renewed noise at early times.

    $$x_{t'} = (1 - t')\,z + t'\,\hat x_1, \quad z \sim N(0, I) \text{ new}, \qquad t < t^*,$$

    and an Euler step from $t^*$ on. With $\hat x_1 = x_t + (1 - t) v$, `endpoint_steps` 1, this is as published, and
    leaves no law unchanged but that of a single field: $\hat x_1$ is a mean of data and varies less than they do. With
    the end of many Euler steps for $\hat x_1$ it does preserve the law; the price is as many more evaluations.

    Args:
        num_steps: Equal steps.
        backtrack: $t^*$, from 0 (Euler's method) to 1.
        endpoint_steps: Euler steps to $\hat x_1$.

    Raises:
        PdesolveError: If a number is out of range.

    References:
        Baldan, Liu, Guardone, Thuerey, arXiv:2506.08604 (2025).
    """

    num_steps: int = eqx.field(static=True, default=20)
    backtrack: float = eqx.field(static=True, default=0.0)
    endpoint_steps: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        check_steps(num_steps=self.num_steps, endpoint_steps=self.endpoint_steps)
        if not 0.0 <= self.backtrack <= 1.0:
            raise PdesolveError(f"`backtrack` must be from 0 to 1, got {self.backtrack}.")

    def __call__(self, network, noise, key, equations):
        """Renew, then integrate."""
        times = steps_of(self.num_steps, noise.dtype)
        renewed = sum(i / self.num_steps < self.backtrack for i in range(self.num_steps))
        x = noise
        if renewed:

            def renew(x, step):
                t, after, k = step
                end = end_from(network, x, t, self.endpoint_steps)
                return (1.0 - after) * jax.random.normal(k, x.shape, x.dtype) + after * end, None

            keys = jax.random.split(key, renewed)
            x, _ = jax.lax.scan(renew, x, (times[:renewed], times[1 : renewed + 1], keys))
        x = euler(network, x, times[renewed:])
        return Integral(x, jnp.asarray(renewed * self.endpoint_steps + self.num_steps - renewed))


def steps_of(num_steps: int, dtype) -> Float[Array, " times"]:
    """Return the times of equal steps from 0 to 1."""
    return jnp.linspace(0.0, 1.0, num_steps + 1, dtype=dtype)


def euler(
    network: VelocityField, x: Float[Array, " channel *grid"], times: Float[Array, " times"]
) -> Float[Array, " channel *grid"]:
    """Return the end of Euler's method along the given times; x itself if there is only one."""

    def step(x, pair):
        t, after = pair
        return x + (after - t) * network(x, t), None

    return jax.lax.scan(step, x, (times[:-1], times[1:]))[0]


def end_from(
    network: VelocityField, x: Float[Array, " channel *grid"], t: Float[Array, ""], num_steps: int = 1
) -> Float[Array, " channel *grid"]:
    """Return the end at time 1 of equal Euler steps from x at time t, as a loop: for many steps."""
    h = (1.0 - t) / num_steps
    return jax.lax.fori_loop(0, num_steps, lambda k, x: x + h * network(x, t + k * h), x)


def check_steps(**counts: int) -> None:
    """Raise a `PdesolveError` naming the first argument that is no integer, or less than 1."""
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise PdesolveError(f"`{name}` must be an integer, at least 1; got {count}.")
