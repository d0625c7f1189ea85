r"""Operators trained to step in time: from frames to the frames that follow, again and again.

A trajectory has frames $u^0, u^1, \ldots$ An operator maps `history` of them, and the functions that do not change, to
the next `bundle` of them. A training sample is a window of a trajectory, its beginning drawn anew at every step.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..data import ChannelNormaliser
from ..errors import PdesolveError, UnknownNameError
from ..stepping import feed_back, pushforward, rollout
from .losses import AbstractLoss
from .model import BATCH, trained_model

__all__ = ["STEPPINGS", "Steps", "Window", "frame_normalisers", "free_rollouts"]

STEPPINGS = ("map", "one_step", "unrolled", "pushforward")
"""`map`: no steps, the answer is the end; the others are ways to train an operator that steps."""


class Steps(eqx.Module):
    r"""How an operator steps, and how it is trained to.

    | `kind` | what is compared |
    |---|---|
    | `one_step` | the bundle after true frames |
    | `unrolled` | `calls` bundles in a row, each from the one before; the gradient goes through all of them |
    | `pushforward` | the last of 1 to `calls` bundles in a row; the gradient goes through that one only |

    The number of calls of a pushforward is drawn for a step, the same for all its samples, and is 1 in the first epoch.

    Args:
        kind: One of `STEPPINGS` but `map`.
        history: Frames given.
        bundle: Frames of a call (temporal bundling).
        calls: Calls in a row in training.
        constants: How many functions do not change in time.

    Raises:
        UnknownNameError: If there is no such kind.
        PdesolveError: If a number is out of range.

    References:
        Brandstetter, Worrall, Welling, Message passing neural PDE solvers, ICLR (2022), for bundling and pushforward.
    """

    kind: str = eqx.field(static=True)
    history: int = eqx.field(static=True, default=1)
    bundle: int = eqx.field(static=True, default=1)
    calls: int = eqx.field(static=True, default=1)
    constants: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        if self.kind not in STEPPINGS[1:]:
            raise UnknownNameError("stepping", self.kind, STEPPINGS[1:])
        for name in ("history", "bundle", "calls"):
            if getattr(self, name) < 1:
                raise PdesolveError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        if self.kind == "one_step" and self.calls != 1:
            raise PdesolveError(
                f"one step is one call: `calls` must be 1, got {self.calls}. Use `stepping = 'unrolled'`."
            )

    @property
    def window(self) -> int:
        """Frames of a training sample."""
        return self.history + self.bundle * self.calls

    def check(self, num_frames: int) -> None:
        """Raise a `PdesolveError` if trajectories are too short."""
        if num_frames < self.window:
            raise PdesolveError(
                f"trajectories have {num_frames} frames; {self.history} given ones and {self.calls} bundles of "
                f"{self.bundle} need {self.window}. Lower `history`, `bundle` or `calls`."
            )

    def channels(self, num_fields: int) -> tuple[int, int]:
        """Return the numbers of input and output functions of the operator."""
        return self.history * num_fields + self.constants, self.bundle * num_fields

    def given(
        self, constants: Float[Array, " constant *grid"], frames: Float[Array, "time field *grid"]
    ) -> Float[Array, "in *grid"]:
        """Return the operator's input: the first frames, the oldest first, and behind them what does not change."""
        return jnp.concatenate([frames[: self.history].reshape(-1, *frames.shape[2:]), constants])

    def feed(self, sample: Float[Array, "in *grid"], output: Float[Array, " out *grid"]) -> Float[Array, "in *grid"]:
        """Return the next input."""
        return feed_back(sample, output, parameters=self.constants)

    def cut(self, key: PRNGKeyArray, sample: tuple[Array, Array]) -> tuple[Array, Array]:
        """Return what does not change and a window of the frames, its beginning drawn."""
        constants, frames = sample
        start = jax.random.randint(key, (), 0, frames.shape[0] - self.window + 1)
        return constants, jax.lax.dynamic_slice_in_dim(frames, start, self.window)

    def compared(
        self,
        model: eqx.Module,
        constants: Float[Array, " constant *grid"],
        frames: Float[Array, "time field *grid"],
        calls: int | Int[Array, ""],
    ) -> tuple[Float[Array, " channel *grid"], Float[Array, " channel *grid"]]:
        """Return answer and what was expected of a window, frames and fields side by side.

        Args:
            model: The operator, from physical functions to physical functions.
            constants: What does not change.
            frames: The window.
            calls: Of a pushforward: how many bundles in a row, the last of which is compared.
        """
        first = self.given(constants, frames)
        if self.kind == "pushforward":
            answer = pushforward(model, first, calls - 1, feed=self.feed)  # type: ignore[arg-type]
            start = self.history + (calls - 1) * self.bundle
            expected = jax.lax.dynamic_slice_in_dim(frames, start, self.bundle)
        else:
            answer = rollout(model, first, self.calls, feed=self.feed)  # type: ignore[arg-type]
            expected = frames[self.history :]
        grid = frames.shape[2:]
        return answer.reshape(-1, *grid), expected.reshape(-1, *grid)

    def drawn_calls(self, seed: int, step: Int[Array, ""], first_epoch: int) -> Int[Array, ""]:
        """Return the number of calls of a pushforward at a step: 1 in the first epoch, then 1 to `calls`."""
        drawn = jax.random.randint(jax.random.fold_in(jax.random.key(seed), step), (), 1, self.calls + 1)
        return jnp.where(step < first_epoch, 1, drawn)


class Window(eqx.Module):
    """The residual of one window; what `PointwiseBlock` maps over samples."""

    steps: Steps
    loss: AbstractLoss
    seed: int = eqx.field(static=True)
    first_epoch: int = eqx.field(static=True)

    def __call__(self, trainables, sample, key, context):
        """Return z."""
        # Not from the sample's key: under `jax.vmap` all samples would then take as many calls as the longest.
        calls = self.steps.drawn_calls(self.seed, context.step, self.first_epoch)
        return {"data": self.loss.residual(*self.steps.compared(trained_model(trainables), *sample, calls))}


def frame_normalisers(
    constants: ChannelNormaliser, fields: ChannelNormaliser, steps: Steps
) -> tuple[ChannelNormaliser, ChannelNormaliser]:
    """Return the normalisers of an operator's inputs and outputs from those of what does not change and of the fields.

    Every frame of a field has the same, so that outputs are fed back on the scale of inputs.
    """

    def repeated(count: int) -> ChannelNormaliser:
        return ChannelNormaliser(jnp.tile(fields.mean, count), jnp.tile(fields.scale, count))

    inputs = repeated(steps.history)
    mean, scale = (jnp.concatenate([getattr(inputs, n), getattr(constants, n)]) for n in ("mean", "scale"))
    return ChannelNormaliser(mean, scale), repeated(steps.bundle)


def free_rollouts(
    model: eqx.Module,
    steps: Steps,
    constants: Float[np.ndarray, "sample constant *grid"],
    frames: Float[np.ndarray, "sample time field *grid"],
) -> Float[np.ndarray, "sample later field *grid"]:
    """Return all frames after the given ones, the operator fed with its own output from the first call on."""
    later = frames.shape[1] - steps.history
    calls = math.ceil(later / steps.bundle)
    size = min(BATCH, len(frames))
    answers = []
    for start in range(0, len(frames), size):
        chosen = np.minimum(np.arange(start, start + size), len(frames) - 1)  # one shape, compiled once
        given = jnp.asarray(constants[chosen], dtype=float), jnp.asarray(frames[chosen, : steps.history], dtype=float)
        answers.append(np.asarray(_rollouts(model, steps, calls, *given)))
    whole = np.concatenate(answers)[: len(frames)]
    return whole.reshape(len(frames), -1, *frames.shape[2:])[:, :later]


@eqx.filter_jit
def _rollouts(model, steps: Steps, calls: int, constants, frames):
    def one(constants, frames):
        return rollout(model, steps.given(constants, frames), calls, feed=steps.feed)

    return jax.vmap(one)(constants, frames)
