"""What every constrained method offers besides its steps: a tolerance, and the multipliers it has found."""

import abc
from typing import ClassVar

import equinox as eqx
from jaxtyping import PyTree

from ..optim.optimiser import AbstractOptimiser
from .program import Linearised, Multipliers

__all__ = ["AbstractConstrainedMethod"]


class AbstractConstrainedMethod(AbstractOptimiser):
    """A training method that makes losses small subject to constraints."""

    meets_constraints: ClassVar[bool] = True
    tolerance: eqx.AbstractVar[float]
    """Largest Karush-Kuhn-Tucker residual at which it has converged."""

    @abc.abstractmethod
    def multipliers(self, at: Linearised, state: PyTree) -> Multipliers:
        """Return the multipliers that belong to a point and the state the method is in there."""
