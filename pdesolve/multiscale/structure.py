"""A structure: a body with loads and the numbers engineers ask of it; its material is chosen apart."""

import abc
from typing import ClassVar

import equinox as eqx

from ..config import Recipe
from ..problem import check_parameters
from .body import Body
from .macro import MacroAnswer

__all__ = ["AbstractStructure"]


class AbstractStructure(eqx.Module):
    """A named structure in plane strain: one subclass in one file, registered beside the single problems.

    It has no equations of its own: those of its material come from a micro model (`pdesolve.multiscale.MicroModel`).
    Lengths are in mm, stresses in MPa. Physical parameters are fields declared by `pdesolve.parameter`.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u", "v")

    def __check_init__(self):
        check_parameters(self)

    @abc.abstractmethod
    def body(self, refinement: int = 1) -> Body:
        """Return the body; its elements are so many times smaller than those of the recipe's mesh."""

    @abc.abstractmethod
    def quantities(self, answer: MacroAnswer) -> dict[str, float]:
        """Return what is asked of the answer, by name with its unit, e.g. `tip_v_mm`."""

    def recipe(self) -> Recipe:
        """Five load steps of a homogeneous nonlinear material."""
        return Recipe(method="two_scale", method_options={"micro": "nonlinear", "load_steps": 5})
