"""Samplers: where a block's samples come from, step by step and generation by generation."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from .errors import PdesolveError, UnknownNameError
from .points import rad

__all__ = [
    "AbstractSampler",
    "AdaptivePoints",
    "Batch",
    "DataBatches",
    "FixedSamples",
    "FreshSamples",
    "RedrawnPoints",
    "carry",
]


class Batch(eqx.Module):
    """Samples with identity: `ids` tell survivors of a refresh from newcomers, `generation` counts refreshes."""

    samples: PyTree
    ids: Int[Array, " n"]
    generation: Int[Array, ""]


def carry(values: Array, old: Batch, new: Batch, *, default: Array) -> Array:
    """Carry values `(n, ...)` attached to rows from one generation to the next by id; newcomers get `default`."""
    same = new.ids[:, None] == old.ids[None, :]
    found = jnp.any(same, axis=1)
    kept = values[jnp.argmax(same, axis=1)]
    return jnp.where(found.reshape(-1, *[1] * (values.ndim - 1)), kept, jnp.broadcast_to(default, kept.shape))


class AbstractSampler(eqx.Module):
    """Draws a block's batch.

    `init` and `refresh` run on the host, between dispatches; `draw` is pure, traced, and runs at every step.
    """

    fixed_rows: eqx.AbstractClassVar[bool]
    """Whether rows stay the same between two refreshes."""
    adaptive: eqx.AbstractClassVar[bool]
    """Whether `refresh` changes the samples."""

    @abc.abstractmethod
    def init(self, seed: int) -> PyTree:
        """Return the sampler's state (arrays only; it is checkpointed)."""

    @abc.abstractmethod
    def draw(self, state: PyTree, key: PRNGKeyArray, step: Int[Array, ""]) -> Batch:
        """Return the batch of a step."""

    @abc.abstractmethod
    def refresh(self, state: PyTree, seed: int, score: Callable[[PyTree], np.ndarray]) -> PyTree:
        """Return the state of the next generation; `score` maps samples to residual sizes `(n,)`.

        A sampler that has no generations returns its state unchanged.
        """


class FixedSamples(AbstractSampler):
    """The same samples at every step."""

    samples: PyTree
    fixed_rows = True
    adaptive = False

    def init(self, seed):
        """No state: the samples are the sampler's own."""
        return ()

    def draw(self, state, key, step):
        """All samples."""
        n = jax.tree.leaves(self.samples)[0].shape[0]
        return Batch(self.samples, jnp.arange(n), jnp.asarray(0))

    def refresh(self, state, seed, score):
        """Nothing changes."""
        return state


class FreshSamples(AbstractSampler):
    """New samples at every step: `function(key)` returns a pytree with leading axis `num_samples`."""

    function: Callable[[PRNGKeyArray], PyTree]
    num_samples: int = eqx.field(static=True)
    fixed_rows = False
    adaptive = False

    def init(self, seed):
        """No state."""
        return ()

    def draw(self, state, key, step):
        """Draw by the step's key."""
        return Batch(self.function(key), step * self.num_samples + jnp.arange(self.num_samples), step)

    def refresh(self, state, seed, score):
        """Nothing changes."""
        return state


class DataBatches(AbstractSampler):
    """Mini-batches of a data set, each epoch in a new order.

    Args:
        data: Pytree of arrays with a common leading axis.
        batch_size: Samples of a step; the remainder of an epoch is dropped.
        prepare: Optional `(key, sample) -> sample`, applied to each drawn sample (noise, a random time).
    """

    data: PyTree
    batch_size: int = eqx.field(static=True)
    prepare: Callable[[PRNGKeyArray, PyTree], PyTree] | None = None
    fixed_rows = False
    adaptive = False

    def __check_init__(self):
        sizes = {leaf.shape[0] for leaf in jax.tree.leaves(self.data)}
        if len(sizes) != 1 or not 1 <= self.batch_size <= min(sizes):
            raise PdesolveError(
                f"a batch of {self.batch_size} needs data with one leading axis at least as long; got {sizes}."
            )

    def init(self, seed):
        """Return the seed of the epochs' orders."""
        return jnp.asarray(seed, dtype=jnp.uint32)

    def draw(self, state, key, step):
        """Return the step's slice of its epoch's permutation."""
        size = jax.tree.leaves(self.data)[0].shape[0]
        per_epoch = size // self.batch_size
        order = jax.random.permutation(jax.random.fold_in(jax.random.key(state), step // per_epoch), size)
        ids = jax.lax.dynamic_slice_in_dim(order, step % per_epoch * self.batch_size, self.batch_size)
        samples = jax.tree.map(lambda leaf: leaf[ids], self.data)
        if self.prepare is not None:
            samples = jax.vmap(self.prepare)(jax.random.split(key, self.batch_size), samples)
        return Batch(samples, ids, step)

    def refresh(self, state, seed, score):
        """Nothing changes."""
        return state


class AdaptivePoints(AbstractSampler):
    r"""Collocation points that follow the residual.

    `candidates(num_points, seed)` draws points `(n, d)`. With method `rad`, every refresh redraws all points with
    probability $p \propto s / \mathrm{mean}(s) + 1$ from `pool` times as many candidates. With `rar_d` a quarter of
    them, chosen at random, gives way to candidates drawn with $p \propto s^2$: refinement at a fixed number of points.

    References:
        Wu, Zhu, Tan, Kartha, Lu, Comput. Methods Appl. Mech. Engrg. 403 (2023) 115671, eq. (2), algorithms 2 and 3.
    """

    candidates: Callable[[int, int], np.ndarray]
    num_points: int = eqx.field(static=True)
    method: str = eqx.field(static=True, default="rad")
    pool: int = eqx.field(static=True, default=4)
    fixed_rows = True
    adaptive = True

    def __check_init__(self):
        if self.method not in ("rad", "rar_d"):
            raise UnknownNameError("adaptive method", self.method, ("rad", "rar_d"))

    def init(self, seed):
        """Return a first generation, drawn without regard to the residual."""
        points = jnp.asarray(self.candidates(self.num_points, seed))
        return Batch(points, jnp.arange(self.num_points), jnp.asarray(0))

    def draw(self, state, key, step):
        """The current generation."""
        return state

    def refresh(self, state, seed, score):
        """Redraw where the residual is large."""
        candidates = self.candidates(self.pool * self.num_points, seed)
        scores = np.asarray(score(jnp.asarray(candidates)))
        generation = int(state.generation) + 1
        fresh_ids = generation * self.num_points + np.arange(self.num_points)
        if self.method == "rad":
            chosen = candidates[rad(candidates, scores, self.num_points, seed)]
            return _batch(state, chosen, fresh_ids, generation)
        count = self.num_points // 4
        keep = np.random.default_rng(seed).permutation(self.num_points)[count:]
        added = candidates[rad(candidates, scores, count, seed, exponent=2.0, offset=0.0)]
        points = np.concatenate([np.asarray(state.samples)[keep], added])
        return _batch(state, points, np.concatenate([np.asarray(state.ids)[keep], fresh_ids[:count]]), generation)


class RedrawnPoints(AbstractSampler):
    """New collocation points at every step, whatever the residual: a refresh draws those of the next `pool` steps.

    `candidates(num_points, seed)` draws points `(n, d)` on the host; each step has a draw of its own.
    """

    candidates: Callable[[int, int], np.ndarray]
    num_points: int = eqx.field(static=True)
    pool: int = eqx.field(static=True, default=25)
    fixed_rows = False
    adaptive = True

    def init(self, seed):
        """Return the points of the first steps, `(pool, n, d)`, and how often they were drawn."""
        return self._drawn(seed), jnp.asarray(0)

    def draw(self, state, key, step):
        """The step's own points."""
        points, generation = state
        here = jax.lax.dynamic_index_in_dim(points, step % self.pool, keepdims=False)
        return Batch(here, step * self.num_points + jnp.arange(self.num_points), generation)

    def refresh(self, state, seed, score):
        """Draw the next pool; the residual is not asked for."""
        return self._drawn(seed).astype(state[0].dtype), state[1] + 1

    def _drawn(self, seed: int) -> Array:
        seeds = np.random.SeedSequence(seed).generate_state(self.pool)
        return jnp.asarray(np.stack([self.candidates(self.num_points, int(each)) for each in seeds]))


def _batch(like: Batch, samples: Any, ids: Any, generation: int) -> Batch:
    """Return a batch of the same dtypes as `like`."""
    return jax.tree.map(lambda new, old: jnp.asarray(new, dtype=old.dtype), Batch(samples, ids, generation), like)
