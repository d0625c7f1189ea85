"""SOAP against its definition in NumPy, Adam, and rotations; and trained by name."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pdesolve import solve
from pdesolve.config import PointsConfig, StageConfig
from pdesolve.optim import scale_by_soap, soap
from problems import Heat1D

RNG = np.random.default_rng(0)
GRADIENTS = RNG.standard_normal((9, 4, 3)) * np.array([[5.0], [1.0], [0.2], [1.0]])


def run(transformation, gradients):
    """Return the scaled gradients of every call."""
    state, found = transformation.init(jnp.asarray(gradients[0])), []
    update = jax.jit(transformation.update)
    for gradient in gradients:
        scaled, state = update(jnp.asarray(gradient), state)
        found.append(np.array(scaled))
    return np.array(found)


def by_definition(gradients, b1, b2, eps, every):
    """The paper's algorithm, matrix by matrix; the second moment moves at every step."""
    m, n = gradients[0].shape
    first, second, a, b, found = np.zeros((m, n)), np.zeros((m, n)), np.zeros((m, m)), np.zeros((n, n)), []
    for t, g in enumerate(gradients):
        if t == 0:
            a, b = (1 - b2) * g @ g.T, (1 - b2) * g.T @ g
            qa, qb = np.linalg.eigh(a)[1][:, ::-1], np.linalg.eigh(b)[1][:, ::-1]
            found.append(np.zeros((m, n)))
            continue
        first = b1 * first + (1 - b1) * g
        second = b2 * second + (1 - b2) * (qa.T @ g @ qb) ** 2
        unbiased = (qa.T @ first @ qb / (1 - b1**t)) / (np.sqrt(second / (1 - b2**t)) + eps)
        found.append(qa @ unbiased @ qb.T)
        a, b = b2 * a + (1 - b2) * g @ g.T, b2 * b + (1 - b2) * g.T @ g
        if t % every == 0:
            rows, columns = np.argsort(-np.diag(qa.T @ a @ qa)), np.argsort(-np.diag(qb.T @ b @ qb))
            qa, qb = np.linalg.qr(a @ qa[:, rows])[0], np.linalg.qr(b @ qb[:, columns])[0]
            second = second[rows][:, columns]
    return np.array(found)


@pytest.mark.parametrize("every", [1, 3])
def test_it_is_the_papers(every):
    """Nine steps; with bases that turn at every third, the second moment still moves at each."""
    found = run(scale_by_soap(0.9, 0.95, 1e-8, every), GRADIENTS)
    np.testing.assert_allclose(found, by_definition(GRADIENTS, 0.9, 0.95, 1e-8, every), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("gradients", [GRADIENTS[:, 0], GRADIENTS])
def test_without_rotation_it_is_adam(gradients):
    """Vectors, and matrices that are too long: Adam, from the second call on."""
    found = run(scale_by_soap(0.9, 0.99, 1e-8, 2, max_precondition_size=2), gradients)
    assert not found[0].any()
    expected = run(optax.scale_by_adam(0.9, 0.99, 1e-8), gradients[1:])
    np.testing.assert_allclose(found[1:], expected, rtol=1e-9)


def test_turned_matrices_take_turned_steps():
    """U W V with orthogonal U, V: the update is U times it times V; Adam's is not."""
    u, v = (np.linalg.qr(RNG.standard_normal((k, k)))[0] for k in (4, 3))
    turned = np.array([u @ g @ v for g in GRADIENTS])
    for every in (1, 4):
        plain, other = (run(scale_by_soap(0.9, 0.95, 1e-8, every), g) for g in (GRADIENTS, turned))
        np.testing.assert_allclose(other, np.array([u @ s @ v for s in plain]), rtol=1e-6, atol=1e-8)
    plain, other = (run(optax.scale_by_adam(), g) for g in (GRADIENTS, turned))
    assert np.abs(other - np.array([u @ s @ v for s in plain])).max() > 0.1


def test_weights_decay_and_rates_fall():
    """`soap` is a whole optimiser: a schedule, and decay that does not depend on the gradient."""
    params = {"w": jnp.ones((4, 3)), "b": jnp.ones(3)}
    optimiser = soap(optax.linear_schedule(0.1, 0.0, 2), weight_decay=0.5)
    state = optimiser.init(params)
    zero = jax.tree.map(jnp.zeros_like, params)
    for expected in (1 - 0.05, (1 - 0.05) * (1 - 0.025)):
        updates, state = optimiser.update(zero, state, params)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(params["b"], expected, rtol=1e-7)  # optax computes schedules in float32


@pytest.mark.slow
def test_it_is_found_by_name():
    """`--optimiser soap` with a schedule: a hundredth of the error after three hundred steps."""
    options = {"learning_rate": 3e-2, "schedule": "cosine", "b1": 0.9, "b2": 0.999, "precondition_frequency": 2}
    recipe = dataclasses.replace(
        Heat1D().recipe(),
        points=PointsConfig(interior=128, boundary=16, refresh=50),
        stages=(StageConfig("soap", steps=300, options=options),),
    )
    assert solve(Heat1D(), recipe).summary["relative_l2"] < 1e-2
