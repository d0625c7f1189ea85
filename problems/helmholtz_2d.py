"""Helmholtz equation on a square."""

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from scipy.linalg import solve_sylvester

from pdesolve.calculus import laplacian
from pdesolve.config import NetworkConfig, PointsConfig, Recipe, StageConfig
from pdesolve.errors import PdesolveError
from pdesolve.geometry import Box
from pdesolve.problem import (
    AbstractProblem,
    Classical,
    Condition,
    Reference,
    dirichlet,
    parameter,
    reference_error,
    refine,
)
from pdesolve.spectral import barycentric, chebyshev_matrix, chebyshev_points

__all__ = ["Helmholtz2D"]

SIDES = ("x_min", "x_max", "y_min", "y_max")


class Helmholtz2D(AbstractProblem):
    r"""Helmholtz equation on [-1, 1]^2, zero on the boundary; the solution waves more along y than along x.

    $$\Delta u + k^2 u = q, \quad u = 0 \text{ on the boundary}; \qquad
    u = \sin(a_1 \pi x) \sin(a_2 \pi y), \quad q = (k^2 - a_1^2 \pi^2 - a_2^2 \pi^2)\, u.$$

    All quantities are nondimensional. $a_1$ and $a_2$ are whole; $k^2$ must not be an eigenvalue
    $(\pi / 2)^2 (m^2 + n^2)$ of $-\Delta$, at which the solution is not unique.

    Raises:
        PdesolveError: If a number of waves is not whole, or the wavenumber is at a resonance.

    References:
        Wang, Teng and Perdikaris, SIAM J. Sci. Comput. 43 (2021) A3055-A3081 (1, 4, k = 1).
    """

    field_names: ClassVar[tuple[str, ...]] = ("u",)

    wavenumber: float = parameter(1.0, "wavenumber k", at_least=0.0, at_most=100.0)
    waves_x: float = parameter(1.0, "waves of the solution along x, whole", at_least=1.0, at_most=50.0)
    waves_y: float = parameter(4.0, "waves of the solution along y, whole", at_least=1.0, at_most=50.0)

    def __check_init__(self):
        for name in ("waves_x", "waves_y"):
            waves = getattr(self, name)
            if isinstance(waves, float) and not waves.is_integer():
                raise PdesolveError(
                    f"`{name}` must be whole, got {waves:g}: the solution would not vanish on the boundary."
                )
        if isinstance(self.wavenumber, int | float) and _resonant(float(self.wavenumber)):
            raise PdesolveError(
                f"`wavenumber` {self.wavenumber:g} is at a resonance of the square, where the solution is not unique; "
                "change it slightly."
            )

    def domain(self) -> Box:
        """The square [-1, 1]^2."""
        return Box({"x": (-1.0, 1.0), "y": (-1.0, 1.0)})

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Waves of wavenumber k with a source."""
        a, b = self.waves_x * jnp.pi, self.waves_y * jnp.pi
        source = (self.wavenumber**2 - a**2 - b**2) * jnp.sin(a * at.x) * jnp.sin(b * at.y)
        return {"helmholtz": laplacian(fields.u) + self.wavenumber**2 * fields.u - source}

    def conditions(self) -> tuple[Condition, ...]:
        """Zero on the four sides."""
        return tuple(dirichlet(side, {"u": 0.0}) for side in SIDES)

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The raw output times a polynomial of height 1 that vanishes on the boundary."""
        return {"u": (1 - at.x**2) * (1 - at.y**2) * raw["u"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """All four sides."""
        return SIDES

    def reference(self) -> Reference:
        """The closed form; its error is the round-off of the arguments of the sines."""
        a, b = float(self.waves_x) * math.pi, float(self.waves_y) * math.pi
        return Reference(
            lambda points: {"u": np.sin(a * points[:, 0]) * np.sin(b * points[:, 1])},
            1e-15 * max(a, b),
            "closed form",
        )

    def classical(self, tolerance: float) -> Classical:
        """Chebyshev collocation; the tensor structure makes it one Sylvester equation."""
        waves = float(self.waves_x) * math.pi, float(self.waves_y) * math.pi
        return refine(
            functools.partial(_collocation, float(self.wavenumber), *waves),
            (12, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 192, 256),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="Chebyshev collocation, one Sylvester equation",
        )

    def recipe(self) -> Recipe:
        """A small network on Fourier features that vanishes on the boundary by construction."""
        return Recipe(
            network=NetworkConfig("fourier_features", options={"num_features": 20, "scale": 3.0}),
            points=PointsConfig(interior=2048),
            stages=(StageConfig("levenberg_marquardt", seconds=95.0),),
            grid={"x": 129, "y": 129},
        )


def _resonant(wavenumber: float) -> bool:
    """Say whether k^2 is an eigenvalue of the negative Laplacian, up to a relative 1e-6."""
    squares = (math.pi / 2 * np.arange(1, 2 + int(2 * wavenumber / math.pi))) ** 2
    return bool(np.any(np.abs(squares[:, None] + squares - wavenumber**2) < 1e-6 * wavenumber**2))


def _collocation(k: float, a: float, b: float, n: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Solve $(D^2 + k^2) U + U (D^2)^T = Q$ for the values inside."""
    x, matrix = chebyshev_points(n), chebyshev_matrix(n)
    second = (matrix @ matrix)[1:-1, 1:-1]
    source = (k**2 - a**2 - b**2) * np.outer(np.sin(a * x[1:-1]), np.sin(b * x[1:-1]))
    u = np.pad(solve_sylvester(second + k**2 * np.eye(n - 2), second.T, source), 1)
    return lambda points: {"u": barycentric(u, (x, x), points)}
