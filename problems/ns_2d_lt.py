"""Flow in a short channel with a pulsating inlet and a force that changes its sign."""

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from pdesolve.calculus import partial
from pdesolve.config import NetworkConfig, PointsConfig, Recipe, StageConfig
from pdesolve.geometry import Box, SpaceTime
from pdesolve.problem import (
    AbstractProblem,
    Classical,
    Condition,
    Reference,
    dirichlet,
    initial,
    parameter,
    reference_error,
    refine,
)

from ._flow import FlowElements

__all__ = ["NS2DLT"]

LENGTH, HEIGHT, DURATION = 2.0, 1.0, 5.0
SPEEDS = tuple(math.pi * k for k in (1, 3, 5))
"""Angular frequencies of the inlet."""


class NS2DLT(AbstractProblem):
    r"""Flow of an incompressible fluid in a short channel with a pulsating inlet, from rest.

    $$\mathbf u_t + (\mathbf u \cdot \nabla) \mathbf u = -\nabla p + \nu \Delta \mathbf u
    - (0, \sin \pi x \sin \pi y \sin \pi t), \quad \nabla \cdot \mathbf u = 0
    \quad \text{in } [0, 2] \times [0, 1], \quad 0 \le t \le 5,$$

    $$\mathbf u = (\sin \pi y (\sin \pi t + \sin 3 \pi t + \sin 5 \pi t), 0) \text{ at } x = 0, \quad p = 0,\ v = 0
    \text{ at } x = 2, \quad \mathbf u = 0 \text{ on the walls and at } t = 0.$$

    All quantities are nondimensional. The benchmark states p = 0 alone at the outlet, which leaves the velocity there
    undetermined, and p = 0 at the start, which contradicts the inlet: the fluid is pushed from the first moment on. The
    pressure is ten times as large as the velocities, and dominates the pooled error.

    References:
        Hao et al., PINNacle, NeurIPS Datasets and Benchmarks (2024): problem NS 2d-LT.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u", "v", "p")

    viscosity: float = parameter(0.01, "kinematic viscosity", at_least=0.005, at_most=1.0)

    def domain(self) -> SpaceTime:
        """A channel twice as long as high, over the times [0, 5]."""
        return SpaceTime(Box({"x": (0.0, LENGTH), "y": (0.0, HEIGHT)}), 0.0, DURATION)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Balance of momentum and of mass."""
        u, v, p = fields.u, fields.v, fields.p

        def transport(w):
            viscous = self.viscosity * (partial(w, "x", 2) + partial(w, "y", 2))
            return partial(w, "t") + u * partial(w, "x") + v * partial(w, "y") - viscous

        return {
            "momentum_x": transport(u) + partial(p, "x"),
            "momentum_y": transport(v) + partial(p, "y") - _force(at.x, at.y, at.t, jnp),
            "mass": partial(u, "x") + partial(v, "y"),
        }

    def conditions(self) -> tuple[Condition, ...]:
        """Rest at the start, the pulsating inlet, pressure and the velocity along it at the outlet, no slip."""
        inlet = dirichlet("x_min", {"u": lambda at: jnp.sin(math.pi * at.y) * _pulse(at.t, jnp), "v": 0.0})
        outlet = dirichlet("x_max", {"v": 0.0, "p": 0.0})
        walls = (dirichlet(part, {"u": 0.0, "v": 0.0}) for part in ("y_min", "y_max"))
        return initial({"u": 0.0, "v": 0.0}), inlet, outlet, *walls

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        """The inlet's velocity everywhere and the pressure that accelerates it, and raw outputs times factors.

        The factors vanish where a value is given. The mean velocity of a section is that of the inlet, 2 / pi times
        its largest; so is the mean acceleration, up to friction the negative gradient of the pressure.
        """
        x, y, t = at.x, at.y, at.t
        inside = 4 * y * (HEIGHT - y) * x * t / (t + 0.1)
        return {
            "u": jnp.sin(math.pi * y) * _pulse(t, jnp) + inside * raw["u"],
            "v": inside * (LENGTH - x) * raw["v"],
            "p": (LENGTH - x) * (2 / math.pi * _pulse_rate(t, jnp) + raw["p"]),
        }

    def exact_conditions(self) -> tuple[str, ...]:
        """All of them."""
        return ("initial", "x_min", "x_max", "y_min", "y_max")

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """What the raw outputs add is small beside the pulse."""
        return {"u": (-0.3, 0.3), "v": (-0.3, 0.3), "p": (-1.0, 1.0)}

    def reference(self) -> Reference:
        """Spectral elements; the error bound is the distance to fewer polynomials and longer steps."""
        flow, bound, degree, steps = _reference(float(self.viscosity))
        return Reference(
            flow, bound, f"spectral elements of degree {degree}, backward differences of third order, {steps} steps"
        )

    def classical(self, tolerance: float) -> Classical:
        """The method of the reference with as low a degree and as few steps as the tolerance allows."""
        return refine(
            lambda degree: _solve(float(self.viscosity), degree, 200 * degree),
            (3, 4, 5, 6, 7, 8),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="spectral elements, backward differences of third order",
        )

    def recipe(self) -> Recipe:
        """Time windows of half a unit, each with a small network and exact conditions.

        Accelerations are thirty times as large as the rates of strain: with equal weights it pays to lose mass.
        """
        return Recipe(
            network=NetworkConfig(width=24, depth=3),
            points=PointsConfig(interior=1024, boundary=256),
            stages=(StageConfig("levenberg_marquardt", seconds=20.0),),
            weights={"mass": 300.0},
            windows=10,
            grid={"x": 41, "y": 21, "t": 51},
        )


def _pulse(t: Any, xp: Any) -> Any:
    return sum(xp.sin(speed * t) for speed in SPEEDS)


def _pulse_rate(t: Any, xp: Any) -> Any:
    return sum(speed * xp.cos(speed * t) for speed in SPEEDS)


def _force(x: Any, y: Any, t: Any, xp: Any) -> Any:
    return -xp.sin(math.pi * x) * xp.sin(math.pi * y) * xp.sin(math.pi * t)


@functools.lru_cache(maxsize=2)
def _reference(viscosity: float) -> tuple[Callable, float, int, int]:
    """The flow, its distance at random points to one of a lower degree with longer steps, and both numbers."""
    degree, steps = 7, 1600
    fine, coarse = _solve(viscosity, degree, steps), _solve(viscosity, degree - 1, steps * 3 // 4)
    points = np.random.default_rng(0).uniform((0, 0, 0), (LENGTH, HEIGHT, DURATION), (4000, 3))
    points[:, 2] = np.repeat(points[:40, 2], 100)
    expected = np.concatenate(list(fine(points).values()))
    gap = np.concatenate(list(coarse(points).values())) - expected
    return fine, float(np.linalg.norm(gap) / np.linalg.norm(expected)), degree, steps


def _solve(viscosity: float, degree: int, steps: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Solve on cells that shrink towards the inlet and the walls, where layers form while the flow is turned around."""
    x, y = np.array([0.0, 0.2, 0.8, 1.8, 2.0]), np.array([0.0, 0.15, 0.85, 1.0])
    elements = FlowElements((x, y), degree, np.ones((len(x) - 1, len(y) - 1), bool), (("x_max",), ()), viscosity)
    profile = elements.inlet(lambda y: np.sin(math.pi * y))
    nodes = np.meshgrid(*(nodes for nodes, _ in elements.nodes), indexing="ij")

    def force(t):
        along_y = _force(*nodes, t, np)
        return np.stack([np.zeros_like(along_y), along_y])

    every = steps // 200
    flow = elements.unsteady(
        lambda t: _pulse(t, np) * profile, force, duration=DURATION, steps=200 * every, every=every
    )
    return functools.partial(elements.evaluate, flow)
