"""Preconditioners from the Hermitian square: exact where it is diagonal by blocks, bounded condition numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pdesolve.errors import PdesolveError
from pdesolve.objective import Objective, PointwiseBlock, Term, linearise
from pdesolve.optim import hermitian_square, precondition_by_blocks, precondition_by_diagonal
from pdesolve.pinn import build_objective, initial_ansatz
from pdesolve.samplers import FixedSamples
from problems.poisson_1d import Poisson1D


def series(largest):
    """Half the mean square of Poisson's equation for sines and cosines in two arrays: A = diag(k^4) / 2 for each."""
    k = jnp.arange(1.0, largest + 1)
    points = -jnp.pi + 2 * jnp.pi * jnp.arange(4 * largest) / (4 * largest)

    def residual(p, x, key, context):
        return {"a": (k**2 * jnp.cos(k * x)) @ p["cos"] + (k**2 * jnp.sin(k * x)) @ p["sin"] - jnp.sin(x)}

    block = PointwiseBlock(residual, FixedSamples(points), (Term("a"),))
    params = {"cos": jnp.ones(largest), "sin": jnp.ones(largest)}
    return linearise(Objective((block,)), params), params


def descend(transformation, model, params, steps):
    """Gradient descent on the linear model; the loss at the end."""
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    rows, residual = model.rows[0], model.residuals[0]
    moved, state = flat * 0, transformation.init(params)
    for _ in range(steps):
        gradient = rows.T @ (residual + rows @ moved)
        update, state = transformation.update(unravel(gradient), state, params)
        moved = moved + jax.flatten_util.ravel_pytree(update)[0]
    return float(jnp.sum((residual + rows @ moved) ** 2))


@pytest.mark.parametrize("largest", [4, 16])
def test_one_step_where_the_square_is_diagonal(largest):
    """Whatever the frequencies; plain descent with the largest stable rate is nowhere near."""
    model, params = series(largest)
    k = np.arange(1, largest + 1)
    diagonal = hermitian_square(model, params)
    np.testing.assert_allclose(diagonal["sin"] / diagonal["sin"][0], k**4, rtol=1e-12)
    step = optax.chain(precondition_by_diagonal(diagonal, 0.0), optax.sgd(1.0))
    start = descend(optax.sgd(0.0), model, params, 1)
    assert descend(step, model, params, 1) < 1e-24 * start
    plain = optax.sgd(float(1 / jnp.max(diagonal["sin"])))
    assert descend(plain, model, params, 50) > 1e-12 * start


def test_blocks_are_those_of_the_square():
    """Of a network: each is the product of its own columns, and solves for them exactly."""
    ansatz = initial_ansatz(Poisson1D(), Poisson1D().recipe())
    params = eqx.filter(ansatz, eqx.is_inexact_array)
    model = linearise(build_objective(Poisson1D(), Poisson1D().recipe(), Poisson1D().domain()), ansatz)
    square = np.asarray(sum(rows.T @ rows for rows in model.rows))
    blocks = jax.tree.leaves(hermitian_square(model, params, blocks=True))
    diagonal = jax.flatten_util.ravel_pytree(hermitian_square(model, params))[0]
    np.testing.assert_allclose(diagonal, np.diagonal(square), rtol=1e-12)
    start = 0
    for block in blocks:
        end = start + len(block)
        np.testing.assert_allclose(block, square[start:end, start:end], rtol=1e-10, atol=1e-12 * square.max())
        start = end
    assert start == len(square)


def test_blocks_are_solved():
    """Against NumPy, with the damping that is asked for."""
    rng = np.random.default_rng(0)
    matrices = {"w": rng.standard_normal((6, 6)), "b": rng.standard_normal((2, 2))}
    blocks = {name: jnp.asarray(m @ m.T) for name, m in matrices.items()}
    gradient = {"w": jnp.asarray(rng.standard_normal((3, 2))), "b": jnp.asarray(rng.standard_normal(2))}
    step = precondition_by_blocks(blocks, 0.01)
    found, _ = jax.jit(step.update)(gradient, step.init(gradient))
    largest = max(float(jnp.max(jnp.diagonal(block))) for block in blocks.values())
    for name, block in blocks.items():
        damped = np.asarray(block) + 0.01 * largest * np.eye(len(block))
        expected = np.linalg.solve(damped, np.asarray(gradient[name]).ravel())
        np.testing.assert_allclose(np.ravel(found[name]), expected, rtol=1e-10)


def test_errors():
    """What cannot be inverted is refused."""
    model, params = series(2)
    with pytest.raises(PdesolveError, match="4 parameters, and 2"):
        hermitian_square(model, params["cos"])
    with pytest.raises(PdesolveError, match="negative"):
        precondition_by_diagonal(params, -1.0)
    with pytest.raises(PdesolveError, match="not finite"):
        precondition_by_diagonal({"a": jnp.array([1.0, jnp.nan])})
    with pytest.raises(PdesolveError, match="positive definite"):
        precondition_by_blocks({"a": jnp.array([[1.0, 2.0], [2.0, 1.0]])}, 0.0)
