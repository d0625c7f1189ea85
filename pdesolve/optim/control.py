r"""How far a Gauss-Newton step goes: interchangeable rules, each with a state of one number.

A rule sees the loss, its gradient g and the curve of damped steps $p(\lambda) = -(B + \lambda I)^{-1} g$. Losses that
are not finite count as too large, and the incumbent is kept where nothing is better.
"""

import abc
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..errors import PdesolveError, UnknownNameError
from .damped import damped_step

__all__ = [
    "CONTROLS",
    "AbstractControl",
    "Armijo",
    "ClassicalDamping",
    "Curve",
    "GradientNormalised",
    "GridSearch",
    "RatioTarget",
    "Stopped",
]


class Curve(NamedTuple):
    """The loss where a step begins, and the steps there are."""

    function: Callable[[Float[Array, " p"]], Float[Array, ""]]
    slope: Callable[[Float[Array, " p"]], Float[Array, " p"]]
    """Gradient of the loss elsewhere, for rules that ask for it."""
    flat: Float[Array, " p"]
    value: Float[Array, ""]
    gradient: Float[Array, " p"]
    solve: Callable[[Float[Array, ""]], Float[Array, " p"]]


class Stopped(NamedTuple):
    """Where a rule has stopped."""

    flat: Float[Array, " p"]
    state: Float[Array, ""]
    damping: Float[Array, ""]
    count: Int[Array, ""]
    """Trials."""
    found: Bool[Array, ""]
    """Whether the loss is lower there."""


class AbstractControl(eqx.Module):
    """A rule."""

    @abc.abstractmethod
    def init(self) -> float:
        """Return the first state."""

    @abc.abstractmethod
    def search(self, curve: Curve, state: Float[Array, ""]) -> Stopped:
        """Return where to go."""

    @abc.abstractmethod
    def refresh(self, state: Float[Array, ""]) -> Float[Array, ""]:
        """Return the state when the samples have changed."""


class RatioTarget(AbstractControl):
    r"""The smallest damping whose ratio of actual to predicted decrease is above a target (`damped_step`); the default.

    Args:
        damping: First $\lambda$, in units of the mean-square loss.
        factor: Between two dampings.
        target_ratio: The target; small ones make long steps.
        probes: Most trials of smaller dampings in one step.
        attempts: Most trials in one step.
        min_damping: Smallest $\lambda$.
    """

    damping: float = 1.0
    factor: float = 3.0
    target_ratio: float = 0.03
    probes: int = eqx.field(static=True, default=3)
    attempts: int = eqx.field(static=True, default=12)
    min_damping: float = 1e-16

    def __check_init__(self):
        _check(self, factor=1, damping=0, target_ratio=0, probes=0, attempts=0)

    def init(self):
        """The first damping."""
        return self.damping

    def search(self, curve, state):
        """Down while it goes well, else up."""
        end = damped_step(
            curve.function,
            curve.flat,
            curve.value,
            curve.gradient,
            curve.solve,
            state,
            factor=self.factor,
            target_ratio=self.target_ratio,
            probes=self.probes,
            attempts=self.attempts,
            min_damping=self.min_damping,
        )
        return Stopped(end.flat, end.accepted, end.accepted, end.count, end.found)

    def refresh(self, state):
        """The damping lives on, unless a stall has raised it: that says nothing about the new samples."""
        return jnp.minimum(state, self.damping)


class GridSearch(AbstractControl):
    r"""The best of the lengths $1, 1/2, \dots, 2^{-k}$ along the direction of one damping.

    Args:
        damping: $\lambda$, the same at every step; more, for one step, where the factorisation fails.
        halvings: k.
    """

    damping: float = 1e-12
    halvings: int = eqx.field(static=True, default=30)

    def init(self):
        """The damping."""
        return self.damping

    def search(self, curve, state):
        """Evaluate them all."""
        direction, damping = _finite(curve, state)
        lengths = 0.5 ** jnp.arange(self.halvings + 1, dtype=curve.flat.dtype)
        losses = jax.lax.map(lambda length: curve.function(curve.flat + length * direction), lengths)
        losses = jnp.where(jnp.isfinite(losses), losses, jnp.inf)
        best = jnp.argmin(losses)
        found = losses[best] < curve.value
        flat = jnp.where(found, curve.flat + lengths[best] * direction, curve.flat)
        return Stopped(flat, state, damping, jnp.asarray(self.halvings + 1), found)

    def refresh(self, state):
        """Nothing has been learned."""
        return state


class Armijo(AbstractControl):
    r"""The first of the lengths $1, b, b^2, \dots$ with a decrease of at least $a\,t\,|g^\top p|$.

    Args:
        damping: $\lambda$, the same at every step; more, for one step, where the factorisation fails.
        decrease: a.
        factor: b.
        attempts: Most lengths.
    """

    damping: float = 1e-12
    decrease: float = 0.1
    factor: float = 0.5
    attempts: int = eqx.field(static=True, default=30)

    def __check_init__(self):
        _check(self, decrease=0, factor=0, attempts=0)
        if not (self.factor < 1 and self.decrease < 1 and self.damping >= 0):
            raise PdesolveError("`factor` and `decrease` must be below 1, and `damping` not negative.")

    def init(self):
        """The damping."""
        return self.damping

    def search(self, curve, state):
        """Shorten until it is enough."""
        direction, damping = _finite(curve, state)
        slope = curve.gradient @ direction

        def enough(length):
            loss = curve.function(curve.flat + length * direction)
            return jnp.isfinite(loss) & (loss <= curve.value + self.decrease * length * slope) & (loss < curve.value)

        def shorten(carry):
            length, count, _ = carry
            return self.factor * length, count + 1, enough(self.factor * length)

        one = jnp.ones((), curve.flat.dtype)
        start = (one, jnp.asarray(1), enough(one))
        length, count, found = jax.lax.while_loop(lambda c: ~c[2] & (c[1] < self.attempts), shorten, start)
        return Stopped(jnp.where(found, curve.flat + length * direction, curve.flat), state, damping, count, found)

    def refresh(self, state):
        """Nothing has been learned."""
        return state


class ClassicalDamping(AbstractControl):
    r"""Marquardt's rule: accept what lowers the loss; $\lambda$ falls after good steps and rises after bad ones.

    Args:
        damping: First $\lambda$.
        good: Ratio of actual to predicted decrease above which it falls.
        bad: Ratio below which it rises.
        factor: By which it changes.
        attempts: Most trials in one step.
        min_damping: Smallest $\lambda$.
    """

    damping: float = 1.0
    good: float = 0.75
    bad: float = 0.25
    factor: float = 3.0
    attempts: int = eqx.field(static=True, default=12)
    min_damping: float = 1e-16

    def __check_init__(self):
        _check(self, factor=1, damping=0, attempts=0)

    def init(self):
        """The first damping."""
        return self.damping

    def search(self, curve, state):
        """Until a step is accepted."""

        def trial(carry: Stopped) -> Stopped:
            step = curve.solve(carry.state)
            loss = curve.function(curve.flat + step)
            predicted = 0.5 * step @ (carry.state * step - curve.gradient)
            ratio = (curve.value - loss) / predicted
            found = jnp.isfinite(loss) & (ratio > 1e-4) & (loss < curve.value)
            down = jnp.maximum(carry.state / self.factor, self.min_damping)
            up = carry.state * self.factor
            state = jnp.where(found & (ratio > self.good), down, jnp.where(found & (ratio > self.bad), carry.state, up))
            flat = jnp.where(found, curve.flat + step, curve.flat)
            return Stopped(flat, state, carry.state, carry.count + 1, found)

        start = Stopped(curve.flat, state, state, jnp.asarray(0), jnp.asarray(False))
        return jax.lax.while_loop(lambda c: ~c.found & (c.count < self.attempts), trial, start)

    def refresh(self, state):
        """As for `RatioTarget`."""
        return jnp.minimum(state, self.damping)


class GradientNormalised(AbstractControl):
    r"""Damping $\lambda = |g| / \gamma$: no step is longer than $\gamma$, and $\gamma$ doubles or halves.

    A trial is accepted if $f(x) - f(x^+) \ge |g(x^+)|^2 / (8 \lambda)$, which costs a gradient and no prediction.

    Args:
        radius: First $\gamma$.
        attempts: Most trials in one step.

    References:
        Semenov, Jaggi, Doikov, Gradient-normalized smoothness for optimization with approximate Hessians, ICLR (2026).
    """

    radius: float = 1.0
    attempts: int = eqx.field(static=True, default=40)

    def __check_init__(self):
        _check(self, radius=0, attempts=0)

    def init(self):
        """The first radius."""
        return self.radius

    def search(self, curve, state):
        """Until one is accepted."""
        size = jnp.linalg.norm(curve.gradient)

        def trial(carry: Stopped) -> Stopped:
            damping = size / (carry.state + 1e-8)
            flat = curve.flat + curve.solve(damping)
            loss, slope = curve.function(flat), curve.slope(flat)
            found = jnp.isfinite(loss) & (curve.value - loss >= slope @ slope / (8.0 * damping)) & (loss < curve.value)
            radius = jnp.where(found, jnp.maximum(2.0 * carry.state, 1e-9), 0.5 * carry.state)
            return Stopped(jnp.where(found, flat, curve.flat), radius, damping, carry.count + 1, found)

        start = Stopped(curve.flat, state, state, jnp.asarray(0), jnp.asarray(False))
        return jax.lax.while_loop(lambda c: ~c.found & (c.count < self.attempts), trial, start)

    def refresh(self, state):
        """The radius lives on, unless a stall has shrunk it."""
        return jnp.maximum(state, 1e-3 * self.radius)


def _finite(curve: Curve, damping: Array) -> tuple[Float[Array, " p"], Array]:
    """Return the step of a damping, or of the first that is ten, a hundred, ... times larger and gives a finite one."""

    def failed(carry):
        step, _, count = carry
        return ~jnp.all(jnp.isfinite(step)) & (count < 12)

    def again(carry):
        _, damping, count = carry
        damping = 10.0 * jnp.maximum(damping, jnp.finfo(damping.dtype).eps ** 2)
        return curve.solve(damping), damping, count + 1

    step, damping, _ = jax.lax.while_loop(failed, again, (curve.solve(damping), damping, jnp.asarray(0)))
    return step, damping


def _check(rule: AbstractControl, **limits: float) -> None:
    """Raise `PdesolveError` if an option of a rule does not exceed its limit."""
    for name, limit in limits.items():
        if not getattr(rule, name) > limit:
            raise PdesolveError(f"`{name}` must be above {limit:g}, got {getattr(rule, name)}.")


CONTROLS = {
    "ratio": RatioTarget,
    "grid": GridSearch,
    "armijo": Armijo,
    "classical": ClassicalDamping,
    "gradient_normalised": GradientNormalised,
}
"""Rules by name."""


def named_control(control: str | AbstractControl) -> AbstractControl:
    """Return a rule from its name, or as it is.

    Raises:
        UnknownNameError: For an unknown name.
    """
    if isinstance(control, AbstractControl):
        return control
    if control not in CONTROLS:
        raise UnknownNameError("step control", control, CONTROLS)
    return CONTROLS[control]()
