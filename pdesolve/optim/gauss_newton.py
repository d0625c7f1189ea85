"""Gauss-Newton methods: one model of the loss, a factorisation that solves with it, and a rule for how far to go."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from ..errors import PdesolveError, UnknownNameError
from ..objective import Squares
from .control import AbstractControl, Curve, named_control
from .factorisation import FACTORISATIONS, LEAST_SQUARES, damped_solver
from .optimiser import AbstractOptimiser, loss_metrics, require_losses

__all__ = ["AbstractGaussNewton", "GaussNewton"]


class AbstractGaussNewton(AbstractOptimiser):
    """A step of every Gauss-Newton method."""

    factorisation: eqx.AbstractVar[str]
    r"""How $(J^\top J + \lambda I)\,p = -g$ is solved: see `factorisation`."""

    @abc.abstractmethod
    def rule(self) -> AbstractControl:
        """Return the rule for how far to go."""

    def solver(self, evaluation: Any, model: Any, state: Any) -> Any:
        """Return the curve of steps; by the factorisation, if not otherwise."""
        key = jax.random.fold_in(evaluation.key, evaluation.context.step)
        return damped_solver(model, self.factorisation, key)

    def check(self, objective):
        """Losses whose outer functions have a curvature."""
        name = type(self).__name__
        require_losses(name, objective)
        if self.factorisation not in FACTORISATIONS:
            raise UnknownNameError("factorisation", self.factorisation, FACTORISATIONS)
        if flat := [term.name for term in objective.terms if not term.outer.has_curvature]:
            raise PdesolveError(
                f"{name} needs squares or a known curvature; the loss of {', '.join(flat)} has none. "
                "Use a first-order optimiser such as adam."
            )
        other = [term.name for term in objective.terms if not isinstance(term.outer, Squares)]
        if other and self.factorisation in LEAST_SQUARES:
            raise PdesolveError(
                f"the factorisation {self.factorisation!r} needs sums of squares; the loss of {', '.join(other)} is "
                "none. Use 'cholesky' or 'eigen'."
            )

    def check_mesh(self):
        r"""What is made of $J^\top J$ alone."""
        AbstractOptimiser.check_mesh(self)
        if self.factorisation in LEAST_SQUARES:
            raise PdesolveError(
                f"the factorisation {self.factorisation!r} is not tested on a mesh of devices. Use 'cholesky' or "
                "'eigen', or leave out `--mesh`."
            )

    def init(self, evaluation, params):
        """Return the state of the rule."""
        flat, _ = ravel_pytree(params)
        return jnp.asarray(self.rule().init(), dtype=flat.dtype)

    def step(self, evaluation, params, state):
        """One model, one factorisation, and as many trials as the rule asks for."""
        flat, _ = ravel_pytree(params)
        model = evaluation.gauss_newton(params)

        def function(flat: Float[Array, " p"]) -> Float[Array, ""]:
            return evaluation.loss(model.unravel(flat))[0]

        def slope(flat: Float[Array, " p"]) -> Float[Array, " p"]:
            return ravel_pytree(evaluation.value_and_gradient(model.unravel(flat))[1])[0]

        curve = Curve(function, slope, flat, model.loss, model.gradient, self.solver(evaluation, model, state))
        end = self.rule().search(curve, state)
        metrics = loss_metrics(model.loss, model.losses) | {
            "damping": end.damping,
            "attempts": end.count,
            "gradient_norm": jnp.linalg.norm(model.gradient),
            "stalled": ~end.found,
        }
        return model.unravel(end.flat), end.state, metrics, None

    def refresh(self, evaluation, params, state):
        """What the rule keeps."""
        return self.rule().refresh(state)


class GaussNewton(AbstractGaussNewton):
    r"""Gauss-Newton steps $p(\lambda) = -(J^\top H J + \lambda I)^{-1} g$ by any factorisation and any rule.

    With the dual factorisation and a fixed damping this is exact Gauss-Newton in the form of Duncan and Guttman, or the
    natural gradient in that of Woodbury.

    Args:
        control: `ratio`, `grid`, `armijo`, `classical` or `gradient_normalised`; from Python a rule of `control`, with
            options of its own.
        factorisation: `cholesky`, `dual`, `eigen`, `svd` or `sketch`.
    """

    on_mesh = True
    control: str | AbstractControl = "armijo"
    factorisation: str = eqx.field(static=True, default="cholesky")

    def __check_init__(self):
        named_control(self.control)

    def rule(self):
        """As named."""
        return named_control(self.control)
