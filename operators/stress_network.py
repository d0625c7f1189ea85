r"""DNN-FE2: a plain network from mean strains to mean stresses, trained on solved samples of a unit cell."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pdesolve.errors import PdesolveError
from pdesolve.nets import MLP, Fixed
from pdesolve.objective import Objective, PointwiseBlock, Term
from pdesolve.samplers import DataBatches, FixedSamples

from .unit_cells import AbstractLearnedCell, stored_model

__all__ = ["StressNetwork", "stress_objective"]


class StressNetwork(AbstractLearnedCell):
    """A perceptron from a mean strain to the mean stress; it knows no mechanics, and has no fields.

    A trained model is a micro model of a two-scale solve (`respond`).

    Args:
        stresses: Mean stresses of the training samples, `(n, 3)`, whose mean and deviation scale the outputs.
        width: Units of a hidden layer.
        depth: Hidden layers.
        activation: As of `MLP`.
        bound: Largest component of the mean strains.
        key: Random key of the weights.

    References:
        Eivazi, Tröger, Wittek, Hartmann and Rausch, FE2 computations with deep neural networks, Math. Comput. Appl. 28
        (2023) 91.
    """

    network: MLP
    mean: Fixed
    deviation: Fixed
    bound: Fixed

    def __init__(
        self,
        stresses: Float[np.ndarray, "n 3"],
        *,
        width: int = 128,
        depth: int = 8,
        activation: str = "swish",
        bound: float = 0.04,
        key: PRNGKeyArray,
    ):
        self.network = MLP(3, 3, width=width, depth=depth, activation=activation, key=key)
        self.mean = Fixed(jnp.asarray(np.mean(stresses, axis=0)))
        self.deviation = Fixed(jnp.asarray(np.maximum(np.std(stresses, axis=0), 1e-12)))
        self.bound = Fixed(jnp.asarray(float(bound)))

    def __call__(self, strain: Float[Array, " 3"]) -> Float[Array, " 3"]:
        """Return the mean stress, xx, yy, xy, in MPa."""
        return self.mean.value + self.deviation.value * self.network(strain / self.bound.value)

    @property
    def reach(self):
        """The bound of training."""
        return self.bound.value

    @staticmethod
    def load(path: str | Path) -> "StressNetwork":
        """Return the network of a run's file, `NAME.h5` of `pdesolve solve rve1 --method dnn`.

        Raises:
            PdesolveError: If it is missing, damaged or something else.
        """
        return stored_model(path, StressNetwork, "dnn")


def stress_objective(
    strains: Float[Array, "n 3"],
    stresses: Float[Array, "n 3"],
    tangents: Float[Array, "n 3 3"],
    *,
    tangent_weight: float = 1.0,
    batch: int | None = None,
) -> Objective:
    """Return mean squared errors of stresses and tangents in the network's units, as a function of a `StressNetwork`.

    Args:
        strains: Mean strains.
        stresses: Mean stresses, in MPa.
        tangents: Their derivatives, stress component first.
        tangent_weight: Weight of the second error.
        batch: Samples of a step, in a new order in each epoch; all if None.

    Raises:
        PdesolveError: If the weight is negative.
    """
    if tangent_weight < 0:
        raise PdesolveError(f"`tangent_weight` must not be negative, got {tangent_weight}.")
    samples = strains, stresses, tangents
    sampler = FixedSamples(samples) if batch is None else DataBatches(samples, batch)
    terms = (Term("stress"), Term("tangent", weight=tangent_weight))
    return Objective((PointwiseBlock(_errors, sampler, terms),))


def _errors(model: StressNetwork, sample: tuple[Array, Array, Array], key: object, context: object) -> dict[str, Array]:
    strain, stress, tangent = sample
    units = model.deviation.value
    off = (jax.jacfwd(model)(strain) - tangent) * model.bound.value / units[:, None]
    return {
        "stress": (model(strain) - stress) / units * (2.0 / 3.0) ** 0.5,
        "tangent": off.reshape(-1) * (2.0 / 9.0) ** 0.5,
    }
