"""Mini-batches of a data set that is larger than memory."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from ..errors import PdesolveError
from ..samplers import AbstractSampler, Batch

__all__ = ["StreamedBatches"]


class _Buffer(NamedTuple):
    """What is in memory: consecutive samples, and how they were chosen."""

    batch: Batch
    seed: Int[Array, ""]


class StreamedBatches(AbstractSampler):
    """Mini-batches of consecutive samples that are read, a buffer at a time, between two dispatches of `fit`.

    A buffer is gone through once, in a new order, so that a stage's `chunk` must be `steps_per_buffer`. The buffers of
    a pass through the data come in a new order too. If they do not divide the data, the last two overlap. The buffer is
    part of the sampler's state, and of checkpoints.

    Args:
        read: `(start, stop)` to a pytree of arrays with these samples as leading axis.
        num_samples: How many there are.
        buffer: Samples in memory at a time.
        batch_size: Samples of a step; the remainder of a buffer is dropped.
        prepare: Optional `(key, sample) -> sample`, applied to each drawn sample.

    Raises:
        PdesolveError: If the sizes do not fit each other.
    """

    read: Callable[[int, int], PyTree] = eqx.field(static=True)
    num_samples: int = eqx.field(static=True)
    buffer: int = eqx.field(static=True)
    batch_size: int = eqx.field(static=True)
    prepare: Callable[[PRNGKeyArray, PyTree], PyTree] | None = None
    fixed_rows = False
    adaptive = True

    def __check_init__(self):
        if not 1 <= self.batch_size <= self.buffer <= self.num_samples:
            raise PdesolveError(
                f"a batch of {self.batch_size} from a buffer of {self.buffer} of {self.num_samples} samples: each must "
                "be at most as large as the next."
            )

    @property
    def steps_per_buffer(self) -> int:
        """Steps between two refreshes."""
        return self.buffer // self.batch_size

    def init(self, seed):
        """Read the first buffer."""
        return self._load(seed, 0)

    def draw(self, state, key, step):
        """Return the step's slice of the buffer in its order."""
        per_buffer = self.steps_per_buffer
        order = jax.random.permutation(jax.random.fold_in(jax.random.key(state.seed), step // per_buffer), self.buffer)
        chosen = jax.lax.dynamic_slice_in_dim(order, step % per_buffer * self.batch_size, self.batch_size)
        samples = jax.tree.map(lambda leaf: leaf[chosen], state.batch.samples)
        if self.prepare is not None:
            samples = jax.vmap(self.prepare)(jax.random.split(key, self.batch_size), samples)
        return Batch(samples, state.batch.ids[chosen], state.batch.generation)

    def refresh(self, state, seed, score):
        """Read the next buffer."""
        return self._load(int(state.seed), int(state.batch.generation) + 1)

    def _load(self, seed: int, generation: int) -> _Buffer:
        blocks = -(-self.num_samples // self.buffer)
        order = np.random.default_rng([seed, generation // blocks]).permutation(blocks)
        start = min(int(order[generation % blocks]) * self.buffer, self.num_samples - self.buffer)
        values = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype=float), self.read(start, start + self.buffer))
        batch = Batch(values, start + jnp.arange(self.buffer), jnp.asarray(generation))
        return _Buffer(batch, jnp.asarray(seed, dtype=jnp.uint32))
