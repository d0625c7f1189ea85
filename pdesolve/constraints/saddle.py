r"""First-order methods for constraints: descent in the parameters, ascent in the multipliers.

They make no inner problem small before the multipliers change, which is cheap, and why multipliers are late.
"""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PyTree

from ..errors import PdesolveError, UnknownNameError
from ..objective import Evaluation
from ..optim.optimiser import AbstractOptimiser, loss_metrics
from .program import require_constraints

__all__ = ["AbstractSaddle", "ConditionalPenalty", "DualAscent", "PrimalDual"]


class AbstractSaddle(AbstractOptimiser):
    """A step of Adam on a Lagrangian, then a step of its multipliers."""

    learning_rate: eqx.AbstractVar[float]
    """Of Adam, for the parameters."""

    meets_constraints: ClassVar[bool] = True

    def check(self, objective):
        """Losses and constraints on rows that stay."""
        require_constraints(type(self).__name__, objective)

    @abc.abstractmethod
    def begin(self, evaluation: Evaluation, params: PyTree) -> PyTree:
        """Return the first multipliers, with all that changes with them."""

    @abc.abstractmethod
    def lagrangian(self, evaluation: Evaluation, params: PyTree, dual: PyTree) -> Array:
        """Return what the parameters make small."""

    @abc.abstractmethod
    def ascend(self, evaluation: Evaluation, params: PyTree, dual: PyTree, value: Array) -> PyTree:
        """Return the next multipliers; `value` is the Lagrangian before the step of the parameters."""

    def init(self, evaluation, params):
        """Moments zero."""
        return optax.adam(self.learning_rate).init(params), self.begin(evaluation, params)

    def step(self, evaluation, params, state):
        """Down, then up."""
        moments, dual = state
        value, gradient = jax.value_and_grad(lambda params: self.lagrangian(evaluation, params, dual))(params)
        updates, moments = optax.adam(self.learning_rate).update(gradient, moments, params)
        new = optax.apply_updates(params, updates)
        loss, (losses, aux) = evaluation.loss(params)
        metrics = loss_metrics(loss, losses) | {
            "lagrangian": value,
            "violation_norm": violation_norm(evaluation, params),
            "gradient_norm": optax.tree.norm(gradient),
        }
        return new, (moments, self.ascend(evaluation, new, dual, value)), metrics, aux.get("layer_state")

    def refresh(self, evaluation, params, state):
        """Multipliers belong to rows that stay."""
        return state


def violation_norm(evaluation: Evaluation, params: PyTree) -> Array:
    """Return the root of the sum over terms of the weighted mean square of what the constraints are violated by."""
    above = jnp.maximum(evaluation.constraints(params, "inequality"), 0.0)
    return jnp.sqrt(jnp.sum(evaluation.constraints(params, "equality") ** 2) + jnp.sum(above**2))


class PrimalDual(AbstractSaddle):
    r"""Descend in x and ascend in $y$, $z \ge 0$ at once, both by Adam.

    The Lagrangian has a penalty,

    $$ f + y^\top c + z^\top h + \tfrac{\beta}{2} \big( |c|^2 + |\max(0, h)|^2 \big). $$

    Components of c are residuals times $\sqrt{w/n}$, so that y is $1/\sqrt n$ times the multiplier of a mean.

    Args:
        learning_rate: Of the parameters.
        dual_rate: Of the multipliers.
        penalty: $\beta$.

    References:
        Son, Cho, Hwang, Enhanced physics-informed neural networks with augmented Lagrangian relaxation method
        (AL-PINNs), Neurocomputing (2023).
    """

    learning_rate: float = 1e-3
    dual_rate: float = 1e-2
    penalty: float = 1.0

    def __check_init__(self):
        _positive(learning_rate=self.learning_rate, dual_rate=self.dual_rate)
        if not self.penalty >= 0:
            raise PdesolveError(f"`penalty` must not be negative, got {self.penalty}.")

    def begin(self, evaluation, params):
        """Multipliers zero."""
        dual = tuple(jnp.zeros_like(evaluation.constraints(params, kind)) for kind in ("equality", "inequality"))
        return dual, optax.adam(self.dual_rate).init(dual)

    def lagrangian(self, evaluation, params, dual):
        """See the class."""
        (y, z), _ = dual
        c, h = (evaluation.constraints(params, kind) for kind in ("equality", "inequality"))
        squares = jnp.sum(c**2) + jnp.sum(jnp.maximum(h, 0.0) ** 2)
        return evaluation.loss(params)[0] + y @ c + z @ h + 0.5 * self.penalty * squares

    def ascend(self, evaluation, params, dual, value):
        """Adam with the sign turned."""
        dual, moments = dual
        slopes = tuple(-evaluation.constraints(params, kind) for kind in ("equality", "inequality"))
        updates, moments = optax.adam(self.dual_rate).update(slopes, moments, dual)
        y, z = jax.tree.map(jnp.add, dual, updates)
        return (y, jnp.maximum(z, 0.0)), moments


class ConditionalPenalty(AbstractSaddle):
    r"""Augmented Lagrangian with one multiplier for each constrained term, and penalties of their own (PECANN-CAPU).

    With $c_k$ the mean square of term k, Adam follows $f + \sum_k (\lambda_k c_k + \tfrac{\mu_k}{2} c_k^2)$, and where
    it has fallen to no less than $\omega$ of its last value,

    $$ \lambda_k \leftarrow \lambda_k + \mu_k c_k, \qquad \mu_k \leftarrow \max\Big( \mu_k,
    \frac{\eta}{\sqrt{\bar v_k + \epsilon}} \Big), \qquad \bar v_k \leftarrow \zeta \bar v_k + (1 - \zeta) c_k^2 . $$

    The gradient of a square vanishes where the constraint is met, so that no finite multiplier exists: $\lambda_k$
    grows as long as training lasts, and the method is one of adaptive penalties. For multipliers that mean something
    use `AugmentedLagrangian`.

    Args:
        learning_rate: Of the parameters.
        scale: $\eta$.
        decay: $\zeta$.
        progress: $\omega$.

    References:
        Hu, Basir, Senocak, conditionally adaptive penalty update for PECANN, Comput. Methods Appl. Mech. Engrg. (2026).
    """

    learning_rate: float = 1e-3
    scale: float = 0.01
    decay: float = 0.99
    progress: float = 0.999

    def __check_init__(self):
        _positive(learning_rate=self.learning_rate, scale=self.scale, progress=self.progress)
        if not 0 <= self.decay < 1:
            raise PdesolveError(f"`decay` must be at least 0 and below 1, got {self.decay}.")

    def check(self, objective):
        """Losses and equality constraints."""
        require_constraints("ConditionalPenalty", objective, inequalities=False)

    def begin(self, evaluation, params):
        """Multipliers and penalties one, as published."""
        count = len(_constrained(evaluation))
        one = jnp.ones(count, jax.tree.leaves(params)[0].dtype)
        return {"multipliers": one, "penalties": one, "mean": jnp.zeros_like(one), "last": jnp.inf * one[0]}

    def lagrangian(self, evaluation, params, dual):
        """See the class."""
        losses, _ = evaluation.term_losses(params)
        c = _mean_squares(evaluation, losses)
        return _total(evaluation, losses) + jnp.sum(dual["multipliers"] * c + 0.5 * dual["penalties"] * c**2)

    def ascend(self, evaluation, params, dual, value):
        """Where the descent has slowed down."""
        c = _mean_squares(evaluation, evaluation.term_losses(params)[0])
        mean = self.decay * dual["mean"] + (1.0 - self.decay) * c**2
        slow = value >= self.progress * dual["last"]
        raised = jnp.maximum(dual["penalties"], self.scale / jnp.sqrt(mean + 1e-16))
        return {
            "multipliers": jnp.where(slow, dual["multipliers"] + dual["penalties"] * c, dual["multipliers"]),
            "penalties": jnp.where(slow, raised, dual["penalties"]),
            "mean": mean,
            "last": value,
        }


class DualAscent(AbstractSaddle):
    r"""Keep the mean square of each constrained term below a level: constrained learning.

    Minimise f subject to $\ell_k = \overline{|R_k|^2} - \epsilon_k \le 0$: Adam follows
    $f + \sum_k \lambda_k \ell_k$, and after every `inner_steps` of it
    $\lambda_k \leftarrow \max(0, \lambda_k + \eta\,\ell_k)$. The multipliers are weights of loss terms that have found
    themselves.

    Args:
        level: $\epsilon_k$, for all terms, or by name.
        learning_rate: Of the parameters.
        dual_rate: $\eta$.
        inner_steps: Steps of the parameters between two of the multipliers.

    References:
        Elenter, Chamon, Ribeiro, Near-optimal solutions of constrained learning problems, ICLR (2024).
    """

    level: float | Mapping[str, float] = 1e-6
    learning_rate: float = 1e-3
    dual_rate: float = 1.0
    inner_steps: int = eqx.field(static=True, default=10)

    def __check_init__(self):
        levels = self.level if isinstance(self.level, Mapping) else {"level": self.level}
        _positive(learning_rate=self.learning_rate, dual_rate=self.dual_rate, inner_steps=self.inner_steps, **levels)

    def check(self, objective):
        """Losses and equality constraints."""
        require_constraints("DualAscent", objective, inequalities=False)
        names = [term.name for term in objective.terms if term.kind == "equality"]
        if isinstance(self.level, Mapping):
            for name in self.level:
                if name not in names:
                    raise UnknownNameError("constrained term in `level`", name, names)
            if missing := [name for name in names if name not in self.level]:
                raise PdesolveError(f"`level` has none for {', '.join(missing)}.")

    def begin(self, evaluation, params):
        """Multipliers zero."""
        return jnp.zeros(len(_constrained(evaluation)), jax.tree.leaves(params)[0].dtype), jnp.asarray(0)

    def lagrangian(self, evaluation, params, dual):
        """See the class."""
        losses, _ = evaluation.term_losses(params)
        return _total(evaluation, losses) + dual[0] @ self._above(evaluation, losses)

    def ascend(self, evaluation, params, dual, value):
        """Every so often."""
        multipliers, count = dual
        above = self._above(evaluation, evaluation.term_losses(params)[0])
        due = (count + 1) % self.inner_steps == 0
        raised = jnp.maximum(multipliers + self.dual_rate * above, 0.0)
        return jnp.where(due, raised, multipliers), count + 1

    def _above(self, evaluation: Evaluation, losses: dict[str, Array]) -> Array:
        names = _constrained(evaluation)
        levels = [self.level[name] if isinstance(self.level, Mapping) else self.level for name in names]
        return _mean_squares(evaluation, losses) - jnp.asarray(levels)


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise PdesolveError(f"`{name}` must be positive, got {value}.")


def _constrained(evaluation: Evaluation) -> list[str]:
    return [term.name for term in evaluation.objective.terms if term.kind == "equality"]


def _mean_squares(evaluation: Evaluation, losses: dict[str, Any]) -> Array:
    """Return the weighted mean square of every constrained term."""
    return jnp.stack([2.0 * losses[name] for name in _constrained(evaluation)])


def _total(evaluation: Evaluation, losses: dict[str, Any]) -> Array:
    return jnp.asarray(sum(losses[term.name] for term in evaluation.objective.terms if term.kind == "loss"))
