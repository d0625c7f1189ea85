"""Gradients of several terms as unit rows and lengths: their geometry, without forming a flat matrix."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, PyTree

__all__ = ["UnitRows", "per_row"]


class UnitRows(eqx.Module):
    r"""The rows $g_i$ of a gradient set as $|g_i|$ and $u_i = g_i / |g_i|$.

    A row that is zero or not finite is absent: its length is 0 and its unit row 0. Unit rows are never formed: a step
    reads large gradients as often as its memory is read, and hardly computes. Rows whose squares would over- or
    underflow, and sets with a row that is not finite, are scaled on each reading instead, so that 1e-30 and 1e30 are
    as good as 1 in single precision. Inner products are asked for at the highest precision: a GPU's TF32 would put
    errors of 1e-3 into cosines.

    Args:
        gradients: Leaves `(m, ...)`, of any floating types.
    """

    gradients: PyTree
    lengths: Float[Array, " m"]
    finite: Bool[Array, " m"]
    _plain: Bool[Array, ""]
    _scale: Float[Array, " m"]
    _gram: Float[Array, "m m"]

    def __init__(self, gradients: PyTree):
        self.gradients = gradients
        leaves = self._leaves()
        self._gram = _gram(leaves)
        squares, kind = jnp.diagonal(self._gram), jnp.finfo(self._gram.dtype)
        # A square that is far from both ends has lost no digit of note to underflow; NaN is neither.
        self._plain = jnp.all((squares > kind.tiny * 1e10) & (squares < kind.max * 1e-4))
        ones = jnp.ones_like(squares)
        self.finite, self._scale = lax.cond(
            self._plain, lambda: (jnp.full(squares.shape, True), ones), lambda: _scales(leaves, ones)
        )
        self._gram = lax.cond(self._plain, lambda: self._gram, lambda: _gram(self._scaled()))
        norms = jnp.sqrt(jnp.diagonal(self._gram))
        self.lengths = jnp.where(norms > 0, norms / self._scale, 0.0)

    @property
    def present(self) -> Bool[Array, " m"]:
        """Which rows are finite and not zero."""
        return self.lengths > 0

    def sum(self, weights: Float[Array, " m"]) -> PyTree:
        r"""Return $\sum_i a_i u_i$, a pytree without the leading axis."""
        weights = weights * self._inverse_norms()
        total = self._read(lambda rows: [_dot(weights, row) for row in rows])
        leaves, tree = jax.tree.flatten(self.gradients)
        return tree.unflatten(flat.reshape(leaf.shape[1:]) for flat, leaf in zip(total, leaves, strict=True))

    def products(self, vector: PyTree) -> Float[Array, " m"]:
        """Return the inner products of the unit rows with a vector of their shape."""
        flat = [leaf.reshape(-1) for leaf in jax.tree.leaves(vector)]
        return self._inverse_norms() * self._read(
            lambda rows: jnp.asarray(sum(_dot(row, v) for row, v in zip(rows, flat, strict=True)))
        )

    def factor(self) -> Float[Array, "m m"]:
        r"""Return R with $\hat U^\top = Q R$: the QR factor of each leaf, then of these factors on top of each other.

        Cosines are $\hat U \hat U^\top = R^\top R$, but R keeps digits that they lose where rows are nearly dependent.
        """
        m = self.lengths.shape[0]

        def of(rows):
            unit = [(row * self._inverse_norms()[:, None]).T for row in rows]
            factors = [jnp.linalg.qr(part, mode="r") if part.shape[0] > m else part for part in unit]
            return jnp.concatenate([*factors, jnp.zeros((m, m), self.lengths.dtype)])

        return jnp.linalg.qr(self._read(of), mode="r")

    def cosines(self) -> Float[Array, "m m"]:
        r"""Return $C = \hat U \hat U^\top$, exactly symmetric, with ones on the diagonal of present rows."""
        inverse = self._inverse_norms()
        gram = inverse[:, None] * self._gram * inverse[None]
        gram = 0.5 * (gram + gram.T)
        index = jnp.arange(gram.shape[0])
        return gram.at[index, index].set(self.present.astype(gram.dtype))

    def _inverse_norms(self) -> Float[Array, " m"]:
        """Inverse lengths of the rows as they are read; 0 for absent ones."""
        squares = jnp.diagonal(self._gram)
        return jnp.where(squares > 0, 1 / jnp.sqrt(jnp.where(squares > 0, squares, 1.0)), 0.0)

    def _leaves(self) -> list[Array]:
        """The gradients as matrices of one type."""
        leaves = jax.tree.leaves(self.gradients)
        dtype = jnp.result_type(*(leaf.dtype for leaf in leaves), jnp.float32)
        return [leaf.reshape(leaf.shape[0], -1).astype(dtype) for leaf in leaves]

    def _scaled(self) -> list[Array]:
        return [jnp.where(self.finite[:, None], leaf * self._scale[:, None], 0.0) for leaf in self._leaves()]

    def _read(self, function: Callable[[list[Array]], Any]) -> Any:
        """Apply a function to the rows as they are, or scaled ones where they must be."""
        return lax.cond(self._plain, lambda: function(self._leaves()), lambda: function(self._scaled()))


def per_row(values: Array, leaf: Array) -> Array:
    """Return one number for each row `(m,)` in the shape `(m, 1, ...)` that meets a leaf `(m, ...)`."""
    return values.reshape(-1, *(1,) * (leaf.ndim - 1))


def _dot(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def _scales(rows: list[Array], ones: Float[Array, " m"]) -> tuple[Bool[Array, " m"], Float[Array, " m"]]:
    """Which rows are finite, and one over the largest magnitude of each that has one."""
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(row), axis=1, initial=0.0) for row in rows]), axis=0)
    finite = jnp.isfinite(largest)
    return finite, jnp.where(finite & (largest > 0), ones / jnp.where(largest > 0, largest, 1.0), ones)


# Numbers of a row at a time that stay in a core's cache, whatever the number of rows.
_PIECE = 8192


def _gram(rows: list[Array]) -> Float[Array, "m m"]:
    """Return the inner products of all rows of all leaves."""
    return jnp.asarray(
        sum(lax.platform_dependent(row, cpu=_gram_in_pieces, default=lambda a: _dot(a, a.T)) for row in rows)
    )


def _gram_in_pieces(row: Float[Array, "m n"]) -> Float[Array, "m m"]:
    # XLA's product of a flat matrix with its transpose packs the whole of it, six times slower on two cores.
    m, n = row.shape
    whole = n // _PIECE

    def piece(start, size):
        part = lax.dynamic_slice(row, (0, start), (m, size))
        return _dot(part, part.T)

    total = piece(whole * _PIECE, n - whole * _PIECE)
    if not whole:
        return total
    return lax.fori_loop(0, whole, lambda k, partial: partial + piece(k * _PIECE, _PIECE), total)
