"""A layer that meets its constraints to solver tolerance, and can be differentiated as any other."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import optimistix as optx
from jaxtyping import Array, Float, PyTree

__all__ = ["HardConstraint"]


class HardConstraint(eqx.Module):
    r"""Solve a small constrained least-squares problem for each sample.

    $$ x(y, a) = \arg\min_x \tfrac12 |r(x, y, a)|^2 \quad\text{subject to}\quad c(x, a) = 0. $$

    By default $r = x - y$: the nearest point to what the layers below give. The argument a is whatever the constraints
    depend on, e.g. the points at which an equation has to hold; it comes with the samples, from their sampler, and may
    be redrawn at every step. Without c it is a least-squares layer.

    The Karush-Kuhn-Tucker equations are solved by Newton's method in a trust region (dogleg). Derivatives are those of
    the implicit function, by one linear solve, not of the iteration; they may be taken in both modes, again, and within
    `jax.vmap`. Dependent constraints are allowed if they do not contradict each other: the solve is that of least norm.

    Args:
        constraint: $c(x, a)$, an array; None for none.
        residual: $r(x, y, a)$, an array; $x - y$ if None.
        tolerance: Of the Newton iteration, relative to x.
        max_steps: Most Newton steps; if they do not suffice the last iterate is returned, whose derivatives are not
            those of a solution: see `violation`.

    References:
        Amos and Kolter, OptNet, ICML (2017), for optimisation as a layer; Négiar, Mahoney, Krishnapriyan, Learning
        differentiable solvers for systems with hard constraints, ICLR (2023), for equations as its constraints.
    """

    constraint: Callable[[Float[Array, " n"], Any], Array] | None = None
    residual: Callable[[Float[Array, " n"], Float[Array, " n"], Any], Array] | None = None
    tolerance: float = eqx.field(static=True, default=1e-10)
    max_steps: int = eqx.field(static=True, default=100)

    def __call__(self, y: Float[Array, " n"], args: PyTree = None) -> Float[Array, " n"]:
        """Return x, beginning the search at y."""
        # What is not finite must not stop a whole batch: it is left out of the solve, and comes out as it was.
        finite = jnp.all(jnp.isfinite(y))
        y = jnp.where(finite, y, 0.0)
        multipliers = jnp.zeros_like(self._constraint(y, args))
        tolerance = max(self.tolerance, 100 * float(jnp.finfo(y.dtype).eps))
        solver = optx.Dogleg(rtol=tolerance, atol=tolerance, linear_solver=lx.AutoLinearSolver(well_posed=False))
        adjoint = optx.ImplicitAdjoint(linear_solver=lx.AutoLinearSolver(well_posed=False))
        solution = optx.root_find(
            self._equations, solver, (y, multipliers), (y, args), max_steps=self.max_steps, adjoint=adjoint, throw=False
        )
        return jnp.where(finite, solution.value[0], jnp.nan)

    def violation(self, x: Float[Array, " n"], args: PyTree = None) -> Float[Array, ""]:
        """Return the largest component of the constraints."""
        return jnp.max(jnp.abs(self._constraint(x, args)), initial=0.0)

    def _equations(self, point: tuple[Array, Array], given: tuple[Array, Any]) -> tuple[Array, Array]:
        """Return the gradient of the Lagrangian, and the constraints."""
        (x, multipliers), (y, args) = point, given

        def lagrangian(x: Array) -> Array:
            r = x - y if self.residual is None else self.residual(x, y, args)
            return 0.5 * jnp.sum(r**2) + multipliers @ self._constraint(x, args)

        return jax.grad(lagrangian)(x), self._constraint(x, args)

    def _constraint(self, x: Array, args: PyTree) -> Float[Array, " m"]:
        return jnp.zeros(0, x.dtype) if self.constraint is None else jnp.ravel(self.constraint(x, args))
