"""Arrays that belong to a model and are not trained."""

import equinox as eqx
from jaxtyping import Array

__all__ = ["Fixed"]


class Fixed(eqx.Module):
    """An array that is stored with the model and that no optimiser changes, not even by weight decay.

    `fit` leaves it out of what it trains. A loop of one's own has to do the same, or stop gradients and not decay.
    """

    value: Array
