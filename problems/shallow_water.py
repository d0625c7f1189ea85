"""Rotating shallow water in the plane, periodic: from random waves and vortices to the state some time later."""

import math
from typing import ClassVar

import numpy as np
import scipy.fft
from jaxtyping import Complex

from pdesolve.config import DataConfig, NetworkConfig, Recipe, StageConfig
from pdesolve.problem import parameter

from ._fields import fourier_values, frequencies, periodic_field
from ._periodic import AbstractPeriodicFamily, Equation

__all__ = ["ShallowWater"]

_MODES = 4
_ELEVATION, _SPEED = 0.2, 0.3
"""Largest initial elevation and speed on 64 x 64 points."""


class ShallowWater(AbstractPeriodicFamily):
    r"""Rotating shallow water on a torus: from random waves and vortices to the state some time later.

    $$\eta_t + \nabla \cdot ((1 + \eta) v) = 0, \quad
    v_t + (f + \zeta)\, k \times v + \nabla (\eta + \tfrac12 |v|^2) = \nu \Delta v, \quad
    \zeta = \partial_x v_2 - \partial_y v_1 \text{ on } (0, 1)^2 \text{, periodic},$$

    $(\eta, v)(\cdot, 0) \mapsto (\eta, v)(\cdot, T)$. Lengths are by the side of the square, times by that in which a
    long wave crosses it: depth and gravity are 1. Waves of length below $2 \pi / f$ hardly feel the rotation.

    The initial elevation is 0.2 w / max |w|, the initial velocity has no divergence and the stream function w' scaled
    to a largest speed of 0.3; w and w' are Gaussian with equal variances of the modes $|k_1|, |k_2| \le 4$ but for the
    constant one, maxima are those over 64 x 64 points. Volume is conserved to the last bit; energy
    $\frac12 \int (1 + \eta) |v|^2 + \eta^2$ is lost to viscosity alone.

    References:
        Vallis, Atmospheric and Oceanic Fluid Dynamics (2017), chapter 3, for the equations.
    """

    input_names: ClassVar[tuple[str, ...]] = ("elevation0", "u0", "v0")
    field_names: ClassVar[tuple[str, ...]] = ("elevation", "u", "v")

    rotation: float = parameter(5.0, "Coriolis parameter f", at_least=0.0, at_most=50.0)
    viscosity: float = parameter(0.002, "kinematic viscosity", at_least=0.001, at_most=0.1)
    duration: float = parameter(1.0, "time T between input and output", above=0.0, at_most=5.0)

    def initial_coefficients(self, num_samples: int, seed: int) -> Complex[np.ndarray, " sample 3 rows columns"]:
        """Return the Fourier coefficients of elevations and velocities."""
        drawn = periodic_field(
            lambda squares: np.where(squares == 0, 0.0, 1.0), num_samples=2 * num_samples, num_modes=_MODES, seed=seed
        )
        k, l = frequencies(drawn.shape[-2])  # noqa: E741
        elevation, stream = drawn.reshape(num_samples, 2, *drawn.shape[1:]).swapaxes(0, 1)
        velocity = 2j * np.pi * np.stack([-l * stream, k * stream], axis=1)
        speed = np.sqrt((fourier_values(velocity, 64) ** 2).sum(axis=1)).max(axis=(1, 2))
        height = np.abs(fourier_values(elevation, 64)).max(axis=(1, 2))
        scaled = _SPEED * velocity / speed[:, None, None, None]
        return np.concatenate([(_ELEVATION * elevation / height[:, None, None])[:, None], scaled], axis=1)

    def recipe(self) -> Recipe:
        """A small Fourier neural operator without coordinates as input: the map commutes with translations."""
        return Recipe(
            method="operator",
            network=NetworkConfig(
                name="fno", width=24, depth=4, activation="gelu", options={"modes": 12, "positions": False}
            ),
            data=DataConfig(train=300, test=60, resolution=64, batch=10),
            stages=(StageConfig("adam", steps=1000, options={"learning_rate": 2e-3, "schedule": "cosine"}),),
            precision="float32",
        )

    def _points(self) -> int:
        """The narrower the fronts that waves steepen into, the finer the grid."""
        return max(64, 32 * math.ceil(0.006 / self.viscosity))

    def _steps(self, points: int) -> int:
        """Waves and water together are slower than 1.6: a step is less than the grid spacing."""
        return max(1, math.ceil(2 * self.duration * points))

    def _equation(self, points: int) -> Equation:
        k, l = frequencies(points)  # noqa: E741
        # Products of two kept modes fold back onto dropped ones only (Orszag's 2/3 rule).
        kept = (np.abs(k) < points / 3) & (l < points / 3)
        along_x, along_y = 2j * np.pi * k, 2j * np.pi * l

        def nonlinear(t, c):
            vorticity = along_x * c[2] - along_y * c[1]
            eta, u, v, zeta = np.asarray(
                scipy.fft.irfft2(np.concatenate([c, vorticity[None]]), s=(points, points), norm="forward")
            )
            turning = self.rotation + zeta
            products = np.stack([(1 + eta) * u, (1 + eta) * v, turning * v, turning * u, eta + (u**2 + v**2) / 2])
            flux_x, flux_y, push_x, push_y, head = np.asarray(scipy.fft.rfft2(products, norm="forward"))
            rates = (-along_x * flux_x - along_y * flux_y, push_x - along_x * head, -push_y - along_y * head)
            return kept * np.stack(rates)

        squares = 4 * np.pi**2 * (k**2 + l**2)
        return -self.viscosity * np.stack([0 * squares, squares, squares]), nonlinear, kept
