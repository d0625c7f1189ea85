"""The model that operator learning trains: an operator between normalised functions."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from .. import registry
from ..config import Recipe
from ..data import ChannelNormaliser
from ..family import AbstractFamily
from ..optim import Averaged

__all__ = ["BATCH", "LearnedOperator", "apply", "build_operator", "chosen_model", "predict", "trained_model"]

BATCH = 64
"""Samples evaluated at a time."""


class LearnedOperator(eqx.Module):
    """An operator between normalised functions, with the normalisers: physical functions in, physical functions out."""

    operator: Callable[[Array], Array]
    inputs: ChannelNormaliser
    outputs: ChannelNormaliser

    @staticmethod
    def around(
        operator: Callable[[Array], Array], inputs: ChannelNormaliser, outputs: ChannelNormaliser
    ) -> "LearnedOperator":
        """Return the model of an operator; one that says it is `physical` gets normalisers that change nothing."""
        if not getattr(operator, "physical", False):
            return LearnedOperator(operator, inputs, outputs)
        return LearnedOperator(operator, *(ChannelNormaliser.identity(n.mean.size) for n in (inputs, outputs)))

    def __call__(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output functions of one sample."""
        return self.outputs.decode(self.operator(self.inputs.encode(sample)))


def build_operator(problem: AbstractFamily, recipe: Recipe, channels: tuple[int, int] | None = None) -> eqx.Module:
    """Return the untrained operator that the recipe's `network` names.

    Args:
        problem: The family.
        recipe: Its `network` and `seed` count.
        channels: Numbers of input and output functions; those of the family if None.

    Raises:
        UnknownNameError: If there is no such operator or option.
    """
    config = recipe.network
    own = ("in_channels", "out_channels", "num_dims", "width", "depth", "activation", "key", "family")
    constructor, parameters = registry.constructor("operators", config.name, config.options, own)
    # An operator that solves the equation is told whose.
    equation = {"family": problem} if "family" in parameters else {}
    given, wanted = (len(problem.input_names), len(problem.field_names)) if channels is None else channels
    return constructor(
        given,
        wanted,
        num_dims=len([axis for axis in problem.coordinates if channels is None or axis != "t"]),
        width=config.width,
        depth=config.depth,
        activation=config.activation,
        key=jax.random.key(recipe.seed),
        **equation,
        **config.options,
    )


def predict(model: Callable[[Array], Array], inputs: Float[np.ndarray, "sample in *grid"]) -> np.ndarray:
    """Return the outputs of samples `(sample, out, *grid)`."""
    size = min(BATCH, len(inputs))
    padded = np.concatenate([inputs, np.repeat(inputs[-1:], -len(inputs) % size, axis=0)])
    batches = padded.reshape(-1, size, *inputs.shape[1:])
    outputs = [np.asarray(apply(model, jnp.asarray(batch, dtype=float))) for batch in batches]
    return np.concatenate(outputs)[: len(inputs)]


@eqx.filter_jit
def apply(model: Callable[[Array], Array], batch: Float[Array, "sample in *grid"]) -> Float[Array, "sample out *grid"]:
    """Return the outputs of one batch."""
    return jax.vmap(model)(batch)


def trained_model(trainables: PyTree) -> LearnedOperator:
    """Return the model whose weights are trained, where an average of them is kept beside it."""
    return trainables.model if isinstance(trainables, Averaged) else trainables


def chosen_model(trainables: PyTree) -> LearnedOperator:
    """Return the model to be used: that of the averaged weights, where there are some."""
    return trainables.average if isinstance(trainables, Averaged) else trainables
