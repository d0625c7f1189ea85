"""Adams-Bashforth's method of order 3 for diffrax: one evaluation a step."""

from collections.abc import Callable
from typing import Any, ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from ..errors import UnknownNameError

__all__ = ["STARTS", "AdamsBashforth"]

STARTS = ("heun", "euler")
"""How the first step is taken, before which there is no slope."""


class _History(eqx.Module):
    """What a step knows of the two before it, the latest first."""

    times: Float[Array, " 2"]
    slopes: PyTree
    """With a leading axis of 2."""
    count: Int[Array, ""]
    """How many of them there are."""


class AdamsBashforth(diffrax.AbstractSolver):
    r"""The explicit three-step method: the parabola through the last three slopes is integrated.

    With equal steps,

    $$y_{n+1} = y_n + \frac{h}{12}\,(23 f_n - 16 f_{n-1} + 5 f_{n-2}),$$

    and for steps of any lengths the weights are those of the parabola. The second step has the line through two slopes,
    the first one is Heun's (one evaluation more) or Euler's. Order 3; with Euler's step, whose error of second order
    stays, order 2.

    Args:
        start: `heun` or `euler`.

    Raises:
        UnknownNameError: If there is no such start.

    References:
        Hairer, Norsett, Wanner, Solving ordinary differential equations I (1993), chapter III.
    """

    start: str = eqx.field(static=True, default="heun")
    term_structure: ClassVar = diffrax.AbstractTerm
    interpolation_cls: ClassVar[Callable[..., Any]] = diffrax.LocalLinearInterpolation

    def __check_init__(self):
        if self.start not in STARTS:
            raise UnknownNameError("first step", self.start, STARTS)

    def order(self, terms):
        """Return 3, or 2 after Euler's step."""
        return 3 if self.start == "heun" else 2

    def init(self, terms, t0, t1, y0, args):
        """Return a history without slopes."""
        # The times of slopes that are not there are distinct, so that no weight divides by zero.
        times = jnp.stack([2 * t0 - t1, 3 * t0 - 2 * t1])
        shapes = jax.eval_shape(terms.vf, t0, y0, args)
        slopes = jax.tree.map(lambda leaf: jnp.zeros((2, *leaf.shape), leaf.dtype), shapes)
        return _History(times, slopes, jnp.asarray(0))

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        """Take one step; see `diffrax.AbstractSolver.step`."""
        history, control = solver_state, terms.contr(t0, t1)
        count = jnp.where(made_jump, 0, history.count)
        slope = terms.vf(t0, y0, args)
        weights = _weights(t1 - t0, t0 - history.times, count)
        mean = jax.tree.map(
            lambda new, old: weights[0].astype(new.dtype) * new + jnp.tensordot(weights[1:].astype(old.dtype), old, 1),
            slope,
            history.slopes,
        )
        if self.start == "heun":
            mean = jax.lax.cond(count == 0, lambda: _heun(terms, t1, y0, args, slope, control), lambda: mean)
        y1 = _plus(y0, terms.prod(mean, control))
        state = _History(
            jnp.stack([t0, history.times[0]]),
            jax.tree.map(lambda new, old: jnp.stack([new, old[0]]), slope, history.slopes),
            jnp.minimum(count + 1, 2),
        )
        return y1, None, {"y0": y0, "y1": y1}, state, diffrax.RESULTS.successful

    def func(self, terms, t0, y0, args):
        """Return the slope."""
        return terms.vf(t0, y0, args)


def _weights(h: Float[Array, ""], back: Float[Array, " 2"], count: Int[Array, ""]) -> Float[Array, " 3"]:
    r"""Return the weights of the slopes now, `back[0]` and `back[1]` ago, of which the last two may be missing.

    The mean over [0, h] of the polynomial through the values at 0, $-p$, $-q$.
    """
    p, q = back[0], back[1]
    euler = jnp.array([1.0, 0.0, 0.0], back.dtype)
    line = jnp.stack([1 + h / (2 * p), -h / (2 * p), jnp.zeros_like(h)])
    parabola = jnp.stack(
        [
            1 + (p + q) * h / (2 * p * q) + h**2 / (3 * p * q),
            -(q * h / 2 + h**2 / 3) / (p * (q - p)),
            (p * h / 2 + h**2 / 3) / (q * (q - p)),
        ]
    )
    return jnp.where(count == 0, euler, jnp.where(count == 1, line, parabola))


def _heun(terms: Any, t1: Any, y0: PyTree, args: Any, slope: PyTree, control: Any) -> PyTree:
    """Return the mean of the slopes at both ends of Euler's step."""
    end = terms.vf(t1, _plus(y0, terms.prod(slope, control)), args)
    return jax.tree.map(lambda a, b: 0.5 * (a + b), slope, end)


def _plus(y: PyTree, change: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: a + b, y, change)
