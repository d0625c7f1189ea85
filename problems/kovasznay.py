"""Kovasznay flow: laminar flow behind a row of cylinders, in closed form."""

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
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
from pdesolve.spectral import barycentric, chebyshev_matrix, chebyshev_points

__all__ = ["Kovasznay"]

_X, _Y = (-0.5, 1.0), (-0.5, 1.5)


class Kovasznay(AbstractProblem):
    r"""Kovasznay flow, a closed solution of the steady Navier-Stokes equations.

    $$(\mathbf u \cdot \nabla) \mathbf u = -\nabla p + \tfrac{1}{Re} \Delta \mathbf u,
    \quad \nabla \cdot \mathbf u = 0;$$

    $$u = 1 - e^{\lambda x} \cos 2 \pi y, \quad v = \tfrac{\lambda}{2 \pi} e^{\lambda x} \sin 2 \pi y, \quad
    p = -\tfrac12 e^{2 \lambda x} + \text{const}, \quad \lambda = \tfrac{Re}{2} - \sqrt{\tfrac{Re^2}{4} + 4 \pi^2}.$$

    All quantities are nondimensional. The domain is [-0.5, 1] x [-0.5, 1.5], one of several in use; velocities are
    prescribed on its boundary, and p = 0 at the corner (1, -0.5).

    References:
        Kovasznay, Proc. Cambridge Philos. Soc. 44 (1948) 58-62.
    """

    field_names: ClassVar[tuple[str, ...]] = ("u", "v", "p")

    reynolds: float = parameter(40.0, "Reynolds number", at_least=10.0, at_most=100.0)

    def domain(self) -> Box:
        """The rectangle [-0.5, 1] x [-0.5, 1.5]."""
        return Box({"x": _X, "y": _Y})

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
        """The exact velocity on the boundary, and the constant of the pressure."""
        velocity = {
            "u": lambda at: _exact(at.x, at.y, self.reynolds, jnp)[0],
            "v": lambda at: _exact(at.x, at.y, self.reynolds, jnp)[1],
        }
        walls = (dirichlet(part, velocity) for part in ("x_min", "x_max", "y_min", "y_max"))
        pin = Condition(
            "pressure",
            lambda fields, at: {"p": fields.p - 0.0},
            points=np.array([[_X[1], _Y[0]]]),
            fields=("p",),
            kind="dirichlet",
        )
        return (*walls, pin)

    def transform(self, raw: dict[str, Any], at: Any) -> dict[str, Any]:
        r"""The boundary velocity by transfinite interpolation (Gordon and Hall), and raw outputs that vanish there.

        Of $e^{\lambda x} b(y)$ it is $\ell b + (e^{\lambda x} - \ell) m$ with the chords $\ell$ of the exponential and
        m of b. At both ends in y the cosine is -1 and the sine 0, and so are their chords.
        """
        r, s = (at.x - _X[0]) / (_X[1] - _X[0]), (at.y - _Y[0]) / (_Y[1] - _Y[0])
        inside = 16 * r * (1 - r) * s * (1 - s)
        decay = _decay(self.reynolds)
        wave, (low, high) = jnp.exp(decay * at.x), (jnp.exp(decay * end) for end in _X)
        chord = (1 - r) * low + r * high
        phase = 2 * math.pi * at.y
        return {
            "u": 1 - chord * jnp.cos(phase) + (wave - chord) + inside * raw["u"],
            "v": decay / (2 * math.pi) * chord * jnp.sin(phase) + inside * raw["v"],
            "p": raw["p"],
        }

    def exact_conditions(self) -> tuple[str, ...]:
        """All velocities; not the constant of the pressure."""
        return ("x_min", "x_max", "y_min", "y_max")

    def field_scales(self) -> dict[str, tuple[float, float]]:
        """Largest at x = -0.5, where the wave is exp(-lambda / 2) high."""
        height = math.exp(-0.5 * _decay(float(self.reynolds)))
        return {"u": (1 - height, 1 + height), "v": (-height / 2, height / 2), "p": (-(height**2) / 2, 0.5)}

    def up_to_constant(self) -> tuple[str, ...]:
        """The pressure."""
        return ("p",)

    def reference(self) -> Reference:
        """The closed form; its error is round-off."""
        reynolds = float(self.reynolds)
        return Reference(
            lambda points: dict(zip("uvp", _exact(points[:, 0], points[:, 1], reynolds, np), strict=True)),
            1e-14,
            "closed form",
        )

    def classical(self, tolerance: float) -> Classical:
        """Chebyshev collocation of velocity and, two degrees lower, pressure; Newton's method from the boundary."""
        return refine(
            functools.partial(_collocation, float(self.reynolds)),
            (8, 10, 12, 14, 16, 18, 20, 24),
            error=functools.partial(reference_error, self),
            tolerance=tolerance,
            description="Chebyshev collocation (P_N - P_N-2), Newton's method",
        )

    def recipe(self) -> Recipe:
        """Four layers on Fourier features with exact velocities on the boundary; a quarter of the points at first."""
        stages = (
            StageConfig("levenberg_marquardt", steps=40, interior=256),
            StageConfig("levenberg_marquardt", seconds=90.0),
        )
        return Recipe(
            network=NetworkConfig("fourier_features", 20, 4, options={"num_features": 10, "scale": 1.0}),
            points=PointsConfig(interior=1024, boundary=128, refresh=5),
            stages=stages,
            grid={"x": 101, "y": 101},
        )


def _decay(reynolds: Any) -> Any:
    # The difference of two large numbers, written without it.
    return -4 * math.pi**2 / (reynolds / 2 + (reynolds**2 / 4 + 4 * math.pi**2) ** 0.5)


def _exact(x: Any, y: Any, reynolds: Any, xp: Any) -> tuple[Any, Any, Any]:
    """Velocity, and the pressure that is zero at x = 1."""
    decay = _decay(reynolds)
    wave = xp.exp(decay * x)
    u = 1 - wave * xp.cos(2 * math.pi * y)
    v = decay / (2 * math.pi) * wave * xp.sin(2 * math.pi * y)
    p = (xp.exp(2 * decay * _X[1]) - wave**2) / 2 + 0 * y
    return u, v, p


def _collocation(reynolds: float, n: int) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Solve for velocity on `n` points along each axis and pressure on the inner ones; equations hold on these."""
    x, y = chebyshev_points(n, _X), chebyshev_points(n, _Y)
    inner, one, m = slice(1, -1), np.eye(n), n - 2
    dx, dy = chebyshev_matrix(n, _X), chebyshev_matrix(n, _Y)
    d_x, d_y = np.kron(dx[inner], one[inner]), np.kron(one[inner], dy[inner])
    viscous = (np.kron((dx @ dx)[inner], one[inner]) + np.kron(one[inner], (dy @ dy)[inner])) / reynolds
    to_all_x, to_all_y = _from_inner(x), _from_inner(y)
    p_x, p_y = np.kron((dx @ to_all_x)[inner], np.eye(m)), np.kron(np.eye(m), (dy @ to_all_y)[inner])
    free = np.arange(n * n).reshape(n, n)[inner, inner].ravel()

    # The exact velocity on the boundary, uniform flow inside to start from.
    u, v, _ = (field.ravel() for field in _exact(*np.meshgrid(x, y, indexing="ij"), reynolds, np))
    u[free], v[free], p = 1.0, 0.0, np.zeros(m * m)
    for _ in range(30):
        transport = u[free, None] * d_x + v[free, None] * d_y - viscous
        residual = np.concatenate([transport @ u + p_x @ p, transport @ v + p_y @ p, d_x @ u + d_y @ v])
        inside = transport[:, free]
        (u_x, u_y), (v_x, v_y) = ((np.diag(d_x @ w), np.diag(d_y @ w)) for w in (u, v))
        mass = d_x[:, free], d_y[:, free], np.zeros_like(p_x)
        jacobian = np.block([[inside + u_x, u_y, p_x], [v_x, inside + v_y, p_y], list(mass)])
        # Singular by the constant of the pressure: the last equation of mass follows from the others, nearly so
        # while the boundary data are not resolved; p is held at one point in its place.
        jacobian[-1], residual[-1] = np.eye(3 * m * m)[-1], p[-1]
        change_u, change_v, change_p = np.split(np.linalg.solve(jacobian, -residual), 3)
        u[free], v[free], p = u[free] + change_u, v[free] + change_v, p + change_p
        if max(np.abs(change_u).max(), np.abs(change_v).max()) < 1e-10:
            break
    else:
        raise RuntimeError(f"Newton's method did not converge at Reynolds number {reynolds:g} on {n} points.")
    pressure = to_all_x @ p.reshape(m, m) @ to_all_y.T
    values = np.stack([u.reshape(n, n), v.reshape(n, n), pressure], axis=-1)
    return lambda points: dict(zip("uvp", barycentric(values, [x, y], points).T, strict=True))


def _from_inner(x: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n n-2"]:
    """Return the matrix from values at the inner Chebyshev points to those of their polynomial at all of them."""
    half = (x[-1] - x[0]) / 2
    scaled = (x[1:-1] - x[0]) / half - 1
    weights = (-1.0) ** np.arange(len(scaled)) * (1 - scaled**2)
    ends = weights / (np.array([[-1.0], [1.0]]) - scaled)
    low, high = ends / ends.sum(axis=1, keepdims=True)
    return np.vstack([low, np.eye(len(scaled)), high])
