"""Training samples made ready: in memory or streamed, with the normalisers fitted to them."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ..config import DataConfig
from ..data import ChannelNormaliser
from ..errors import PdesolveError
from ..family import FamilyData
from ..samplers import DataBatches
from .samples import AbstractSamples, FileSamples, given_digests, survey
from .stream import StreamedBatches
from .trajectories import Steps, frame_normalisers

__all__ = ["LARGE", "Training", "prepare"]

LARGE = 2**30
"""Bytes of training samples above which those of a file are streamed, half as many at a time."""


class Training(NamedTuple):
    """What training needs of its samples.

    Attributes:
        sampler: Mini-batches of `(inputs, outputs)`; of `(constants, window)` for an operator that steps.
        inputs: Normaliser of the operator's inputs.
        outputs: Normaliser of its outputs.
        mean_square: Mean of the squares of all numbers that are answers.
        known: Training samples in memory: all, or of those that are streamed the first ones.
        chunk: Steps of a pass through what is in memory.
        digests: Of what the samples of a file give; empty for generated ones.
    """

    sampler: DataBatches | StreamedBatches
    inputs: ChannelNormaliser
    outputs: ChannelNormaliser
    mean_square: float
    known: FamilyData
    chunk: int
    digests: frozenset[bytes]


def prepare(samples: AbstractSamples, config: DataConfig, steps: Steps | None = None) -> Training:
    """Fit normalisers, and bring samples into memory if they fit.

    Raises:
        PdesolveError: If a batch is larger than the training set, or a number of a file is not finite.
    """
    if config.batch > samples.count:
        raise PdesolveError(f"a batch of {config.batch} needs as many samples; `train` is {samples.count}.")
    buffer = _buffer(samples, config)
    cut = None if steps is None else steps.cut
    if buffer >= samples.count:
        known = samples.load(0, samples.count)
        assert known.inputs is not None
        inputs, outputs = ChannelNormaliser.fit(known.inputs), ChannelNormaliser.fit(known.outputs)
        mean_square = float(np.mean(np.square(known.outputs, dtype=np.float64)))
        data = tuple(jnp.asarray(array, dtype=float) for array in _arrays(known, steps))
        sampler, chunk = DataBatches(data, config.batch, cut), samples.count // config.batch
        digests = frozenset(given_digests(known)) if isinstance(samples, FileSamples) else frozenset()
    else:
        found = survey(samples)
        inputs, outputs = (_normaliser(*moments) for moments in (found.input_moments, found.output_moments))
        mean, deviation = found.output_moments
        mean_square = float(np.mean(mean**2 + deviation**2))
        known = samples.load(0, buffer)
        sampler = StreamedBatches(
            lambda start, stop: _arrays(samples.load(start, stop), steps), samples.count, buffer, config.batch, cut
        )
        chunk, digests = sampler.steps_per_buffer, found.digests
    if steps is not None:
        steps.check(known.outputs.shape[2])
        inputs, outputs = frame_normalisers(inputs, outputs, steps)
    return Training(sampler, inputs, outputs, mean_square, known, chunk, digests)


def _buffer(samples: AbstractSamples, config: DataConfig) -> int:
    """Return how many samples are in memory at a time."""
    if not isinstance(samples, FileSamples):
        return samples.count
    if config.buffer is not None:
        if config.buffer < config.batch:
            raise PdesolveError(f"`buffer` must be at least the batch of {config.batch}, got {config.buffer}.")
        return min(config.buffer, samples.count)
    one = samples.load(0, 1)
    size = jnp.dtype(jnp.zeros(()).dtype).itemsize * (one.outputs.size + (0 if one.inputs is None else one.inputs.size))
    return samples.count if size * samples.count <= LARGE else max(config.batch, LARGE // 2 // size)


def _arrays(data: FamilyData, steps: Steps | None) -> tuple[np.ndarray, np.ndarray]:
    """Return what a batch consists of: frames have time first."""
    assert data.inputs is not None
    return data.inputs, data.outputs if steps is None else np.moveaxis(data.outputs, 2, 1)


def _normaliser(mean: np.ndarray, deviation: np.ndarray) -> ChannelNormaliser:
    scale = np.where(deviation > 0, deviation, 1.0)
    return ChannelNormaliser(jnp.asarray(mean, dtype=float), jnp.asarray(scale, dtype=float))
