r"""A constrained problem over a flat vector: $\min f(x)$ subject to $c(x) = 0$ and $h(x) \le 0$.

Every method here sees an `Evaluation` through a `Program`: losses are f, terms of kind `equality` and `inequality` are
c and h. With multipliers y and $z \ge 0$ the Lagrangian is $\ell = f + y^\top c + z^\top h$.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, PyTree

from ..errors import PdesolveError, UnknownNameError
from ..objective import Evaluation, Objective, Squares
from ..optim.optimiser import loss_metrics

__all__ = [
    "Linearised",
    "Multipliers",
    "Program",
    "check_curvature",
    "outcome",
    "program",
    "require_constraints",
    "require_curvature",
]

CURVATURES = ("auto", "exact", "gauss_newton")


class Multipliers(eqx.Module):
    """One number for each component of c and of h."""

    equality: Float[Array, " m"]
    inequality: Float[Array, " k"]


class Linearised(eqx.Module):
    """Values and first derivatives at a point."""

    value: Float[Array, ""]
    losses: dict[str, Float[Array, ""]]
    gradient: Float[Array, " p"]
    equality: Float[Array, " m"]
    equality_rows: Float[Array, "m p"]
    inequality: Float[Array, " k"]
    inequality_rows: Float[Array, "k p"]
    gram: Float[Array, "p p"] | None
    """The Gauss-Newton matrix of f, where that is the curvature in use."""

    def lagrangian_gradient(self, multipliers: Multipliers) -> Float[Array, " p"]:
        r"""Return $\nabla f + C^\top y + H^\top z$."""
        return (
            self.gradient
            + self.equality_rows.T @ multipliers.equality
            + self.inequality_rows.T @ multipliers.inequality
        )

    def violation(self) -> Float[Array, ""]:
        """Return the largest violation of a constraint."""
        return _largest(self.equality, jnp.maximum(self.inequality, 0.0))

    def residuals(self, multipliers: Multipliers) -> dict[str, Float[Array, ""]]:
        """Return how far the Karush-Kuhn-Tucker conditions are from being met, largest components."""
        return {
            "stationarity": _largest(self.lagrangian_gradient(multipliers)),
            "violation": self.violation(),
            "complementarity": _largest(jnp.minimum(-self.inequality, multipliers.inequality)),
        }

    def is_infeasible_stationary(self, tolerance: float) -> Bool[Array, ""]:
        """Say whether no direction lowers the violation to first order, though there is one."""
        above = jnp.maximum(self.inequality, 0.0)
        slope = self.equality_rows.T @ self.equality + self.inequality_rows.T @ above
        size = jnp.sqrt(jnp.sum(self.equality**2) + jnp.sum(above**2))
        rows = jnp.sqrt(jnp.sum(self.equality_rows**2) + jnp.sum(self.inequality_rows**2))
        return (self.violation() > tolerance) & (jnp.linalg.norm(slope) <= tolerance * size * jnp.maximum(rows, 1.0))


class Program(eqx.Module):
    """Values, derivatives and curvature of an evaluation's losses and constraints, by a flat vector."""

    evaluation: Evaluation
    unravel: Callable[[Float[Array, " p"]], PyTree]
    exact: bool = eqx.field(static=True)
    """Whether curvature is the exact second derivative; else that of Gauss and Newton, without the constraints'."""

    def value(self, x: Float[Array, " p"]) -> Float[Array, ""]:
        """Return f."""
        return self.evaluation.loss(self.unravel(x))[0]

    def equality(self, x: Float[Array, " p"]) -> Float[Array, " m"]:
        """Return c."""
        return self.evaluation.constraints(self.unravel(x), "equality")

    def inequality(self, x: Float[Array, " p"]) -> Float[Array, " k"]:
        """Return h."""
        return self.evaluation.constraints(self.unravel(x), "inequality")

    def lagrangian(self, x: Float[Array, " p"], multipliers: Multipliers) -> Float[Array, ""]:
        r"""Return $\ell$."""
        return self.value(x) + multipliers.equality @ self.equality(x) + multipliers.inequality @ self.inequality(x)

    def linearise(self, x: Float[Array, " p"]) -> Linearised:
        """Return values and first derivatives, and the curvature of f where it comes with them."""
        params, gram = self.unravel(x), None
        if self.exact:
            (value, (losses, _)), gradient = self.evaluation.value_and_gradient(params)
            gradient, _ = ravel_pytree(gradient)
        else:
            model = self.evaluation.gauss_newton(params)
            value, gradient, gram = model.loss, model.gradient, model.gram()
            losses, _ = self.evaluation.term_losses(params)
        equality = self.evaluation.constraint_rows(params, "equality")
        inequality = self.evaluation.constraint_rows(params, "inequality")
        return Linearised(value, losses, gradient, *equality, *inequality, gram)

    def curvature(self, x: Float[Array, " p"], at: Linearised, multipliers: Multipliers) -> Float[Array, "p p"]:
        """Return the second derivative of the Lagrangian, or what stands for it."""
        if at.gram is not None:
            return at.gram
        return jax.hessian(lambda x: self.lagrangian(x, multipliers))(x)


def program(evaluation: Evaluation, params: PyTree, curvature: str) -> tuple[Program, Float[Array, " p"]]:
    """Return the program and the flat vector it begins at; `auto` is exact where a loss is no sum of squares."""
    flat, unravel = ravel_pytree(params)
    losses = [term for term in evaluation.objective.terms if term.kind == "loss"]
    exact = curvature == "exact" or (curvature == "auto" and not all(term.outer.has_curvature for term in losses))
    return Program(evaluation, unravel, exact), flat


def require_constraints(name: str, objective: Objective, *, inequalities: bool = True) -> None:
    """Raise `PdesolveError` unless there is a loss and a constraint, on samples that stay; `name` is the method's."""
    kinds = {term.kind for term in objective.terms}
    if "loss" not in kinds or len(kinds) == 1:
        missing = "no loss to minimise" if "loss" not in kinds else "no constraint to meet"
        raise PdesolveError(
            f"{name} minimises losses subject to constraints; here is {missing}. Name the terms that are constraints "
            "(`constraints` of a recipe, `kind` of a term), and leave at least one loss."
        )
    if not inequalities and "inequality" in kinds:
        raise PdesolveError(f"{name} knows equality constraints only. Use AugmentedLagrangian or TrustRegionSQP.")
    for block in objective.blocks:
        for term in block.terms:
            if term.kind != "loss" and not isinstance(term.outer, Squares):
                raise PdesolveError(f"the constraint {term.name} has an outer function; constraints are z itself.")
            if term.row_rule is not None or not block.sampler.fixed_rows:
                raise PdesolveError(
                    f"{name} needs the same rows at every step; samples or row weights of {term.name} change. Use "
                    "fixed or adaptive points."
                )
            if term.kind != "loss" and block.sampler.adaptive:
                raise PdesolveError(
                    f"{name} keeps a multiplier for each row of {term.name}, but its points are adaptive. Use "
                    "fixed points (`points.adaptive = none`), or make it a loss."
                )


def require_curvature(curvature: str, objective: Objective) -> None:
    """Raise `PdesolveError` if Gauss-Newton curvature is asked for and a loss has none."""
    bare = [term.name for term in objective.terms if term.kind == "loss" and not term.outer.has_curvature]
    if bare and curvature == "gauss_newton":
        raise PdesolveError(f"the loss of {', '.join(bare)} has no curvature for Gauss-Newton; use curvature='exact'.")


def check_curvature(curvature: str) -> None:
    """Raise `UnknownNameError` unless it is one of those known."""
    if curvature not in CURVATURES:
        raise UnknownNameError("curvature", curvature, CURVATURES)


def outcome(
    at: Linearised, multipliers: Multipliers, tolerance: float, stuck: Bool[Array, ""], **more: Any
) -> dict[str, Array]:
    """Return the metrics of a step that began at a point.

    `converged` says that the Karush-Kuhn-Tucker conditions hold to the tolerance, `infeasible` that the violation is
    stationary here though not zero (which ends nothing: it may be a maximum), `stalled` that no further step helps.
    """
    residuals = at.residuals(multipliers)
    converged = jnp.stack(list(residuals.values())).max() <= tolerance
    infeasible = at.is_infeasible_stationary(tolerance)
    ends = {"converged": converged, "infeasible": infeasible, "stalled": converged | stuck}
    return loss_metrics(at.value, at.losses) | residuals | ends | more


def _largest(*vectors: Float[Array, " _"]) -> Float[Array, ""]:
    return jnp.max(jnp.abs(jnp.concatenate([jnp.zeros(1, vectors[0].dtype), *vectors])))
