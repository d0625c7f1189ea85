"""Diffusion with sorption along a line: a solute that enters a clean soil, and clings to its grains."""

import dataclasses
import itertools
import math
import time
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.linalg import solve_banded

from pdesolve.calculus import Stencil
from pdesolve.config import DataConfig, NetworkConfig, Recipe, StageConfig
from pdesolve.errors import PdesolveError
from pdesolve.family import AbstractFamily, FamilyData
from pdesolve.problem import parameter
from pdesolve.system import AbstractSystem

__all__ = ["DiffusionSorption", "DiffusionSorptionSystem"]

_CELLS = 256
"""Least number of cells of the solver."""
_FIRST, _LATER = 20, 2
"""Steps up to the first frame, where the solution begins with a jump, and from frame to frame."""
_REFINED = 2
_NEWTON = 1e-10
_SHIFT = 1e-6
"""Added to the concentration inside the power, whose slope at zero is infinite."""


class DiffusionSorption(AbstractFamily):
    r"""Diffusion with sorption along a line: from the initial concentration to the solution at all times.

    $$u_t = \frac{D}{R(u)} u_{xx} \text{ on } (0, 1) \times (0, T), \quad
    R(u) = 1 + \frac{1 - \phi}{\phi} \rho\, k\, n\, u^{n - 1},$$

    $$u(\cdot, 0) = u_0, \quad u(0, t) = 1, \quad u(1, t) + D u_x(1, t) = 0 \text{ for } t > 0,$$

    with a constant $u_0$, uniform from 0 to `largest`, and isotherm of Freundlich: k = 3.5e-4, n = 0.874, $\phi$ =
    0.29, $\rho$ = 2880. Inside the power u is u + 1e-6. The axes of the grid are time and space, both with both ends.
    Quantities are in the units of the benchmark.

    So what is learned is a function of one number; the field given is that number everywhere. The papers print the
    condition on the right as $u = D u_x$, with which the problem is not well posed; it is the outflow of the program
    that made the benchmark's data, which is taken here. That program imposes conditions half a cell outside; here they
    hold at the ends.

    References:
        Takamoto et al., PDEBench: an extensive benchmark for scientific machine learning, NeurIPS (2022), and the
        program published with it; Chalapathi, Du, Krishnapriyan, Scaling physics-informed hard constraints with
        mixture-of-experts, ICLR (2024), for the case at T = 500 with 1024 points at 101 times.
    """

    input_names: ClassVar[tuple[str, ...]] = ("u0",)
    field_names: ClassVar[tuple[str, ...]] = ("u",)
    coordinates: ClassVar[tuple[str, ...]] = ("t", "x")
    periodic: ClassVar[bool] = False
    residual_forms: ClassVar[tuple[str, ...]] = ("differences",)
    residual_names: ClassVar[tuple[str, ...]] = ("equation", "initial", "left", "right")

    diffusivity: float = parameter(5e-4, "diffusivity D", above=0.0, at_most=1.0)
    duration: float = parameter(500.0, "time T up to which the solution is sought", above=0.0, at_most=5000.0)
    largest: float = parameter(0.2, "largest initial concentration", at_least=0.0, at_most=1.0)
    intervals: int = parameter(100, "intervals between times", at_least=2, at_most=1000)

    def generate(self, num_samples: int, resolution: int, seed: int) -> FamilyData:
        """Solve by finite volumes and an implicit Runge-Kutta method of second order.

        The error bound is twice the largest change of the first samples when cells and steps are made half as large.
        """
        drawn = self.draw_inputs(num_samples, resolution, seed)
        assert drawn.inputs is not None
        stride = math.ceil(_CELLS / (resolution - 1))
        outputs, seconds, changes = np.zeros(drawn.inputs.shape), [], []
        for index, start in enumerate(drawn.inputs[:, 0, 0, 0]):
            began = time.perf_counter()
            outputs[index, 0] = self.solution(float(start), stride * (resolution - 1))[:, ::stride]
            seconds.append(time.perf_counter() - began)
            if index < _REFINED:
                finer = self.solution(float(start), 2 * stride * (resolution - 1), refinement=2)[:, :: 2 * stride]
                changes.append(np.linalg.norm(outputs[index, 0] - finer) / np.linalg.norm(finer))
        return dataclasses.replace(
            drawn, outputs=outputs, error_bound=2.0 * float(max(changes)), seconds=float(np.median(seconds))
        )

    def draw_inputs(self, num_samples: int, resolution: int, seed: int) -> FamilyData:
        """Draw the initial concentrations that `generate` draws, and solve nothing: there are no outputs.

        Raises:
            PdesolveError: If the grid is too coarse for the differences.
        """
        if resolution < 5:
            raise PdesolveError(f"`resolution` must be at least 5, got {resolution}.")
        values = np.random.default_rng(seed).uniform(0.0, self.largest, num_samples)
        points = self.system().coordinates((int(self.intervals) + 1, resolution))
        shape = (num_samples, 1, int(self.intervals) + 1, resolution)
        inputs = np.array(np.broadcast_to(values[:, None, None, None], shape))
        return FamilyData(inputs, np.zeros((num_samples, 0, *shape[2:])), points, 0.0, 0.0)

    def solution(self, start: float, cells: int, refinement: int = 1) -> Float[np.ndarray, "time point"]:
        r"""Solve $\theta(u)_t = D u_{xx}$ with $\theta' = R$ from a constant.

        Finite volumes around the points; the L-stable diagonally implicit method of two stages in time. Steps up to the
        first frame are uniform in the square root of time, by which the jump at the left end spreads.
        """
        system, x = self.system(), np.linspace(0.0, 1.0, cells + 1)
        frames = np.linspace(0.0, self.duration, int(self.intervals) + 1)
        u = np.full(cells + 1, start)
        found = [u.copy()]
        u[0] = 1.0
        for index, (low, high) in enumerate(itertools.pairwise(frames)):
            count = refinement * (_LATER if index else _FIRST)
            times = np.linspace(math.sqrt(low), math.sqrt(high), count + 1) ** 2
            for step in np.diff(times):
                u = _step(u, float(step), x[1], system)
            found.append(u.copy())
        return np.array(found)

    def residuals(self, given, answer, coordinates, form):
        """Return what `system` leaves over, by differences of second order."""
        return self.system().residuals(given, answer, coordinates)

    def system(self) -> "DiffusionSorptionSystem":
        """Return the equations in the form that a constrained solve takes."""
        return DiffusionSorptionSystem(float(self.diffusivity), float(self.duration))

    def recipe(self) -> Recipe:
        """Four experts on a small Fourier neural operator, without data: about a quarter of the published grid."""
        options = {"modes": 8, "padding": 0.1}
        return Recipe(
            method="pihcmoe",
            network=NetworkConfig(name="fno", width=16, depth=4, activation="gelu", options=options),
            data=DataConfig(train=40, test=20, resolution=128, batch=4),
            stages=(StageConfig("adam", steps=500, options={"learning_rate": 1e-3, "schedule": "cosine"}),),
        )


class DiffusionSorptionSystem(AbstractSystem):
    """The equation multiplied by T, so that its terms are of the size of the concentration, and the conditions.

    The equation is imposed at inner points after the start. Derivatives are differences of second order, central but
    for the last time; that in time is one in the square root of time, in which the solution begins smoothly, as the
    jump at the left end spreads like it. (By differences in time itself the solution's own residual is as large as its
    terms at the first time.)

    Args:
        diffusivity: D.
        duration: T.
        rounding: Concentration below which R grows no more: see `retardation`.
    """

    diffusivity: float
    duration: float
    porosity: ClassVar[float] = 0.29
    density: ClassVar[float] = 2880.0
    freundlich: ClassVar[float] = 3.5e-4
    exponent: ClassVar[float] = 0.874
    rounding: float = 2e-3

    @property
    def capacity(self) -> float:
        r"""Return $\rho k (1 - \phi) / \phi$."""
        return (1.0 - self.porosity) / self.porosity * self.density * self.freundlich

    def coordinates(self, grid):
        """Time, then space, both with both ends."""
        return {"t": np.linspace(0.0, self.duration, grid[0]), "x": np.linspace(0.0, 1.0, grid[1])}

    def terms(self, given, answer, coordinates):
        """Return u, its derivative in time, and the second one in space."""
        u = answer[0]
        t, x = (jnp.asarray(coordinates[axis], u.dtype) for axis in ("t", "x"))
        before, here, after = _time_weights(t)[:, :, None]
        inner = before[:-1] * u[:-2] + here[:-1] * u[1:-1] + after[:-1] * u[2:]
        last = before[-1:] * u[-3:-2] + here[-1:] * u[-2:-1] + after[-1:] * u[-1:]
        u_t = jnp.concatenate([jnp.zeros_like(u[:1]), inner, last])
        return {"u": u, "u_t": u_t, "u_xx": Stencil(order=2).differentiate(u, x, 2)}

    def data(self, given, coordinates):
        """Return 1 where the equation counts, 0 at the start and at both ends."""
        inside = np.zeros(given.shape[1:])
        inside[1:, 1:-1] = 1.0
        return {"inside": jnp.asarray(inside, given.dtype)}

    def balance(self, terms, data):
        """Return T times what the equation leaves over, with R as `retardation` has it."""
        slowed = self.diffusivity / self.retardation(terms["u"]) * terms["u_xx"]
        return {"equation": self.duration * data["inside"] * (terms["u_t"] - slowed)}

    def conditions(self, given, answer, coordinates):
        """Return those at the start, on the left, and on the right."""
        u = answer[0]
        spacing = jnp.asarray(coordinates["x"][1] - coordinates["x"][0], u.dtype)
        slope = (3.0 * u[1:, -1] - 4.0 * u[1:, -2] + u[1:, -3]) / (2.0 * spacing)
        return {
            "initial": u[0] - given[0, 0],
            "left": u[1:, 0] - 1.0,
            "right": u[1:, -1] + self.diffusivity * slope,
        }

    def retardation(self, u: Float[Array, "*grid"]) -> Float[Array, "*grid"]:
        r"""Return R of $(u + \sqrt{u^2 + \delta^2}) / 2$ with $\delta$ = `rounding`, in place of u cut off at zero.

        Where basis functions cross zero, R itself has a slope of a million, then a kink, and least squares no minimum
        that a gradient could show.
        """
        base = 0.5 * (u + jnp.sqrt(u**2 + self.rounding**2))
        return 1.0 + self.capacity * self.exponent * (base + _SHIFT) ** (self.exponent - 1.0)

    def stored(self, u: Float[np.ndarray, " n"]) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        r"""Return $\theta = u + \rho k (1 - \phi) / \phi\, u^n$ (of a negative u its tangent at 0), and R."""
        base = np.maximum(u, 0.0) + _SHIFT
        power = self.capacity * base**self.exponent
        slope = self.exponent * power / base
        return u + power + slope * np.minimum(u, 0.0), 1.0 + slope


def _time_weights(t: Float[Array, " n"]) -> Float[Array, "3 rest"]:
    r"""Return the weights of three neighbouring values in $u_t = u_s / (2 s)$, $s = \sqrt t$, after the first time.

    Exact for polynomials of degree two in s; the last column is for the last three values, at the last of them.
    """
    s = jnp.sqrt(t)
    a, b, c = (jnp.append(part, part[-1]) for part in (s[:-2], s[1:-1], s[2:]))
    at = s[1:]
    weights = [(2 * at - b - c) / ((a - b) * (a - c)), (2 * at - a - c) / ((b - a) * (b - c))]
    weights.append((2 * at - a - b) / ((c - a) * (c - b)))
    return jnp.stack(weights) / (2 * at)[None]


def _step(u: np.ndarray, step: float, spacing: float, system: DiffusionSorptionSystem) -> Float[np.ndarray, " n"]:
    """Advance by one step of the two-stage method, with the root of its stability function's denominator doubled."""
    share = 1.0 - math.sqrt(0.5)
    held = system.stored(u)[0][1:]
    first = _stage(u, held, share * step, spacing, system)
    flow = _flow(first, spacing, system.diffusivity)
    return _stage(first, held + (1.0 - share) * step * flow, share * step, spacing, system)


def _stage(
    u: np.ndarray, held: np.ndarray, step: float, spacing: float, system: DiffusionSorptionSystem
) -> Float[np.ndarray, " n"]:
    """Solve theta(u) - step * flow(u) = held by Newton's method, beginning at u; the value on the left stays."""
    u, rate = u.copy(), system.diffusivity / spacing**2
    for _ in range(30):
        theta, slope = system.stored(u[1:])
        bands = np.zeros((3, len(held)))
        bands[0, 1:] = bands[2, :-1] = -step * rate
        bands[1] = slope + 2.0 * step * rate
        bands[1, -1] += 2.0 * step / spacing
        bands[2, -2] *= 2.0
        change = solve_banded((1, 1), bands, held - theta + step * _flow(u, spacing, system.diffusivity))
        u[1:] += change
        if np.abs(change).max() < _NEWTON:
            return u
    raise PdesolveError(f"Newton's method has not converged in a time step of {step:g}: take more `intervals`.")


def _flow(u: np.ndarray, spacing: float, diffusivity: float) -> Float[np.ndarray, " n"]:
    """Return what flows into each volume but the first, which is half a cell and given; the last one is half a cell."""
    flux = diffusivity * np.diff(u) / spacing
    inner = np.diff(flux) / spacing
    return np.append(inner, 2.0 * (-flux[-1] - u[-1]) / spacing)
