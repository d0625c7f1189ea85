"""Operators that advance in time, fed with their own output: rollouts, and the pushforward trick of training."""

from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

__all__ = ["feed_back", "pushforward", "rollout"]

Operator = Callable[[Float[Array, "in *grid"]], Float[Array, " out *grid"]]
Feed = Callable[[Float[Array, "in *grid"], Float[Array, " out *grid"]], Float[Array, "in *grid"]]
T = TypeVar("T")


def feed_back(
    sample: Float[Array, "in *grid"], output: Float[Array, " out *grid"], *, parameters: int = 0
) -> Float[Array, "in *grid"]:
    """Return the next input: the latest frames of sample and output together, and the same parameters.

    Args:
        sample: Frames, the oldest first, and behind them the functions that do not change.
        output: The frames that follow.
        parameters: How many functions at the end of the sample do not change.
    """
    states = sample.shape[0] - parameters
    frames = jnp.concatenate([sample[:states], output])
    return jnp.concatenate([frames[frames.shape[0] - states :], sample[states:]])


def rollout(
    operator: Operator, sample: Float[Array, "in *grid"], num_calls: int, *, feed: Feed = feed_back
) -> Float[Array, "calls out *grid"]:
    """Return the outputs of calls each of which is given what the calls before it returned.

    Args:
        operator: Advances by one bundle of frames.
        sample: Input of the first call.
        num_calls: Number of calls.
        feed: The next input from an input and its output; parameters and times that change are its affair.
    """

    def advance(state, _):
        output = operator(state)
        return feed(state, output), output

    return jax.lax.scan(advance, sample, length=num_calls)[1]


def pushforward(
    operator: Operator, sample: Float[Array, "in *grid"], unrolls: int | Int[Array, ""], *, feed: Feed = feed_back
) -> Float[Array, " out *grid"]:
    r"""Return the last of `unrolls + 1` calls in a row; only this one has a gradient.

    $$y = G_\theta(\bar u), \qquad \bar u = F^{(r)}(u), \quad F(u) = \mathrm{feed}(u, G_{\bar\theta}(u)),$$

    with r unrolls, barred quantities held constant in differentiation. A model trained on y sees inputs with errors
    of its own, as in a rollout, at the memory of one call; the wanted y is r bundles after the first.

    Args:
        operator: G: advances by one bundle of frames.
        sample: u.
        unrolls: r; an array may differ from step to step without another compilation.
        feed: The next input from an input and its output.

    References:
        Brandstetter, Worrall, Welling, Message passing neural PDE solvers, ICLR (2022). They draw r from {0, 1}, after
        a first epoch with r = 0.
    """
    frozen = _constant(operator)
    state = jax.lax.fori_loop(0, unrolls, lambda _, u: _constant(feed(u, frozen(u))), _constant(sample))
    return operator(state)


def _constant(tree: T) -> T:
    return jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_inexact_array(leaf) else leaf, tree)
