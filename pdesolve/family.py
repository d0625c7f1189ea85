"""A family of problems: input functions or coefficients drawn from a distribution, and the answers."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from .config import Recipe
from .errors import PdesolveError
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
        arrays: What else there is of the samples, `(sample, ...)`, such as fields on a mesh; stored beside them.
    """

    inputs: np.ndarray | None
    outputs: np.ndarray
    coordinates: dict[str, np.ndarray]
    error_bound: float
    seconds: float
    arrays: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


class AbstractFamily(eqx.Module):
    """A named family: one subclass in one file, registered beside the single problems."""

    input_names: eqx.AbstractClassVar[tuple[str, ...]]
    """Names of the input channels; empty for a family of fields without input."""
    field_names: eqx.AbstractClassVar[tuple[str, ...]]
    """Names of the output channels."""
    coordinates: ClassVar[tuple[str, ...]] = ("x",)
    """Names of the grid axes."""
    periodic: ClassVar[bool] = True
    """Whether functions go around the ends of every axis of space, which the grid then leaves out."""
    block: ClassVar[int] = 64
    """Samples that are generated at a time, by one process; fewer where one takes long."""
    constant_names: ClassVar[tuple[str, ...]] = ()
    """Names of the inputs that stay while time passes, which an operator that steps is given at every step."""
    parameter_groups: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Parameters that one option of the command line takes together, by its name."""
    residual_forms: ClassVar[tuple[str, ...]] = ()
    """Forms in which the residuals of the equations are known, the soundest first; empty if they are not."""
    residual_names: ClassVar[tuple[str, ...]] = ()
    """Names of the residuals."""

    def __check_init__(self):
        check_parameters(self)

    @abc.abstractmethod
    def generate(self, num_samples: int, resolution: int, seed: int) -> FamilyData:
        """Draw and solve samples; equal seeds give equal samples, and sample k does not depend on `num_samples`."""

    @abc.abstractmethod
    def recipe(self) -> Recipe:
        """How a model of this family is trained when nothing else is said."""

    def draw_inputs(self, num_samples: int, resolution: int, seed: int) -> FamilyData:
        """Draw input functions as `generate` does; outputs may be empty, which they are where solving takes time."""
        return self.generate(num_samples, resolution, seed)

    def residuals(
        self,
        given: Float[Array, "in *grid"],
        answer: Float[Array, " out *grid"],
        coordinates: Mapping[str, Float[np.ndarray, " n"]],
        form: str,
    ) -> dict[str, Array]:
        """Return what the equations and conditions leave over of an answer, by name; zero for the solution.

        Args:
            given: Input functions of one sample.
            answer: Output functions.
            coordinates: Axis name to grid values, in the order of the grid axes.
            form: One of `residual_forms`.

        Raises:
            PdesolveError: If the family knows no residuals.
        """
        raise PdesolveError(f"{type(self).__name__} knows no residuals of its equations: leave out `physics`.")
