"""Rectified flow: flows trained anew on their own pairs become straight, and few steps suffice."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import PdesolveError
from ..objective import PointwiseBlock, Term
from ..samplers import DataBatches
from .objective import FlowResidual, VelocityField
from .paths import LinearPath
from .sampling import check_sampling, integrate

__all__ = ["RectifiedFlow"]


class RectifiedFlow(eqx.Module):
    r"""Flow matching along straight lines between given pairs $(x_0, x_1)$, which need not be independent.

    The flow carries the law of $x_0$ to that of $x_1$ at no greater cost, for any convex cost of $x_1 - x_0$. To
    *reflow* is to train on the pairs that a flow itself has made; the lines of such pairs hardly cross, so that the
    new flow is straighter. A straight one needs a single step, and `distillation_block` trains for one or a few.

    ```text
    block  ->  fit  ->  pairs  ->  block  ->  fit  ->  pairs  ->  distillation_block  ->  fit
    ```

    Args:
        solver: Of `pairs`; see `integrate`.
        num_steps: Of `pairs`.

    Raises:
        UnknownNameError: If there is no such solver.
        PdesolveError: If `num_steps` is less than 1.

    References:
        Liu, Gong, Liu, Flow straight and fast, arXiv:2209.03003 (2022).
    """

    solver: str = eqx.field(static=True, default="dopri5")
    num_steps: int = eqx.field(static=True, default=100)

    def __check_init__(self):
        check_sampling(self.solver, self.num_steps)

    def block(
        self,
        start: Float[Array, " sample *shape"],
        end: Float[Array, " sample *shape"],
        batch_size: int,
        **options: Any,
    ) -> PointwiseBlock:
        """Return the block whose loss is the mean squared velocity error at times uniform on [0, 1).

        Args:
            start: $x_0$ of each pair.
            end: $x_1$ of each pair.
            batch_size: Pairs of a step.
            **options: Of `PointwiseBlock`.

        Raises:
            PdesolveError: If there are not as many of both, or shapes differ.
        """
        return _block(start, end, batch_size, 0, options)

    def distillation_block(
        self,
        start: Float[Array, " sample *shape"],
        end: Float[Array, " sample *shape"],
        batch_size: int,
        *,
        num_steps: int = 1,
        **options: Any,
    ) -> PointwiseBlock:
        r"""Return the block of flow matching at the times of Euler's method only, $k / n$ with $k < n$.

        With one step the loss is $|x_0 + v(x_0, 0) - x_1|^2$: v learns the pairs themselves.

        Args:
            start: $x_0$ of each pair.
            end: $x_1$ of each pair.
            batch_size: Pairs of a step.
            num_steps: n.
            **options: Of `PointwiseBlock`.

        Raises:
            PdesolveError: If `num_steps` is less than 1, there are not as many of both, or shapes differ.
        """
        check_sampling("euler", num_steps)
        return _block(start, end, batch_size, num_steps, options)

    def pairs(
        self, velocity: VelocityField, start: Float[Array, " sample *shape"], *, chunk: int = 256
    ) -> tuple[Float[Array, " sample *shape"], Float[Array, " sample *shape"]]:
        """Return `start` and where the flow takes it, `chunk` samples at a time."""
        return start, _ends(self, velocity, start, chunk)

    def straightness(
        self, velocity: VelocityField, start: Float[Array, " sample *shape"], num_steps: int = 100
    ) -> Float[Array, ""]:
        r"""Return $\int_0^1 \mathrm{E}\,|x_1 - x_0 - v(x_t, t)|^2\,dt$ along the flow by Euler's method.

        Zero if and only if paths are straight and run at constant speed; the square is summed over the entries of a
        sample.
        """
        check_sampling("euler", num_steps)
        return _straightness(velocity, start, num_steps)


class _AddTime(eqx.Module):
    """`(key, {"noise", "field"})` to a sample with a time: uniform on [0, 1), or on the times of that many steps."""

    num_steps: int = eqx.field(static=True)

    def __call__(self, key: PRNGKeyArray, pair: dict[str, Array]) -> dict[str, Array]:
        dtype = pair["field"].dtype
        if self.num_steps:
            time = jax.random.randint(key, (), 0, self.num_steps).astype(dtype) / self.num_steps
        else:
            time = jax.random.uniform(key, (), dtype)
        return pair | {"time": time}


def _block(start: Array, end: Array, batch_size: int, num_steps: int, options: dict[str, Any]) -> PointwiseBlock:
    if start.shape != end.shape:
        raise PdesolveError(f"pairs need as many starts as ends, of one shape; got {start.shape} and {end.shape}.")
    sampler = DataBatches({"noise": start, "field": end}, batch_size, _AddTime(num_steps))
    term = Term("flow", weight=2.0 / end[0].size)
    return PointwiseBlock(residual=FlowResidual(LinearPath()), sampler=sampler, terms=(term,), **options)


@eqx.filter_jit
def _ends(flow: RectifiedFlow, velocity: VelocityField, start: Array, chunk: int) -> Array:
    def end(x):
        return integrate(velocity, x, solver=flow.solver, num_steps=flow.num_steps).value

    return jax.lax.map(end, start, batch_size=min(chunk, len(start)))


@eqx.filter_jit
def _straightness(velocity: VelocityField, start: Array, num_steps: int) -> Array:
    times = jnp.arange(num_steps, dtype=start.dtype) / num_steps

    def one(x):
        def step(x, t):
            v = velocity(x, t)
            return x + v / num_steps, v

        end, slopes = jax.lax.scan(step, x, times)
        return jnp.sum((slopes - (end - x)[None]) ** 2) / num_steps

    return jnp.mean(jax.vmap(one)(start))
