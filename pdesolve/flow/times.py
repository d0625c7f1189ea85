"""At which times a flow is trained, and how much each counts."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .objective import with_noise_and_time

__all__ = ["TIMES", "WEIGHTS", "legacy_weight", "with_noise_and_logit_normal_time"]


def with_noise_and_logit_normal_time(key: PRNGKeyArray, field: Float[Array, " channel *grid"]) -> dict[str, Array]:
    r"""Return a field with noise of its shape and a time whose logit is standard normal: mid times come often."""
    noise_key, time_key = jax.random.split(key)
    return {
        "noise": jax.random.normal(noise_key, field.shape, field.dtype),
        "field": field,
        "time": jax.nn.sigmoid(jax.random.normal(time_key, (), field.dtype)),
    }


def legacy_weight(t: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""Return $w = \exp(-\mathrm{logit}(t)^2 / 2) / (\sqrt{2 \pi} (1 - t)^2)$, zero at both ends.

    It is $t / (1 - t)$ times the logit-normal density, whose place it takes in the published program; its integral over
    [0, 1] is $e^{1/2}$.
    """
    inside = jnp.clip(t, jnp.finfo(t.dtype).tiny, 1.0 - jnp.finfo(t.dtype).epsneg)
    logit = jnp.log(inside) - jnp.log1p(-inside)
    return jnp.exp(-0.5 * logit**2) / (jnp.sqrt(2.0 * jnp.pi) * (1.0 - inside) ** 2)


TIMES: dict[str, Callable[[PRNGKeyArray, Array], dict[str, Array]]] = {
    "uniform": with_noise_and_time,
    "logit_normal": with_noise_and_logit_normal_time,
}
"""Laws of the time, by name."""
WEIGHTS: dict[str, Callable[[Array], Array]] = {"none": jnp.ones_like, "legacy": legacy_weight}
"""Weights of the flow loss by time, by name."""
