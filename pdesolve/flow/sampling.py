"""Sampling a flow: the ordinary differential equation of its velocity field, integrated by diffrax."""

from typing import NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..errors import PdesolveError, UnknownNameError
from .adams_bashforth import AdamsBashforth
from .objective import VelocityField

__all__ = ["SOLVERS", "Integral", "check_sampling", "integrate"]

_FIXED: dict[str, tuple[type, int, int]] = {
    "euler": (diffrax.Euler, 1, 0),
    "heun": (diffrax.Heun, 2, 0),
    "adams_bashforth": (AdamsBashforth, 1, 1),
}
"""Solvers with equal steps, their evaluations of a step, and those to begin with."""
SOLVERS = (*_FIXED, "dopri5")
"""Euler (order 1), Heun (2), Adams and Bashforth (3) take equal steps; Dormand and Prince's pair (5) chooses them."""


class Integral(NamedTuple):
    """The end of a path, and what it cost."""

    value: Float[Array, " channel *grid"]
    function_evaluations: Int[Array, ""]
    """Evaluations of the velocity field."""


def integrate(
    velocity: VelocityField,
    noise: Float[Array, " channel *grid"],
    *,
    solver: str = "heun",
    num_steps: int = 25,
    tolerance: float = 1e-5,
    span: tuple[float, float] = (0.0, 1.0),
) -> Integral:
    r"""Solve $\dot x = v(x, t)$ from `noise` at time 0 to time 1, or over another `span`.

    One sample in, one out; `jax.vmap` makes batches.

    Args:
        velocity: The velocity field.
        noise: Where the path begins.
        solver: `euler`, `heun`, `adams_bashforth` (equal steps) or `dopri5` (adaptive).
        num_steps: Number of equal steps; of an adaptive solver, the first step is one of that many.
        tolerance: Relative and absolute tolerance of an adaptive solver.
        span: First and last time; backwards if the first is the greater.

    Raises:
        UnknownNameError: If there is no such solver.
        PdesolveError: If `num_steps` is less than 1 or `tolerance` is not positive.
    """
    check_sampling(solver, num_steps, tolerance)
    if solver == "dopri5":
        return _adaptive(velocity, noise, num_steps, tolerance, span)
    method, stages, first = _FIXED[solver]
    # Times are given, not summed up from a step: rounding can neither add a step nor change the last one.
    times = jnp.linspace(*span, num_steps + 1, dtype=noise.dtype)
    span = (float(np.asarray(span[0], noise.dtype)), float(np.asarray(span[1], noise.dtype)))
    end, steps = _solve(velocity, noise, method(), None, diffrax.StepTo(times), span, max_steps=num_steps)
    return Integral(end, stages * steps + first)


def check_sampling(solver: str, num_steps: int, tolerance: float = 1e-5) -> None:
    """Raise as `integrate` does; a method asks before it trains."""
    if solver not in SOLVERS:
        raise UnknownNameError("solver", solver, SOLVERS)
    if not isinstance(num_steps, int) or num_steps < 1 or not tolerance > 0:
        raise PdesolveError(
            f"`num_steps` must be an integer, at least 1, and `tolerance` positive; got {num_steps}, {tolerance}."
        )


def _adaptive(velocity, noise, num_steps: int, tolerance: float, span: tuple[float, float]) -> Integral:
    controller = diffrax.PIDController(rtol=tolerance, atol=tolerance)
    first = (span[1] - span[0]) / num_steps
    end, steps = _solve(velocity, noise, diffrax.Dopri5(), first, controller, span, max_steps=4096)
    # Seven stages, of which the last is the first of the next step, also after a rejected one.
    return Integral(end, 6 * steps + 1)


def _solve(velocity, noise, method, first_step, controller, span, *, max_steps: int) -> tuple[Array, Array]:
    """Return the state at the end and the number of steps, rejected ones included."""
    term = diffrax.ODETerm(lambda t, x, args: velocity(x, jnp.asarray(t, x.dtype)))
    solution = diffrax.diffeqsolve(
        term, method, *span, first_step, noise, stepsize_controller=controller, max_steps=max_steps
    )
    return jax.tree.leaves(solution.ys)[0][0], solution.stats["num_steps"]
