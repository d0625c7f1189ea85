"""Darcy flow along a line: pressure and random permeability as one random field."""

import time
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pdesolve.config import DataConfig, NetworkConfig, Recipe, StageConfig
from pdesolve.errors import PdesolveError
from pdesolve.family import FamilyData
from pdesolve.flow.physics import AbstractPhysicalFamily
from pdesolve.problem import parameter

__all__ = ["Darcy1D"]

_ENDS = 0.125
"""Share of the line at either end on which there is a source."""


class Darcy1D(AbstractPhysicalFamily):
    r"""Darcy flow along a line from a source to a sink, through random permeability.

    $$-(K p')' = f \text{ in } (0, 1), \quad p' = 0 \text{ at both ends}, \quad \int p = 0, \qquad
    f = \begin{cases} s & x \le 1/8 \\ -s & x \ge 7/8 \\ 0 & \text{else,} \end{cases}$$

    $K = \exp(a G)$ with G Gaussian, of mean zero and covariance $\exp(-(x - y)^2 / (2 \ell^2))$. The field is the pair
    (p, K) on n cells; it obeys the conservative differences

    $$\frac{q_{i + 1/2} - q_{i - 1/2}}{h} = f_i, \quad
    q_{i + 1/2} = -\frac{K_i + K_{i + 1}}{2}\,\frac{p_{i + 1} - p_i}{h}, \quad q_{1/2} = q_{n + 1/2} = 0,$$

    which have a closed solution, so that data satisfy them to round-off. All quantities are nondimensional.

    References:
        Bastek, Sun, Kochmann, Physics-informed diffusion models, ICLR (2025), for the case of two dimensions.
    """

    input_names: ClassVar[tuple[str, ...]] = ()
    field_names: ClassVar[tuple[str, ...]] = ("p", "K")
    dependent_names: ClassVar[tuple[str, ...]] = ("p",)

    length: float = parameter(0.2, "correlation length of the logarithm of the permeability", above=0.0, at_most=10.0)
    deviation: float = parameter(0.5, "standard deviation of that logarithm", above=0.0, at_most=3.0)
    strength: float = parameter(10.0, "source at one end, sink at the other", above=0.0)

    def residual(self, field: Float[Array, "2 n"]) -> Float[Array, "1 n"]:
        """Return $(q_{i + 1/2} - q_{i - 1/2}) / h - f_i$."""
        n = field.shape[1]
        flux = jnp.pad(_flux(field), 1)
        return (n * (flux[1:] - flux[:-1]) - jnp.asarray(self._source(n), field.dtype))[None]

    def constraint(self, field: Float[Array, "2 n"]) -> Float[Array, " n"]:
        r"""Return $q_{i + 1/2} - h \sum_{j \le i} f_j$ at the n - 1 inner faces, and the mean pressure."""
        wanted = jnp.asarray(self._wanted_flux(field.shape[1]), field.dtype)
        return jnp.concatenate([_flux(field) - wanted, jnp.mean(field[0])[None]])

    def corrected(self, field: Float[Array, "2 n"]) -> Float[Array, "2 n"]:
        """Shift the pressure to mean zero, the one constraint that is linear."""
        return field.at[0].add(-jnp.mean(field[0]))

    def resolved(self, fields: Float[np.ndarray, "sample 2 n"]) -> Float[np.ndarray, "sample 2 n"]:
        """Compute p from K; NaN where K is not positive between two cells."""
        permeability = fields[:, 1]
        return np.stack([self._pressure(permeability), permeability], axis=1)

    def generate(self, num_samples: int, resolution: int, seed: int) -> FamilyData:
        """Draw K by its covariance matrix, and sum up the pressure.

        Raises:
            PdesolveError: If the grid is too coarse for source and sink.
        """
        if resolution < 8:
            raise PdesolveError(f"`resolution` must be at least 8 for source and sink to be seen, got {resolution}.")
        start = time.perf_counter()
        x = _cells(resolution)
        values, vectors = np.linalg.eigh(np.exp(-((x[:, None] - x) ** 2) / (2 * self.length**2)))
        root = vectors * np.sqrt(np.maximum(values, 0.0))  # eigenvalues below round-off may come out negative
        noise = np.random.default_rng(seed).standard_normal((num_samples, resolution))
        permeability = np.exp(self.deviation * np.einsum("ij,sj->si", root, noise))
        fields = np.stack([self._pressure(permeability), permeability], axis=1)
        seconds = (time.perf_counter() - start) / num_samples
        return FamilyData(None, fields, {"x": x}, 1e-12, seconds)

    def recipe(self) -> Recipe:
        """Flow matching with the equation, some minutes on two cores."""
        adam = StageConfig("adam", steps=3000, options={"learning_rate": 1e-3, "schedule": "cosine"})
        return Recipe(
            method="pbfm",
            network=NetworkConfig("mlp_velocity", width=256, depth=3, activation="gelu"),
            data=DataConfig(train=4000, test=1000, resolution=32, batch=256),
            stages=(adam,),
            precision="float32",
        )

    def _source(self, n: int) -> Float[np.ndarray, " n"]:
        x = _cells(n)
        return self.strength * ((x <= _ENDS).astype(float) - (x >= 1.0 - _ENDS))

    def _wanted_flux(self, n: int) -> Float[np.ndarray, " faces"]:
        return np.cumsum(self._source(n))[:-1] / n

    def _pressure(self, permeability: Float[np.ndarray, "sample n"]) -> Float[np.ndarray, "sample n"]:
        n = permeability.shape[1]
        face = 0.5 * (permeability[:, 1:] + permeability[:, :-1])
        steps = -self._wanted_flux(n) / (n * np.where(face > 0, face, np.nan))
        p = np.cumsum(np.pad(steps, ((0, 0), (1, 0))), axis=1)
        return p - p.mean(axis=1, keepdims=True)


def _cells(n: int) -> Float[np.ndarray, " n"]:
    return (np.arange(n) + 0.5) / n


def _flux(field: Float[Array, "2 n"]) -> Float[Array, " faces"]:
    """Return q at the inner faces."""
    p, permeability = field
    return -0.5 * (permeability[1:] + permeability[:-1]) * (p[1:] - p[:-1]) * field.shape[1]
