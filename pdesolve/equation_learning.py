"""Operators trained on a family's equation without data: with hard constraints, and with a soft one."""

import abc
import dataclasses
from typing import Any

import equinox as eqx

from .config import NetworkConfig, Recipe
from .errors import PdesolveError
from .family import AbstractFamily
from .method import AbstractMethod, resolved
from .operator_learning import OperatorLearning

__all__ = ["AbstractEquationLearning", "PDECLTraining", "PIHCMoETraining", "SoftConstraint"]

_HARD = ("pde_cl", "pihcmoe")


class AbstractEquationLearning(AbstractMethod):
    """Operator learning whose loss is the mean square of the residuals of equation and conditions on the whole grid.

    The recipe's `network` is the operator that gives the basis functions, or the answer itself. Solutions of training
    samples have no part in it unless `weights` gives the term `data` a weight.
    """

    def run(self, problem, recipe, monitor):
        """Train on the equation; compare with the solver as operator learning does."""
        outcome = self._learning(problem).run(problem, self.inner(problem, recipe), monitor)
        assert outcome.fit is not None
        return dataclasses.replace(outcome, recipe=resolved(recipe, outcome.fit.steps))

    def skeleton(self, problem, recipe):
        """Return an untrained operator of the recipe's shape."""
        return self._learning(problem).skeleton(problem, self.inner(problem, recipe))

    def evaluator(self, problem, recipe, model):
        """Functions are mapped to functions: there is no value at a point alone."""
        return None

    @abc.abstractmethod
    def network(self, network: NetworkConfig) -> NetworkConfig:
        """Return the operator that is trained, from the one that the recipe names."""

    def inner(self, problem: Any, recipe: Recipe) -> Recipe:
        """Return the recipe of the operator learning behind it.

        Raises:
            PdesolveError: If the recipe's `network` has a constrained solve itself.
        """
        if recipe.network.name in _HARD:
            raise PdesolveError(
                f"`network` of method {recipe.method!r} is the operator below, such as fno; got "
                f"{recipe.network.name!r}."
            )
        return dataclasses.replace(
            recipe,
            method="operator",
            method_options={},
            network=self.network(recipe.network),
            weights={"data": 0.0, **recipe.weights},
        )

    def _learning(self, problem: Any) -> OperatorLearning:
        forms = [form for form in getattr(problem, "residual_forms", ()) if form != "pointwise"]
        if not isinstance(problem, AbstractFamily) or not forms:
            raise PdesolveError(
                f"learning an equation needs a family that knows its residuals on a grid; {type(problem).__name__} "
                "does not. `pdesolve solve diffusion_sorption` does."
            )
        return OperatorLearning(physics=forms[0])


class SoftConstraint(AbstractEquationLearning):
    """Soft constraint: the operator alone, trained on the equation's residuals (PI-SC)."""

    def network(self, network):
        """As it is."""
        return network


class PDECLTraining(AbstractEquationLearning):
    """PDE-CL: basis functions of an operator, weights from one solve of the equation (PI-HC).

    See `operators.PDECL`.
    """

    basis: int = eqx.field(static=True, default=16)
    """Number of basis functions."""
    points: int = eqx.field(static=True, default=0)
    """At how many points of the grid the equation is imposed; at all if 0."""
    ridge: float = eqx.field(static=True, default=1e-5)
    """Weight of the weights themselves among the residuals of the solve."""
    condition_weight: float = eqx.field(static=True, default=1.0)
    """Of the mean square of each condition in the solve, beside that of the equation."""
    tolerance: float = eqx.field(static=True, default=1e-8)
    """Of the solve: largest cosine between residual and a column of its Jacobian."""
    max_steps: int = eqx.field(static=True, default=50)
    """Most trial steps of the solve."""

    def network(self, network):
        """Around it, the solve."""
        return _around(network, "pde_cl", self)


class PIHCMoETraining(AbstractEquationLearning):
    """PI-HC-MoE: the domain in blocks, an expert in each that solves the equation for its own weights.

    See `operators.PIHCMoE`.
    """

    experts: int | tuple[int, ...] = eqx.field(static=True, default=4)
    """Blocks along each axis of the grid; one number for so many along the last."""
    router: str = eqx.field(static=True, default="spatial")
    """`spatial`, one expert in each block; `learned`, all of them, in trained shares."""
    basis: int = eqx.field(static=True, default=16)
    """Number of basis functions."""
    points: int = eqx.field(static=True, default=0)
    """At how many points an expert imposes the equation; at all of its block if 0."""
    ridge: float = eqx.field(static=True, default=1e-5)
    """Weight of the weights themselves among the residuals of a solve."""
    condition_weight: float = eqx.field(static=True, default=1.0)
    """Of the mean square of each condition in a solve, beside that of the equation."""
    tolerance: float = eqx.field(static=True, default=1e-8)
    """Of a solve: largest cosine between residual and a column of its Jacobian."""
    max_steps: int = eqx.field(static=True, default=50)
    """Most trial steps of a solve."""

    def network(self, network):
        """Around it, the experts."""
        return _around(network, "pihcmoe", self)


def _around(network: NetworkConfig, name: str, method: AbstractMethod) -> NetworkConfig:
    own = {field.name: getattr(method, field.name) for field in dataclasses.fields(method)}
    return dataclasses.replace(network, name=name, options={"operator": network.name, **own, **network.options})
