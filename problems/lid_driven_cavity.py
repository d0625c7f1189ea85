"""Steady flow in a square cavity under a lid whose speed vanishes at its ends."""

import dataclasses
import functools
import math
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Float

from pdesolve.calculus import partial
from pdesolve.config import NetworkConfig, PointsConfig, Recipe, StageConfig
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
from pdesolve.spectral import barycentric, chebyshev_matrix, chebyshev_points, clenshaw_curtis

__all__ = ["LidDrivenCavity"]

_CORNER = 1e-6
_NEXT_TO_CORNER = 5e-3


class LidDrivenCavity(AbstractProblem):
    r"""Steady flow of an incompressible fluid in a square, driven by a lid moving at 4 x (1 - x).

    $$(\mathbf u \cdot \nabla) \mathbf u = -\nabla p + \tfrac{1}{Re} \Delta \mathbf u, \quad \nabla \cdot \mathbf u = 0
    \quad \text{in } [0, 1]^2, \quad u(x, 1) = 4 x (1 - x),$$

    no slip elsewhere, $p(0, 0) = 0$. All quantities are nondimensional: lengths by the side, velocities by the largest
    speed of the lid.

    The speed of the lid is continuous but its shear is not: at the two upper corners the vorticity depends on the
    direction of approach and the pressure is $\pm \frac{8}{Re} \log r$, infinite at the corner itself, where its value
    at r = 0.005 stands for it. This corner flow is known in closed form; `transform` and the reference contain it.

    References:
        Hao et al., PINNacle, NeurIPS (2024), problem NS 2d-C (this lid and Reynolds number).
        Moffatt, J. Fluid Mech. 18 (1964) 1-18, section 2, for corner flows.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u", "v", "p")

    reynolds: float = parameter(100.0, "Reynolds number", above=0.0, at_most=200.0)

    def domain(self) -> Box:
        """The unit square."""
        return Box({"x": (0.0, 1.0), "y": (0.0, 1.0)})

    def equations(self, fields: Any, at: Any) -> dict[str, Any]:
        """Balance of momentum and of mass."""
        u, v, p = fields.u, fields.v, fields.p

        def transport(w):
            viscous = (partial(w, "x", 2) + partial(w, "y", 2)) / self.reynolds
            return u * partial(w, "x") + v * partial(w, "y") - viscous

        return {
            "momentum_x": transport(u) + partial(p, "x"),
            "momentum_y": transport(v) + partial(p, "y"),
            "mass": partial(u, "x") + partial(v, "y"),
        }

    def conditions(self) -> tuple[Condition, ...]:
        """The moving lid, no slip on the other walls, and the constant of the pressure."""
        lid = dirichlet("y_max", {"u": lambda at: 4 * at.x * (1 - at.x), "v": 0.0}, name="lid")
        walls = (dirichlet(part, {"u": 0.0, "v": 0.0}) for part in ("x_min", "x_max", "y_min"))
        pin = Condition(
            "pressure",
            lambda fields, at: {"p": fields.p - 0.0},
            points=np.zeros((1, 2)),
            fields=("p",),
            kind="dirichlet",
        )
        return (lid, *walls, pin)

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        r"""The flow in the two corners, the rest of the lid's motion times y^2, and raw outputs that vanish on walls.

        Corner flows are cut off by $(1 - r^2)^3$, which vanishes on the walls opposite to the corner.
        """
        x, y = at.x, at.y
        lid, u, v = 4 * x * (1 - x), 0.0, 0.0
        for a, sign in ((x, 1.0), (1 - x, -1.0)):
            corner_u, corner_v = corner_velocity(a, 1 - y, xp=jnp)
            cut = jnp.maximum(1 - a**2 - (1 - y) ** 2, 0.0) ** 3
            lid = lid - 4 * a * jnp.maximum(1 - a**2, 0.0) ** 3
            u, v = u + cut * corner_u, v + sign * cut * corner_v
        inside = 16 * x * (1 - x) * y * (1 - y)
        pressure = corner_pressure(x, y, xp=jnp) / self.reynolds
        return {"u": u + y**2 * lid + inside * raw["u"], "v": v + inside * raw["v"], "p": pressure + raw["p"]}

    def exact_conditions(self) -> tuple[str, ...]:
        """All velocities; not the constant of the pressure."""
        return ("lid", "x_min", "x_max", "y_min")

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """Velocities of the order of the lid's, and a smaller pressure."""
        return {"u": (-1.0, 1.0), "v": (-1.0, 1.0), "p": (-0.5, 0.5)}

    def up_to_constant(self) -> tuple[str, ...]:
        """The pressure."""
        return ("p",)

    def reference(self) -> Reference:
        """Chebyshev collocation of what the corner flows leave; the bound is the distance to fewer points."""
        flow, bound, n = _reference(float(self.reynolds))
        return Reference(
            flow.evaluate, bound, f"stream function on {n} x {n} Chebyshev points plus corner flows in closed form"
        )

    def classical(self, tolerance: float) -> Classical:
        """The method of the reference, with as few points as the tolerance allows."""
        return refine(
            lambda n: _solve(float(self.reynolds), n).evaluate,
            (10, 12, 14, 16, 20, 24, 28, 32, 36),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="Chebyshev collocation of the stream function, Newton's method",
        )

    def recipe(self) -> Recipe:
        """A network of four layers with exact velocities on the walls."""
        return Recipe(
            network=NetworkConfig(width=30, depth=4),
            points=PointsConfig(interior=2048),
            stages=(StageConfig("levenberg_marquardt", seconds=100.0),),
            grid={"x": 101, "y": 101},
        )


def corner_velocity(a: Any, d: Any, *, xp: Any = np) -> tuple[Any, Any]:
    r"""Return the Stokes flow in a corner between a lid moving at the speed 4 a and a wall at rest.

    Its stream function is $\psi = \pi d^2 - 2 a d - 2 \varphi (a^2 + d^2)$ with $\varphi = \arctan(d / a)$.

    Args:
        a: Distance from the wall.
        d: Distance from the lid.
        xp: `numpy` or `jax.numpy`.

    Returns:
        The velocity along `a`, and that opposite to `d`.
    """
    angle = xp.arctan2(d, a)
    return 4 * a - 2 * d * (math.pi - 2 * angle), 4 * a * angle


def corner_pressure(x: Any, y: Any, *, xp: Any = np) -> Any:
    """Return the pressure of both corner flows at viscosity 1, zero at the origin; see `LidDrivenCavity`."""

    def log_distance(a):
        square = a**2 + (1 - y) ** 2
        return 0.5 * xp.log(xp.where(square < _CORNER**2, _NEXT_TO_CORNER**2, square))

    return 8 * (log_distance(x) - log_distance(1 - x)) + 4 * math.log(2)


@dataclasses.dataclass(frozen=True)
class _Flow:
    """What the corner flows leave of u, v and p, at Chebyshev points; shape `(n, n, 3)`."""

    rest: Float[np.ndarray, "n n 3"]
    reynolds: float

    def evaluate(self, points: Float[np.ndarray, "n 2"]) -> dict[str, np.ndarray]:
        """Evaluate velocity and pressure."""
        x, y = points.T
        nodes = chebyshev_points(len(self.rest), (0, 1))
        u, v, p = barycentric(self.rest, [nodes, nodes], points).T
        corners = _corners(x, y)
        return {
            "u": u + corners["y"],
            "v": v - corners["x"],
            "p": p + corner_pressure(x, y) / self.reynolds,
        }


def _corners(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """The sum of both corner flows: stream function `""`, its derivatives by name, and those of `z`, its Laplacian."""
    names = ("", "x", "y", "xx", "xy", "yy", "z_x", "z_y")
    total = dict.fromkeys(names, 0.0)
    d = 1 - y
    for a, sign in ((x, 1.0), (1 - x, -1.0)):
        angle, square = np.arctan2(d, a), np.maximum(a**2 + d**2, _CORNER**2)
        along, down = corner_velocity(a, d)
        terms = (
            math.pi * d**2 - 2 * a * d - 2 * angle * (a**2 + d**2),
            -sign * down,
            along,
            -4 * angle + 4 * a * d / square,
            sign * 4 * a**2 / square,
            2 * (math.pi - 2 * angle) - 4 * a * d / square,
            sign * 8 * d / square,
            8 * a / square,
        )
        total = {name: total[name] + term for name, term in zip(names, terms, strict=True)}
    return total


@functools.lru_cache(maxsize=4)
def _reference(reynolds: float) -> tuple[_Flow, float, int]:
    """The flow, its distance from one on fewer points, and the number of points along an axis."""
    n = 40
    fine, coarse = _solve(reynolds, n), _solve(reynolds, 36)
    points = np.random.default_rng(0).uniform(size=(2000, 2))
    a, b = (np.array(list(flow.evaluate(points).values())) for flow in (fine, coarse))
    a[2] -= a[2].mean()
    b[2] -= b[2].mean()
    return fine, float(np.linalg.norm(a - b) / np.linalg.norm(a)), n


def _solve(reynolds: float, n: int) -> _Flow:
    r"""Solve $\psi_y \Delta \psi_x - \psi_x \Delta \psi_y = \frac{1}{Re} \Delta^2 \psi$ by Newton's method.

    The polynomial part of $\psi$ is $F Q F^T$, where $F$ takes values at the inner points of an axis and value and
    slope at its ends to values at all points.
    """
    x = chebyshev_points(n, (0, 1))
    d1 = chebyshev_matrix(n, (0, 1))
    corners = _corners(*np.meshgrid(x, x, indexing="ij"))
    extension = _extension(d1)
    # Derivatives 0 to 4 along an axis, at the inner points: from all of Q, and from its unknown part.
    rows = [extension[2:-2]]
    power = extension
    for _ in range(4):
        power = d1 @ power
        rows.append(power[2:-2])
    free = [row[:, 2:-2] for row in rows]
    q = _boundary_data(x, d1, corners)
    inner = {name: value[2:-2, 2:-2].reshape(-1) for name, value in corners.items()}

    def derivative(q, i, j):
        return (rows[i] @ q @ rows[j].T).reshape(-1)

    kron = {(i, j): np.kron(free[i], free[j]) for i, j in ((1, 0), (0, 1), (3, 0), (1, 2), (2, 1), (0, 3))}
    z_x, z_y = kron[3, 0] + kron[1, 2], kron[2, 1] + kron[0, 3]
    bilaplacian = np.kron(free[4], free[0]) + 2 * np.kron(free[2], free[2]) + np.kron(free[0], free[4])
    # Newton's method starts from Stokes flow: Q with zeros inside is no flow but a wild oscillation.
    viscous = derivative(q, 4, 0) + 2 * derivative(q, 2, 2) + derivative(q, 0, 4)
    q[2:-2, 2:-2] = np.linalg.solve(bilaplacian, -viscous).reshape(n - 4, n - 4)
    for _ in range(20):
        psi_x, psi_y = inner["x"] + derivative(q, 1, 0), inner["y"] + derivative(q, 0, 1)
        vortex_x = inner["z_x"] + derivative(q, 3, 0) + derivative(q, 1, 2)
        vortex_y = inner["z_y"] + derivative(q, 2, 1) + derivative(q, 0, 3)
        viscous = derivative(q, 4, 0) + 2 * derivative(q, 2, 2) + derivative(q, 0, 4)
        residual = psi_y * vortex_x - psi_x * vortex_y - viscous / reynolds
        jacobian = vortex_x[:, None] * kron[0, 1] - vortex_y[:, None] * kron[1, 0] - bilaplacian / reynolds
        jacobian += psi_y[:, None] * z_x - psi_x[:, None] * z_y
        change = np.linalg.solve(jacobian, -residual).reshape(n - 4, n - 4)
        q[2:-2, 2:-2] += change
        if np.abs(change).max() < 1e-11:
            break
    else:
        raise RuntimeError(f"Newton's method did not converge at Reynolds number {reynolds:g} on {n} points.")
    return _Flow(_velocity_and_pressure(extension @ q @ extension.T, d1, corners, reynolds), reynolds)


def _extension(d1: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """Return F: value and slope at the low end, values at the inner points, slope and value at the high end."""
    n = len(d1)
    ends = np.eye(n)
    ends[1], ends[-2] = d1[0], d1[-1]
    return np.linalg.inv(ends)


def _boundary_data(x: np.ndarray, d1: np.ndarray, corners: dict[str, np.ndarray]) -> Float[np.ndarray, "n n"]:
    """Return Q with the entries that boundary data fix: what the corner flows leave of them; zero elsewhere."""
    q = np.zeros((len(x), len(x)))
    for value in (0, -1):
        q[value], q[:, value] = -corners[""][value], -corners[""][:, value]
    # Slopes across the sides, then across bottom and lid; then the mixed derivatives at the corners.
    lid = 4 * x * (1 - x)
    slopes_x = {1: -corners["x"][0], -2: -corners["x"][-1]}
    slopes_y = {1: -corners["y"][:, 0], -2: lid - corners["y"][:, -1]}
    for slope, data in slopes_x.items():
        q[slope, [0, -1]], q[slope, 2:-2] = data[[0, -1]], data[2:-2]
    for slope, data in slopes_y.items():
        q[[0, -1], slope], q[2:-2, slope] = data[[0, -1]], data[2:-2]
        q[[1, -2], slope] = (d1 @ data)[[0, -1]]
    return q


def _velocity_and_pressure(
    psi: np.ndarray, d1: np.ndarray, corners: dict[str, np.ndarray], reynolds: float
) -> Float[np.ndarray, "n n 3"]:
    """Differentiate the stream function, and fit a polynomial to the gradient of the pressure."""
    psi_x, psi_y = d1 @ psi, psi @ d1.T
    psi_xx, psi_xy, psi_yy = d1 @ psi_x, d1 @ psi_y, psi_y @ d1.T
    laplacian = psi_xx + psi_yy
    u, v = psi_y + corners["y"], -psi_x - corners["x"]
    u_x, u_y, v_x = psi_xy + corners["xy"], psi_yy + corners["yy"], -psi_xx - corners["xx"]
    gradient_x = (laplacian @ d1.T) / reynolds - u * u_x - v * u_y
    gradient_y = -(d1 @ laplacian) / reynolds - u * v_x + v * u_x
    p = _potential(gradient_x, gradient_y, d1)
    return np.stack([psi_y, -psi_x, p - p[0, 0]], axis=-1)


def _potential(gradient_x: np.ndarray, gradient_y: np.ndarray, d1: np.ndarray) -> np.ndarray:
    """Return the polynomial whose gradient is nearest in L2, by separation of variables (up to a constant)."""
    weights = clenshaw_curtis(len(d1), (0, 1))
    values, vectors = scipy.linalg.eigh(d1.T @ (weights[:, None] * d1), np.diag(weights))
    weighted_x, weighted_y = (np.outer(weights, weights) * g for g in (gradient_x, gradient_y))
    right = vectors.T @ (d1.T @ weighted_x + weighted_y @ d1) @ vectors
    total = values[:, None] + values
    total[0, 0] = math.inf
    return vectors @ (right / total) @ vectors.T
