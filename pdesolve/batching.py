r"""Mapping over samples so that they become the last axis of every intermediate value.

`jax.vmap` puts the batch last in a product $W h$ of a constant matrix with a batched vector, but first in a sum $h + b$
with a constant vector, and then every later value follows. On a CPU elementwise work over rows of samples is faster
than over rows of a layer's few units. Written as $h + b\,e$ with a batched $e = (1)$, the sum is that of
two products, and the batch stays last.
"""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float

__all__ = ["add_constant", "batched_one", "cached_samples", "map_samples"]

CACHED = 2**24
"""Intermediate values of a piece of samples, by our count, that a gradient on a CPU handles best.

Chosen by steps of Adam in float32, 2 MiB of second-level cache for each core; half or twice as many do as well. What
came of it is under *A training step* in `docs/performance.md`.
"""

_AXIS = "samples last"


def map_samples(function: Callable) -> Callable:
    """Return the function mapped over the first axis of its arguments, samples last inside: `jax.vmap` otherwise."""
    return jax.vmap(function, axis_name=_AXIS)


def batched_one(dtype: Any) -> Float[Array, "1"] | None:
    """Return the vector (1), batched, within `map_samples`; None outside."""
    try:
        index = jax.lax.axis_index(_AXIS)
    except NameError:
        return None
    return (0 * index + 1).astype(dtype)[None]  # the compiler sees that this is constant


def add_constant(h: Float[Array, " n"], b: Float[Array, " n"]) -> Float[Array, " n"]:
    """Return h + b for a vector b that does not depend on the sample."""
    one = batched_one(b.dtype)
    return h + (b if one is None else jax.lax.dot(b[:, None], one))


def cached_samples(function: Callable, sample: Any) -> int | None:
    """Return for how many samples the values that a gradient keeps stay close to the cores; None off the CPU."""
    if jax.default_backend() != "cpu":
        return None
    return max(CACHED // _values(jax.make_jaxpr(function)(sample).jaxpr), 256)


def _values(jaxpr: Any) -> int:
    """Return the number of values that are computed, inner functions included."""
    total = 0
    for equation in jaxpr.eqns:
        inner = [p for p in jax.tree.leaves(list(equation.params.values())) if hasattr(p, "jaxpr")]
        computed = sum(variable.aval.size for variable in equation.outvars)
        total += sum(_values(each.jaxpr) for each in inner) if inner else computed
    return max(total, 1)
