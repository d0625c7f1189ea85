"""Methods that are a combination rule followed by plain descent, by names of their own."""

from typing import Any

import optax

from ..config import DECAY_STEPS
from .build import learning_rate_schedule
from .combine import MomentumConFIG, MultiAdam
from .first_order import FirstOrder

__all__ = ["momentum_config", "multiadam"]


def multiadam(
    learning_rate: float = 1e-3,
    *,
    beta1: float = 0.99,
    beta2: float = 0.99,
    eps: float = 1e-8,
    amsgrad: bool = False,
    schedule: str = "constant",
    warmup: int = 0,
    final: float = 1e-2,
    decay_steps: int = DECAY_STEPS,
) -> FirstOrder:
    """MultiAdam: an Adam for each loss term, whose updates are averaged.

    Args:
        learning_rate: Largest learning rate.
        beta1: Decay of the first moments.
        beta2: Decay of the second moments.
        eps: Added to the roots of the second moments.
        amsgrad: Divide by the largest second moment so far.
        schedule: How the learning rate falls; see `learning_rate_schedule`.
        warmup: Steps of linear rise before.
        final: Last rate as a share of the first.
        decay_steps: Steps over which it falls.
    """
    rule = MultiAdam(beta1=beta1, beta2=beta2, eps=eps, amsgrad=amsgrad)
    return _descent(rule, learning_rate, schedule, warmup, final, decay_steps)


def momentum_config(
    learning_rate: float = 1e-3,
    *,
    turns: int = 1,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    length: str = "projection",
    schedule: str = "constant",
    warmup: int = 0,
    final: float = 1e-2,
    decay_steps: int = DECAY_STEPS,
) -> FirstOrder:
    """M-ConFIG: ConFIG of averaged gradients, one of them renewed at each step.

    Args:
        learning_rate: Largest learning rate.
        turns: Terms renewed in a step.
        beta1: Decay of the first moments.
        beta2: Decay of the second moment.
        eps: Added to the root of the second moment.
        length: Rule for ConFIG's length.
        schedule: How the learning rate falls; see `learning_rate_schedule`.
        warmup: Steps of linear rise before.
        final: Last rate as a share of the first.
        decay_steps: Steps over which it falls.
    """
    rule = MomentumConFIG(turns=turns, beta1=beta1, beta2=beta2, eps=eps, length=length)
    return _descent(rule, learning_rate, schedule, warmup, final, decay_steps)


def _descent(rule: Any, rate: float, schedule: str, warmup: int, final: float, decay_steps: int) -> FirstOrder:
    falling = learning_rate_schedule(rate, schedule, steps=decay_steps, warmup=warmup, final=final)
    return FirstOrder(optax.sgd(falling), rule)
