"""Navier-Stokes equations in the plane, periodic, in space and time: a random vorticity that decays."""

import dataclasses
import math
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import scipy.special
from jaxtyping import Complex

from pdesolve.calculus import Stencil
from pdesolve.config import DataConfig, NetworkConfig, Recipe, StageConfig
from pdesolve.family import AbstractFamily, FamilyData
from pdesolve.problem import parameter
from pdesolve.system import AbstractSystem

from ._fields import fourier_values, frequencies, periodic_noise, relative_errors, resized
from .navier_stokes_2d import NavierStokes2D

__all__ = ["NavierStokesSystem", "NavierStokesTrajectories"]

_POINTS = 96
"""Of the solver, along each axis."""
_STEP = 0.025
"""At most; the fluid, whose velocities stay below 0.4, moves by less than the grid spacing."""
_MODES = 12
"""Of initial vorticities; at the shortest `length` the variance of further ones is below round-off."""
_REFINED = 1


class NavierStokesTrajectories(AbstractFamily):
    r"""Navier-Stokes equations on a torus, in time: from a random vorticity to the vorticity at all times.

    $$w_t + v \cdot \nabla w = \nu \Delta w, \quad v = (\psi_y, -\psi_x), \quad -\Delta \psi = w
    \text{ on } (0, 1)^2 \times (0, T) \text{, periodic}, \quad w(\cdot, 0) = w_0, \quad w_0 \mapsto w,$$

    with $w_0$ Gaussian of covariance $\exp(-2 (\sin^2 \pi d_x + \sin^2 \pi d_y) / \ell^2)$ at distance d, less its
    mean, as the mean of a vorticity on a torus is zero and stays so. There is no force. The axes of the grid are time,
    both ends included, and space. The input is the initial vorticity at all times. All quantities are nondimensional.

    The paper takes 64 points in space and time for training, 256 points at 64 times for tests. That its vorticities
    have variance 1 before the mean is taken off is assumed here.

    References:
        Chalapathi, Du, Krishnapriyan, Scaling physics-informed hard constraints with mixture-of-experts, ICLR (2024),
        for viscosity, duration, covariance and grids.
    """

    input_names: ClassVar[tuple[str, ...]] = ("w0",)
    field_names: ClassVar[tuple[str, ...]] = ("w",)
    coordinates: ClassVar[tuple[str, ...]] = ("t", "x", "y")
    block: ClassVar[int] = 8
    residual_forms: ClassVar[tuple[str, ...]] = ("spectral",)
    residual_names: ClassVar[tuple[str, ...]] = ("equation", "initial")

    viscosity: float = parameter(1e-4, "kinematic viscosity", at_least=1e-4, at_most=1.0)
    duration: float = parameter(5.0, "time T up to which the solution is sought", above=0.0, at_most=50.0)
    length: float = parameter(0.8, "length of the covariance", at_least=0.4, at_most=10.0)
    intervals: int = parameter(63, "intervals between frames", at_least=4, at_most=1000)

    def generate(self, num_samples: int, resolution: int, seed: int) -> FamilyData:
        """Solve by exponential time differencing, pseudo-spectral in space; `resolution` is that in space.

        The error bound is twice the change of the first sample when grid and steps are made twice as fine.
        """
        drawn = self.draw_inputs(num_samples, resolution, seed)
        start, flow = self.initial_coefficients(num_samples, seed), self._flow()
        frames = int(self.intervals)
        steps = frames * math.ceil(self.duration / (frames * _STEP))
        solved, seconds = flow.frames(start, _POINTS, steps, frames)
        finer, _ = flow.frames(start[:_REFINED], 2 * _POINTS, 2 * steps, frames)
        change = relative_errors(solved[:_REFINED], resized(finer, _POINTS))
        return dataclasses.replace(
            drawn,
            outputs=fourier_values(solved, resolution)[:, None],
            error_bound=2.0 * float(change.max()),
            seconds=seconds,
        )

    def draw_inputs(self, num_samples: int, resolution: int, seed: int) -> FamilyData:
        """Draw the initial vorticities that `generate` draws, and solve nothing: there are no outputs."""
        values = fourier_values(self.initial_coefficients(num_samples, seed), resolution)
        shape = (int(self.intervals) + 1, resolution, resolution)
        inputs = np.array(np.broadcast_to(values[:, None, None], (num_samples, 1, *shape)))
        return FamilyData(inputs, np.zeros((num_samples, 0, *shape)), self.system().coordinates(shape), 0.0, 0.0)

    def initial_coefficients(self, num_samples: int, seed: int) -> Complex[np.ndarray, "sample rows columns"]:
        r"""Return the Fourier coefficients of initial vorticities.

        Along each axis the covariance has the series $e^{-z} \sum_k I_k(z) e^{2 \pi i k d}$, $z = \ell^{-2}$.
        """
        k, l = frequencies(2 * _MODES + 1)  # noqa: E741
        variance = scipy.special.ive(k, self.length**-2) * scipy.special.ive(l, self.length**-2)
        variance[0, 0] = 0.0
        return np.sqrt(variance) * periodic_noise(num_samples, _MODES, seed)

    def residuals(self, given, answer, coordinates, form):
        """Return the equation's residual everywhere, and w - w0 in the first frame."""
        return self.system().residuals(given, answer, coordinates) | {"initial": answer[0, 0] - given[0, 0]}

    def system(self) -> "NavierStokesSystem":
        """Return the equations in the form that a constrained solve takes."""
        return NavierStokesSystem(float(self.viscosity), float(self.duration))

    def recipe(self) -> Recipe:
        """Four experts, two along each axis of space as in the paper, without data; half the published grid."""
        return Recipe(
            method="pihcmoe",
            method_options={"experts": (1, 2, 2), "points": 2000, "tolerance": 1e-7},
            network=NetworkConfig(name="fno", width=16, depth=4, activation="gelu", options={"modes": 8}),
            data=DataConfig(train=40, test=10, resolution=32, batch=4),
            stages=(StageConfig("adam", steps=500, options={"learning_rate": 1e-3, "schedule": "cosine"}),),
        )

    def _flow(self) -> NavierStokes2D:
        return NavierStokes2D(viscosity=self.viscosity, force=0.0, duration=self.duration)


class NavierStokesSystem(AbstractSystem):
    r"""The equation at all points, for answers that meet the initial condition and keep the mean.

    $$w = w_0 + \frac{t}{T} \left(f - \bar f\right),$$

    with f free, and $\bar f$ its mean over space. (A factor 0.005 that the paper puts before the second term scales
    the weights alone.) Derivatives in space, and velocities, are those of Fourier series; in time differences of
    fourth order, one-sided at both ends.

    Args:
        viscosity: The kinematic one.
        duration: T.
    """

    viscosity: float
    duration: float

    def coordinates(self, grid):
        """Time with both ends, space without the right ones."""
        t, x, y = grid
        return {"t": np.linspace(0.0, self.duration, t), "x": np.arange(x) / x, "y": np.arange(y) / y}

    def answer(self, given, functions, coordinates):
        """Return the initial vorticity, and what grows from it."""
        share = jnp.asarray(coordinates["t"] / self.duration, functions.dtype)[None, :, None, None]
        return given[:1] + share * (functions - jnp.mean(functions, axis=(2, 3), keepdims=True))

    def terms(self, given, answer, coordinates):
        r"""Return the rate of change less diffusion, $\nabla w$ and v."""
        w = answer[0]
        t = jnp.asarray(coordinates["t"], w.dtype)
        rate = jnp.moveaxis(Stencil(order=4).differentiate(jnp.moveaxis(w, 0, -1), t, 1), -1, 0)
        spectrum = jnp.fft.rfft2(w)
        symbols = _symbols(*w.shape[1:]).astype(spectrum.dtype)[:, None]
        w_x, w_y, laplacian, v_x, v_y = jnp.fft.irfft2(symbols * spectrum[None], s=w.shape[1:])
        return {"change": rate - self.viscosity * laplacian, "w_x": w_x, "w_y": w_y, "v_x": v_x, "v_y": v_y}

    def balance(self, terms, data):
        """Return what advection leaves over."""
        return {"equation": terms["change"] + terms["v_x"] * terms["w_x"] + terms["v_y"] * terms["w_y"]}

    def conditions(self, given, answer, coordinates):
        """There are none to be met: see `answer`."""
        return {}


def _symbols(rows: int, columns: int) -> Complex[np.ndarray, "5 rows half"]:
    """Return what Fourier coefficients of w are multiplied by for those of its gradient, its Laplacian and v.

    The mean has no part in v; odd derivatives of a Nyquist mode vanish on the grid.
    """
    k, l = np.fft.fftfreq(rows, 1 / rows)[:, None], np.arange(columns // 2 + 1.0)[None]  # noqa: E741
    squares = 4 * np.pi**2 * (k**2 + l**2)
    inverse = np.where(squares == 0, 0.0, 1.0 / np.where(squares == 0, 1.0, squares))
    d_x, d_y = (2j * np.pi * np.where(2 * np.abs(m) == n, 0.0, m) for m, n in ((k, rows), (l, columns)))
    return np.stack(np.broadcast_arrays(d_x, d_y, -squares, d_y * inverse, -d_x * inverse))
