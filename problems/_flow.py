r"""Incompressible flow by spectral elements, for the references of channels and steps. NumPy and SciPy, float64.

The domain consists of cells of a grid of rectangles. Velocities are sums of products of continuous piecewise
polynomials of degree N along each axis; pressures are polynomials of degree N - 2 on each cell, not continuous between
cells, so that no mode of the pressure is invisible to the velocities (Maday and Patera, 1989). In the weak form

$$(\dot u + u \cdot \nabla u, w) + \nu (\nabla u, \nabla w) - (p, \nabla \cdot w) = (f, w), \quad
(q, \nabla \cdot u) = 0$$

a side on which a component is not prescribed has $\nu \partial_n u = p n$ for it; where the other component, the one
along the side, vanishes, so does $\partial_n u_n$ by continuity, and the condition says p = 0.

References:
    Maday and Patera, in State-of-the-Art Surveys on Computational Mechanics, ASME (1989) 71-143.
    Karniadakis, Israeli, Orszag, J. Comput. Phys. 97 (1991) 414-443, for the schemes in time.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int
from numpy.polynomial.legendre import legvander
from scipy.sparse.linalg import splu

from ._legendre import piecewise, quadrature
from ._modes import Trajectory, plane_series

__all__ = ["Flow", "FlowElements"]

_SCHEMES = {
    # Order: weight of the new state, of the last states, and of the last convective terms.
    1: (1.0, (-1.0,), (1.0,)),
    2: (1.5, (-2.0, 0.5), (2.0, -1.0)),
    3: (11 / 6, (-3.0, 1.5, -1 / 3), (3.0, -3.0, 1.0)),
}
_FIRST = 1e-6
"""Length of the step that finds the pressure at the start, when the velocity has not changed yet."""


@dataclasses.dataclass(frozen=True)
class Flow:
    """Coefficients of one flow.

    Attributes:
        velocity: Of the products of piecewise polynomials.
        pressure: Of the products of Legendre polynomials on single cells; 0 where there is no fluid.
    """

    velocity: Float[np.ndarray, "2 mx my"]
    pressure: Float[np.ndarray, "px py"]


@dataclasses.dataclass(frozen=True)
class FlowElements:
    """Spaces of velocities and pressures on some cells of a grid.

    Attributes:
        edges: Of the cells along x and along y, ascending.
        degree: Of the velocities.
        filled: Which cells are fluid; velocities vanish on their boundary unless it is told otherwise.
        open_sides: For u and v the sides of the whole rectangle (`x_min`, ...) on which that component is free.
        viscosity: Kinematic viscosity.
    """

    edges: tuple[Float[np.ndarray, " nx"], Float[np.ndarray, " ny"]]
    degree: int
    filled: Bool[np.ndarray, "columns rows"]
    open_sides: tuple[tuple[str, ...], tuple[str, ...]]
    viscosity: float

    @functools.cached_property
    def nodes(self) -> list[tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]]:
        """Gauss points and weights along each axis."""
        return [quadrature(edges, self.degree + 2) for edges in self.edges]

    @functools.cached_property
    def weights(self) -> Float[np.ndarray, "n m"]:
        """Those of all points, 0 where there is no fluid."""
        (_, along_x), (_, along_y) = self.nodes
        return np.outer(along_x, along_y) * np.kron(self.filled, np.ones((self.degree + 2,) * 2))

    @functools.cached_property
    def tables(self) -> list[tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n m"]]]:
        """Values and slopes at the Gauss points of the piecewise polynomials of each axis."""
        return [piecewise(x, edges, self.degree) for (x, _), edges in zip(self.nodes, self.edges, strict=True)]

    @functools.cached_property
    def free(self) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " m"]]:
        """Numbers of the products which vanish wherever u, or v, is prescribed."""
        supports, ends = [], []
        for edges in self.edges:
            cells = len(edges) - 1
            hats = np.eye(cells + 1, cells) + np.eye(cells + 1, cells, -1)
            supports.append(np.vstack([hats, np.repeat(np.eye(cells), self.degree - 1, axis=0)]))
            ends.append((0, cells))
        dry = supports[0] @ ~self.filled @ supports[1].T > 0
        found = []
        for sides in self.open_sides:
            held = dry.copy()
            for side, index in zip(("x_min", "x_max"), ends[0], strict=True):
                held[index] |= side not in sides
            for side, index in zip(("y_min", "y_max"), ends[1], strict=True):
                held[:, index] |= side not in sides
            found.append(np.flatnonzero(~held))
        return found[0], found[1]

    @property
    def shape(self) -> tuple[int, int]:
        """Piecewise polynomials along each axis."""
        return self.tables[0][0].shape[1], self.tables[1][0].shape[1]

    @functools.cached_property
    def _products(self) -> list[sp.csr_array]:
        """Values, x- and y-derivatives of all products at the Gauss points in the fluid."""
        wet = np.flatnonzero(self.weights)
        (x, dx), (y, dy) = ([sp.csr_array(table) for table in tables] for tables in self.tables)
        return [sp.csr_array(sp.kron(a, b, "csr")[wet]) for a, b in ((x, y), (dx, y), (x, dy))]

    @functools.cached_property
    def _pressures(self) -> tuple[sp.csr_array, Int[np.ndarray, " n"]]:
        """Values of the pressure's products at the Gauss points in the fluid, and their numbers among all of them."""
        along_x, along_y = (sp.csr_array(self._pressure_table(x, axis)) for axis, (x, _) in enumerate(self.nodes))
        numbers = np.flatnonzero(np.kron(self.filled, np.ones((self.degree - 1,) * 2)))  # cells in their places
        wet = np.flatnonzero(self.weights)
        return sp.csr_array(sp.csr_array(sp.kron(along_x, along_y, "csr")[wet])[:, numbers]), numbers

    def _pressure_table(self, x: Float[np.ndarray, " n"], axis: int) -> Float[np.ndarray, "n p"]:
        """Legendre polynomials on each cell of an axis; on an edge those of the cell to the right, or below."""
        edges, n = self.edges[axis], self.degree - 1
        cell = np.searchsorted(edges, x, side=("right", "left")[axis]) - 1
        cell = np.clip(cell, 0, len(edges) - 2)
        low, high = edges[cell], edges[cell + 1]
        table = np.zeros((len(x), (len(edges) - 1) * n))
        table[np.arange(len(x))[:, None], cell[:, None] * n + np.arange(n)] = legvander(
            (2 * x - low - high) / (high - low), n - 1
        )
        return table

    @functools.cached_property
    def _gradients(self) -> list[sp.csr_array]:
        r"""For u and v: the products $(p, \nabla \cdot w)$, a row for each free w."""
        weighted = sp.diags_array(self.weights[self.weights > 0]) @ self._pressures[0]
        return [
            sp.csr_array((slope.T @ weighted)[free]) for slope, free in zip(self._products[1:], self.free, strict=True)
        ]

    @functools.cached_property
    def _viscous(self) -> sp.csr_array:
        r"""The products $\nu (\nabla u, \nabla w)$ of all functions."""
        _, x, y = self._products
        return self.viscosity * (self._integral(x, 1.0, x) + self._integral(y, 1.0, y))

    def _integral(self, a: sp.csr_array, factor: Any, b: sp.csr_array) -> sp.csr_array:
        """Integrate the products of two tables of functions, times a factor that is given at the Gauss points."""
        return sp.csr_array(a.T @ sp.diags_array(self.weights[self.weights > 0] * factor) @ b)

    def inlet(self, profile: Callable[[np.ndarray], np.ndarray]) -> Float[np.ndarray, "2 mx my"]:
        """Return prescribed coefficients: u is a function of y on the left side, and the rest is at rest."""
        y, weights = self.nodes[1]
        root, table, edges = np.sqrt(weights), self.tables[1][0], self.edges[1]
        # Exact on the edges, so that it vanishes on walls if the profile does; nearest in L2 between them.
        hats = profile(edges)
        rest = profile(y) - table[:, : len(edges)] @ hats
        bubbles = np.linalg.lstsq(root[:, None] * table[:, len(edges) :], root * rest, rcond=None)[0]
        held = np.zeros((2, *self.shape))
        held[0, 0] = np.concatenate([hats, bubbles])
        return held

    def at_nodes(self, coefficients: Float[np.ndarray, "mx my"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return values and derivatives along x and y at all Gauss points."""
        (x, dx), (y, dy) = self.tables
        return x @ coefficients @ y.T, dx @ coefficients @ y.T, x @ coefficients @ dy.T

    def convection(self, velocity: Float[np.ndarray, "2 mx my"]) -> Float[np.ndarray, "2 mx my"]:
        r"""Return $(u \cdot \nabla u, w)$ for all functions w."""
        (u, u_x, u_y), (v, v_x, v_y) = map(self.at_nodes, velocity)
        return np.stack([self.load(u * u_x + v * u_y), self.load(u * v_x + v * v_y)])

    def load(self, values: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "mx my"]:
        """Integrate a function, given at the Gauss points, against all functions."""
        return self.tables[0][0].T @ (self.weights * values) @ self.tables[1][0]

    def _system(self, blocks: list[list[sp.csr_array]]) -> Any:
        """Factorise the equations of momentum, whose matrices are given for all functions, and of mass."""
        momentum = [
            [block[rows][:, columns] for block, columns in zip(line, self.free, strict=True)]
            for line, rows in zip(blocks, self.free, strict=True)
        ]
        b_u, b_v = self._gradients
        matrix = [[*momentum[0], -b_u], [*momentum[1], -b_v], [-b_u.T, -b_v.T, None]]
        return splu(sp.csc_array(sp.block_array(matrix)))

    def _split(self, x: Float[np.ndarray, " n"], held: Float[np.ndarray, "2 mx my"]) -> Flow:
        """Return the flow with these unknowns, and with the coefficients that are prescribed."""
        columns, rows = self.filled.shape
        velocity, pressure = held.copy(), np.zeros((columns * (self.degree - 1), rows * (self.degree - 1)))
        sizes = np.cumsum([len(numbers) for numbers in self.free])
        for component, numbers, values in zip(velocity, self.free, np.split(x, sizes), strict=False):
            component.reshape(-1)[numbers] = values
        pressure.reshape(-1)[self._pressures[1]] = x[sizes[-1] :]
        return Flow(velocity, pressure)

    def _residual(self, forces: Float[np.ndarray, "2 mx my"], velocity: Float[np.ndarray, "2 mx my"]) -> np.ndarray:
        """Return what forces and prescribed velocities put on the right side: of momentum, and of mass."""
        known = [force.reshape(-1)[free] for force, free in zip(forces, self.free, strict=True)]
        pressures = self._pressures[0]
        (_, u_x, _), (_, _, v_y) = map(self.at_nodes, velocity)
        divergence = (self.weights * (u_x + v_y))[self.weights > 0]
        return np.concatenate([*known, pressures.T @ divergence])

    def _stress(self, velocity: Float[np.ndarray, "2 mx my"]) -> Float[np.ndarray, "2 mx my"]:
        return np.stack([(self._viscous @ component.reshape(-1)).reshape(self.shape) for component in velocity])

    def raised(self, flow: Flow, degree: int) -> Float[np.ndarray, "2 mx my"]:
        """Return the coefficients of the velocity that elements of a higher degree on the same cells have for it."""
        kept, sizes = [], []
        for edges in self.edges:
            cells = len(edges) - 1
            bubbles = np.arange(cells)[:, None] * (degree - 1) + np.arange(self.degree - 1)
            kept.append(np.concatenate([np.arange(cells + 1), cells + 1 + bubbles.reshape(-1)]))
            sizes.append(1 + cells * degree)
        velocity = np.zeros((2, *sizes))
        velocity[:, kept[0][:, None], kept[1]] = flow.velocity
        return velocity

    def steady(self, held: Float[np.ndarray, "2 mx my"], start: Float[np.ndarray, "2 mx my"] | None = None) -> Flow:
        """Solve for the steady flow with some prescribed coefficients of the velocity, by Newton's method.

        Args:
            held: The coefficients that are prescribed; the others are zero.
            start: Coefficients to begin with, those of creeping flow if None.

        Raises:
            RuntimeError: If it does not converge.
        """
        values, along_x, along_y = self._products
        viscous, zero = self._viscous, 0 * self._viscous
        if start is None:
            creeping = self._system([[viscous, zero], [zero, viscous]])
            start = self._split(creeping.solve(self._residual(-self._stress(held), held)), held).velocity
        velocity = start
        for _ in range(20):
            (u, u_x, u_y), (v, v_x, v_y) = (
                [table[self.weights > 0] for table in self.at_nodes(component)] for component in velocity
            )
            carried = viscous + self._integral(values, u, along_x) + self._integral(values, v, along_y)
            system = self._system(
                [
                    [carried + self._integral(values, u_x, values), self._integral(values, u_y, values)],
                    [self._integral(values, v_x, values), carried + self._integral(values, v_y, values)],
                ]
            )
            forces = -self._stress(velocity) - self.convection(velocity)
            # The equations are linear in the pressure, whose part is therefore the new pressure itself.
            change = self._split(system.solve(self._residual(forces, velocity)), np.zeros_like(held))
            velocity = velocity + change.velocity
            if np.abs(change.velocity).max() < 1e-9:
                return Flow(velocity, change.pressure)
        raise RuntimeError(f"Newton's method did not converge with elements of degree {self.degree}.")

    def unsteady(
        self,
        held: Callable[[float], Float[np.ndarray, "2 mx my"]],
        force: Callable[[float], Float[np.ndarray, "2 n m"]],
        *,
        duration: float,
        steps: int,
        every: int,
    ) -> Callable[[float], Flow]:
        """Solve from rest, by backward differences of third order with the convection extrapolated.

        Args:
            held: Time to prescribed coefficients of the velocity, 0 at time 0.
            force: Time to the force at the Gauss points.
            duration: Final time.
            steps: Number of equal steps, a multiple of `every`.
            every: Store each state after this many steps; between them states are interpolated.

        Returns:
            Time to the flow.

        Raises:
            FloatingPointError: If the solution overflows.
        """
        values = self._products[0]
        mass, viscous = self._integral(values, 1.0, values), self._viscous
        zero = 0 * mass
        dt = duration / steps

        def weighed(velocity):
            return np.stack([(mass @ component.reshape(-1)).reshape(self.shape) for component in velocity])

        def advance(t, length, order, system, states, convections):
            lead, past, extrapolated = _SCHEMES[order]
            known = held(t)
            before = sum(weight * state for weight, state in zip(past, states, strict=False)) + lead * known
            carried = sum(weight * each for weight, each in zip(extrapolated, convections, strict=False))
            loads = np.stack([self.load(component) for component in force(t)])
            forces = loads - carried - weighed(before) / length - self._stress(known)
            return self._split(system.solve(self._residual(forces, known)), known)

        def factorised(order, length):
            diagonal = _SCHEMES[order][0] / length * mass + viscous
            return self._system([[diagonal, zero], [zero, diagonal]])

        rest = np.zeros((2, *self.shape))
        first = advance(_FIRST, _FIRST, 1, factorised(1, _FIRST), [rest], [rest])
        stored = [_flat(Flow(rest, first.pressure))]
        states, convections = [rest], [rest]
        system = None
        with np.errstate(over="raise", invalid="raise"):
            for step in range(1, steps + 1):
                order = min(step, 3)
                if step <= 3:
                    system = factorised(order, dt)
                flow = advance(step * dt, dt, order, system, states, convections)
                states = [flow.velocity, *states[:2]]
                convections = [self.convection(flow.velocity), *convections[:2]]
                if step % every == 0:
                    stored.append(_flat(flow))
        trajectory = Trajectory(np.array(stored), duration, lambda x: x)

        def at(t):
            velocity, pressure = np.split(trajectory.at(np.array([t]))[0], [rest.size])
            return Flow(velocity.reshape(rest.shape), pressure.reshape(first.pressure.shape))

        return at

    def evaluate(self, flow: Callable[[float], Flow], points: Float[np.ndarray, "n 3"]) -> dict[str, np.ndarray]:
        """Return u, v and p of a flow that is given for each time, at points (x, y, t) of the fluid."""
        velocities = [lambda x, edges=edges: piecewise(x, edges, self.degree)[0] for edges in self.edges]
        pressures = [functools.partial(self._pressure_table, axis=axis) for axis in (0, 1)]
        return {
            "u": plane_series(points, lambda t: flow(t).velocity[0], *velocities),
            "v": plane_series(points, lambda t: flow(t).velocity[1], *velocities),
            "p": plane_series(points, lambda t: flow(t).pressure, *pressures),
        }


def _flat(flow: Flow) -> Float[np.ndarray, " n"]:
    return np.concatenate([flow.velocity.reshape(-1), flow.pressure.reshape(-1)])
