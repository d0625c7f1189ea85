"""Constrained minimisation of any function, by the methods that train networks under constraints."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PyTree

from ..errors import PdesolveError
from ..objective import BatchBlock, Context, Density, Evaluation, Objective, Term
from ..samplers import FixedSamples
from .augmented_lagrangian import AugmentedLagrangian
from .constrained_method import AbstractConstrainedMethod
from .program import Linearised, Multipliers, program

__all__ = ["ConstrainedResult", "minimise_constrained"]

_REASONS = {
    "converged": "the Karush-Kuhn-Tucker conditions hold to the tolerance",
    "degenerate": "the Karush-Kuhn-Tucker conditions hold, but the gradients of the active constraints are linearly "
    "dependent: multipliers are not unique",
    "infeasible": "no direction lowers the violation of the constraints to first order: they may contradict each other",
    "stalled": "no step was accepted",
    "step_limit": "the largest number of steps was reached",
    "diverged": "a value is not finite",
}


@dataclasses.dataclass(frozen=True)
class ConstrainedResult:
    """What `minimise_constrained` has found."""

    x: PyTree
    value: float
    """f(x)."""
    equality_multipliers: np.ndarray
    """y, one for each component of c."""
    inequality_multipliers: np.ndarray
    """z, at least zero, one for each component of h."""
    status: str
    """`converged`, `degenerate`, `infeasible`, `stalled`, `step_limit` or `diverged`."""
    reason: str
    """The status in words."""
    steps: int
    stationarity: float
    r"""Largest component of $\nabla f + y^\top \nabla c + z^\top \nabla h$."""
    violation: float
    """Largest violation of a constraint."""
    complementarity: float
    r"""Largest component of $\min(-h, z)$."""

    @property
    def success(self) -> bool:
        """Whether the Karush-Kuhn-Tucker conditions hold."""
        return self.status in ("converged", "degenerate")


def minimise_constrained(
    function: Callable[[PyTree], Array],
    x0: PyTree,
    *,
    equality: Callable[[PyTree], PyTree] | None = None,
    inequality: Callable[[PyTree], PyTree] | None = None,
    method: AbstractConstrainedMethod | None = None,
    max_steps: int = 1000,
    seed: int = 0,
) -> ConstrainedResult:
    r"""Find a local solution of $\min f(x)$ subject to $c(x) = 0$ and $h(x) \le 0$.

    Multipliers have the signs of the Lagrangian $f + y^\top c + z^\top h$, $z \ge 0$. Double precision
    (`jax.config.update("jax_enable_x64", True)`) is needed for tolerances below about 1e-4.

    Args:
        function: f, from a pytree of floating-point arrays to a scalar.
        x0: Where to begin; it need not be feasible.
        equality: c, to any pytree of arrays.
        inequality: h, to any pytree of arrays.
        method: `AugmentedLagrangian()` if None, else that of another class or with other options, the tolerance
            among them.
        max_steps: Largest number of steps of the method.
        seed: Of methods that draw random numbers.

    Raises:
        PdesolveError: If there is no constraint, f is no scalar, or a value is not finite at `x0`.
    """
    method = AugmentedLagrangian() if method is None else method
    x0 = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(float)), x0)
    evaluation = _evaluation(function, x0, equality, inequality, seed)
    method.check(evaluation.objective)
    params, steps, metrics, at, multipliers = _run(method, evaluation, x0, jnp.asarray(max_steps))
    residuals = {name: float(value) for name, value in at.residuals(multipliers).items()}
    status = _status(method, at, multipliers, metrics, residuals, int(steps), max_steps)
    return ConstrainedResult(
        x=params,
        value=float(at.value),
        equality_multipliers=np.asarray(multipliers.equality),
        inequality_multipliers=np.asarray(multipliers.inequality),
        status=status,
        reason=_REASONS[status],
        steps=int(steps),
        **residuals,
    )


def _evaluation(function, x0, equality, inequality, seed) -> Evaluation:
    """Return f, c and h as an objective of one sample."""
    parts = {"loss": function} | {
        kind: given for kind, given in (("equality", equality), ("inequality", inequality)) if given is not None
    }
    shapes = {kind: jax.eval_shape(part, x0) for kind, part in parts.items()}
    if not isinstance(shapes["loss"], jax.ShapeDtypeStruct) or shapes["loss"].shape != ():
        raise PdesolveError(f"the function to minimise must be a scalar; it returns {shapes['loss']}.")

    values, outer = _Values(parts), Density(_itself)
    terms = tuple(Term(kind, kind=kind, **({"outer": outer} if kind == "loss" else {})) for kind in parts)
    block = BatchBlock(values, FixedSamples(jnp.zeros(1)), terms)
    for kind, value in values(x0, None, None, None)[0].items():
        if not np.isfinite(np.asarray(value)).all():
            name = {"loss": "the function to minimise", "equality": "c", "inequality": "h"}[kind]
            raise PdesolveError(f"{name} is not finite at `x0`: {np.asarray(value)[0]}.")
    batch = block.sampler.draw((), jax.random.key(0), jnp.asarray(0))
    context = Context(jnp.asarray(0), jnp.asarray(0.0))
    frozen = jax.tree.map(lambda leaf: None, x0)
    return Evaluation(Objective((block,)), (batch,), {}, jax.random.key(seed), context, frozen)


class _Values(eqx.Module):
    """f, c and h as the function of a batch; the same functions again are compiled no second time."""

    parts: dict[str, Callable]

    def __call__(self, x, samples, key, context):
        return {kind: ravel_pytree(part(x))[0][None] for kind, part in self.parts.items()}, {}


def _itself(z: Array) -> Array:
    return z[0]


@eqx.filter_jit
def _run(method: Any, evaluation: Evaluation, x0: PyTree, max_steps: Array):
    """Take steps until one says that no further one helps; return the last point and what is known of it."""

    def body(carry):
        params, state, count, _ = carry
        params, state, metrics, _ = method.step(evaluation, params, state)
        return params, state, count + 1, metrics

    def going(carry):
        params, _, count, metrics = carry
        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(params)]))
        return ~metrics["stalled"] & (count < max_steps) & finite

    first = x0, method.init(evaluation, x0), jnp.asarray(0)
    nothing = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(lambda: method.step(evaluation, *first[:2]))[2]
    )
    params, state, count, metrics = jax.lax.while_loop(going, body, (*first, nothing))
    problem, flat = program(evaluation, params, "exact")
    at = problem.linearise(flat)
    return params, count, metrics, at, method.multipliers(at, state)


def _status(method, at: Linearised, multipliers: Multipliers, metrics, residuals, steps: int, max_steps: int) -> str:
    if not np.isfinite([float(at.value), *residuals.values()]).all():
        return "diverged"
    if max(residuals.values()) <= method.tolerance:
        return "degenerate" if _dependent(at, method.tolerance) else "converged"
    if bool(at.is_infeasible_stationary(method.tolerance)):
        return "infeasible"
    return "step_limit" if steps >= max_steps and not bool(metrics["stalled"]) else "stalled"


def _dependent(at: Linearised, tolerance: float) -> bool:
    """Say whether the gradients of the active constraints are linearly dependent."""
    active = np.asarray(at.inequality) > -max(1e-6, 10 * tolerance)
    rows = np.concatenate([np.asarray(at.equality_rows), np.asarray(at.inequality_rows)[active]])
    if len(rows) == 0:
        return False
    values = np.linalg.svd(rows, compute_uv=False)
    return len(rows) > rows.shape[1] or bool(
        values[-1] <= 10 * np.sqrt(np.finfo(rows.dtype).eps) * max(values[0], 1e-30)
    )
