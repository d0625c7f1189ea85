"""Burgers equation with a random force, without and with viscosity and dispersion, in space and time."""

import abc
import math
from typing import ClassVar

import equinox as eqx
import numpy as np

from pdesolve.config import DataConfig, NetworkConfig, Recipe, StageConfig
from pdesolve.family import AbstractFamily, FamilyData
from pdesolve.problem import parameter

from ._weno import Law, evolve

__all__ = ["ForcedBurgers", "ForcedKdVBurgers", "ForcedViscousBurgers"]

_LENGTH = 16.0
_WAVES = 5
_BATCH = 8
_REFINED = 2


class _AbstractForcedBurgers(AbstractFamily):
    """A conservation law with a force, from its initial function to averages over cells at all times."""

    constant_names: eqx.AbstractClassVar[tuple[str, ...]]
    duration: eqx.AbstractVar[float]
    intervals: eqx.AbstractVar[int]
    cells: eqx.AbstractVar[int]

    @abc.abstractmethod
    def draw_coefficients(self, generator: np.random.Generator) -> dict[str, float]:
        """Return convection, viscosity and dispersion of one sample."""

    def generate(self, num_samples: int, resolution: int, seed: int) -> FamilyData:
        """Solve by finite volumes; `resolution` is the number of cells over which averages are taken.

        The error bound is twice the largest change of the averages of the first samples when cells and steps are made
        half as large.
        """
        laws = self._draw(num_samples, seed)
        cells = math.ceil(self.cells / resolution) * resolution
        solved, seconds = self._solve(laws, cells, resolution, _BATCH)
        few = Law(*(part[:_REFINED] for part in laws))
        finer, _ = self._solve(few, 2 * cells, resolution, len(few.amplitudes))
        change = np.linalg.norm((solved[:_REFINED] - finer).reshape(len(finer), -1), axis=1)
        scale = np.linalg.norm(finer.reshape(len(finer), -1), axis=1)
        constants = [np.asarray(getattr(laws, name))[:, None, None] for name in self.constant_names]
        inputs = [np.broadcast_to(values, solved.shape) for values in (solved[:, :1], *constants)]
        return FamilyData(
            inputs=np.stack(inputs, axis=1),
            outputs=solved[:, None],
            coordinates={
                "t": np.linspace(0.0, self.duration, int(self.intervals) + 1),
                "x": _LENGTH * (np.arange(resolution) + 0.5) / resolution,
            },
            error_bound=2.0 * float((change / scale).max()),
            seconds=seconds,
        )

    def recipe(self) -> Recipe:
        """A Fourier neural operator that steps by bundles of 25 frames, as in the paper."""
        stepping = {"stepping": "pushforward", "history": 25, "bundle": 25, "calls": 2}
        return Recipe(
            method="operator",
            method_options=stepping,
            network=NetworkConfig(
                name="fno", width=48, depth=4, activation="gelu", options={"modes": 24, "positions": False}
            ),
            data=DataConfig(train=512, test=64, resolution=100, batch=16),
            stages=(StageConfig("adam", steps=4000, options={"learning_rate": 1e-3, "schedule": "cosine"}),),
            precision="float32",
        )

    def _draw(self, num_samples: int, seed: int) -> Law:
        rows = []
        for sample in range(num_samples):
            generator = np.random.default_rng([seed, sample])
            waves = (
                generator.uniform(-0.5, 0.5, _WAVES),
                generator.uniform(-0.4, 0.4, _WAVES),
                generator.uniform(0.0, 2 * np.pi, _WAVES),
                generator.integers(1, 3, _WAVES).astype(float),
            )
            found = self.draw_coefficients(generator)
            rows.append((*waves, *(np.asarray(found[name]) for name in Law._fields[4:])))
        return Law(*(np.stack(parts) for parts in zip(*rows, strict=True)))  # pyright: ignore[reportArgumentType]

    def _solve(self, laws: Law, cells: int, resolution: int, batch: int) -> tuple[np.ndarray, float]:
        """Return averages `(sample, frame, cell)` and the seconds for one sample.

        Batches are of one size, so that a sample's numbers do not depend on how many there are.
        """
        count, intervals = len(laws.amplitudes), int(self.intervals)
        solved, seconds = [], []
        for start in range(0, count, batch):
            chosen = np.minimum(np.arange(start, start + batch), count - 1)
            values, taken = evolve(
                Law(*(np.asarray(part)[chosen] for part in laws)),  # pyright: ignore[reportArgumentType]
                length=_LENGTH,
                cells=cells,
                kept=resolution,
                interval=self.duration / intervals,
                intervals=intervals,
                linear=bool(self.constant_names),
            )
            solved.append(values)
            seconds.append(taken / batch)
        return np.concatenate(solved)[:count], float(np.median(seconds))


class ForcedBurgers(_AbstractForcedBurgers):
    r"""Burgers equation without viscosity and with a random force: shocks (E1 of the MP-PDE paper).

    $$u_t + u u_x = \delta \text{ on } (0, 16) \times (0, 4) \text{, periodic}, \quad u(\cdot, 0) = \delta(0, \cdot),$$

    $$\delta(t, x) = \sum_{j=1}^{5} A_j \sin(\omega_j t + 2 \pi l_j x / 16 + \varphi_j),$$

    with $A_j$ uniform in (-1/2, 1/2), $\omega_j$ in (-0.4, 0.4), $\varphi_j$ in $(0, 2\pi)$ and $l_j$ 1 or 2. The
    numbers are averages over cells; the axes of the grid are time, both ends included, and space. What is learned is to
    step: from 25 frames, in which the force shows itself, to the 25 that follow. All quantities are nondimensional.

    The paper prints the flux $u^2$ and $l_j$ up to 3; this is what the program published with it has.

    References:
        Brandstetter, Worrall, Welling, Message passing neural PDE solvers, ICLR (2022).
    """

    input_names: ClassVar[tuple[str, ...]] = ("u0",)
    constant_names: ClassVar[tuple[str, ...]] = ()
    field_names: ClassVar[tuple[str, ...]] = ("u",)
    coordinates: ClassVar[tuple[str, ...]] = ("t", "x")

    duration: float = parameter(4.0, "time up to which the solution is sought", above=0.0, at_most=20.0)
    intervals: int = parameter(250, "intervals between frames", at_least=2, at_most=2000)
    cells: int = parameter(1600, "least number of cells of the solver", at_least=16, at_most=20000)

    def draw_coefficients(self, generator):
        """Convection alone."""
        return {"convection": 1.0, "viscosity": 0.0, "dispersion": 0.0}


class ForcedViscousBurgers(_AbstractForcedBurgers):
    r"""Burgers equation with random viscosity and force (E2 of the MP-PDE paper).

    $$u_t + u u_x - \beta u_{xx} = \delta, \quad u(\cdot, 0) = \delta(0, \cdot),$$

    with $\beta$ uniform in (0, `largest`); all else as in `ForcedBurgers`.

    References:
        Brandstetter, Worrall, Welling, Message passing neural PDE solvers, ICLR (2022).
    """

    input_names: ClassVar[tuple[str, ...]] = ("u0", "viscosity")
    constant_names: ClassVar[tuple[str, ...]] = ("viscosity",)
    field_names: ClassVar[tuple[str, ...]] = ("u",)
    coordinates: ClassVar[tuple[str, ...]] = ("t", "x")

    duration: float = parameter(4.0, "time up to which the solution is sought", above=0.0, at_most=20.0)
    intervals: int = parameter(250, "intervals between frames", at_least=2, at_most=2000)
    cells: int = parameter(1600, "least number of cells of the solver", at_least=16, at_most=20000)
    largest: float = parameter(0.2, "largest viscosity", above=0.0, at_most=2.0)

    def draw_coefficients(self, generator):
        """Random viscosity."""
        return {"convection": 1.0, "viscosity": generator.uniform(0.0, self.largest), "dispersion": 0.0}


class ForcedKdVBurgers(_AbstractForcedBurgers):
    r"""Burgers to Korteweg-de Vries equations with random coefficients and force (E3 of the MP-PDE paper).

    $$u_t + (\alpha u^2 / 2 - \beta u_x + \gamma u_{xx})_x = \delta, \quad u(\cdot, 0) = \delta(0, \cdot),$$

    with $\alpha$ uniform in (0, 6), $\beta$ in (0.1, 0.4) and $\gamma$ in (0, 1), up to time 2; all else as in
    `ForcedBurgers`.

    References:
        Brandstetter, Worrall, Welling, Message passing neural PDE solvers, ICLR (2022), whose flux has the other factor
        of 2.
    """

    input_names: ClassVar[tuple[str, ...]] = ("u0", "convection", "viscosity", "dispersion")
    constant_names: ClassVar[tuple[str, ...]] = ("convection", "viscosity", "dispersion")
    field_names: ClassVar[tuple[str, ...]] = ("u",)
    coordinates: ClassVar[tuple[str, ...]] = ("t", "x")

    duration: float = parameter(2.0, "time up to which the solution is sought", above=0.0, at_most=20.0)
    intervals: int = parameter(250, "intervals between frames", at_least=2, at_most=2000)
    cells: int = parameter(800, "least number of cells of the solver", at_least=16, at_most=20000)

    def draw_coefficients(self, generator):
        """All three are random."""
        return {
            "convection": generator.uniform(0.0, 6.0),
            "viscosity": generator.uniform(0.1, 0.4),
            "dispersion": generator.uniform(0.0, 1.0),
        }
