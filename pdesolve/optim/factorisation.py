r"""Damped Gauss-Newton steps $p(\lambda) = -(J^\top J + \lambda I)^{-1} g$, by the factorisation that suits the size.

| name | factor | once | each damping | digits |
|---|---|---|---|---|
| `cholesky` | $J^\top J + \lambda I$ | $N P^2$ | $P^3/3$ | half |
| `dual` | $J J^\top + \lambda I$ | $N^2 P$ | $N^3/3$ | half |
| `eigen` | eigenvectors of $J^\top J$ | $N P^2 + 9 P^3$ | $P^2$ | half |
| `svd` | QR of J, then singular values of R | $2 N P^2 + 20 P^3$ | $P^2$ | all |
| `sketch` | singular values of S J, S a random sparse sketch of the rows | $N P + 24 P^3$ | $P^2$ | of the sketch |

The sketch has twice as many rows as there are parameters, and pays where there are many more. $J^\top J$ squares the
number: singular values of J below $\sqrt{\epsilon}$ of the largest are lost in it.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..linalg import gram
from ..objective import GaussNewton

__all__ = [
    "FACTORISATIONS",
    "LEAST_SQUARES",
    "Decomposition",
    "cholesky_solver",
    "count_sketch",
    "damped_solver",
    "decompose",
]

FACTORISATIONS = ("cholesky", "dual", "eigen", "svd", "sketch")
LEAST_SQUARES = ("dual", "svd", "sketch")
"""Those that take the residual itself, so that every loss has to be a sum of squares."""
SKETCH = 2
"""Rows of a sketch, as a multiple of the parameters."""
HASHES = 4
"""Non-zeros in each column of a sketch."""

Solver = Callable[[Float[Array, ""]], Float[Array, " p"]]


def damped_solver(model: GaussNewton, factorisation: str, key: PRNGKeyArray) -> Solver:
    r"""Return $\lambda \mapsto p(\lambda)$; where a factorisation fails, p is NaN.

    Args:
        model: Rows of J, residual r and gradient $g = J^\top r$.
        factorisation: One of `FACTORISATIONS`.
        key: Of the sketch.
    """
    if factorisation == "cholesky":
        return cholesky_solver(model.gram(), model.gradient)
    rows, residual = jnp.concatenate(model.rows), jnp.concatenate(model.residuals)
    if factorisation == "dual":
        solve = cholesky_solver(gram(rows.T), residual)
        return lambda damping: rows.T @ solve(damping)
    if factorisation == "eigen":
        values, vectors = jnp.linalg.eigh(model.gram())
        along, values = vectors.T @ model.gradient, jnp.maximum(values, 0.0)
        return lambda damping: -vectors @ (along / (values + damping))
    if factorisation == "sketch" and rows.shape[0] > SKETCH * rows.shape[1]:
        # The gradient stays exact: what is predicted is then what the model of the sketch promises.
        sketched = count_sketch(key, rows, SKETCH * rows.shape[1])
        _, values, vectors = jnp.linalg.svd(jnp.linalg.qr(sketched, mode="r"))
        along = vectors @ model.gradient
        return lambda damping: -(vectors.T @ (along / (values**2 + damping)))
    return decompose(rows, residual).damped


def cholesky_solver(matrix: Float[Array, "p p"], right: Float[Array, " p"]) -> Solver:
    r"""Return $\lambda \mapsto -(A + \lambda I)^{-1} b$ for a symmetric matrix."""
    diagonal = jnp.arange(right.size)

    def solve(damping):
        factor = jax.scipy.linalg.cho_factor(matrix.at[diagonal, diagonal].add(damping))
        return -jax.scipy.linalg.cho_solve(factor, right)

    return solve


class Decomposition:
    r"""Singular values and right vectors of J, and $U^\top r$: every damped or truncated step costs one product."""

    def __init__(self, values: Float[Array, " k"], right: Float[Array, "k p"], along: Float[Array, " k"]):
        self.values, self.right, self.along = values, right, along

    def damped(self, damping: Float[Array, ""]) -> Float[Array, " p"]:
        r"""Return $-(J^\top J + \lambda I)^{-1} J^\top r$."""
        return -(self.right.T @ (self.values * self.along / (self.values**2 + damping)))

    def truncated(self, cutoff: Float[Array, ""] | float) -> Float[Array, " p"]:
        """Return the step of least norm that solves J p = -r in the directions whose singular values are larger."""
        kept = self.values > cutoff
        return -(self.right.T @ jnp.where(kept, self.along / jnp.where(kept, self.values, 1.0), 0.0))


def decompose(rows: Float[Array, "n p"], residual: Float[Array, " n"]) -> Decomposition:
    """Return the decomposition of J, by way of the triangle of a QR factorisation if it has more rows than columns."""
    n, p = rows.shape
    if n > p:  # the last column of the triangle of [J, r] is what Q makes of r: Q itself is never formed
        triangle = jnp.linalg.qr(jnp.concatenate([rows, residual[:, None]], axis=1), mode="r")
        rows, residual = triangle[:p, :p], triangle[:p, p]
    left, values, right = jnp.linalg.svd(rows, full_matrices=False)
    return Decomposition(values, right, left.T @ residual)


def count_sketch(key: PRNGKeyArray, rows: Float[Array, "n p"], size: int) -> Float[Array, "s p"]:
    r"""Return S A for a sparse random S with $E[S^\top S] = I$: every row of A is added to a few rows, with signs.

    Args:
        key: Of places and signs.
        rows: A.
        size: Rows of the sketch.

    References:
        Clarkson and Woodruff, Low-rank approximation and regression in input sparsity time, J. ACM 63 (2017), for one
        non-zero in a column; here there are `HASHES`.
    """
    places, signs = jax.random.split(key)
    n = rows.shape[0]
    place = jax.random.randint(places, (HASHES, n), 0, size)
    sign = jax.random.rademacher(signs, (HASHES, n), rows.dtype) / jnp.sqrt(jnp.asarray(HASHES, rows.dtype))
    return sum(  # type: ignore[return-value]
        jax.ops.segment_sum(sign[k][:, None] * rows, place[k], num_segments=size) for k in range(HASHES)
    )
