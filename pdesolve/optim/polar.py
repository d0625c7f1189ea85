r"""PolarGrad: the orthogonal polar factor of the momentum of each matrix, scaled by its nuclear norm."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

__all__ = ["polar_grad", "scale_by_polar"]


class PolarState(NamedTuple):
    """The momentum of every leaf."""

    momentum: PyTree


def scale_by_polar(momentum: float = 0.95) -> optax.GradientTransformation:
    r"""Replace the averaged gradient M of a matrix by $\mathrm{tr}(H)\, U$, with $M = U H$ its polar decomposition.

    U is what Muon follows; the nuclear norm $\mathrm{tr}(H)$ lets the step shrink with the gradient. Other leaves get
    their averaged gradient.

    Args:
        momentum: Decay of the average.

    References:
        Lau, Long, Su, PolarGrad: a class of matrix-gradient optimizers from a unifying preconditioning perspective
        (2025).
    """

    def init(params):
        return PolarState(jax.tree.map(jnp.zeros_like, params))

    def update(updates, state, params=None):
        del params
        averaged = jax.tree.map(lambda m, g: momentum * m + (1 - momentum) * g, state.momentum, updates)
        return jax.tree.map(lambda m: _polar(m) if m.ndim == 2 else m, averaged), PolarState(averaged)

    return optax.GradientTransformation(init, update)


def polar_grad(
    learning_rate: optax.ScalarOrSchedule,
    momentum: float = 0.95,
    weight_decay: float = 0.0,
    adam_learning_rate: optax.ScalarOrSchedule | None = None,
) -> optax.GradientTransformation:
    """Return PolarGrad for matrices, and Adam for everything else.

    Args:
        learning_rate: Of matrices.
        momentum: See `scale_by_polar`.
        weight_decay: Of matrices, decoupled.
        adam_learning_rate: Of the rest; that of matrices if None.
    """
    decay = [optax.add_decayed_weights(weight_decay)] if weight_decay else []
    matrices = optax.chain(scale_by_polar(momentum), *decay, optax.scale_by_learning_rate(learning_rate))
    rest = optax.adam(learning_rate if adam_learning_rate is None else adam_learning_rate)
    return optax.partition(
        {"matrix": matrices, "rest": rest},
        lambda params: jax.tree.map(lambda leaf: "matrix" if leaf.ndim == 2 else "rest", params),
    )


def _polar(matrix):
    left, values, right = jnp.linalg.svd(matrix, full_matrices=False)
    # Directions that the matrix does not have are not made up from round-off.
    kept = values > jnp.finfo(matrix.dtype).eps * max(matrix.shape) * values[0]
    return jnp.sum(values) * ((left * kept[None]) @ right)
