"""Allen-Cahn equation in the plane, periodic: from a random mixture of two phases to the one some time later."""

import math
from typing import ClassVar

import numpy as np
import scipy.fft
from jaxtyping import Complex

from pdesolve.config import DataConfig, NetworkConfig, Recipe, StageConfig
from pdesolve.problem import parameter

from ._fields import fourier_values, frequencies, periodic_field, resized
from ._periodic import AbstractPeriodicFamily, Equation

__all__ = ["AllenCahn2D"]

_MODES = 8
_AMPLITUDE = 0.9


class AllenCahn2D(AbstractPeriodicFamily):
    r"""Allen-Cahn equation on a torus: from a random mixture of two phases to the one some time later.

    $$u_t = D \Delta u + r (u - u^3) \text{ on } (0, 1)^2 \text{, periodic}, \quad u(\cdot, 0) \mapsto u(\cdot, T).$$

    The phases are u = 1 and u = -1; between them are layers $\tanh (x / \sqrt{2 D / r})$, which move by their
    curvature. The initial value is 0.9 w / max |w| with w Gaussian, of equal variances of the modes
    $|k_1|, |k_2| \le 8$ but for the constant one, and the maximum that over 64 x 64 points. All quantities are
    nondimensional. The energy $\int \frac{D}{2} |\nabla u|^2 + \frac{r}{4} (1 - u^2)^2$ falls, and u stays between
    -1 and 1.

    References:
        Allen and Cahn, Acta Metallurgica 27 (1979) 1085-1095, for the equation.
    """

    input_names: ClassVar[tuple[str, ...]] = ("u0",)
    field_names: ClassVar[tuple[str, ...]] = ("u",)

    diffusivity: float = parameter(0.002, "diffusivity D", at_least=0.0005, at_most=0.1)
    rate: float = parameter(5.0, "rate r at which the phases part", at_least=0.0, at_most=10.0)
    duration: float = parameter(1.0, "time T between input and output", above=0.0, at_most=10.0)

    def initial_coefficients(self, num_samples: int, seed: int) -> Complex[np.ndarray, " sample 1 rows columns"]:
        """Return the Fourier coefficients of initial mixtures."""
        drawn = periodic_field(
            lambda squares: np.where(squares == 0, 0.0, 1.0), num_samples=num_samples, num_modes=_MODES, seed=seed
        )
        largest = np.abs(fourier_values(drawn, 64)).max(axis=(1, 2), keepdims=True)
        return (_AMPLITUDE * drawn / largest)[:, None]

    def recipe(self) -> Recipe:
        """A small Fourier neural operator without coordinates as input: the map commutes with translations."""
        return Recipe(
            method="operator",
            network=NetworkConfig(
                name="fno", width=24, depth=4, activation="gelu", options={"modes": 12, "positions": False}
            ),
            data=DataConfig(train=400, test=100, resolution=64, batch=10),
            stages=(StageConfig("adam", steps=1000, options={"learning_rate": 2e-3, "schedule": "cosine"}),),
            precision="float32",
        )

    def _points(self) -> int:
        """Three points across a layer: the end of its series is then a ten-thousandth of its beginning."""
        width = math.sqrt(2 * self.diffusivity / max(self.rate, 1e-9))
        return max(64, 16 * math.ceil(3 / width / 16))

    def _steps(self, points: int) -> int:
        """The reaction, not the grid, limits a step of the exponential integrator; for a ratio of both fixed."""
        return max(8, math.ceil(self.duration * (1 + self.rate) * points / 16))

    def _equation(self, points: int) -> Equation:
        k, l = frequencies(points)  # noqa: E741
        # On twice as many points cubes of kept modes fold back onto dropped ones only.
        kept, fine = (np.abs(k) < points / 2) & (l < points / 2), 2 * points

        def nonlinear(t, c):
            u = np.asarray(scipy.fft.irfft2(resized(c, fine), s=(fine, fine), norm="forward"))
            return -self.rate * kept * resized(np.asarray(scipy.fft.rfft2(u**3, norm="forward")), points)

        return self.rate - 4 * np.pi**2 * self.diffusivity * (k**2 + l**2), nonlinear, kept
