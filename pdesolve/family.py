"""A family of problems: input functions or coefficients drawn from a distribution, and the answers."""

import abc
import dataclasses
from typing import ClassVar

import equinox as eqx
import numpy as np

from .config import Recipe
from .problem import check_parameters

__all__ = ["AbstractFamily", "FamilyData"]


@dataclasses.dataclass(frozen=True)
class FamilyData:
    """Samples of a family on a uniform grid.

    Attributes:
        inputs: What varies, `(sample, channel, *grid)`; None for a family of fields without input.
        outputs: The answers, `(sample, channel, *grid)`.
        coordinates: Axis name to grid values, in the order of the grid axes.
        error_bound: Measured bound on the relative L2 error of the outputs (that of the solver that made them).
        seconds: Wall time of the classical solver for one sample.
    """

    inputs: np.ndarray | None
    outputs: np.ndarray
    coordinates: dict[str, np.ndarray]
    error_bound: float
    seconds: float


class AbstractFamily(eqx.Module):
    """A named family: one subclass in one file, registered beside the single problems."""

    input_names: eqx.AbstractClassVar[tuple[str, ...]]
    """Names of the input channels; empty for a family of fields without input."""
    field_names: eqx.AbstractClassVar[tuple[str, ...]]
    """Names of the output channels."""
    coordinates: ClassVar[tuple[str, ...]] = ("x",)
    """Names of the grid axes."""

    def __check_init__(self):
        check_parameters(self)

    @abc.abstractmethod
    def generate(self, num_samples: int, resolution: int, seed: int) -> FamilyData:
        """Draw and solve samples; equal seeds give equal samples, and sample k does not depend on `num_samples`."""

    @abc.abstractmethod
    def recipe(self) -> Recipe:
        """How a model of this family is trained when nothing else is said."""
