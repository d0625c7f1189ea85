"""What models of a unit cell have in common: the files they come from, and the answers of many strains."""

import abc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pdesolve.errors import PdesolveError
from pdesolve.solution import Solution

__all__ = ["AbstractLearnedCell", "respond", "stored_model"]

Model = TypeVar("Model")

_TOGETHER = 64
"""Strains whose fields are in memory at a time."""


def stored_model(path: str | Path, cls: type[Model], method: str) -> Model:
    """Return the trained model of a run's file.

    Args:
        path: The file `NAME.h5` of a run directory.
        cls: Class of the model.
        method: Method that trains one, for messages.

    Raises:
        PdesolveError: If the file is missing, damaged, or holds something else.
    """
    model = Solution.load(path).model
    if not isinstance(model, cls):
        held = "no model that can be rebuilt" if model is None else f"a model of type {type(model).__name__}"
        raise PdesolveError(
            f"{path} holds {held}, not {cls.__name__}; `pdesolve solve rve1 --method {method}` writes such a file."
        )
    return model


@eqx.filter_jit
def respond(
    model: Callable[[Float[Array, " 3"]], Float[Array, " 3"]], strains: Float[np.ndarray, "n 3"]
) -> tuple[Float[Array, "n 3"], Float[Array, "n 3 3"]]:
    """Return the mean stresses of a model and their exact derivatives, as `pdesolve.multiscale.MicroModel` asks."""

    def one(strain):
        return model(strain), jax.jacfwd(model)(strain)

    return jax.lax.map(one, jnp.asarray(strains), batch_size=_TOGETHER)


class AbstractLearnedCell(eqx.Module):
    """A model from a mean strain to the mean stress, trained on a box: a micro model of a two-scale solve."""

    @property
    @abc.abstractmethod
    def reach(self) -> Float[Array, ""]:
        """Largest component of the mean strains of training."""

    @abc.abstractmethod
    def __call__(self, strain: Float[Array, " 3"]) -> Float[Array, " 3"]:
        """Return the mean stress, xx, yy, xy, in MPa."""

    @property
    def box(self) -> Float[np.ndarray, "3 2"]:
        """Lowest and highest mean strain of training."""
        return float(self.reach) * np.array([[-1.0, 1.0]] * 3)

    def respond(self, strains: Float[np.ndarray, "n 3"]) -> tuple[np.ndarray, np.ndarray]:
        """Return mean stresses `(n, 3)` and their exact tangents `(n, 3, 3)`, as `MicroModel` asks."""
        stresses, tangents = respond(self, np.asarray(strains))
        return np.asarray(stresses), np.asarray(tangents)
