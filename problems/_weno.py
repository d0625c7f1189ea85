"""A scalar conservation law on a circle by finite volumes, with linear terms and a force, for solutions with shocks."""

import functools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

__all__ = ["Law", "evolve"]

_COURANT = 0.5
"""Steps over the time in which a wave crosses a cell. The method keeps extrema in check up to 3/4."""
_LONGEST = 4e-3
"""Longest step, for the force and for the splitting of linear and nonlinear terms."""


class Law(NamedTuple):
    r"""$u_t + (\alpha u^2 / 2 - \beta u_x + \gamma u_{xx})_x = \sum_j A_j \sin(\omega_j t + 2\pi l_j x/L + \varphi_j)$.

    One sample; the force at time 0 is the initial function too.
    """

    amplitudes: Float[Array, " wave"]
    frequencies: Float[Array, " wave"]
    phases: Float[Array, " wave"]
    numbers: Float[Array, " wave"]
    convection: Float[Array, ""]
    viscosity: Float[Array, ""]
    dispersion: Float[Array, ""]

    def force(self, t: Float[Array, ""], cells: int, length: float) -> Float[Array, " cells"]:
        """Return the averages over cells, which are values at their centres times a factor."""
        centres = length * (jnp.arange(cells) + 0.5) / cells
        angles = (self.frequencies * t + self.phases)[:, None] + (2 * jnp.pi / length * self.numbers)[
            :, None
        ] * centres[None]
        return (self.amplitudes * jnp.sinc(self.numbers / cells)) @ jnp.sin(angles)


def evolve(
    laws: Law, *, length: float, cells: int, kept: int, interval: float, intervals: int, linear: bool = True
) -> tuple[Float[np.ndarray, "sample frame kept"], float]:
    r"""Return averages over `kept` equal cells of the solutions at times 0, `interval`, ..., and the seconds it took.

    Fluxes are Godunov's of states reconstructed by WENO of fifth order; linear terms are exact, as derivatives commute
    with averages over cells; in time a Runge-Kutta method of third order that keeps extrema in check, with the linear
    terms as integrating factor. Every sample has steps of its own, so that its numbers do not depend on the others.
    Compilation is not timed.

    Args:
        laws: Samples, along the first axis of every entry.
        length: L.
        cells: Cells of the solver, a multiple of `kept`.
        kept: Cells over which averages are returned.
        interval: Time between frames.
        intervals: How many.
        linear: False if viscosity and dispersion are zero for all samples.

    References:
        Jiang, Shu, Efficient implementation of weighted ENO schemes, J. Comput. Phys. 126 (1996) 202-228.
        Isherwood, Grant, Gottlieb, Strong stability preserving integrating factor Runge-Kutta methods, SIAM J. Numer.
        Anal. 56 (2018) 3276-3307, for the method of three stages with abscissas that do not decrease.
    """
    # Whatever the precision of the training.
    with jax.enable_x64(True):
        solve = _compiled(length, cells, kept, float(interval), intervals, linear, len(laws.amplitudes))
        began = time.perf_counter()
        averages = np.asarray(solve(Law(*(jnp.asarray(part, jnp.float64) for part in laws))))
        return averages, time.perf_counter() - began


@functools.lru_cache(maxsize=8)
def _compiled(length: float, cells: int, kept: int, interval: float, intervals: int, linear: bool, batch: int) -> Any:
    def averaged(u):
        return u.reshape(kept, -1).mean(axis=1)

    def solve(law):
        start = law.force(jnp.zeros(()), cells, length)

        def frame(u, index):
            u = _interval(u, law, index * interval, interval, length / cells, length, linear)
            return u, averaged(u)

        frames = jax.lax.scan(frame, start, jnp.arange(intervals))[1]
        return jnp.concatenate([averaged(start)[None], frames])

    numbers = jax.ShapeDtypeStruct((batch, 5), jnp.float64)
    one = jax.ShapeDtypeStruct((batch,), jnp.float64)
    return jax.jit(jax.vmap(solve)).lower(Law(*[numbers] * 4, *[one] * 3)).compile()


def _interval(
    u: Float[Array, " cells"], law: Law, begin: Any, interval: float, width: float, length: float, linear: bool
) -> Float[Array, " cells"]:
    """Advance from one frame to the next by steps of equal length."""
    fastest = jnp.max(jnp.abs(u)) + interval * jnp.sum(jnp.abs(law.amplitudes))
    crossing = width / jnp.maximum(law.convection * fastest, 1e-12)
    count = jnp.ceil(interval / jnp.minimum(_COURANT * crossing, _LONGEST)).astype(int)
    dt = interval / count
    q = 2 * jnp.pi / length * jnp.arange(len(u) // 2 + 1)
    rate = -law.viscosity * q**2 + 1j * law.dispersion * q**3

    def decayed(v, part):
        return jnp.fft.irfft(jnp.exp(part * dt * rate) * jnp.fft.rfft(v), len(u)) if linear else v

    def slope(v, t):
        return -_flux_difference(v, law.convection) / width + law.force(t, len(u), length)

    def step(index, u):
        t = begin + index * dt
        first = dt * slope(u, t)
        a = decayed(u + 2 / 3 * first, 2 / 3)
        second = dt * slope(a, t + 2 / 3 * dt)
        b = decayed(2 / 3 * u, 2 / 3) + (a + 4 / 3 * second) / 3
        third = dt * slope(b, t + 2 / 3 * dt)
        return decayed(37 / 64 * u + 5 / 32 * first, 1.0) + decayed(27 / 64 * b + 9 / 16 * third, 1 / 3)

    return jax.lax.fori_loop(0, count, step, u)


def _flux_difference(u: Float[Array, " cells"], convection: Float[Array, ""]) -> Float[Array, " cells"]:
    """Return the flux through the right face of every cell minus that through its left face."""
    left, right = _face_values(u), jnp.roll(_face_values(u[::-1])[::-1], -1)
    # Godunov's flux of a convex function with its minimum at zero.
    flux = 0.5 * convection * jnp.square(jnp.maximum(jnp.maximum(left, 0.0), -jnp.minimum(right, 0.0)))
    return flux - jnp.roll(flux, 1)


def _face_values(u: Float[Array, " cells"]) -> Float[Array, " cells"]:
    """Return values at right faces, as the averages on the left of each have them (Jiang and Shu)."""
    a, b, c, d, e = (jnp.roll(u, shift) for shift in (2, 1, 0, -1, -2))
    candidates = ((2 * a - 7 * b + 11 * c) / 6, (-b + 5 * c + 2 * d) / 6, (2 * c + 5 * d - e) / 6)
    roughness = (
        13 / 12 * (a - 2 * b + c) ** 2 + (a - 4 * b + 3 * c) ** 2 / 4,
        13 / 12 * (b - 2 * c + d) ** 2 + (b - d) ** 2 / 4,
        13 / 12 * (c - 2 * d + e) ** 2 + (3 * c - 4 * d + e) ** 2 / 4,
    )
    weights = [ideal / (1e-6 + rough) ** 2 for ideal, rough in zip((0.1, 0.6, 0.3), roughness, strict=True)]
    stacked = jnp.stack(weights)
    return jnp.sum(stacked * jnp.stack(candidates), axis=0) / jnp.sum(stacked, axis=0)
