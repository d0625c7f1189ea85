"""Burgers equation in the plane, periodic: from a random velocity to the velocity some time later."""

import math
from typing import ClassVar

import numpy as np
import scipy.fft
from jaxtyping import Complex

from pdesolve.config import DataConfig, NetworkConfig, Recipe, StageConfig
from pdesolve.problem import parameter

from ._fields import fourier_values, frequencies, periodic_field
from ._periodic import AbstractPeriodicFamily, Equation

__all__ = ["Burgers2D"]

_MODES = 4
_AMPLITUDE = 1.5


class Burgers2D(AbstractPeriodicFamily):
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

    viscosity: float = parameter(0.005, "kinematic viscosity", at_least=0.002, at_most=1.0)
    duration: float = parameter(0.5, "time T between input and output", above=0.0, at_most=2.0)

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

    def _equation(self, points: int) -> Equation:
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

        return -4 * np.pi**2 * self.viscosity * (k**2 + l**2), nonlinear, kept
