"""Kuramoto-Sivashinsky equation on a circle, from random states on its chaotic attractor."""

import dataclasses
import math
import time
from typing import Any, ClassVar

import numpy as np
import scipy.fft
from jaxtyping import Complex

from pdesolve.config import DataConfig, NetworkConfig, Recipe, StageConfig
from pdesolve.data import fourier_values, periodic_gaussian_field
from pdesolve.family import AbstractFamily, FamilyData
from pdesolve.problem import Classical, parameter, refine

from ._fields import relative_errors
from ._modes import etdrk4

__all__ = ["KuramotoSivashinsky"]

_SPIN_UP = (100.0, 400)
"""Duration and steps between the noise and the states: any state on the attractor will do, so steps are large."""
_STEP = 0.05
_NOISE = 1.0 / (3 * 4096)
"""Variance of the Fourier coefficients of white noise that is uniform in (-1, 1) at each of 4096 points."""
_BATCH = 16
_REFINED = 8


class KuramotoSivashinsky(AbstractFamily):
    r"""Kuramoto-Sivashinsky equation on a circle: from a chaotic state to the state some time later.

    $$u_t + u u_x + u_{xx} + u_{xxxx} = 0 \text{ on } (0, L) \text{, periodic}, \quad u(\cdot, 0) \mapsto u(\cdot, T).$$

    Waves longer than $2 \pi$ grow, short ones decay, and steepening hands energy from the first to the second: for
    $L = 64 \pi$ solutions are chaotic, with some twenty humps. States at time 0 have come from white noise in 100 units
    of time. They have mean zero, which the equation conserves; a mean would only move the solution. All quantities are
    nondimensional.

    Nearby states part: an error of the input grows during T, so that T decides how hard the map is.

    References:
        Kassam and Trefethen, SIAM J. Sci. Comput. 26 (2005) 1214-1233, section 4, for the equation and the method.
    """

    input_names: ClassVar[tuple[str, ...]] = ("u0",)
    field_names: ClassVar[tuple[str, ...]] = ("u",)

    length: float = parameter(64 * math.pi, "length L of the circle", at_least=16.0, at_most=400.0)
    duration: float = parameter(10.0, "time T between input and output", above=0.0, at_most=50.0)

    def generate(self, num_samples: int, resolution: int, seed: int) -> FamilyData:
        """Solve by exponential time differencing, pseudo-spectral in space, without aliasing.

        The error bound is twice the largest change of the first samples when grid and steps are made twice as fine.
        """
        points, steps = self._points(), math.ceil(self.duration / _STEP)
        start = self.states(num_samples, seed)
        solved, seconds = _integrate(start, self.length, points, self.duration, steps)
        finer, _ = _integrate(start[:_REFINED], self.length, 2 * points, self.duration, 2 * steps)
        change = relative_errors(solved[:_REFINED], finer[:, : solved.shape[1]])
        return FamilyData(
            inputs=fourier_values(start, resolution)[:, None],
            outputs=fourier_values(solved, resolution)[:, None],
            coordinates={"x": self.length * np.arange(resolution) / resolution},
            error_bound=2.0 * float(change.max()),
            seconds=seconds,
        )

    def states(self, num_samples: int, seed: int) -> Complex[np.ndarray, "sample modes"]:
        """Return the Fourier coefficients of states on the attractor: what has become of white noise."""
        noise = periodic_gaussian_field(
            lambda k: np.where(k == 0, 0.0, _NOISE),
            num_samples=num_samples,
            num_modes=int(self.length / math.pi),  # wavenumbers up to 2; above 1 they decay anyway
            seed=seed,
        )
        return _integrate(noise, self.length, self._points(), *_SPIN_UP)[0]

    def classical(self, tolerance: float) -> Classical:
        """Coarsen grid and steps as far as the mean relative L2 error of a batch allows; seconds are for one sample."""
        start = self.states(_BATCH, seed=0)
        points, steps = self._points(), math.ceil(self.duration / _STEP)
        expected, _ = _integrate(start, self.length, points, self.duration, steps)

        def solve(divisor: int) -> Any:
            coarse = max(1, math.ceil(steps / divisor))
            return _integrate(start, self.length, -(-points // divisor), self.duration, coarse)[0]

        answer = refine(
            solve,
            (10, 8, 6, 5, 4, 3, 2, 1),
            error=lambda solved: float(relative_errors(_resized(solved, expected.shape[1]), expected).mean()),
            tolerance=tolerance,
            description=f"dealiased Fourier series, ETDRK4, {_BATCH} samples at a time",
        )
        solved: Any = answer.evaluate

        def evaluate(at):
            """The first sample at the end."""
            waves = np.exp(2j * np.pi / self.length * at[:, :1] * np.arange(solved.shape[1]))
            return {"u": 2 * np.real(waves @ solved[0]) - solved[0, 0].real}

        resolution = -(-points // answer.resolution)
        return dataclasses.replace(answer, seconds=answer.seconds / _BATCH, resolution=resolution, evaluate=evaluate)

    def recipe(self) -> Recipe:
        """A Fourier neural operator without coordinates as input, because the map commutes with translations."""
        return Recipe(
            method="operator",
            network=NetworkConfig(
                name="fno", width=48, depth=4, activation="gelu", options={"modes": 64, "positions": False}
            ),
            data=DataConfig(train=4000, test=200, resolution=256, batch=20),
            stages=(StageConfig("adam", steps=4000, options={"learning_rate": 2e-3, "schedule": "cosine"}),),
            precision="float32",
        )

    def _points(self) -> int:
        """Wavenumbers up to about 5.3, which are a factor of 1e7 and more below the largest."""
        wanted = math.ceil(512 * self.length / (64 * math.pi))
        return int(scipy.fft.next_fast_len(wanted, real=True))  # pyright: ignore[reportArgumentType]


def _integrate(
    start: Complex[np.ndarray, "sample modes"], length: float, points: int, duration: float, steps: int
) -> tuple[Complex[np.ndarray, "sample kept"], float]:
    """Return the Fourier coefficients at the end on `points` points, and the seconds for one sample.

    Batches are of one size, so that a sample's numbers do not depend on how many there are.
    """
    k = np.arange(points // 2 + 1)
    q = 2 * np.pi / length * k
    # The square of kept modes folds back onto dropped ones only (Orszag's 2/3 rule).
    kept = k < points / 3
    factor = -0.5j * q * kept

    def nonlinear(t, c):
        u = np.asarray(scipy.fft.irfft(c, n=points, norm="forward"))
        return factor * np.asarray(scipy.fft.rfft(u * u, norm="forward"))

    padded = np.zeros((-(-len(start) // _BATCH) * _BATCH, len(k)), complex)
    modes = min(start.shape[1], int(kept.sum()))
    padded[: len(start), :modes] = start[:, :modes]
    ends, seconds = [], []
    for batch in padded.reshape(-1, _BATCH, len(k)):
        began = time.perf_counter()
        ends.append(etdrk4(batch, q**2 - q**4, nonlinear, duration=duration, steps=steps, every=steps)[-1])
        seconds.append(time.perf_counter() - began)
    return np.concatenate(ends)[: len(start)], float(np.median(seconds)) / _BATCH


def _resized(coefficients: np.ndarray, modes: int) -> np.ndarray:
    """Cut off or append zeros to have as many modes."""
    kept = coefficients[:, :modes]
    return np.pad(kept, ((0, 0), (0, modes - kept.shape[1])))
