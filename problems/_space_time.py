"""Families of space-time fields on a circle, which obey one implicit midpoint rule from each time to the next."""

import abc
import time
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pdesolve.config import DataConfig, NetworkConfig, Recipe, StageConfig
from pdesolve.data import fourier_values, periodic_gaussian_field
from pdesolve.errors import PdesolveError
from pdesolve.family import FamilyData
from pdesolve.flow.physics import AbstractPhysicalFamily

__all__ = ["AbstractSpaceTimeFamily"]

_MODES = 64
_TOLERANCE = 1e-13
_ITERATIONS = 20
_COARSEST = 8


class AbstractSpaceTimeFamily(AbstractPhysicalFamily):
    r"""Fields $u(x_i, t_k)$ of $u_t + f(u)_x = d\,u_{xx}$ on the unit circle, from random initial states.

    n points $x_i = i / n$ and as many times $t_k = k \tau$, $\tau = T / (n - 1)$. With central differences $\delta$ and
    $\delta^2$ in space, and $\bar u$ the mean of two states that follow each other,

    $$\frac{u^{k + 1} - u^k}{\tau} + \delta f(\bar u) - d\,\delta^2 \bar u = 0,$$

    of second order in space and time. Newton's method solves it until nothing moves by more than 1e-13, so that data
    satisfy it to round-off over $\tau$. All quantities are nondimensional.

    A subclass gives the flux and its derivative.
    """

    input_names: ClassVar[tuple[str, ...]] = ()
    field_names: ClassVar[tuple[str, ...]] = ("u",)
    dependent_names: ClassVar[tuple[str, ...]] = ("u",)
    coordinates: ClassVar[tuple[str, ...]] = ("x", "t")

    diffusivity: eqx.AbstractVar[float]
    """d"""
    duration: eqx.AbstractVar[float]
    """T"""
    length: eqx.AbstractVar[float]
    """Correlation length of initial states."""
    deviation: eqx.AbstractVar[float]
    """Standard deviation of initial states."""

    @abc.abstractmethod
    def flux(self, u: Any) -> Any:
        """Return f, of arrays of NumPy or JAX."""

    @abc.abstractmethod
    def speed(self, u: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Return the derivative of f."""

    def residual(self, field: Float[Array, "1 n n"]) -> Float[Array, "1 n n"]:
        """Return the left side of the equation at the time it ends, and 0 at the first time."""
        states = field[0].T
        tau = self._step(len(states))
        left = (states[1:] - states[:-1]) / tau - self._rate(0.5 * (states[1:] + states[:-1]))
        return jnp.pad(left.T, ((0, 0), (1, 0)))[None]

    def constraint(self, field: Float[Array, "1 n n"]) -> Float[Array, " m"]:
        r"""Return $\tau$ times the residual, without the zeros of the first time."""
        return self._step(field.shape[1]) * self.residual(field)[0, :, 1:].reshape(-1)

    def corrected(self, field: Float[Array, "1 n n"]) -> Float[Array, "1 n n"]:
        """Shift every state to the mean of the first, which the equation conserves."""
        means = jnp.mean(field, axis=1, keepdims=True)
        return field + (means[..., :1] - means)

    def resolved(self, fields: Float[np.ndarray, "sample 1 n n"]) -> Float[np.ndarray, "sample 1 n n"]:
        """Solve from the initial states; NaN where Newton's method does not end."""
        return self._trajectories(fields[:, 0, :, 0], fields.shape[-1])[:, None]

    def generate(self, num_samples: int, resolution: int, seed: int) -> FamilyData:
        r"""Draw initial states of covariance $\sigma^2 \exp(-2 (\pi k \ell)^2)$ by frequency k, and solve.

        Raises:
            PdesolveError: If there are fewer than 8 points, or Newton's method does not end for a sample.
        """
        if resolution < _COARSEST:
            raise PdesolveError(f"`resolution` must be at least {_COARSEST}, got {resolution}.")
        start = time.perf_counter()
        coefficients = periodic_gaussian_field(self._variance, num_samples=num_samples, num_modes=_MODES, seed=seed)
        fields = self._trajectories(fourier_values(coefficients, resolution), resolution)
        if not np.isfinite(fields).all():
            raise PdesolveError(
                f"Newton's method does not end on {resolution} points: give a greater `resolution` or `diffusivity`, "
                "or a smaller `duration` or `deviation`."
            )
        seconds = (time.perf_counter() - start) / num_samples
        points = {"x": np.arange(resolution) / resolution, "t": np.linspace(0.0, self.duration, resolution)}
        return FamilyData(None, fields[:, None], points, 1e-11, seconds)

    def recipe(self) -> Recipe:
        """Flow matching with the equation by a perceptron, some minutes on two cores."""
        adam = StageConfig("adam", steps=3000, options={"learning_rate": 1e-3, "schedule": "cosine"})
        return Recipe(
            method="pbfm",
            network=NetworkConfig("mlp_velocity", width=256, depth=3, activation="gelu"),
            data=DataConfig(train=4000, test=1000, resolution=16, batch=256),
            stages=(adam,),
            precision="float32",
        )

    def _variance(self, k: Float[np.ndarray, " modes"]) -> Float[np.ndarray, " modes"]:
        shape = np.exp(-2 * (np.pi * k * self.length) ** 2)
        return self.deviation**2 * shape / (shape[0] + 2 * shape[1:].sum())

    def _step(self, n: int) -> float:
        return self.duration / (n - 1)

    def _rate(self, u: Any) -> Any:
        """Return what $u_t$ is, of states along the last axis, of NumPy or JAX."""
        n = u.shape[-1]
        ahead, behind = np.roll(np.arange(n), -1), np.roll(np.arange(n), 1)
        flux = self.flux(u)
        spread = u[..., ahead] - 2 * u + u[..., behind]
        return self.diffusivity * n**2 * spread - 0.5 * n * (flux[..., ahead] - flux[..., behind])

    def _slope(self, u: Float[np.ndarray, "sample n"]) -> Float[np.ndarray, "sample n n"]:
        """Return the derivative of `_rate`."""
        n = u.shape[1]
        ahead, behind = np.roll(np.eye(n), 1, axis=1), np.roll(np.eye(n), -1, axis=1)
        spread = self.diffusivity * n**2 * (ahead - 2 * np.eye(n) + behind)
        return spread - 0.5 * n * (ahead - behind) * self.speed(u)[:, None]

    def _trajectories(self, start: Float[np.ndarray, "sample n"], num_times: int) -> Float[np.ndarray, "sample n time"]:
        """Step through time; NaN from where Newton's method does not end."""
        tau, states = self._step(num_times), [np.asarray(start, dtype=float)]
        for _ in range(num_times - 1):
            states.append(self._next(states[-1], tau))
        return np.stack(states, axis=-1)

    def _next(self, u: Float[np.ndarray, "sample n"], tau: float) -> Float[np.ndarray, "sample n"]:
        after, one = u, np.eye(u.shape[1])
        scale = np.maximum(1.0, np.abs(u).max(axis=1))
        for _ in range(_ITERATIONS):
            middle = 0.5 * (u + after)
            left = after - u - tau * self._rate(middle)
            move = np.linalg.solve(one - 0.5 * tau * self._slope(middle), left[..., None])[..., 0]
            after = after - move
            ended = np.abs(move).max(axis=1) <= _TOLERANCE * scale
            if ended.all():
                break
        return np.where(ended[:, None], after, np.nan)
