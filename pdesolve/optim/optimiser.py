"""What every training method offers: `init`, `step`, `refresh`, all pure."""

import abc
from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import Array, PyTree

from ..errors import PdesolveError
from ..objective import Evaluation, Objective

__all__ = ["AbstractOptimiser", "loss_metrics", "require_fixed_rows", "require_losses"]


class AbstractOptimiser(eqx.Module):
    """A training method.

    `step` takes an `Evaluation` (the objective at this step's samples) and asks it for what the method needs: a scalar
    and its gradient, a gradient for each term, or a Gauss-Newton model.
    """

    meets_constraints: ClassVar[bool] = False
    """Whether terms may be constraints."""
    on_mesh: ClassVar[bool] = False
    """Whether it is tested with samples divided over several devices."""

    @abc.abstractmethod
    def check(self, objective: Objective) -> None:
        """Refuse an objective this method cannot train.

        Raises:
            PdesolveError: Naming the terms that do not suit, and why.
        """

    def check_mesh(self) -> None:
        """Refuse samples that are divided over devices, unless `on_mesh`.

        Raises:
            PdesolveError: Naming the method.
        """
        if not self.on_mesh:
            raise PdesolveError(
                f"{type(self).__name__} is not tested on a mesh of devices. Use a first-order optimiser, lbfgs, or "
                "levenberg_marquardt with the factorisation 'cholesky' or 'eigen'; or leave out `--mesh`."
            )

    @abc.abstractmethod
    def init(self, evaluation: Evaluation, params: PyTree) -> PyTree:
        """Return the method's state for the first step."""

    @abc.abstractmethod
    def step(
        self, evaluation: Evaluation, params: PyTree, state: PyTree
    ) -> tuple[PyTree, PyTree, dict[str, Array], Any]:
        """Take one step.

        Returns:
            `(params, state, metrics, layer_state)`. `metrics` are scalars and hold `loss` and `loss/TERM` at the
            parameters the step started from, plus the method's own; `stalled` (bool) says that no further step helps
            on these samples. `layer_state` is the new state of layers, or None.
        """

    @abc.abstractmethod
    def refresh(self, evaluation: Evaluation, params: PyTree, state: PyTree) -> PyTree:
        """Return the state to go on with when the samples have changed under a method that compares steps."""


def require_losses(name: str, objective: Objective) -> None:
    """Raise `PdesolveError` if some term is a constraint; `name` is the method's."""
    constraints = [term.name for term in objective.terms if term.kind != "loss"]
    if constraints:
        raise PdesolveError(
            f"{name} minimises losses only; these terms are constraints: {', '.join(constraints)}. "
            "Make them losses (kind='loss') or use a constrained method."
        )


def require_fixed_rows(name: str, objective: Objective) -> None:
    """Raise `PdesolveError` if samples or row weights of some term change every step; `name` is the method's."""
    changing = [
        term.name
        for block in objective.blocks
        for term in block.terms
        if not block.sampler.fixed_rows or term.row_rule is not None
    ]
    if changing:
        raise PdesolveError(
            f"{name} compares gradients of one loss, but samples or row weights of {', '.join(changing)} change every "
            "step. Use fixed or adaptive points, or a first-order optimiser."
        )


def loss_metrics(loss: Array, losses: dict[str, Array]) -> dict[str, Array]:
    """Return the metrics every method reports."""
    return {"loss": loss, **{f"loss/{name}": value for name, value in losses.items()}}
