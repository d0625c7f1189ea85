"""Wave equation on a square membrane: from a random deflection at rest to the deflection some time later."""

import dataclasses
import functools
import time
from typing import Any, ClassVar

import numpy as np
import scipy.fft
from jaxtyping import Float

from pdesolve.config import DataConfig, NetworkConfig, Recipe, StageConfig
from pdesolve.family import AbstractFamily, FamilyData
from pdesolve.problem import Classical, parameter, refine

__all__ = ["Wave2D"]

_COMPARED = 2


class Wave2D(AbstractFamily):
    r"""Wave equation on a clamped square membrane: from a random deflection to the one some time later.

    $$u_{tt} = c^2 \Delta u \text{ on } (0, 1)^2, \quad u = 0 \text{ on the boundary}, \quad u_t(\cdot, 0) = 0, \quad
    u(\cdot, 0) \mapsto u(\cdot, T),$$

    $$u(x, y, 0) = \frac{\pi}{K^2} \sum_{i, j = 1}^{K} a_{ij} (i^2 + j^2)^{-s} \sin \pi i x \sin \pi j y, \quad
    a_{ij} \sim U(-1, 1), \quad K = 24.$$

    At time t each term is multiplied by $\cos (\pi c t \sqrt{i^2 + j^2})$. The smaller the smoothness s, the rougher
    the deflection: another s than that of the training samples asks how well an operator generalises. All quantities
    are nondimensional.

    References:
        Raonic et al., Convolutional neural operators for robust and accurate learning of PDEs, NeurIPS (2023): wave
        equation, with c = 0.1, T = 5 and s = 1; its data were drawn by its authors.
    """

    input_names: ClassVar[tuple[str, ...]] = ("u0",)
    field_names: ClassVar[tuple[str, ...]] = ("u",)
    coordinates: ClassVar[tuple[str, ...]] = ("x", "y")
    periodic: ClassVar[bool] = False

    speed: float = parameter(0.1, "speed c of waves", above=0.0, at_most=10.0)
    modes: int = parameter(24, "number K of sines along each axis", at_least=1, at_most=128)
    smoothness: float = parameter(1.0, "exponent s by which amplitudes fall", at_least=0.0, at_most=5.0)
    duration: float = parameter(5.0, "time T between input and output", above=0.0, at_most=100.0)

    def generate(self, num_samples: int, resolution: int, seed: int) -> FamilyData:
        """Sum the sines; the error is that of rounding."""
        start = self.amplitudes(num_samples, seed)
        began = time.perf_counter()
        later = start * np.cos(self._frequencies(self.modes) * self.duration)
        seconds = (time.perf_counter() - began) / max(num_samples, 1)
        x = np.linspace(0.0, 1.0, resolution)
        waves = _sines(x, self.modes)
        return FamilyData(
            inputs=(waves @ start @ waves.T)[:, None],
            outputs=(waves @ later @ waves.T)[:, None],
            coordinates={"x": x, "y": x},
            error_bound=1e-13,
            seconds=seconds,
        )

    def amplitudes(self, num_samples: int, seed: int) -> Float[np.ndarray, "sample K K"]:
        """Return the factors of the sines of initial deflections."""
        drawn = [np.random.default_rng([seed, k]).uniform(-1, 1, (self.modes, self.modes)) for k in range(num_samples)]
        i = np.arange(1.0, self.modes + 1)
        law = np.pi / self.modes**2 * (i[:, None] ** 2 + i[None] ** 2) ** -self.smoothness
        return law * np.array(drawn).reshape(num_samples, self.modes, self.modes)

    def classical(self, tolerance: float) -> Classical:
        """Sine transforms of the values on a grid, as coarse as the mean relative L2 error of some samples allows."""
        start = self.amplitudes(_COMPARED, seed=0)
        fine = _sines(np.linspace(0.0, 1.0, 4 * self.modes + 1), self.modes)
        expected = fine @ (start * np.cos(self._frequencies(self.modes) * self.duration)) @ fine.T
        answer = refine(
            functools.partial(self._transformed, start),  # type: ignore[arg-type]
            sorted({2, 4, 8, 16, 32, self.modes + 1}),
            error=lambda later: float(np.mean(self._errors(later, expected))),  # type: ignore[arg-type]
            tolerance=tolerance,
            description="sine transforms, exact in time",
        )
        later: Any = answer.evaluate

        def evaluate(at):
            """The first sample at the end."""
            along_x, along_y = (_sines(at[:, axis], later.shape[-1]) for axis in (0, 1))
            return {"u": np.sum((along_x @ later[0]) * along_y, axis=1)}

        return dataclasses.replace(answer, seconds=answer.seconds / _COMPARED, evaluate=evaluate)

    def recipe(self) -> Recipe:
        """A small Fourier neural operator; functions are not periodic, so coordinates are among its inputs."""
        return Recipe(
            method="operator",
            network=NetworkConfig(name="fno", width=24, depth=4, activation="gelu", options={"modes": 12}),
            data=DataConfig(train=1024, test=256, resolution=65, batch=16),
            stages=(StageConfig("adam", steps=1500, options={"learning_rate": 2e-3, "schedule": "cosine"}),),
            precision="float32",
        )

    def _frequencies(self, modes: int) -> Float[np.ndarray, "K K"]:
        i = np.arange(1.0, modes + 1)
        return np.pi * self.speed * np.sqrt(i[:, None] ** 2 + i[None] ** 2)

    def _transformed(self, start: Float[np.ndarray, "sample K K"], intervals: int) -> Float[np.ndarray, "sample k k"]:
        """Return the amplitudes at the end from the initial values at the inner points of a grid."""
        waves = _sines(np.arange(1, intervals) / intervals, self.modes)
        found = np.asarray(scipy.fft.dstn(waves @ start @ waves.T, type=1, axes=(1, 2))) / intervals**2
        return found * np.cos(self._frequencies(intervals - 1) * self.duration)

    def _errors(self, later: np.ndarray, expected: np.ndarray) -> np.ndarray:
        waves = _sines(np.linspace(0.0, 1.0, expected.shape[-1]), later.shape[-1])
        gap = waves @ later @ waves.T - expected
        return np.linalg.norm(gap, axis=(1, 2)) / np.linalg.norm(expected, axis=(1, 2))


def _sines(x: Float[np.ndarray, " n"], modes: int) -> Float[np.ndarray, "n modes"]:
    return np.sin(np.pi * np.outer(x, np.arange(1, modes + 1)))
