"""Steady flow over a backward-facing step."""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from pdesolve.calculus import partial
from pdesolve.config import NetworkConfig, PointsConfig, Recipe, StageConfig
from pdesolve.geometry import Polygon
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

from ._flow import FlowElements

__all__ = ["NS2DCG"]

LENGTH, HEIGHT = 4.0, 2.0
STEP_X, STEP_Y = 2.0, 1.0
"""The corner of the step; the block beyond it, above and to the left, is solid."""
PARTS = ("floor", "outlet", "ceiling", "step_face", "step_underside", "inlet")
"""Names of the sides, from the lower left corner on, counter-clockwise."""
_EXPONENT = 0.5445
"""Velocities grow like this power of the distance from a corner of 270 degrees (Stokes flow)."""


class NS2DCG(AbstractProblem):
    r"""Steady flow of an incompressible fluid over a backward-facing step.

    $$(\mathbf u \cdot \nabla) \mathbf u = -\nabla p + \nu \Delta \mathbf u, \quad \nabla \cdot \mathbf u = 0
    \quad \text{in } [0, 4] \times [0, 2] \setminus [0, 2) \times (1, 2],$$

    $$\mathbf u = (4 y (1 - y), 0) \text{ at } x = 0, \quad p = 0,\ v = 0 \text{ at } x = 4, \quad
    \mathbf u = 0 \text{ on the other sides}.$$

    All quantities are nondimensional. The benchmark states p = 0 alone at the outlet, which leaves the velocity there
    undetermined; its data have v = 0 too, up to a thousandth. The fluid that circulates behind the step passes the
    outlet. At the corner of the step velocities are continuous, gradients and pressure infinite.

    References:
        Hao et al., PINNacle, NeurIPS Datasets and Benchmarks (2024): problem NS 2d-CG.
        Moffatt, J. Fluid Mech. 18 (1964) 1-18, for flow near corners.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u", "v", "p")

    viscosity: float = parameter(0.01, "kinematic viscosity", at_least=0.005, at_most=1.0)

    def domain(self) -> Polygon:
        """A channel that doubles its height; see `PARTS`."""
        corners = ((0.0, 0.0), (LENGTH, 0.0), (LENGTH, HEIGHT), (STEP_X, HEIGHT), (STEP_X, STEP_Y), (0.0, STEP_Y))
        return Polygon(corners)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Balance of momentum and of mass."""
        u, v, p = fields.u, fields.v, fields.p

        def transport(w):
            return (
                u * partial(w, "x") + v * partial(w, "y") - self.viscosity * (partial(w, "x", 2) + partial(w, "y", 2))
            )

        return {
            "momentum_x": transport(u) + partial(p, "x"),
            "momentum_y": transport(v) + partial(p, "y"),
            "mass": partial(u, "x") + partial(v, "y"),
        }

    def conditions(self) -> tuple[Condition, ...]:
        """A parabola at the inlet, pressure and the velocity along it at the outlet, no slip on the walls."""
        values = {name: {"u": 0.0, "v": 0.0} for name in PARTS}
        values["inlet"] = {"u": lambda at: _inlet(at.y), "v": 0.0}  # type: ignore[dict-item]
        values["outlet"] = {"v": 0.0, "p": 0.0}
        return tuple(dirichlet(f"edge_{i}", values[name], name=name) for i, name in enumerate(PARTS))

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The parabola, fading towards the step, and raw outputs times factors that vanish where values are given."""
        x, y = at.x, at.y
        walls = y * (HEIGHT - y) * _step_distance(x, y)
        fading = jnp.maximum(1 - x / STEP_X, 0.0) ** 3
        return {
            "u": _inlet(y) * fading + x * walls * raw["u"],
            "v": x * (LENGTH - x) * walls * raw["v"],
            "p": (LENGTH - x) * raw["p"],
        }

    def exact_conditions(self) -> tuple[str, ...]:
        """All of them."""
        return PARTS

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """Of the factors' products with the raw outputs, roughly."""
        return {"u": (-1.0, 1.0), "v": (-0.2, 0.2), "p": (-0.1, 0.1)}

    def reference(self) -> Reference:
        """Spectral elements that shrink towards the corner; the error bound is the distance to a lower degree."""
        flow, bound, degree = _reference(float(self.viscosity))
        return Reference(flow, bound, f"spectral elements of degree {degree}, graded towards the corner of the step")

    def classical(self, tolerance: float) -> Classical:
        """The elements of the reference with as low a degree as the tolerance allows."""
        return refine(
            lambda degree: _solve(float(self.viscosity), degree),
            (2, 3, 4, 5, 6, 7),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="spectral elements graded towards the corner, Newton's method",
        )

    def recipe(self) -> Recipe:
        """A network of four layers with exact conditions; points that do not crowd at the corner."""
        return Recipe(
            network=NetworkConfig(width=20, depth=4),
            points=PointsConfig(interior=1024, adaptive="none"),
            stages=(StageConfig("levenberg_marquardt", seconds=150.0),),
            grid={"x": 122, "y": 62},
        )


def _inlet(y: Any) -> Any:
    return 4 * y * (1 - y)


def _step_distance(x: Any, y: Any) -> Any:
    r"""A function that vanishes on the walls of the step and grows from its corner like the velocities.

    With a and b the distances beyond the corner, $a + b + \sqrt{a^2 + b^2}$ is zero exactly where one is zero and the
    other is not positive, and grows like the radius r; it is divided by a power of r.
    """
    a, b = x - STEP_X, STEP_Y - y
    square = a**2 + b**2
    return (a + b + jnp.sqrt(square)) * (square + 1e-6) ** ((_EXPONENT - 1) / 2)


@functools.lru_cache(maxsize=2)
def _reference(viscosity: float) -> tuple[Callable, float, int]:
    """The flow, and its distance to one of a lower degree at random points."""
    degree = 7
    fine, coarse = _solve(viscosity, degree), _solve(viscosity, degree - 1)
    points = NS2DCG().domain().sample_interior(3000, "uniform", 0)
    expected = np.concatenate(list(fine(points).values()))
    gap = np.concatenate(list(coarse(points).values())) - expected
    return fine, float(np.linalg.norm(gap) / np.linalg.norm(expected)), degree


def _elements(viscosity: float, degree: int) -> FlowElements:
    """Cells whose size is a fifth of that of the next ones, down to 0.008 at the corner and to 0.04 at the outlet.

    There v falls to zero within a distance of the viscosity over the speed.
    """
    near = 0.2 ** np.arange(4)
    x = np.concatenate([[0], STEP_X - near, [STEP_X], STEP_X + near[::-1], LENGTH - near[1:3], [LENGTH]])
    y = np.concatenate([STEP_Y - near, [STEP_Y], STEP_Y + near[::-1]])
    solid = (x[:-1, None] < STEP_X) & (y[None, :-1] >= STEP_Y)
    return FlowElements((x, y), degree, ~solid, (("x_max",), ()), viscosity)


def _solve(viscosity: float, degree: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Solve with elements of a degree, beginning with the flow of a lower one."""
    start = None
    for each in sorted({min(degree, 4), degree}):
        elements = _elements(viscosity, each)
        held = elements.inlet(lambda y: np.where(y < STEP_Y, _inlet(y), 0.0))
        flow = elements.steady(held, start)
        start = elements.raised(flow, degree)
    return lambda points: elements.evaluate(lambda t: flow, np.pad(points, ((0, 0), (0, 1))))
