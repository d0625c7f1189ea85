"""Burgers equation on a periodic interval in space and time, from random initial functions."""

import functools
import math
import time
from typing import Any, ClassVar

import exponax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float

from pdesolve.calculus import Spectral, Stencil, on_grid, partial
from pdesolve.config import DataConfig, NetworkConfig, Recipe, StageConfig
from pdesolve.data import fourier_values
from pdesolve.family import AbstractFamily, FamilyData
from pdesolve.problem import parameter
from pdesolve.system import AbstractSystem

from .burgers_family import BurgersFamily

__all__ = ["BurgersSystem", "BurgersTrajectories"]

_POINTS = 512
_STEP = 1e-3
_FIRST = 5
"""By how much steps are shorter up to the first frame, while the rough part of the initial function decays."""
_BATCH = 16
_REFINED = 2


class BurgersTrajectories(AbstractFamily):
    r"""Burgers equation on a periodic interval: random initial function to the solution up to time 1.

    $$u_t + u u_x = \nu u_{xx} \text{ on } (0, 1) \times (0, 1) \text{, periodic in x}, \quad u(\cdot, 0) = u_0, \quad
    u_0 \mapsto u,$$

    with $u_0$ as in `BurgersFamily`: Gaussian of mean zero and covariance $625\,(-\Delta + 25 I)^{-2}$. The axes of the
    grid are time, both ends included, and space. The input is the initial function at all times. All quantities are
    nondimensional.

    As the answer is the whole solution, the residual of the equation is known, which physics-informed operators are
    trained on; and its frames are trajectories, of which an operator can learn to step (`stepping`).

    References:
        Li, Zheng, Kovachki, et al., Physics-informed neural operator for learning partial differential equations,
        ACM/IMS J. Data Sci. 1 (2024), for the residual on a grid and the viscosity.
    """

    input_names: ClassVar[tuple[str, ...]] = ("u0",)
    field_names: ClassVar[tuple[str, ...]] = ("u",)
    coordinates: ClassVar[tuple[str, ...]] = ("t", "x")
    residual_forms: ClassVar[tuple[str, ...]] = ("spectral", "pointwise")
    residual_names: ClassVar[tuple[str, ...]] = ("equation", "initial")

    viscosity: float = parameter(0.01, "kinematic viscosity", at_least=5e-3, at_most=1.0)
    intervals: int = parameter(32, "intervals between frames", at_least=2, at_most=1000)

    def generate(self, num_samples: int, resolution: int, seed: int) -> FamilyData:
        """Solve by exponential time differencing, pseudo-spectral in space; `resolution` is that in space.

        The error bound is twice the largest change of the first samples when grid and steps are made twice as fine.
        """
        drawn = self.draw_inputs(num_samples, resolution, seed)
        start = self._start(num_samples, seed)
        solved, seconds = self._solve(start, _POINTS, 1, _BATCH)
        finer, _ = self._solve(start[:_REFINED], 2 * _POINTS, 2, _REFINED)
        checked = solved[:_REFINED].reshape(len(finer), -1)
        expected = finer[..., : solved.shape[2]].reshape(len(finer), -1)
        change = np.linalg.norm(checked - expected, axis=1) / np.linalg.norm(expected, axis=1)
        frames = np.concatenate(
            [fourier_values(start, resolution)[:, None], fourier_values(solved, resolution)], axis=1
        )
        return FamilyData(
            inputs=drawn.inputs,
            outputs=frames[:, None],
            coordinates=drawn.coordinates,
            error_bound=2.0 * float(change.max()),
            seconds=seconds,
        )

    def draw_inputs(self, num_samples: int, resolution: int, seed: int) -> FamilyData:
        """Draw the initial functions that `generate` draws, and solve nothing: there are no outputs."""
        values = fourier_values(self._start(num_samples, seed), resolution)
        times = np.linspace(0.0, 1.0, int(self.intervals) + 1)
        shape = (num_samples, 1, len(times), resolution)
        coordinates = {"t": times, "x": np.arange(resolution) / resolution}
        inputs = np.array(np.broadcast_to(values[:, None, None], shape))
        return FamilyData(inputs, np.zeros((num_samples, 0, *shape[2:])), coordinates, 0.0, 0.0)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Convection by the velocity itself, and diffusion."""
        u = fields.u
        return {"equation": partial(u, "t") + u * partial(u, "x") - self.viscosity * partial(u, "x", 2)}

    def residuals(self, given, answer, coordinates, form):
        """Return the equation's residual between the first and the last frame, and u - u0 in the first.

        The form `spectral` is the published one: central differences in time, of second order, Fourier series in space.
        The form `pointwise` leaves the equation to whoever can differentiate the answer at points.
        """
        initial = {"initial": answer[0, 0] - given[0, 0]}
        if form == "pointwise":
            return initial
        rules = {"t": Stencil(order=2), "x": Spectral()}
        found = on_grid(self.equations, {"u": answer[0]}, coordinates, rules)
        return {"equation": found["equation"][1:-1], **initial}

    def system(self) -> "BurgersSystem":
        """Return the equations in the form that a constrained solve takes."""
        return BurgersSystem(float(self.viscosity))

    def recipe(self) -> Recipe:
        """A small Fourier neural operator over time and space; as nothing is periodic in time, zeros are put behind."""
        return Recipe(
            method="operator",
            network=NetworkConfig(
                name="fno", width=24, depth=4, activation="gelu", options={"modes": 12, "padding": 0.1}
            ),
            data=DataConfig(train=400, test=100, resolution=64, batch=20),
            stages=(StageConfig("adam", steps=2000, options={"learning_rate": 2e-3, "schedule": "cosine"}),),
            precision="float32",
        )

    def _start(self, num_samples: int, seed: int) -> Complex[np.ndarray, "sample modes"]:
        return BurgersFamily().initial_coefficients(num_samples, seed)

    def _solve(
        self, start: Complex[np.ndarray, "sample modes"], points: int, refinement: int, batch: int
    ) -> tuple[Complex[np.ndarray, "sample frame kept"], float]:
        """Return the Fourier coefficients of all frames but the first, and the seconds for one sample.

        Batches are of one size, so that a sample's numbers do not depend on how many there are. Compilation is not
        timed.
        """
        frames = int(self.intervals)
        steps = math.ceil(1.0 / (frames * _STEP)) * refinement
        padded = np.zeros((-(-len(start) // batch) * batch, start.shape[1]), complex)
        padded[: len(start)] = start
        batches = fourier_values(padded, points).reshape(-1, batch, 1, points)
        # Whatever the precision of the training; and exponax relies on the promotion of ranks.
        with jax.enable_x64(True), jax.numpy_rank_promotion("allow"):
            solve = _compiled(float(self.viscosity), points, frames, steps, batch)
            seconds, solved = [], []
            for values in batches:
                began = time.perf_counter()
                solved.append(np.asarray(solve(values)))
                seconds.append(time.perf_counter() - began)
        whole = np.concatenate(solved)[: len(start), :, 0]
        return np.fft.rfft(whole, norm="forward")[..., :-1], float(np.median(seconds)) / batch


class BurgersSystem(AbstractSystem):
    """The residuals of the form `spectral`, from u and its derivatives.

    Args:
        viscosity: The kinematic one.
    """

    viscosity: float

    def coordinates(self, grid):
        """Time with both ends, space without the right one."""
        return {"t": np.linspace(0.0, 1.0, grid[0]), "x": np.arange(grid[1]) / grid[1]}

    def terms(self, given, answer, coordinates):
        """Return u, its derivative in time by differences, and those in space by Fourier series."""
        u = answer[0]
        t, x = (jnp.asarray(coordinates[axis], u.dtype) for axis in ("t", "x"))
        u_x, u_xx = (Spectral().differentiate(u, x, order) for order in (1, 2))
        return {"u": u, "u_t": Stencil(order=2).differentiate(u.T, t, 1).T, "u_x": u_x, "u_xx": u_xx}

    def data(self, given, coordinates):
        """Return 1 between the first and the last frame, where the equation counts, and 0 in these."""
        inside = np.ones(given.shape[1:])
        inside[[0, -1]] = 0.0
        return {"inside": jnp.asarray(inside, given.dtype)}

    def balance(self, terms, data):
        """Return what convection and diffusion leave over."""
        change = terms["u_t"] + terms["u"] * terms["u_x"] - self.viscosity * terms["u_xx"]
        return {"equation": data["inside"] * change}

    def conditions(self, given, answer, coordinates):
        """Return u - u0 in the first frame."""
        return {"initial": answer[0, 0] - given[0, 0]}


@functools.lru_cache(maxsize=8)
def _compiled(viscosity: float, points: int, frames: int, steps: int, batch: int) -> Any:
    """Return the compiled solver of a batch `(sample, 1, points)`, which returns `(sample, frames, 1, points)`."""

    def interval(count: int) -> Any:
        stepper = exponax.stepper.Burgers(1, 1.0, points, 1.0 / (frames * count), diffusivity=viscosity, order=4)
        return exponax.repeat(stepper, count)

    first, others = interval(_FIRST * steps), exponax.rollout(interval(steps), frames - 1)

    def solve(u: Float[jax.Array, "1 points"]) -> Float[jax.Array, "frames 1 points"]:
        start = first(u)
        return jnp.concatenate([start[None], others(start)])

    shape = jax.ShapeDtypeStruct((batch, 1, points), jnp.float64)
    return jax.jit(jax.vmap(solve)).lower(shape).compile()
