"""Flow matching with an equation: velocity error and residual of the predicted field, from one forward pass."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import PdesolveError, UnknownNameError
from ..objective import Context, Density, PointwiseBlock, Squares, Term
from ..samplers import DataBatches
from .objective import VelocityField
from .paths import LinearPath
from .physics import Equations
from .times import TIMES, WEIGHTS
from .unrolled import unrolled

__all__ = ["NORMS", "PhysicsFlowResidual", "physics_block", "residual_term"]

NORMS = ("l1", "l2")
"""What is made of the residual: the mean of its absolute values, or of its squares."""


class PhysicsFlowResidual(eqx.Module):
    r"""Two vectors of one sample `{"noise", "field", "time"}`: flow and residual.

    $$z_{\mathrm{flow}} = \sqrt{w(t)}\,(v_\theta(x_t, t) - \dot x_t), \qquad
    z_{\mathrm{residual}} = t^p\,R(\hat x_1),$$

    with $\hat x_1$ the end of n Euler steps from $x_t$ and R the residual of the field in its own units. The first step
    takes the velocity that the flow loss needs. n grows with the stage's progress: each entry of `unroll` holds for an
    equal share of the steps.

    References:
        Baldan, Liu, Guardone, Thuerey, Flow matching meets PDEs, arXiv:2506.08604 (2025).
    """

    path: LinearPath
    equations: Equations
    unroll: tuple[int, ...] = eqx.field(static=True, default=(1, 2, 3, 4))
    time_power: float = eqx.field(static=True, default=1.0)
    """p; 0 counts the residual alike at all times."""
    time_weight: str = eqx.field(static=True, default="none")
    """w, by name."""
    last_only: bool = eqx.field(static=True, default=False)
    """Whether gradients of the residual see the last Euler step only."""

    def __check_init__(self):
        if not self.unroll or any(not isinstance(n, int) or n < 1 for n in self.unroll):
            raise PdesolveError(f"`unroll` needs numbers of steps, at least 1 each; got {self.unroll}.")
        if not self.time_power >= 0:
            raise PdesolveError(f"`time_power` must not be negative, got {self.time_power}.")
        if self.time_weight not in WEIGHTS:
            raise UnknownNameError("time weight", self.time_weight, WEIGHTS)

    def __call__(self, model: VelocityField, sample: dict[str, Array], key: PRNGKeyArray, context: Context):
        """Return `{"flow", "residual"}`."""
        noise, field, t = sample["noise"], sample["field"], sample["time"]
        x = self.path.position(noise, field, t)
        v = model(x, t)
        root = jnp.sqrt(WEIGHTS[self.time_weight](t))
        residual = self.equations.residual(self._end(model, x, t, v, context.progress))
        return {"flow": root * (v - self.path.velocity(noise, field)), "residual": t**self.time_power * residual}

    def _end(self, model, x, t, v, progress: Float[Array, ""]) -> Float[Array, " channel *grid"]:
        branches = [lambda x, v, n=n: unrolled(model, x, t, v, n, last_only=self.last_only) for n in self.unroll]
        if len(branches) == 1:
            return branches[0](x, v)
        # Progress is the same for all samples, so that one branch is run and not all of them.
        index = jnp.clip((progress * len(branches)).astype(int), 0, len(branches) - 1)
        return jax.lax.switch(index, branches, x, v)


def residual_term(shape: tuple[int, ...], norm: str, weight: float = 1.0) -> Term:
    """Return the term `residual`: the mean over samples and entries of absolute values or squares, times `weight`.

    Raises:
        UnknownNameError: If there is no such norm.
    """
    if norm not in NORMS:
        raise UnknownNameError("norm of the residual", norm, NORMS)
    size = math.prod(shape)
    if norm == "l1":
        return Term("residual", weight=weight / size, outer=Density(_sum_of_absolute_values))
    return Term("residual", weight=2.0 * weight / size, outer=Squares())  # half the sum of squares


def physics_block(
    fields: Float[Array, "sample channel *grid"],
    batch_size: int,
    residual: PhysicsFlowResidual,
    *,
    times: str = "uniform",
    norm: str = "l1",
    weight: float = 1.0,
    **options: Any,
) -> PointwiseBlock:
    """Return the block of two terms, `flow` and `residual`.

    Args:
        fields: The data, normalised as `residual.equations` has it.
        batch_size: Samples of a step.
        residual: Both vectors of a sample.
        times: Law of the time: `uniform` or `logit_normal`.
        norm: `l1` or `l2`, of the residual.
        weight: Weight of the residual, where the terms are summed.
        **options: Of `PointwiseBlock`.

    Raises:
        UnknownNameError: If there is no such law or norm.
    """
    if times not in TIMES:
        raise UnknownNameError("law of the time", times, TIMES)
    shape = jax.eval_shape(residual.equations.residual, fields[0]).shape
    terms = (Term("flow", weight=2.0 / fields[0].size), residual_term(shape, norm, weight))
    sampler = DataBatches(data=fields, batch_size=batch_size, prepare=TIMES[times])
    return PointwiseBlock(residual=residual, sampler=sampler, terms=terms, **options)


def _sum_of_absolute_values(z: Float[Array, "..."]) -> Float[Array, ""]:
    return jnp.sum(jnp.abs(z))
