"""One step along the Levenberg-Marquardt curve: the smallest damping whose step keeps its promise."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

__all__ = ["DampedStep", "damped_step"]


class DampedStep(eqx.Module):
    """Where the search along the curve has come to."""

    damping: Float[Array, ""]
    """The damping to try next."""
    flat: Float[Array, " p"]
    """The best point so far: the start, if no trial has passed."""
    value: Float[Array, ""]
    accepted: Float[Array, ""]
    """Damping of the best step so far."""
    found: Bool[Array, ""]
    done: Bool[Array, ""]
    count: Int[Array, ""]
    """Trials."""


def damped_step(
    function: Callable[[Float[Array, " p"]], Float[Array, ""]],
    flat: Float[Array, " p"],
    value: Float[Array, ""],
    gradient: Float[Array, " p"],
    solve: Callable[[Float[Array, ""]], Float[Array, " p"]],
    damping: Float[Array, ""],
    *,
    factor: float = 3.0,
    target_ratio: float = 0.03,
    probes: int = 3,
    attempts: int = 12,
    min_damping: float = 1e-16,
    slack: float | Float[Array, ""] = 0.0,
) -> DampedStep:
    r"""Solve $(B + \lambda I)\,p = -g$ for one damping after another, and keep the largest step that is good.

    With $\rho$ the ratio of actual to predicted decrease, dampings $\lambda, \lambda/f, \lambda/f^2, \dots$ are tried
    while $\rho \ge \rho^*$, and the last one that passed is taken; if the first fails, $\lambda f, \lambda f^2, \dots$
    until one passes. A factorisation that fails (B may be indefinite) or a value that is not finite is a failed trial.

    Args:
        function: What is made small.
        flat: Where it begins.
        value: `function(flat)`.
        gradient: g.
        solve: $\lambda \mapsto p$, not finite where it fails.
        damping: First $\lambda$.
        factor: $f > 1$.
        target_ratio: $\rho^*$.
        probes: Most trials of smaller dampings.
        attempts: Most trials.
        min_damping: Smallest $\lambda$.
        slack: Rise of the value that counts as round-off.
    """

    def trial(search: DampedStep) -> DampedStep:
        step = solve(search.damping)
        new = function(flat + step)
        predicted = 0.5 * step @ (search.damping * step - gradient)
        passed = (value - new >= target_ratio * predicted - slack) & (new < value + slack) & jnp.isfinite(new)
        smaller = jnp.maximum(search.damping / factor, min_damping)
        first = search.count == 0
        go_down = passed & (first | search.found) & (search.count < probes) & (smaller < search.damping)
        go_up = ~passed & ~search.found
        return DampedStep(
            damping=jnp.where(go_down, smaller, search.damping * factor),
            flat=jnp.where(passed, flat + step, search.flat),
            value=jnp.where(passed, new, search.value),
            accepted=jnp.where(passed, search.damping, search.accepted),
            found=search.found | passed,
            done=~(go_down | go_up),
            count=search.count + 1,
        )

    no = jnp.asarray(False)
    start = DampedStep(damping, flat, value, damping * factor**2, no, no, jnp.asarray(0))
    return jax.lax.while_loop(lambda s: ~s.done & (s.count < attempts), trial, start)
