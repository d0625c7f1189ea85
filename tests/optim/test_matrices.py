"""Shampoo, PolarGrad and masks: against their definitions in NumPy, and the battery that every optimiser passes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pdesolve import solve
from pdesolve.config import PointsConfig, StageConfig
from pdesolve.errors import UnknownNameError
from pdesolve.optim import build_optimiser, cautious, grams, polar_grad, scale_by_polar, scale_by_shampoo
from pdesolve.optim.shampoo import shampoo
from problems import Heat1D

RNG = np.random.default_rng(0)
GRADIENTS = RNG.standard_normal((6, 4, 3))
VECTORS = RNG.standard_normal((6, 5))


def run(transformation, gradients, params=None):
    """Return what every call gives."""
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), gradients) if params is None else params
    state, found, update = transformation.init(params), [], jax.jit(transformation.update)
    for step in range(len(jax.tree.leaves(gradients)[0])):
        scaled, state = update(jax.tree.map(lambda leaf, s=step: jnp.asarray(leaf[s]), gradients), state, params)
        found.append(scaled)
    return found


def power(matrix, exponent):
    values, vectors = np.linalg.eigh(matrix)
    return vectors * values**exponent @ vectors.T


@pytest.mark.parametrize(("decay", "every"), [(1.0, 1), (0.9, 1), (1.0, 2)])
def test_shampoo_is_the_papers(decay, every):
    """Algorithm 1, and with averages or old roots in place of sums and new ones; vectors as Adagrad."""
    eps, share = 1e-4, 1.0 if decay == 1.0 else 1 - decay
    found = run(scale_by_shampoo(eps, decay, every), {"w": GRADIENTS, "b": VECTORS})
    left, right, squares = eps * np.eye(4), eps * np.eye(3), np.zeros(5)
    for step, (gradient, vector) in enumerate(zip(GRADIENTS, VECTORS, strict=True)):
        left = decay * left + share * gradient @ gradient.T
        right = decay * right + share * gradient.T @ gradient
        squares = decay * squares + share * vector**2
        if step % every == 0:
            roots = [power(side, -0.25) for side in (left, right)]
        np.testing.assert_allclose(found[step]["b"], vector / np.sqrt(squares + eps), rtol=1e-10)
        if step > 0:  # the first left side has an eigenvalue at eps, to round-off
            np.testing.assert_allclose(found[step]["w"], roots[0] @ gradient @ roots[1], rtol=1e-6, atol=1e-9)


def test_shampoo_turns_with_its_matrix():
    """Rotations of both sides of all gradients rotate what is returned."""
    left, right = (np.linalg.qr(RNG.standard_normal((n, n)))[0] for n in (4, 3))
    plain = run(scale_by_shampoo(), GRADIENTS)
    turned = run(scale_by_shampoo(), left[None] @ GRADIENTS @ right[None])
    np.testing.assert_allclose(turned[-1], left @ np.asarray(plain[-1]) @ right, rtol=1e-6)


def test_polar_factor_and_nuclear_norm():
    """Of the averaged gradient; a gradient of rank one is returned as it is, and zero as zero."""
    found = run(scale_by_polar(0.5), GRADIENTS)
    momentum = np.zeros((4, 3))
    for step, gradient in enumerate(GRADIENTS):
        momentum = 0.5 * momentum + 0.5 * gradient
        left, values, right = np.linalg.svd(momentum, full_matrices=False)
        np.testing.assert_allclose(found[step], values.sum() * left @ right, rtol=1e-9)
    one = np.outer([1.0, 2.0, 3.0, 4.0], [1.0, -1.0, 2.0])[None]
    np.testing.assert_allclose(run(scale_by_polar(0.0), one)[0], one[0], rtol=1e-10)
    np.testing.assert_array_equal(run(scale_by_polar(0.0), np.zeros((1, 4, 3)))[0], 0.0)


def test_polar_grad_leaves_vectors_to_adam():
    """A matrix by its polar factor, a vector by Adam at its own rate."""
    gradients = {"w": GRADIENTS, "b": VECTORS}
    found = run(polar_grad(0.1, adam_learning_rate=1e-3), gradients)
    adam = run(optax.adam(1e-3), {"b": VECTORS})
    np.testing.assert_allclose(found[-1]["b"], adam[-1]["b"], rtol=1e-10)
    np.testing.assert_allclose(found[-1]["w"], -0.1 * np.asarray(run(scale_by_polar(), GRADIENTS)[-1]), rtol=1e-10)


def test_masks():
    """No coordinate rises; cautious ones keep their mean size, grams keep every size."""
    adam = run(optax.adam(0.1), VECTORS)
    for mask, found in (
        ("cautious", run(cautious(optax.adam(0.1)), VECTORS)),
        ("grams", run(grams(optax.adam(0.1)), VECTORS)),
    ):
        conflicts = 0
        for update, plain, gradient in zip(found, adam, VECTORS, strict=True):
            update, plain = np.asarray(update), np.asarray(plain)
            assert (update * gradient <= 0).all()
            agrees = plain * gradient < 0
            conflicts += (~agrees).sum()
            if mask == "grams":
                np.testing.assert_allclose(np.abs(update), np.abs(plain), rtol=1e-12)
            else:
                np.testing.assert_allclose(update, plain * agrees / max(agrees.mean(), 1e-3), rtol=1e-12)
        assert conflicts > 0


BATTERY = [
    lambda rate: shampoo(10 * rate),
    polar_grad,
    lambda rate: cautious(optax.adam(rate)),
    lambda rate: grams(optax.adam(rate)),
]


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("make", BATTERY)
def test_the_battery(make, dtype):
    """Any pytree and type: finite, of the same type, and a quadratic falls."""
    key = jax.random.key(0)
    target = {"w": jax.random.normal(key, (5, 3), dtype), "b": jnp.ones(3, dtype), "s": jnp.asarray(2.0, dtype)}
    params = jax.tree.map(jnp.zeros_like, target)
    transformation = make(0.05)
    state = transformation.init(params)

    def loss(params):
        return sum(jnp.sum((a - b) ** 2) for a, b in zip(*map(jax.tree.leaves, (params, target)), strict=True))

    first = float(loss(params))

    @jax.jit
    def step(params, state):
        updates, state = transformation.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(100):
        params, state = step(params, state)
    assert all(leaf.dtype == dtype and np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
    assert float(loss(params)) < 0.1 * first
    zero = transformation.update(jax.tree.map(jnp.zeros_like, target), transformation.init(target), target)[0]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(zero))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("shampoo", {"learning_rate": 3e-2}),
        ("polar_grad", {"learning_rate": 1e-2, "adam_learning_rate": 3e-3}),
        pytest.param("adam", {"learning_rate": 3e-3, "mask": "cautious"}, marks=pytest.mark.slow),
        pytest.param("adam", {"learning_rate": 3e-3, "mask": "grams"}, marks=pytest.mark.slow),
        pytest.param("muon", {"learning_rate": 1e-2, "preconditioning": "aol", "ns_steps": 4}, marks=pytest.mark.slow),
    ],
)
def test_trained_by_name(name, options):
    """A network's error falls."""
    points = PointsConfig(interior=128, boundary=16, refresh=50)

    def error(steps):
        stages = (StageConfig(name, steps=steps, options=options),)
        return solve(Heat1D(), dataclasses.replace(Heat1D().recipe(), points=points, stages=stages)).summary[
            "relative_l2"
        ]

    assert error(300) < 0.5 * error(1)


def test_unknown_mask():
    """The nearest name is told."""
    with pytest.raises(UnknownNameError, match="cautious"):
        build_optimiser("adam", {"mask": "cautius"})
