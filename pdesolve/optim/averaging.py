"""An exponential moving average of the weights beside those that are trained."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ..errors import PdesolveError
from .optimiser import AbstractOptimiser

__all__ = ["Averaged", "Averaging"]


class Averaged(eqx.Module):
    """Trainables whose average is kept: the objective sees `model`, errors are those of `average`."""

    model: PyTree
    average: PyTree


class Averaging(AbstractOptimiser):
    r"""Any optimiser, with $\bar\theta \leftarrow d\,\bar\theta + (1 - d)\,\theta$ after each of its steps.

    Here $d = \min(\texttt{decay}, (1 + t) / (10 + t))$ at step t of the stage: the average forgets where training
    began, as it must, and where an earlier stage ended. Trainables are an `Averaged`, of which the optimiser
    sees the model only.

    Args:
        optimiser: What changes the weights.
        decay: d after some steps, at least 0 and below 1.

    Raises:
        PdesolveError: If the decay is out of range.
    """

    optimiser: AbstractOptimiser
    decay: float = eqx.field(static=True)

    def __check_init__(self):
        if not 0 <= self.decay < 1:
            raise PdesolveError(f"the decay of an average must be at least 0 and below 1, got {self.decay}.")

    def check(self, objective):
        """What the optimiser accepts."""
        self.optimiser.check(objective)

    def check_mesh(self):
        """What the optimiser accepts."""
        self.optimiser.check_mesh()

    def init(self, evaluation, params):
        """The optimiser's state."""
        evaluation, params = _of_model(evaluation, params)
        return self.optimiser.init(evaluation, params)

    def step(self, evaluation, params, state):
        """The optimiser's step, and its weights into the average."""
        inner, trained = _of_model(evaluation, params)
        new, state, metrics, layers = self.optimiser.step(inner, trained, state)
        t = evaluation.context.step
        decay = jnp.minimum(self.decay, (1.0 + t) / (10.0 + t))
        average = jax.tree.map(
            lambda mean, leaf: mean + (1.0 - decay).astype(mean.dtype) * (leaf - mean), params.average, new.model
        )
        return Averaged(new.model, average), state, metrics, layers

    def refresh(self, evaluation, params, state):
        """The optimiser's."""
        evaluation, params = _of_model(evaluation, params)
        return self.optimiser.refresh(evaluation, params, state)


def _of_model(evaluation: Any, params: Averaged) -> tuple[Any, PyTree]:
    """Return evaluation and parameters for which the average is none of the parameters."""
    trained, rest = eqx.partition(params, Averaged(True, False))
    return dataclasses.replace(evaluation, frozen=eqx.combine(evaluation.frozen, rest)), trained
