"""Least squares whose residuals are functions, row by row, of terms affine in the unknowns."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PyTree

__all__ = ["PointwiseLeastSquares", "stationarity", "weights_of_least_squares"]

_FIRST_DAMPING = 1e-3
"""Of the largest diagonal entry, at the start."""


class PointwiseLeastSquares(eqx.Module):
    r"""A sum of squares of rows, of which most are functions of few known terms.

    $$\min_w \tfrac12 |\rho(w)|^2, \quad \rho(w) = (s_i\, r(T_i w + c_i, d_i) \text{ for all rows } i;\ A w + b).$$

    Of a row the terms $T_i w + c_i$ are known as functions of w beforehand, so that the solve differentiates r alone,
    by its few arguments: the Jacobian costs as much as a few products with T.

    Args:
        tensor: T.
        offset: c.
        data: Arrays with the rows as last axis, handed to r.
        scale: s.
        matrix: A, rows that are affine: conditions, and a ridge that keeps dependent unknowns apart.
        shift: b.
        function: $r(\text{terms}, \text{data})$, from `(term, row)` to `(equation, row)`, each row by itself.
        linear: Whether r is affine.
    """

    tensor: Float[Array, "term row weight"]
    offset: Float[Array, "term row"]
    data: PyTree
    scale: Float[Array, " row"]
    matrix: Float[Array, "affine weight"]
    shift: Float[Array, " affine"]
    function: Callable[[Array, Any], Float[Array, "equation row"]] = eqx.field(static=True)
    linear: bool = eqx.field(static=True, default=False)

    def residual(self, weights: Float[Array, " weight"]) -> Float[Array, " all"]:
        """Return all rows."""
        pointwise = self.scale[None] * self.function(self._terms(weights), self.data)
        return jnp.concatenate([pointwise.ravel(), _product("aw,w->a", self.matrix, weights) + self.shift])

    def linearised(self, weights: Float[Array, " weight"]) -> tuple[Float[Array, " all"], Float[Array, "all weight"]]:
        """Return all rows and their Jacobian."""
        terms = self._terms(weights)

        def along(term: Array) -> Array:
            return jax.jvp(lambda z: self.function(z, self.data), (terms,), (term,))[1]

        # A row depends on its own terms only: one direction changes a term in all rows.
        directions = jnp.broadcast_to(jnp.eye(len(terms), dtype=terms.dtype)[:, :, None], (len(terms), *terms.shape))
        slopes = self.scale[None, None] * jax.vmap(along)(directions)
        jacobian = _product("ter,trw->erw", slopes, self.tensor).reshape(-1, len(weights))
        return self.residual(weights), jnp.concatenate([jacobian, self.matrix])

    def gradient(self, weights: Float[Array, " weight"]) -> Float[Array, " weight"]:
        r"""Return that of $\tfrac12 |\rho|^2$."""
        return jax.grad(lambda w: 0.5 * jnp.sum(jnp.square(self.residual(w))))(weights)

    def _terms(self, weights: Float[Array, " weight"]) -> Float[Array, "term row"]:
        return _product("trw,w->tr", self.tensor, weights) + self.offset


def weights_of_least_squares(
    problem: PointwiseLeastSquares, *, tolerance: float = 1e-8, max_steps: int = 50
) -> Float[Array, " weight"]:
    r"""Solve; differentiable with respect to everything in the problem.

    Affine rows are solved in closed form (QR), others by Levenberg and Marquardt's method from zero, with one Newton
    step at the end. Derivatives are those of the implicit function $\nabla \tfrac12 |\rho|^2 = 0$, with the whole
    Hessian: residuals do not vanish where there are more rows than weights, and Gauss and Newton's would be wrong. They
    hold at a stationary point; a search that `max_steps` cut short leaves them finite, and inexact.

    Args:
        problem: The rows.
        tolerance: Ends the search: largest cosine between a column of the Jacobian and the residual (`stationarity`).
        max_steps: Most trial steps.

    References:
        Madsen, Nielsen, Tingleff, Methods for non-linear least squares problems, 2nd ed. (2004), algorithm 3.16, for
        the damping; Chalapathi, Du, Krishnapriyan, Scaling physics-informed hard constraints with mixture-of-experts,
        ICLR (2024), for the layer.
    """

    def gradient(weights: Array) -> Array:  # a method would be hashed, and with it the arrays that its object holds
        return problem.gradient(weights)

    def search(_: Any, start: Array) -> Array:
        if problem.linear:
            residual, jacobian = problem.linearised(start)
            return start - _minimiser(jacobian, residual)
        return _polished(problem, _levenberg_marquardt(problem, start, tolerance, max_steps))

    def tangent(linear: Callable[[Array], Array], y: Array) -> Array:
        hessian = jax.vmap(linear)(jnp.eye(len(y), dtype=y.dtype))
        return jnp.linalg.solve(hessian.T, y)

    zero = jnp.zeros(problem.matrix.shape[1], problem.matrix.dtype)
    return lax.custom_root(gradient, zero, search, tangent)


def stationarity(problem: PointwiseLeastSquares, weights: Float[Array, " weight"]) -> Float[Array, ""]:
    """Return the largest cosine between a column of the Jacobian and the residual: zero at a minimum."""
    residual, jacobian = problem.linearised(weights)
    lengths = jnp.linalg.norm(jacobian, axis=0) * jnp.linalg.norm(residual)
    slope = jnp.abs(_product("rw,r->w", jacobian, residual))
    return jnp.max(slope / jnp.where(lengths > 0, lengths, 1.0))


class _Quadratic(eqx.Module):
    """What is known at some weights: the sum of squares, half its gradient, and Gauss and Newton's Hessian."""

    weights: Array
    squares: Array
    slope: Array
    normal: Array


class _State(eqx.Module):
    at: _Quadratic
    damping: Array
    growth: Array
    done: Array
    step: Array


def _levenberg_marquardt(problem: PointwiseLeastSquares, start: Array, tolerance: float, max_steps: int) -> Array:
    eps = float(jnp.finfo(start.dtype).eps)

    def look(weights: Array) -> _Quadratic:
        residual, jacobian = problem.linearised(weights)
        slope, normal = _product("rw,r->w", jacobian, residual), _product("rv,rw->vw", jacobian, jacobian)
        return _Quadratic(weights, jnp.sum(jnp.square(residual)), slope, normal)

    begun = look(start)
    # Where the residual can be made to vanish its cosines mean nothing in the end: there the size ends the search.
    small = tolerance * jnp.sqrt(begun.squares)

    def stationary(at: _Quadratic) -> Array:
        bound = tolerance * jnp.sqrt(jnp.diagonal(at.normal)) * jnp.maximum(jnp.sqrt(at.squares), small)
        return ~jnp.any(jnp.abs(at.slope) > bound)  # of what is not finite nothing is above its bound

    def body(state: _State) -> _State:
        at = state.at
        damped = at.normal + state.damping * jnp.eye(len(start), dtype=start.dtype)
        step = -jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(damped), at.slope)
        trial = look(at.weights + step)
        gain = (at.squares - trial.squares) / (step @ (state.damping * step - at.slope))
        accepted = trial.squares < at.squares
        new = jax.tree.map(lambda a, b: jnp.where(accepted, a, b), trial, at)
        shrink = jnp.maximum(1.0 / 3.0, 1.0 - (2.0 * gain - 1.0) ** 3)
        # A step below round-off can improve nothing more.
        stalled = jnp.linalg.norm(step) <= eps * (jnp.linalg.norm(at.weights) + eps)
        return _State(
            at=new,
            damping=state.damping * jnp.where(accepted, shrink, state.growth),
            growth=jnp.where(accepted, 2.0, 2.0 * state.growth),
            done=stationary(new) | stalled,
            step=state.step + 1,
        )

    first = _State(
        at=begun,
        damping=_FIRST_DAMPING * jnp.max(jnp.diagonal(begun.normal)),
        growth=jnp.asarray(2.0, start.dtype),
        done=stationary(begun),
        step=jnp.asarray(0),
    )
    return lax.while_loop(lambda state: ~state.done & (state.step < max_steps), body, first).at.weights


def _polished(problem: PointwiseLeastSquares, weights: Array) -> Array:
    """Take a Newton step, if it is an improvement: Gauss and Newton's come ever closer, but no faster than before."""
    slope, hessian = problem.gradient(weights), jax.jacfwd(problem.gradient)(weights)
    trial = weights - jnp.linalg.solve(hessian, slope)
    before, after = (jnp.sum(jnp.square(problem.residual(w))) for w in (weights, trial))
    flatter = jnp.linalg.norm(problem.gradient(trial)) < jnp.linalg.norm(slope)
    # Near a minimum the squares differ by round-off; far from it the step may lead to a saddle.
    return jnp.where(flatter & (after <= (1.0 + 1e-10) * before), trial, weights)


def _minimiser(matrix: Float[Array, "row weight"], values: Float[Array, " row"]) -> Float[Array, " weight"]:
    """Return x with |A x - b| smallest, by QR: the normal equations would square the condition number."""
    q, r = jnp.linalg.qr(matrix)
    return jax.scipy.linalg.solve_triangular(r, _product("rw,r->w", q, values))


def _product(spec: str, *operands: Array) -> Array:
    """Sum products in full precision where a device would round (TF32)."""
    return jnp.einsum(spec, *operands, precision=lax.Precision.HIGHEST)
