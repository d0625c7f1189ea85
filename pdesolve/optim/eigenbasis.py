"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner, as an optax transformation."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

__all__ = ["SOAP", "scale_by_soap", "soap"]


class Rotated(NamedTuple):
    """What is kept of one matrix: moments, the second in the eigenbasis, statistics of both sides, and their bases."""

    first: Float[Array, "m n"]
    second: Float[Array, "m n"]
    left: Float[Array, "m m"]
    right: Float[Array, "n n"]
    left_basis: Float[Array, "m m"]
    right_basis: Float[Array, "n n"]


class Plain(NamedTuple):
    """Adam's moments of what is no matrix."""

    first: Array
    second: Array


class SOAPState(NamedTuple):
    """A `Rotated` or `Plain` for each leaf, and the number of calls."""

    leaves: PyTree
    count: Int[Array, ""]


def soap(
    learning_rate: optax.ScalarOrSchedule,
    b1: float = 0.95,
    b2: float = 0.95,
    eps: float = 1e-8,
    precondition_frequency: int = 10,
    max_precondition_size: int = 10_000,
    weight_decay: float = 0.0,
) -> optax.GradientTransformation:
    """Return SOAP, Adam in the eigenbasis of Shampoo's preconditioner; arguments as `scale_by_soap`.

    For physics-informed networks: `learning_rate=1e-3`, `b1=0.9`, `b2=0.999`, `precondition_frequency=2`.
    """
    scale = scale_by_soap(b1, b2, eps, precondition_frequency, max_precondition_size)
    decay = [optax.add_decayed_weights(weight_decay)] if weight_decay else []
    return optax.chain(scale, *decay, optax.scale_by_learning_rate(learning_rate))


def scale_by_soap(
    b1: float = 0.95,
    b2: float = 0.95,
    eps: float = 1e-8,
    precondition_frequency: int = 10,
    max_precondition_size: int = 10_000,
) -> optax.GradientTransformation:
    r"""Scale gradients by Adam in slowly turning bases.

    For a matrix with gradient G, bases $Q_A, Q_B$ of the averages of $G G^\top$ and $G^\top G$, and Adam's moments,

    $$V \leftarrow \beta_2 V + (1 - \beta_2) (Q_A^\top G Q_B)^2, \qquad
    U = Q_A\, \frac{Q_A^\top M Q_B}{\sqrt V + \epsilon}\, Q_B^\top \cdot \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t}.$$

    The bases are those of an eigendecomposition at the first call, which makes no update, and of one power iteration
    with a QR factorisation at every `precondition_frequency`-th; V follows the order of their columns. V is updated at
    every call: in a public port for JAX it is only where the bases are, and figures published with it are of another
    method. What is no matrix, and sides that are too long, are left unrotated.

    Args:
        b1: Decay of the first moment.
        b2: Decay of the second moment and of the statistics.
        eps: Added to the root.
        precondition_frequency: Calls between two turns of the bases.
        max_precondition_size: Longest side of a matrix that is rotated.

    References:
        Vyas et al., SOAP: improving and stabilizing Shampoo using Adam, ICLR (2025).
    """

    def init(params):
        def begin(leaf):
            if leaf.ndim != 2 or max(leaf.shape) > max_precondition_size:
                return Plain(jnp.zeros_like(leaf), jnp.zeros_like(leaf))
            m, n = leaf.shape
            left, right = (jnp.zeros((k, k), leaf.dtype) for k in (m, n))
            bases = (jnp.eye(k, dtype=leaf.dtype) for k in (m, n))
            return Rotated(jnp.zeros_like(leaf), jnp.zeros_like(leaf), left, right, *bases)

        return SOAPState(jax.tree.map(begin, params), jnp.asarray(0, jnp.int32))

    def update(updates, state, params=None):
        begins = state.count == 0
        turns = ~begins & (state.count % precondition_frequency == 0)
        leaves, tree = jax.tree.flatten(updates)
        kept = tree.flatten_up_to(state.leaves)
        count = jnp.maximum(state.count, 1)
        pairs = [_step(leaf, own, begins, turns, count, (b1, b2, eps)) for leaf, own in zip(leaves, kept, strict=True)]
        scaled = [jnp.where(begins, 0.0, direction) for direction, _ in pairs]
        return tree.unflatten(scaled), SOAPState(tree.unflatten([own for _, own in pairs]), state.count + 1)

    return optax.GradientTransformation(init, update)


def _step(gradient: Array, state: Any, begins: Array, turns: Array, count: Array, constants: Any) -> tuple[Array, Any]:
    b1, b2, eps = constants
    if isinstance(state, Plain):
        first, second = _moments(gradient, gradient, state, begins, b1, b2)
        return _corrected(first / (jnp.sqrt(second) + eps * _root(b2, count)), count, b1, b2), Plain(first, second)
    turned = _turn(gradient, state.left_basis, state.right_basis)
    first, second = _moments(gradient, turned, state, begins, b1, b2)
    rotated = _turn(first, state.left_basis, state.right_basis)
    direction = rotated / (jnp.sqrt(second) + eps * _root(b2, count))
    direction = _corrected(_turn(direction, state.left_basis.T, state.right_basis.T), count, b1, b2)
    left = b2 * state.left + (1.0 - b2) * _dot(gradient, gradient.T)
    right = b2 * state.right + (1.0 - b2) * _dot(gradient.T, gradient)
    state = Rotated(first, second, left, right, state.left_basis, state.right_basis)
    index = jnp.where(begins, 1, jnp.where(turns, 2, 0))
    return direction, jax.lax.switch(index, [lambda s: s, _begin, _refresh], state)


def _moments(gradient, turned, state, begins, b1, b2):
    """Return both moments; the first call only looks."""
    first = b1 * state.first + (1.0 - b1) * gradient
    second = b2 * state.second + (1.0 - b2) * turned**2
    return jnp.where(begins, state.first, first), jnp.where(begins, state.second, second)


def _root(b2: float, count: Array) -> Array:
    """Return what turns an epsilon beside the unbiased root into one beside the biased root, as in Adam."""
    return jnp.sqrt(1.0 - b2**count)


def _corrected(direction: Array, count: Array, b1: float, b2: float) -> Array:
    return direction * (_root(b2, count) / (1.0 - b1**count)).astype(direction.dtype)


def _begin(state: Rotated) -> Rotated:
    """Bases of eigenvectors, largest eigenvalue first."""
    left, right = (jnp.linalg.eigh(side)[1][:, ::-1] for side in (state.left, state.right))
    return state._replace(left_basis=left, right_basis=right)


def _refresh(state: Rotated) -> Rotated:
    """One power iteration; the second moment is ordered like the columns."""
    left, rows = _iterate(state.left, state.left_basis)
    right, columns = _iterate(state.right, state.right_basis)
    return state._replace(left_basis=left, right_basis=right, second=state.second[rows][:, columns])


def _iterate(side: Array, basis: Array) -> tuple[Array, Array]:
    order = jnp.argsort(-jnp.sum(basis * _dot(side, basis), axis=0))
    return jnp.linalg.qr(_dot(side, basis[:, order]))[0], order


def _turn(matrix: Array, left: Array, right: Array) -> Array:
    return _dot(_dot(left.T, matrix), right)


def _dot(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


SOAP = soap
"""The method's name in print, for those who look for it."""
