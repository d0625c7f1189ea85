"""Gradients of several terms as unit rows and lengths: their geometry, without forming a flat matrix."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

__all__ = ["UnitRows", "per_row"]


class UnitRows(eqx.Module):
    r"""The rows $g_i$ of a gradient set as $|g_i|$ and $u_i = g_i / |g_i|$.

    A row that is zero or not finite is absent: its length is 0 and its unit row 0. Lengths are formed of scaled rows,
    so that neither 1e-30 nor 1e30 under- or overflows in single precision. Inner products are asked for at the highest
    precision: a GPU's TF32 would put errors of 1e-3 into cosines.

    Args:
        gradients: Leaves `(m, ...)`, of any floating types.
    """

    units: PyTree
    lengths: Float[Array, " m"]
    finite: Bool[Array, " m"]

    def __init__(self, gradients: PyTree):
        leaves, tree = jax.tree.flatten(gradients)
        m = leaves[0].shape[0]
        flat = [leaf.reshape(m, -1) for leaf in leaves]
        self.finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf), axis=1) for leaf in flat]), axis=0)
        flat = [jnp.where(self.finite[:, None], leaf, 0.0) for leaf in flat]
        dtype = jnp.result_type(*(leaf.dtype for leaf in flat), jnp.float32)
        largest = jnp.max(jnp.stack([jnp.max(jnp.abs(f), axis=1, initial=0.0).astype(dtype) for f in flat]), axis=0)
        scale = jnp.where(largest > 0, largest, 1.0)
        scaled = [leaf.astype(dtype) / scale[:, None] for leaf in flat]
        squares = jnp.asarray(sum(jnp.sum(jnp.square(leaf), axis=1) for leaf in scaled))
        norm = jnp.sqrt(jnp.where(largest > 0, squares, 1.0))
        self.lengths = jnp.where(largest > 0, scale * norm, 0.0)
        self.units = jax.tree.unflatten(
            tree, [(f / norm[:, None]).reshape(leaf.shape) for f, leaf in zip(scaled, leaves, strict=True)]
        )

    @property
    def present(self) -> Bool[Array, " m"]:
        """Which rows are finite and not zero."""
        return self.lengths > 0

    def sum(self, weights: Float[Array, " m"]) -> PyTree:
        r"""Return $\sum_i a_i u_i$, a pytree without the leading axis."""

        def weighted(leaf):
            flat = leaf.reshape(len(weights), -1)
            return _dot(weights.astype(flat.dtype), flat).reshape(leaf.shape[1:])

        return jax.tree.map(weighted, self.units)

    def products(self, vector: PyTree) -> Float[Array, " m"]:
        """Return the inner products of the unit rows with a vector of their shape."""
        pairs = zip(jax.tree.leaves(self.units), jax.tree.leaves(vector), strict=True)
        return jnp.asarray(sum(_dot(unit.reshape(unit.shape[0], -1), v.reshape(-1)) for unit, v in pairs))

    def factor(self) -> Float[Array, "m m"]:
        r"""Return R with $\hat U^\top = Q R$: the QR factor of each leaf, then of these factors on top of each other.

        Cosines are $\hat U \hat U^\top = R^\top R$, but R keeps digits that they lose where rows are nearly dependent.
        """
        m = self.lengths.shape[0]
        parts = [unit.reshape(m, -1).T for unit in jax.tree.leaves(self.units)]
        factors = [jnp.linalg.qr(part, mode="r") if part.shape[0] > m else part for part in parts]
        stacked = jnp.concatenate([*factors, jnp.zeros((m, m), factors[0].dtype)])
        return jnp.linalg.qr(stacked, mode="r")

    def cosines(self) -> Float[Array, "m m"]:
        r"""Return $C = \hat U \hat U^\top$, exactly symmetric, with ones on the diagonal of present rows."""
        factor = self.factor()
        gram = _dot(factor.T, factor)
        gram = 0.5 * (gram + gram.T)
        index = jnp.arange(gram.shape[0])
        return gram.at[index, index].set(self.present.astype(gram.dtype))


def per_row(values: Array, leaf: Array) -> Array:
    """Return one number for each row `(m,)` in the shape `(m, 1, ...)` that meets a leaf `(m, ...)`."""
    return values.reshape(-1, *(1,) * (leaf.ndim - 1))


def _dot(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
