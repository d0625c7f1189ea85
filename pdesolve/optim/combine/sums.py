"""Sum and mean of the gradients: what an ordinary optimiser follows."""

import equinox as eqx
import jax.numpy as jnp

from ...errors import PdesolveError
from .rule import AbstractSpanRule

__all__ = ["Mean", "Sum"]


class Sum(AbstractSpanRule):
    r"""The sum of the gradients, weighted or plain; terms that are not finite are left out.

    Args:
        scale: w, one number for each term; 1 if None.
    """

    scale: tuple[float, ...] | None = eqx.field(static=True, default=None)

    def weights(self, rows):
        """The lengths, times the fixed weights."""
        m = len(rows.lengths)
        if self.scale is not None and len(self.scale) != m:
            raise PdesolveError(f"`scale` has {len(self.scale)} weights for {m} terms.")
        return jnp.asarray(self.scale or (1.0,) * m, rows.lengths.dtype) * rows.lengths, {}


class Mean(AbstractSpanRule):
    """The mean of the gradients; terms that are not finite count as zero."""

    def weights(self, rows):
        """The lengths over m."""
        return rows.lengths / len(rows.lengths), {}
