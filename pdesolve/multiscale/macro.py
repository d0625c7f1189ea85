r"""Newton's method for a body whose material is a micro model.

At the load factor $\lambda$ the displacements solve $f_{int}(u) = \lambda f_{ext}$ at the free degrees of freedom,
with $u = \lambda \bar u$ at the prescribed ones. One call of the micro model serves all Gauss points.
"""

import dataclasses
import time
import warnings

import numpy as np
import scipy.sparse.linalg
from jaxtyping import Bool, Float

from ..errors import PdesolveError
from .discretisation import Discretisation
from .micro import MicroModel

__all__ = ["ExtrapolationWarning", "LoadStep", "MacroAnswer", "outside_box", "solve_macro"]


class ExtrapolationWarning(UserWarning):
    """A micro model was asked for strains outside the box it was trained on."""


@dataclasses.dataclass(frozen=True)
class LoadStep:
    """One increment of the load that reached equilibrium.

    Attributes:
        load: Load factor reached.
        residuals: Norm of the unbalanced forces after each iteration, relative to that of all nodal forces.
    """

    load: float
    residuals: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class MacroAnswer:
    """The state of the body at the load factor `load`.

    Attributes:
        discretisation: The finite elements.
        displacements: Degrees of freedom, `(dof,)`, in mm.
        strains: At the Gauss points, xx, yy and engineering xy, `(n, 3)`.
        stresses: At the Gauss points, xx, yy, xy, `(n, 3)`, in MPa.
        status: `converged`, or `diverged` if the last increments could not be followed.
        reason: The same in a sentence.
        load: Load factor reached; 1 if converged.
        steps: The increments.
        outside: Gauss points whose strain is outside the micro model's box; all False without a box.
        calls: Number of times that the micro model was asked for all Gauss points.
        seconds: Wall time of these calls (`micro`), of the first of them (`first_call`), and of everything (`total`).
    """

    discretisation: Discretisation
    displacements: Float[np.ndarray, " dof"]
    strains: Float[np.ndarray, "n 3"]
    stresses: Float[np.ndarray, "n 3"]
    status: str
    reason: str
    load: float
    steps: tuple[LoadStep, ...]
    outside: Bool[np.ndarray, " n"]
    calls: int
    seconds: dict[str, float]

    @property
    def iterations(self) -> int:
        """Newton iterations of all increments that reached equilibrium."""
        return sum(len(step.residuals) for step in self.steps)

    def displacement_at(self, point: tuple[float, float]) -> Float[np.ndarray, " 2"]:
        """Return the displacement of a point of the body."""
        return self.discretisation.displacements(self.displacements, np.asarray([point]))[0]

    def reaction(self, where) -> Float[np.ndarray, " 2"]:
        """Return the resulting force that the supports exert on the nodes which `where` selects, in N per mm."""
        forces = self.discretisation.internal_forces(self.stresses) - self.load * self.discretisation.forces
        return forces[self.discretisation.nodes(where)].sum(axis=1)


@dataclasses.dataclass(frozen=True)
class _State:
    """Displacements with what the micro model says to them."""

    u: Float[np.ndarray, " dof"]
    strains: Float[np.ndarray, "n 3"]
    stresses: Float[np.ndarray, "n 3"]
    tangents: Float[np.ndarray, "n 3 3"]


class _Failure(Exception):
    """An increment has no equilibrium that Newton's method finds; the message says what happened."""


class _Counted:
    """A micro model, with the number of its calls and their time, and its answers checked."""

    def __init__(self, micro: MicroModel, largest: float):
        self.micro, self.largest = micro, largest
        self.seconds: list[float] = []

    def __call__(self, body: Discretisation, u: np.ndarray) -> _State:
        strains = body.strains(u)
        if not np.isfinite(strains).all() or np.abs(strains).max(initial=0.0) > self.largest:
            raise _Failure(f"a strain is larger than {self.largest:g}")
        began = time.perf_counter()
        try:
            stresses, tangents = (np.asarray(part, dtype=float) for part in self.micro.respond(strains))
        except PdesolveError as error:
            raise _Failure(f"the micro model fails: {str(error).rstrip('.')}") from error
        finally:
            self.seconds.append(time.perf_counter() - began)
        n = len(strains)
        if stresses.shape != (n, 3) or tangents.shape != (n, 3, 3):
            raise PdesolveError(
                f"the micro model was given strains of shape ({n}, 3) and must return shapes ({n}, 3) and ({n}, 3, 3); "
                f"got {stresses.shape} and {tangents.shape}."
            )
        if not (np.isfinite(stresses).all() and np.isfinite(tangents).all()):
            raise _Failure("the micro model's stresses are not finite")
        return _State(u, strains, stresses, tangents)


def solve_macro(
    body: Discretisation,
    micro: MicroModel,
    *,
    load_steps: int = 1,
    tolerance: float = 1e-10,
    max_iterations: int = 12,
    max_cuts: int = 5,
    max_strain: float = 1.0,
) -> MacroAnswer:
    """Load the body in equal increments, each by Newton's method with the micro model's own tangent.

    With a consistent tangent the residual falls quadratically; a linear material takes one iteration. An increment is
    given up if it takes more than `max_iterations`, if a strain exceeds `max_strain` or a stress is not finite, and
    tried again with half the load, `max_cuts` times; after one that succeeds the increment grows back.

    Args:
        body: The finite elements.
        micro: The material.
        load_steps: Number of increments.
        tolerance: Largest norm of the unbalanced forces, relative to that of all nodal forces, reactions included.
        max_iterations: Newton iterations of an increment.
        max_cuts: How often an increment may be halved.
        max_strain: Largest admissible size of a strain component: saturating materials otherwise run away.

    Returns:
        The state under full load, or the last equilibrium with status `diverged`.

    Raises:
        PdesolveError: If an argument is out of range, or the micro model returns arrays of other shapes.
    """
    for name, value in (("load_steps", load_steps), ("max_iterations", max_iterations)):
        if value < 1:
            raise PdesolveError(f"`{name}` must be at least 1, got {value}.")
    if not (tolerance > 0 and max_strain > 0 and max_cuts >= 0):
        raise PdesolveError(
            "`tolerance` and `max_strain` must be positive and `max_cuts` not negative, got "
            f"{tolerance}, {max_strain} and {max_cuts}."
        )
    began = time.perf_counter()
    respond = _Counted(micro, max_strain)
    load, full, cuts, steps = 0.0, 1.0 / load_steps, 0, []
    reason = "equilibrium under full load"
    try:
        state = respond(body, np.zeros(body.size))
    except _Failure as failure:
        raise PdesolveError(f"the unloaded body has no state: {failure}.") from failure
    while load < 1.0:
        target = load + full / 2**cuts
        target = 1.0 if target > 1.0 - 1e-9 else target
        try:
            state, residuals = _increment(body, respond, state, (load, target), tolerance, max_iterations)
        except _Failure as failure:
            cuts += 1
            if cuts > max_cuts:
                reason = f"no equilibrium beyond {load:.4g} of the load: {failure}; take smaller loads or a finer mesh"
                break
            continue
        load, cuts = target, max(0, cuts - 1)
        steps.append(LoadStep(load, residuals))
    outside = outside_box(micro, state.strains)
    _warn(micro, state.strains, outside)
    return MacroAnswer(
        discretisation=body,
        displacements=state.u,
        strains=state.strains,
        stresses=state.stresses,
        status="converged" if load == 1.0 else "diverged",
        reason=reason,
        load=load,
        steps=tuple(steps),
        outside=outside,
        calls=len(respond.seconds),
        seconds={
            "first_call": respond.seconds[0],
            "micro": sum(respond.seconds),
            "total": time.perf_counter() - began,
        },
    )


def _increment(
    body: Discretisation,
    respond: _Counted,
    state: _State,
    loads: tuple[float, float],
    tolerance: float,
    max_iterations: int,
) -> tuple[_State, tuple[float, ...]]:
    """Go from one load factor to another; the prescribed displacements move in the first iteration."""
    jump = (loads[1] - loads[0]) * body.values
    residuals: list[float] = []
    for iteration in range(max_iterations):
        stiffness = body.stiffness(state.tangents)
        unbalanced = loads[1] * body.forces - body.internal_forces(state.stresses)
        change = np.zeros(body.size)
        change[body.fixed] = jump if iteration == 0 else 0.0
        change[body.free] = _solve(stiffness[body.free][:, body.free], (unbalanced - stiffness @ change)[body.free])
        state = respond(body, state.u + change)
        residuals.append(_unbalance(body, state, loads[1]))
        if residuals[-1] <= tolerance:
            return state, tuple(residuals)
    raise _Failure(f"the residual is {residuals[-1]:.1e} after {max_iterations} iterations")


def _solve(matrix: scipy.sparse.csc_array, right: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Solve by LU: the tangent of a micro model need not be symmetric."""
    if not len(right):
        return right
    try:
        return scipy.sparse.linalg.splu(matrix.tocsc()).solve(right)
    except RuntimeError as error:
        raise _Failure("the tangent is singular; is the body held?") from error


def _unbalance(body: Discretisation, state: _State, load: float) -> float:
    internal, external = body.internal_forces(state.stresses), load * body.forces
    scale = np.linalg.norm(internal) + np.linalg.norm(external)
    return float(np.linalg.norm((external - internal)[body.free]) / scale) if scale > 0 else 0.0


def outside_box(micro: MicroModel, strains: Float[np.ndarray, "n 3"]) -> Bool[np.ndarray, " n"]:
    """Return which strains are outside the box on which the micro model was trained; none if it has no box."""
    box = getattr(micro, "box", None)
    if box is None:
        return np.zeros(len(strains), bool)
    low, high = np.asarray(box, dtype=float).T
    slack = 1e-9 * (high - low)
    return ((strains < low - slack) | (strains > high + slack)).any(axis=1)


def _warn(micro: MicroModel, strains: np.ndarray, outside: np.ndarray) -> None:
    if not outside.any():
        return
    low, high = np.asarray(micro.box, dtype=float).T  # pyright: ignore[reportAttributeAccessIssue]
    centre, half = (high + low) / 2, (high - low) / 2
    worst = np.abs((strains - centre) / half).max()
    warnings.warn(
        f"{outside.sum()} of {len(outside)} Gauss points have strains outside the box on which the micro model was "
        f"trained, the worst {worst:.2f} times as far out as its faces: the model extrapolates. Reduce the load.",
        ExtrapolationWarning,
        stacklevel=3,
    )
