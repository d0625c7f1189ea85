"""Burgers equation in the plane, periodic: from a random velocity to the velocity some time later."""

import dataclasses
import math
import time
from typing import Any, ClassVar

import numpy as np
import scipy.fft
from jaxtyping import Complex

from pdesolve.config import DataConfig, NetworkConfig, Recipe, StageConfig
from pdesolve.family import AbstractFamily, FamilyData
from pdesolve.problem import Classical, parameter, refine

from ._fields import fourier_at, fourier_values, frequencies, periodic_field, relative_errors, resized
from ._modes import etdrk4

__all__ = ["Burgers2D"]

_MODES = 4
_AMPLITUDE = 1.5
_REFINED = 1
_COMPARED = 2


class Burgers2D(AbstractFamily):
    r"""Burgers equation of a velocity on a torus: from a random velocity to the one some time later.

    $$v_t + v \cdot \nabla v = \nu \Delta v \text{ on } (0, 1)^2 \text{, periodic}, \quad v = (v_1, v_2), \quad
    v(\cdot, 0) \mapsto v(\cdot, T).$$

    Each component of the initial velocity is 1.5 w / max |w| + c: w is Gaussian with equal variances of the modes
    $|k_1|, |k_2| \le 4$ but for the constant one, the maximum is that over 64 x 64 points, and c is uniform in (-1, 1).
    All quantities are nondimensional. Fronts form within 0.1 units of time and have width $4 \nu$ over the jump. No
    component exceeds its largest initial value.
    """

    input_names: ClassVar[tuple[str, ...]] = ("u0", "v0")
    field_names: ClassVar[tuple[str, ...]] = ("u", "v")
    coordinates: ClassVar[tuple[str, ...]] = ("x", "y")

    viscosity: float = parameter(0.005, "kinematic viscosity", at_least=0.002, at_most=1.0)
    duration: float = parameter(0.5, "time T between input and output", above=0.0, at_most=2.0)

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

    def initial_coefficients(self, num_samples: int, seed: int) -> Complex[np.ndarray, "sample 2 rows columns"]:
        """Return the Fourier coefficients of both components of initial velocities."""
        drawn = periodic_field(
            lambda squares: np.where(squares == 0, 0.0, 1.0),
            num_samples=2 * num_samples,
            num_modes=_MODES,
            seed=seed,
        )
        largest = np.abs(fourier_values(drawn, 64)).max(axis=(1, 2), keepdims=True)
        start = (_AMPLITUDE * drawn / largest).reshape(num_samples, 2, *drawn.shape[1:])
        for index, velocity in enumerate(start):
            velocity[:, 0, 0] = np.random.default_rng([seed, index, 1]).uniform(-1, 1, 2)
        return start

    def classical(self, tolerance: float) -> Classical:
        """Coarsen grid and steps as far as the mean relative L2 error of some samples allows; seconds are for one."""
        start = self.initial_coefficients(_COMPARED, seed=0)
        points = self._points()
        expected, _ = self._solve(start, points, self._steps(points))
        answer = refine(
            lambda n: self._solve(start, n, self._steps(n))[0],  # type: ignore[arg-type]
            [n for n in (16, 24, 32, 48, 64, 96, 128, 192, 256) if n <= points],
            error=lambda solved: float(relative_errors(resized(solved, points), expected).mean()),  # type: ignore[arg-type]
            tolerance=tolerance,
            description="dealiased Fourier series, ETDRK4",
        )
        solved: Any = answer.evaluate

        def evaluate(at):
            """The first sample at the end."""
            return {name: fourier_at(c, at) for name, c in zip(self.field_names, solved[0], strict=True)}

        return dataclasses.replace(answer, seconds=answer.seconds / _COMPARED, evaluate=evaluate)

    def recipe(self) -> Recipe:
        """A small Fourier neural operator without coordinates as input: the map commutes with translations."""
        return Recipe(
            method="operator",
            network=NetworkConfig(
                name="fno", width=20, depth=4, activation="gelu", options={"modes": 12, "positions": False}
            ),
            data=DataConfig(train=300, test=60, resolution=64, batch=10),
            stages=(StageConfig("adam", steps=1000, options={"learning_rate": 2e-3, "schedule": "cosine"}),),
            precision="float32",
        )

    def _points(self) -> int:
        """The narrower the fronts, the finer the grid; for an error of about 1e-4 and less."""
        return max(64, 32 * math.ceil(0.015 / self.viscosity))

    def _steps(self, points: int) -> int:
        """Velocities are below 2.5: a step moves fronts by less than the grid spacing."""
        return max(1, math.ceil(3 * self.duration * points))

    def _solve(
        self, start: Complex[np.ndarray, "sample 2 rows columns"], points: int, steps: int
    ) -> tuple[Complex[np.ndarray, "sample 2 new_rows new_columns"], float]:
        """Return the Fourier coefficients at the end on `points` points, and the seconds for one sample."""
        k, l = frequencies(points)  # noqa: E741
        # Products of two kept modes fold back onto dropped ones only (Orszag's 2/3 rule).
        kept = (np.abs(k) < points / 3) & (l < points / 3)
        derivatives = 2j * np.pi * np.stack(np.broadcast_arrays(k, l))

        def nonlinear(t, v):
            series = np.concatenate([v, *(derivatives[:, None] * v)])
            values = np.asarray(scipy.fft.irfft2(series, s=(points, points), norm="forward"))
            velocity, v_x, v_y = values.reshape(3, 2, points, points)
            advected = velocity[0] * v_x + velocity[1] * v_y
            return -1.0 * kept * np.asarray(scipy.fft.rfft2(advected, norm="forward"))

        linear = -4 * np.pi**2 * self.viscosity * (k**2 + l**2)
        ends, seconds = [], []
        for v in resized(start, points) * kept:
            began = time.perf_counter()
            ends.append(etdrk4(v, linear, nonlinear, duration=self.duration, steps=steps, every=steps)[-1])
            seconds.append(time.perf_counter() - began)
        return np.array(ends), float(np.median(seconds))
