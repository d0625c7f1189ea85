"""Families on the torus: fields of the plane, periodic along both axes, from a state to the state some time later."""

import abc
import dataclasses
import time
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Complex

from pdesolve.family import AbstractFamily, FamilyData
from pdesolve.problem import Classical, refine

from ._fields import fourier_at, fourier_values, relative_errors, resized
from ._modes import etdrk4

__all__ = ["AbstractPeriodicFamily", "Equation"]

_REFINED = 1
_COMPARED = 2
_GRIDS = (16, 24, 32, 48, 64, 96, 128, 192, 256)

Equation = tuple[np.ndarray, Callable[[float, np.ndarray], np.ndarray], np.ndarray]
"""Diagonal of the linear part, nonlinear part, and which modes are kept, all of Fourier coefficients."""


class AbstractPeriodicFamily(AbstractFamily):
    """States on the unit square, periodic, to the states `duration` later, by Fourier series and ETDRK4.

    A subclass gives the law of initial states, the equation in Fourier coefficients, and how fine a grid it needs.
    """

    coordinates: ClassVar[tuple[str, ...]] = ("x", "y")

    duration: eqx.AbstractVar[float]

    @abc.abstractmethod
    def initial_coefficients(self, num_samples: int, seed: int) -> Complex[np.ndarray, " sample field rows columns"]:
        """Return the Fourier coefficients of initial states."""

    @abc.abstractmethod
    def _points(self) -> int:
        """Points along each axis for an error of about 1e-4 and less."""

    @abc.abstractmethod
    def _steps(self, points: int) -> int:
        """Steps of time on as many points."""

    @abc.abstractmethod
    def _equation(self, points: int) -> Equation:
        """The equation on as many points; products must not fold back onto kept modes."""

    def generate(self, num_samples: int, resolution: int, seed: int) -> FamilyData:
        """Solve by exponential time differencing, pseudo-spectral in space, without aliasing.

        The error bound is twice the change of the first sample when grid and steps are made twice as fine.
        """
        points = self._points()
        start = self.initial_coefficients(num_samples, seed)
        solved, seconds = self._solve(start, points, self._steps(points))
        finer, _ = self._solve(start[:_REFINED], 2 * points, self._steps(2 * points))
        change = relative_errors(solved[:_REFINED], resized(finer, points))
        coordinate = np.arange(resolution) / resolution
        return FamilyData(
            inputs=fourier_values(start, resolution),
            outputs=fourier_values(solved, resolution),
            coordinates={"x": coordinate, "y": coordinate},
            error_bound=2.0 * float(change.max()),
            seconds=seconds,
        )

    def classical(self, tolerance: float) -> Classical:
        """Coarsen grid and steps as far as the mean relative L2 error of some samples allows; seconds are for one."""
        start = self.initial_coefficients(_COMPARED, seed=0)
        points = self._points()
        expected, _ = self._solve(start, points, self._steps(points))
        answer = refine(
            lambda n: self._solve(start, n, self._steps(n))[0],  # type: ignore[arg-type]
            [n for n in _GRIDS if n <= points],
            error=lambda solved: float(relative_errors(resized(solved, points), expected).mean()),  # type: ignore[arg-type]
            tolerance=tolerance,
            description="dealiased Fourier series, ETDRK4",
        )
        solved: Any = answer.evaluate

        def evaluate(at):
            """The first sample at the end."""
            return {name: fourier_at(c, at) for name, c in zip(self.field_names, solved[0], strict=True)}

        return dataclasses.replace(answer, seconds=answer.seconds / _COMPARED, evaluate=evaluate)

    def _solve(
        self, start: Complex[np.ndarray, " sample *field rows columns"], points: int, steps: int
    ) -> tuple[Complex[np.ndarray, " sample *field new_rows new_columns"], float]:
        """Return the Fourier coefficients at the end on `points` points, and the seconds for one sample."""
        solved, seconds = self.frames(start, points, steps)
        return solved[:, -1], seconds

    def frames(
        self, start: Complex[np.ndarray, " sample *field rows columns"], points: int, steps: int, intervals: int = 1
    ) -> tuple[Complex[np.ndarray, " sample frame *field new_rows new_columns"], float]:
        """Return the Fourier coefficients on `points` points at equal intervals, both ends included.

        Args:
            start: Coefficients at the start.
            points: Along each axis.
            steps: A multiple of `intervals`.
            intervals: Between frames.

        Returns:
            The coefficients, and the seconds for one sample.
        """
        linear, nonlinear, kept = self._equation(points)
        options = {"duration": self.duration, "steps": steps, "every": steps // intervals}
        solved, seconds = [], []
        for state in resized(start, points) * kept:
            began = time.perf_counter()
            solved.append(etdrk4(state, linear, nonlinear, **options))
            seconds.append(time.perf_counter() - began)
        return np.array(solved), float(np.median(seconds))
