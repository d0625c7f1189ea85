"""An unknown diffusivity on a square, from noisy measurements of the temperature."""

import math
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from pdesolve.calculus import laplacian, partial
from pdesolve.config import NetworkConfig, PointsConfig, Recipe, StageConfig
from pdesolve.geometry import Box, SpaceTime
from pdesolve.problem import AbstractProblem, Condition, Reference, dirichlet, observations, parameter

__all__ = ["HeatInverse"]

SIDES = ("x_min", "x_max", "y_min", "y_max")
_COUNT = 2500


class HeatInverse(AbstractProblem):
    r"""An unknown diffusivity on a square, from 2,500 noisy measurements of the temperature.

    $$u_t - \nabla \cdot (a \nabla u) = f, \quad a_t = 0 \text{ on } (-1, 1)^2, \quad 0 \le t \le 1;$$

    sought are u and a, where u is measured at random points and times with errors of deviation `noise`, and a = 2 is
    known on the sides. The source is that of

    $$u = e^{-t} \sin \pi x \sin \pi y, \quad a = 2 + \sin \pi x \sin \pi y.$$

    All quantities are nondimensional. Neither initial nor boundary values of u are given. That a does not depend on
    time is an equation here; the benchmark's network for a does not see time. Errors are pooled over u and a, and
    given for each too.

    References:
        Hao et al., PINNacle, NeurIPS Datasets and Benchmarks (2024): problem HInv, at points of our own.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u", "a")

    noise: float = parameter(0.1, "standard deviation of the measurements' errors", at_least=0.0, at_most=1.0)
    seed: int = parameter(0, "seed of the measurements' places and errors", at_least=0)

    def domain(self) -> SpaceTime:
        """The square of side 2 over the times [0, 1]."""
        return SpaceTime(Box({"x": (-1.0, 1.0), "y": (-1.0, 1.0)}), 0.0, 1.0)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Heat flow against a source; the diffusivity does not change."""
        u, a = fields.u, fields.a
        slopes = partial(a, "x") * partial(u, "x") + partial(a, "y") * partial(u, "y")
        heat = partial(u, "t") - a * laplacian(u) - slopes - _source(at.x, at.y, at.t)
        return {"heat": heat, "steady": partial(a, "t")}

    def conditions(self) -> tuple[Condition, ...]:
        """Measurements of the temperature; the diffusivity on the sides."""
        rng = np.random.default_rng(self.seed)
        points = rng.uniform((-1, -1, 0), (1, 1, 1), (_COUNT, 3))
        errors = self.noise * rng.standard_normal(_COUNT)
        measured = observations(points, {"u": _temperature(*points.T, np) + errors}, noise=self.noise)
        return measured, *(dirichlet(side, {"a": 2.0}) for side in SIDES)

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The temperature as it is; the diffusivity from its own output, 2 on the sides and positive inside."""
        return {"u": raw["u"], "a": 2 * jnp.exp((1 - at.x**2) * (1 - at.y**2) * raw["a"])}

    def exact_conditions(self) -> tuple[str, ...]:
        """The diffusivity on the sides."""
        return SIDES

    def reference(self) -> Reference:
        """The closed form."""

        def evaluate(points):
            x, y, _ = points.T
            return {"u": _temperature(*points.T, np), "a": 2 + np.sin(math.pi * x) * np.sin(math.pi * y)}

        return Reference(evaluate, 1e-15, "closed form")

    def recipe(self) -> Recipe:
        """A small network for both fields; measurements weigh more, so that they decide first and the equation then."""
        return Recipe(
            network=NetworkConfig(width=20, depth=2),
            points=PointsConfig(interior=2048),
            stages=(StageConfig("levenberg_marquardt", seconds=60.0),),
            weights={"observations_u": 100.0},
            grid={"x": 33, "y": 33, "t": 11},
        )


def _temperature(x: Any, y: Any, t: Any, xp: Any) -> Any:
    return xp.exp(-t) * xp.sin(math.pi * x) * xp.sin(math.pi * y)


def _source(x: Any, y: Any, t: Any) -> Any:
    r"""With $s = \sin \pi x \sin \pi y$: $e^{-t} (-s + 2 \pi^2 s (2 + s) - |\nabla s|^2)$."""
    sines, cosines = (jnp.sin(math.pi * x), jnp.sin(math.pi * y)), (jnp.cos(math.pi * x), jnp.cos(math.pi * y))
    s = sines[0] * sines[1]
    slopes = math.pi**2 * ((cosines[0] * sines[1]) ** 2 + (sines[0] * cosines[1]) ** 2)
    return jnp.exp(-t) * (-s + 2 * math.pi**2 * s * (2 + s) - slopes)
