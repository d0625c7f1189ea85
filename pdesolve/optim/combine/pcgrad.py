"""PCGrad: gradients, each without what conflicts with the others."""

import jax
import jax.numpy as jnp

from .rule import AbstractSpanRule

__all__ = ["PCGrad"]


class PCGrad(AbstractSpanRule):
    r"""Projecting conflicting gradients: the sum of all gradients, each without what conflicts with the others.

    For each i, $p = g_i$; for every j with $p \cdot g_j < 0$ in turn, $p \leftarrow p - (p \cdot u_j)\, u_j$.

    Here j runs in the order of the terms. (The paper draws the order at random; for three terms and more the result
    depends on it.) Conflict free for two terms only, where it is twice `UPGrad`: of the rows (1, 0), (0, 1), (-1/2, -1)
    it makes (0.4, -0.2), which raises the second loss.

    References:
        Yu, Kumar, Gupta, Levine, Hausman, Finn, Gradient surgery for multi-task learning, NeurIPS (2020).
    """

    def weights(self, rows):
        """The algorithm on weights of unit rows, all i at once."""
        cosines = rows.cosines()
        m = len(cosines)

        def against(j, weights):  # row i: the weights of p for gradient i
            products = weights @ cosines[:, j]
            conflict = (products < 0) & (jnp.arange(m) != j)
            return weights.at[:, j].add(jnp.where(conflict, -products, 0.0))

        return jnp.sum(jax.lax.fori_loop(0, m, against, jnp.diag(rows.lengths)), axis=0), {}
