"""Sampling by stochastic differential equations with additive noise, integrated by diffrax."""

from collections.abc import Callable

import diffrax
import jax
import jax.numpy as jnp
import lineax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import PdesolveError, UnknownNameError
from .objective import VelocityField
from .sampling import Integral, check_sampling

__all__ = ["SDE_SOLVERS", "diffuse", "integrate_sde"]

SDE_SOLVERS: dict[str, tuple[type, int]] = {
    "euler_maruyama": (diffrax.Euler, 1),
    "euler_heun": (diffrax.EulerHeun, 1),
    "sra1": (diffrax.SRA1, 2),
    "shark": (diffrax.ShARK, 2),
}
"""Solvers by name, and their evaluations of the drift in a step; the last two are of strong order 3/2."""


def integrate_sde(
    drift: VelocityField,
    x: Float[Array, "*shape"],
    key: PRNGKeyArray,
    *,
    noise: float | Callable[[Float[Array, ""]], Float[Array, ""]],
    solver: str = "shark",
    num_steps: int = 100,
    span: tuple[float, float] = (0.0, 1.0),
) -> Integral:
    r"""Solve $dX = f(X, t)\,dt + g(t)\,dW$ from `x` at the first to the last time of `span`, by equal steps.

    One sample in, one out; `jax.vmap` over x and keys makes batches.

    Args:
        drift: f.
        x: Where the path begins.
        key: Random key of W.
        noise: g, a number or a function of time.
        solver: One of `SDE_SOLVERS`.
        num_steps: Number of equal steps.
        span: First and last time, the first one the smaller.

    Raises:
        UnknownNameError: If there is no such solver.
        PdesolveError: If `num_steps` is less than 1, or times do not grow.
    """
    if solver not in SDE_SOLVERS:
        raise UnknownNameError("solver of stochastic equations", solver, SDE_SOLVERS)
    check_sampling("euler", num_steps)
    if not span[0] < span[1]:
        raise PdesolveError(f"`span` must be two times, the first one the smaller; got {span}.")
    method, stages = SDE_SOLVERS[solver]
    first, last = (float(np.asarray(t, x.dtype)) for t in span)
    times = jnp.linspace(first, last, num_steps + 1, dtype=x.dtype)

    def strength(t, x, args):
        g = noise(jnp.asarray(t, x.dtype)) if callable(noise) else jnp.asarray(noise, x.dtype)
        return lineax.DiagonalLinearOperator(jnp.broadcast_to(g, x.shape))

    # The tree's values at times further apart than the tolerance have the law of Brownian motion itself.
    shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
    tolerance = 0.5 * (last - first) / num_steps
    path = diffrax.VirtualBrownianTree(first, last, tolerance, shape, key, diffrax.SpaceTimeLevyArea)
    terms = diffrax.MultiTerm(
        diffrax.ODETerm(lambda t, x, args: drift(x, jnp.asarray(t, x.dtype))), diffrax.ControlTerm(strength, path)
    )
    controller = diffrax.StepTo(times)
    solution = diffrax.diffeqsolve(
        terms, method(), first, last, None, x, stepsize_controller=controller, max_steps=num_steps
    )
    return Integral(jax.tree.leaves(solution.ys)[0][0], stages * solution.stats["num_steps"])


def diffuse(
    velocity: VelocityField,
    score: VelocityField,
    x: Float[Array, "*shape"],
    key: PRNGKeyArray,
    *,
    strength: float = 0.5,
    backwards: bool = False,
    solver: str = "shark",
    num_steps: int = 100,
    span: tuple[float, float] = (0.0, 1.0),
) -> Integral:
    r"""Sample a stochastic interpolant by the diffusion that has the laws of its flow.

    $$dX = (b + \epsilon\,s)\,dt + \sqrt{2 \epsilon}\,dW,$$

    or, `backwards` from the last time of `span` to the first, with the drift $b - \epsilon\,s$. Any $\epsilon \ge 0$
    gives the same law at each time if b and s are exact; where they are learned, noise forgets earlier errors.

    Args:
        velocity: b.
        score: s, finite within `span`.
        x: Where the path begins.
        key: Random key of W.
        strength: $\epsilon$.
        backwards: Whether to go from data to start.
        solver: See `integrate_sde`.
        num_steps: See `integrate_sde`.
        span: First and last time; published: the last one is 0.99.

    Raises:
        PdesolveError: If the strength is negative, and as `integrate_sde` does.

    References:
        Albergo, Boffi, Vanden-Eijnden, arXiv:2303.08797 (2023), for forward and backward equations.
    """
    if not strength >= 0:
        raise PdesolveError(f"`strength` must not be negative, got {strength}.")

    def forward(x, t):
        return velocity(x, t) + strength * score(x, t)

    def backward(x, t):
        t = span[0] + span[1] - t
        return strength * score(x, t) - velocity(x, t)

    return integrate_sde(
        backward if backwards else forward,
        x,
        key,
        noise=float(np.sqrt(2.0 * strength)),
        solver=solver,
        num_steps=num_steps,
        span=span,
    )
