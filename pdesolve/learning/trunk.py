r"""Physics-informed DeepONets: derivatives of the trunk, once for all input functions.

A DeepONet is linear in the functions of its trunk, $u(y) = \sum_k b_k(a)\, t_k(y) + c$, so that the derivatives of
$t_k$ at the points, taken once, serve every sample: an equation costs one product with the coefficients.

References:
    Wang, Wang, Perdikaris, Learning the solution operator of parametric partial differential equations with
    physics-informed DeepONets, Science Advances 7 (2021) eabi8605.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..calculus import on_basis
from ..errors import PdesolveError
from ..family import AbstractFamily
from .model import LearnedOperator, trained_model

__all__ = ["TrunkResiduals", "check_trunk"]


class TrunkResiduals(eqx.Module):
    """The residuals of a batch of samples; what `BatchBlock` calls.

    The family's `equations(fields, at)` are evaluated at the points of the grid by derivatives of the trunk; further
    residuals, those of conditions, are its `residuals` in the form `pointwise`.

    Args:
        problem: A family with `equations`.
        coordinates: Axis name to grid values.
        names: The residuals that are asked for.
    """

    problem: AbstractFamily
    coordinates: dict[str, Float[np.ndarray, " n"]]
    names: tuple[str, ...] = eqx.field(static=True)

    def __call__(self, trainables, samples, key, context):
        """Return z by term, leading axis the samples, and no metrics."""
        model, given = trained_model(trainables), samples[0]
        found = self.equations(model, given)
        if set(self.names) - set(found):
            answers = jax.vmap(model)(given)
            found |= jax.vmap(lambda a, u: self.problem.residuals(a, u, self.coordinates, "pointwise"))(given, answers)
        scaled = {name: found[name].reshape(len(given), -1) for name in self.names}
        return {name: z / math.sqrt(z.shape[1]) for name, z in scaled.items()}, {}

    def equations(self, model: LearnedOperator, given: Float[Array, "sample in *grid"]) -> dict[str, Array]:
        """Return the residuals of the equations, `(sample, points)`."""
        operator: Any = model.operator
        axes = [jnp.asarray(points, given.dtype) for points in self.coordinates.values()]
        origin = jnp.stack([points[0] for points in axes])
        # The trunk knows places as i/n along every axis.
        lengths = jnp.stack([(points[-1] - points[0]) * len(points) / (len(points) - 1) for points in axes])
        points = jnp.stack(jnp.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))

        def basis(point: Float[Array, " d"]) -> Float[Array, " terms"]:
            return jnp.concatenate([operator.trunk_at((point - origin) / lengths), jnp.ones(1, point.dtype)])

        names = self.problem.field_names
        residuals = on_basis(self.problem.equations, basis, points, tuple(self.coordinates), names)  # type: ignore[attr-defined]

        def one(given):
            coefficients = operator.coefficients(model.inputs.encode(given))
            scale, mean = model.outputs.scale, model.outputs.mean
            constant = mean + scale * operator.bias
            weights = jnp.concatenate([scale[:, None] * coefficients, constant[:, None]], axis=1)
            return residuals(dict(zip(names, weights, strict=True)))

        return jax.vmap(one)(given)


def check_trunk(problem: AbstractFamily, operator: Any) -> None:
    """Raise a `PdesolveError` unless there are equations, and an operator that is linear in functions of the place."""
    if not hasattr(problem, "equations"):
        raise PdesolveError(f"{type(problem).__name__} has no pointwise equations; use another form of `physics`.")
    if not all(hasattr(operator, name) for name in ("trunk_at", "coefficients", "bias")):
        raise PdesolveError(
            f"`physics = 'pointwise'` needs an operator with a trunk, such as deeponet; {type(operator).__name__} has "
            "none. Use another form."
        )
