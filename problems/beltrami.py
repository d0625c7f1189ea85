"""Beltrami flow: an unsteady solution of the Navier-Stokes equations in three dimensions."""

import math
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from pdesolve.calculus import laplacian, partial
from pdesolve.config import NetworkConfig, PointsConfig, Recipe, StageConfig
from pdesolve.geometry import Box, SpaceTime
from pdesolve.problem import AbstractProblem, Condition, Reference, dirichlet, initial, parameter

__all__ = ["Beltrami"]

_FIELDS = ("u", "v", "w", "p")
_AXES = ("x", "y", "z")


class Beltrami(AbstractProblem):
    r"""Beltrami flow of Ethier and Steinman: vorticity parallel to velocity, in three dimensions and time.

    $$\mathbf u_t + (\mathbf u \cdot \nabla) \mathbf u = -\nabla p + \tfrac{1}{Re} \Delta \mathbf u,
    \quad \nabla \cdot \mathbf u = 0 \quad \text{in } (-1, 1)^3, \quad 0 \le t \le 1;$$

    $$u = -\left(e^{x} \sin(y + z) + e^{z} \cos(x + y)\right) e^{-t / Re},$$

    v and w by cyclic exchange of x, y, z, and $p = -\tfrac12 |\mathbf u|^2 + \text{const}(t)$. All quantities are
    nondimensional. Velocities are prescribed at the start and on the boundary, the pressure at the corner (1, 1, 1).
    Errors are measured at points of a Sobol sequence inside; the plane of x and y through the centre is stored.

    References:
        Ethier and Steinman, Int. J. Numer. Methods Fluids 19 (1994) 369-375, with a = d = 1.
    """

    field_names: ClassVar[tuple[str, ...]] = _FIELDS

    reynolds: float = parameter(1.0, "Reynolds number", at_least=0.1, at_most=100.0)

    def domain(self) -> SpaceTime:
        """The cube [-1, 1]^3 over the times [0, 1]."""
        return SpaceTime(Box(dict.fromkeys(_AXES, (-1.0, 1.0))), 0.0, 1.0)

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Balance of momentum and of mass."""
        velocity = dict(zip(_AXES, (fields.u, fields.v, fields.w), strict=True))

        def momentum(axis):
            w = velocity[axis]
            carried = sum(component * partial(w, along) for along, component in velocity.items())
            return partial(w, "t") + carried + partial(fields.p, axis) - laplacian(w) / self.reynolds

        return {f"momentum_{axis}": momentum(axis) for axis in _AXES} | {
            "mass": sum(partial(component, axis) for axis, component in velocity.items())
        }

    def conditions(self) -> tuple[Condition, ...]:
        """The exact velocity at the start and on the faces, the exact pressure at a corner."""
        velocity = {name: lambda at, k=k: self._exact(at.x, at.y, at.z, at.t, jnp)[k] for k, name in enumerate("uvw")}
        corner = np.ones((33, 4))
        corner[:, 3] = np.linspace(0.0, 1.0, 33)
        pin = Condition(
            "pressure",
            lambda fields, at: {"p": fields.p - self._exact(at.x, at.y, at.z, at.t, jnp)[3]},
            points=corner,
            fields=("p",),
            kind="dirichlet",
        )
        faces = (dirichlet(f"{axis}_{end}", velocity) for axis in _AXES for end in ("min", "max"))
        start = {name: lambda at, k=k: self._exact(at.x, at.y, at.z, 0.0, jnp)[k] for k, name in enumerate("uvw")}
        return (initial(start), *faces, pin)

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """Largest near the corners at the start."""
        return {"u": (-4.5, 4.5), "v": (-4.5, 4.5), "w": (-4.5, 4.5), "p": (-15.0, 1.0)}

    def reference(self) -> Reference:
        """The closed form; its error is round-off."""
        return Reference(
            lambda points: dict(zip(_FIELDS, self._exact(*points.T, np), strict=True)), 1e-14, "closed form"
        )

    def recipe(self) -> Recipe:
        """A plain network; all conditions are loss terms."""
        return Recipe(
            network=NetworkConfig(width=24, depth=3),
            points=PointsConfig(interior=1024, boundary=128),
            stages=(StageConfig("levenberg_marquardt", seconds=120.0),),
        )

    def _exact(self, x: Any, y: Any, z: Any, t: Any, xp: Any) -> tuple[Any, ...]:
        """Velocity and pressure."""
        decay = xp.exp(-t / self.reynolds) if not isinstance(t, float) else math.exp(-t / self.reynolds)
        turned = ((x, y, z), (y, z, x), (z, x, y))
        u, v, w = (-(xp.exp(a) * xp.sin(b + c) + xp.exp(c) * xp.cos(a + b)) * decay for a, b, c in turned)
        return u, v, w, -(u**2 + v**2 + w**2) / 2
