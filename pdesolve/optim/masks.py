"""Masks for any first-order optimiser: no coordinate moves against its own gradient."""

import jax
import jax.numpy as jnp
import optax

from ..errors import UnknownNameError

__all__ = ["MASKS", "cautious", "grams", "masked"]

MASKS = ("cautious", "grams")
LEAST_SHARE = 1e-3
"""Smallest share of coordinates by which a cautious update is divided."""


def cautious(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """Leave out coordinates whose update would raise the loss to first order; scale up the others by their share.

    The share is that of a leaf, at least 0.001.

    References:
        Liang, Chen, Liu, Liu, Cautious optimizers: improving training with one line of code (2024).
    """

    def mask(update, gradient):
        kept = (update * gradient < 0).astype(update.dtype)
        return update * kept / jnp.maximum(jnp.mean(kept), LEAST_SHARE)

    return _with(inner, mask)


def grams(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """Take the size of every coordinate from the update and its direction from the gradient.

    References:
        Cao, Li, Song, Grams: gradient descent with adaptive momentum scaling (2024).
    """
    return _with(inner, lambda update, gradient: -jnp.sign(gradient) * jnp.abs(update))


def masked(name: str, inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """Return a transformation with a mask by name.

    Raises:
        UnknownNameError: If there is no such mask.
    """
    if name not in MASKS:
        raise UnknownNameError("mask", name, MASKS)
    return {"cautious": cautious, "grams": grams}[name](inner)


def _with(inner: optax.GradientTransformation, mask) -> optax.GradientTransformationExtraArgs:
    inner = optax.with_extra_args_support(inner)

    def update(updates, state, params=None, **extra):
        moved, state = inner.update(updates, state, params, **extra)
        return jax.tree.map(mask, moved, updates), state

    return optax.GradientTransformationExtraArgs(inner.init, update)
