"""Equations of a family on a grid, in the form that a solve for the weights of basis functions takes."""

import abc
from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

__all__ = ["AbstractSystem"]

Coordinates = Mapping[str, Float[np.ndarray, " n"]]


class AbstractSystem(eqx.Module):
    r"""Equations that are functions, at each point by itself, of terms that are affine in the answer.

    Of $u_t = D u_{xx} / R(u)$ the terms are u, $u_t$ and $u_{xx}$. For $u = \sum_j w_j B_j$ each term of u is the same
    combination of the terms of B, which are therefore differentiated once, whatever becomes of the weights w.
    """

    linear: ClassVar[bool] = False
    """Whether the equations are affine in the terms."""

    @abc.abstractmethod
    def coordinates(self, grid: tuple[int, ...]) -> dict[str, Float[np.ndarray, " n"]]:
        """Return axis name to grid values, in the order of the axes, of a grid of as many points."""

    @abc.abstractmethod
    def terms(
        self, given: Float[Array, "in *grid"], answer: Float[Array, " out *grid"], coordinates: Coordinates
    ) -> dict[str, Float[Array, "*grid"]]:
        """Return the terms at every point of the grid, affine in the answer."""

    @abc.abstractmethod
    def balance(self, terms: Mapping[str, Array], data: Mapping[str, Array]) -> dict[str, Array]:
        """Return what each equation leaves over, from the values of terms and data at the same points, of any shape."""

    @abc.abstractmethod
    def conditions(
        self, given: Float[Array, "in *grid"], answer: Float[Array, " out *grid"], coordinates: Coordinates
    ) -> dict[str, Float[Array, "..."]]:
        """Return what initial and boundary conditions leave over, affine in the answer."""

    def data(self, given: Float[Array, "in *grid"], coordinates: Coordinates) -> dict[str, Float[Array, "*grid"]]:
        """Return what the equations need to know at the points besides the terms."""
        return {}

    def answer(
        self, given: Float[Array, "in *grid"], functions: Float[Array, " out *grid"], coordinates: Coordinates
    ) -> Float[Array, " out *grid"]:
        """Return the answer from free functions, affine in them; it may meet conditions, which then need no rows."""
        return functions

    def residuals(
        self, given: Float[Array, "in *grid"], answer: Float[Array, " out *grid"], coordinates: Coordinates
    ) -> dict[str, Array]:
        """Return what equations and conditions leave over of an answer, by name: what a family's `residuals` are."""
        found = self.balance(self.terms(given, answer, coordinates), self.data(given, coordinates))
        return found | self.conditions(given, answer, coordinates)
