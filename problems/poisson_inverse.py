"""An unknown conductivity on a square, from noisy measurements of the potential."""

import math
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from pdesolve.calculus import laplacian, partial
from pdesolve.config import NetworkConfig, PointsConfig, Recipe, StageConfig
from pdesolve.geometry import Box
from pdesolve.problem import AbstractProblem, Condition, Reference, dirichlet, observations, parameter, switch

__all__ = ["PoissonInverse"]

SIDES = ("x_min", "x_max", "y_min", "y_max")
_PER_AXIS = 50


class PoissonInverse(AbstractProblem):
    r"""An unknown conductivity on the unit square, from 2,500 noisy measurements of the potential.

    $$-\nabla \cdot (a \nabla u) = f \text{ on } (0, 1)^2;$$

    sought are u and a, where u is measured on a grid of 50 x 50 points with errors of deviation `noise`, and a is known
    on the sides. The source is that of

    $$u = \sin \pi x \sin \pi y, \quad a = \frac{1}{1 + x^2 + y^2 + (x - 1)^2 + (y - 1)^2}.$$

    All quantities are nondimensional. The benchmark's source has 2 x + 1 and 2 y + 1 where 2 x - 1 and 2 y - 1 belong,
    so that its solution does not satisfy its equation; `as_published` takes that source. Errors are pooled over u and
    a, and given for each too.

    References:
        Hao et al., PINNacle, NeurIPS Datasets and Benchmarks (2024): problem PInv, corrected.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u", "a")

    noise: float = parameter(0.1, "standard deviation of the measurements' errors", at_least=0.0, at_most=1.0)
    seed: int = parameter(0, "seed of the measurements' errors", at_least=0)
    as_published: int = switch("the benchmark's own source, to which u and a do not belong")

    def domain(self) -> Box:
        """The unit square."""
        return Box({"x": (0.0, 1.0), "y": (0.0, 1.0)})

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """The flux's divergence against the source."""
        u, a = fields.u, fields.a
        slopes = partial(a, "x") * partial(u, "x") + partial(a, "y") * partial(u, "y")
        return {"poisson": -a * laplacian(u) - slopes - _source(at.x, at.y, self.as_published)}

    def conditions(self) -> tuple[Condition, ...]:
        """Measurements of the potential; the conductivity on the sides."""
        axis = np.linspace(0.0, 1.0, _PER_AXIS)
        points = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
        errors = self.noise * np.random.default_rng(self.seed).standard_normal(len(points))
        measured = observations(points, {"u": _potential(*points.T, np) + errors}, noise=self.noise)
        return measured, *(dirichlet(side, {"a": lambda at: _conductivity(at.x, at.y)}) for side in SIDES)

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The potential as it is; the conductivity from its values on the sides, spread inwards, and its own output."""
        x, y = at.x, at.y
        corner = 1 / 3  # at all four
        spread = (1 - x) * _conductivity(0.0, y) + x * _conductivity(1.0, y)
        spread = spread + (1 - y) * _conductivity(x, 0.0) + y * _conductivity(x, 1.0) - corner
        return {"u": raw["u"], "a": spread + 16 * x * (1 - x) * y * (1 - y) * raw["a"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """The conductivity on the sides."""
        return SIDES

    def reference(self) -> Reference:
        """The closed form; as published it is not a solution."""

        def evaluate(points):
            return {"u": _potential(*points.T, np), "a": _conductivity(*points.T)}

        return Reference(evaluate, 1e-15, "closed form")

    def recipe(self) -> Recipe:
        """A small network for both fields; the measurements are a loss term."""
        return Recipe(
            network=NetworkConfig(width=16, depth=2),
            points=PointsConfig(interior=1024),
            stages=(StageConfig("levenberg_marquardt", seconds=40.0),),
            grid={"x": 65, "y": 65},
        )


def _potential(x: Any, y: Any, xp: Any) -> Any:
    return xp.sin(math.pi * x) * xp.sin(math.pi * y)


def _conductivity(x: Any, y: Any) -> Any:
    return 1 / (1 + x**2 + y**2 + (x - 1) ** 2 + (y - 1) ** 2)


def _source(x: Any, y: Any, as_published: int) -> Any:
    r"""Return $2 \pi^2 a u - \nabla a \cdot \nabla u$, where $\nabla a = -2 a^2 (2 x - 1, 2 y - 1)$.

    As published a sign is wrong in the gradient of a.
    """
    one = -1 if as_published else 1
    a, pi = _conductivity(x, y), math.pi
    sines, cosines = (jnp.sin(pi * x), jnp.sin(pi * y)), (jnp.cos(pi * x), jnp.cos(pi * y))
    slopes = (2 * x - one) * cosines[0] * sines[1] + (2 * y - one) * sines[0] * cosines[1]
    return 2 * pi**2 * a * sines[0] * sines[1] + 2 * pi * a**2 * slopes
