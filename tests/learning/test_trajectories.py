"""Operators that step: windows, gradients of the ways of training, free rollouts, all against loops by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.data import ChannelNormaliser
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.learning import LearnedOperator, Steps
from pdesolve.learning.trajectories import frame_normalisers, free_rollouts

FIELDS, CONSTANTS, POINTS = 2, 1, 8


class Mixed(eqx.Module):
    """A nonlinear operator that compiles quickly: channels mixed, and each with its neighbour."""

    weight: jax.Array

    def __call__(self, sample):
        return jnp.tanh(self.weight @ (sample + 0.5 * jnp.roll(sample, 1, axis=1)))


def model(steps, key):
    """On physical functions with means and scales of their own."""
    operator = Mixed(jax.random.normal(key, steps.channels(FIELDS)[::-1]))
    constants = ChannelNormaliser(jnp.asarray([3.0]), jnp.asarray([2.0]))
    fields = ChannelNormaliser(jnp.asarray([1.0, -1.0]), jnp.asarray([0.5, 4.0]))
    return LearnedOperator(operator, *frame_normalisers(constants, fields, steps))


def sample(frames=9, seed=0):
    generator = np.random.default_rng(seed)
    return (
        jnp.asarray(generator.normal(size=(CONSTANTS, POINTS))),
        jnp.asarray(generator.normal(size=(frames, FIELDS, POINTS))),
    )


def by_hand(model, constants, given, calls):
    """Frames `(calls * bundle, field, x)`: the latest `history` frames and the constants, call after call."""
    history, frames = len(given), list(given)
    for _ in range(calls):
        inputs = jnp.concatenate([*frames[-history:], constants])
        frames += list(model(inputs).reshape(-1, FIELDS, POINTS))
    return jnp.stack(frames[history:])


@pytest.mark.parametrize(("history", "bundle"), [(1, 1), (3, 1), (2, 3), (1, 2)])
def test_rollout_of_a_window(key, history, bundle):
    """`unrolled`: the answer is three calls by hand; what was expected are the frames behind the given ones."""
    steps = Steps("unrolled", history, bundle, 3, CONSTANTS)
    constants, frames = sample(steps.window)
    operator = model(steps, key)
    answer, expected = eqx.filter_jit(steps.compared)(operator, constants, frames, jnp.asarray(3))
    loop = eqx.filter_jit(by_hand)(operator, constants, frames[:history], 3)
    np.testing.assert_allclose(answer, loop.reshape(-1, POINTS), rtol=1e-12)
    np.testing.assert_array_equal(expected, frames[history:].reshape(-1, POINTS))


def gradient(steps, model, constants, frames, calls):
    params, static = eqx.partition(model, eqx.is_inexact_array)

    def loss(params):
        answer, expected = steps.compared(eqx.combine(params, static), constants, frames, calls)
        return jnp.sum((answer - expected) ** 2)

    return jax.jit(jax.grad(loss))(params)


def test_unrolled_gradient_goes_through_all_calls(key):
    """It is the gradient of the loop by hand, and not that of the last call."""
    steps = Steps("unrolled", 2, 1, 3, CONSTANTS)
    operator, (constants, frames) = model(steps, key), sample(steps.window)
    params, static = eqx.partition(operator, eqx.is_inexact_array)

    def loss(params):
        answer = by_hand(eqx.combine(params, static), constants, frames[:2], 3)
        return jnp.sum((answer - frames[2:]) ** 2)

    expected, found = jax.jit(jax.grad(loss))(params), gradient(steps, operator, constants, frames, 3)
    for a, b in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_pushforward_gradient_is_that_of_the_last_call(key, calls):
    """Given the frames that the calls before it made, which are held constant; compared is the bundle of that call."""
    steps = Steps("pushforward", 2, 2, 3, CONSTANTS)
    operator, (constants, frames) = model(steps, key), sample(steps.window)
    before = (
        jnp.concatenate([frames[:2], eqx.filter_jit(by_hand)(operator, constants, frames[:2], calls - 1)])
        if calls > 1
        else frames
    )
    before = before[2 * (calls - 1) :][:2]
    wanted = frames[2 * calls : 2 * calls + 2]
    once = Steps("one_step", 2, 2, 1, CONSTANTS)
    expected = gradient(once, operator, constants, jnp.concatenate([before, wanted]), 1)
    found = gradient(steps, operator, constants, frames, jnp.asarray(calls))
    for a, b in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-10)


def test_calls_of_a_pushforward():
    """One in the first epoch; then one to three, each about as often; the same for the same step."""
    steps = Steps("pushforward", 1, 1, 3)
    drawn = jax.vmap(lambda step: steps.drawn_calls(0, step, 20))(jnp.arange(320)).tolist()
    assert set(drawn[:20]) == {1}
    counts = np.bincount(drawn[20:], minlength=4)[1:]
    assert np.all(np.abs(counts - 100) < 45), "five standard deviations of 300 draws"
    assert int(steps.drawn_calls(0, jnp.asarray(100), 20)) == drawn[100]


def test_windows(key):
    """A window is consecutive frames; every beginning occurs, and the constants stay."""
    steps = Steps("unrolled", 2, 1, 2, CONSTANTS)
    constants, frames = sample(7)
    beginnings = set()
    cut = jax.jit(steps.cut)
    for each in jax.random.split(key, 60):
        same, window = cut(each, (constants, frames))
        (start,) = [s for s in range(4) if np.array_equal(window, frames[s : s + 4])]
        beginnings.add(start)
        np.testing.assert_array_equal(same, constants)
    assert beginnings == {0, 1, 2, 3}


@pytest.mark.parametrize("frames", [7, 8])
def test_free_rollouts(key, frames):
    """All frames behind the first two, also where bundles of two do not divide them; as many as by hand."""
    steps = Steps("one_step", 2, 2, 1, CONSTANTS)
    operator = model(steps, key)
    constants, given = (np.stack(arrays) for arrays in zip(*[sample(frames, seed) for seed in range(3)], strict=True))
    found = free_rollouts(operator, steps, constants, given)
    assert found.shape == (3, frames - 2, FIELDS, POINTS)
    for index in range(3):
        loop = eqx.filter_jit(by_hand)(operator, jnp.asarray(constants[index]), jnp.asarray(given[index, :2]), 3)[
            : frames - 2
        ]
        np.testing.assert_allclose(found[index], loop, rtol=1e-12)


def test_normalisers_of_frames():
    """Each frame of a field is scaled as the field; constants have their own."""
    fields = ChannelNormaliser(jnp.asarray([1.0, 2.0]), jnp.asarray([3.0, 4.0]))
    constants = ChannelNormaliser(jnp.asarray([5.0]), jnp.asarray([6.0]))
    inputs, outputs = frame_normalisers(constants, fields, Steps("one_step", 2, 3, 1, 1))
    np.testing.assert_array_equal(inputs.mean, [1, 2, 1, 2, 5])
    np.testing.assert_array_equal(inputs.scale, [3, 4, 3, 4, 6])
    np.testing.assert_array_equal(outputs.mean, [1, 2] * 3)


def test_errors():
    with pytest.raises(UnknownNameError, match=r"unknown stepping 'unroled'. Did you mean 'unrolled'"):
        Steps("unroled")
    with pytest.raises(PdesolveError, match="`bundle` must be at least 1, got 0"):
        Steps("one_step", bundle=0)
    with pytest.raises(PdesolveError, match="one step is one call: `calls` must be 1, got 2"):
        Steps("one_step", calls=2)
    with pytest.raises(PdesolveError, match="trajectories have 6 frames; 3 given ones and 2 bundles of 2 need 7"):
        Steps("unrolled", 3, 2, 2).check(6)
