"""Preconditioned descent: blocks of the Gauss-Newton matrix, exactness where they are all there is, and its worth."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve import solve
from pdesolve.config import NetworkConfig, PointsConfig, StageConfig
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.fit import Stage, fit
from pdesolve.objective import Context, Evaluation, Objective, PointwiseBlock, Term
from pdesolve.optim import Preconditioned
from pdesolve.optim.preconditioned import gram_blocks, precondition_by
from pdesolve.samplers import FixedSamples
from problems import Poisson1D

MATRIX = np.random.default_rng(0).standard_normal((20, 5)) * np.array([[1.0, 30.0, 0.1, 3.0, 1.0]])


def objective(matrix):
    """Linear least squares in two leaves of 2 and 3 parameters, with the solution all ones."""

    def residual(params, row, key, context):
        return {"fit": row[:2] @ params["a"] + row[2:] @ params["b"] - jnp.sum(row)}

    return Objective((PointwiseBlock(residual, FixedSamples(jnp.asarray(matrix)), (Term("fit"),)),))


START = {"a": jnp.zeros(2), "b": jnp.zeros(3)}


def evaluation(given):
    batches = tuple(block.sampler.draw((), jax.random.key(0), jnp.asarray(0)) for block in given.blocks)
    context = Context(jnp.asarray(0), jnp.asarray(0.0))
    return Evaluation(given, batches, {}, jax.random.key(0), context, jax.tree.map(lambda leaf: None, START))


def test_blocks_are_those_of_the_gauss_newton_matrix():
    """By leaf, and the diagonal; dividing by them is a dense solve."""
    gram = MATRIX.T @ MATRIX / 20
    blocks = gram_blocks(evaluation(objective(MATRIX)), START)
    np.testing.assert_allclose(blocks["a"], gram[:2, :2], rtol=1e-12)
    np.testing.assert_allclose(blocks["b"], gram[2:, 2:], rtol=1e-12)
    diagonal = gram_blocks(evaluation(objective(MATRIX)), START, "diagonal")
    np.testing.assert_allclose(np.concatenate([diagonal["a"], diagonal["b"]]), np.diag(gram), rtol=1e-12)
    gradient = {"a": jnp.array([1.0, 2.0]), "b": jnp.array([3.0, 4.0, 5.0])}
    divided = precondition_by(jax.tree.map(jnp.linalg.cholesky, blocks), gradient)
    np.testing.assert_allclose(divided["b"], np.linalg.solve(gram[2:, 2:], [3.0, 4.0, 5.0]), rtol=1e-10)
    divided = precondition_by(jax.tree.map(jnp.sqrt, diagonal), gradient)
    np.testing.assert_allclose(divided["a"], [1.0, 2.0] / np.diag(gram)[:2], rtol=1e-12)


@pytest.mark.parametrize("blocks", ["leaf", "diagonal"])
def test_one_step_where_the_matrix_has_no_other_blocks(blocks):
    """With orthogonal columns the first step of full length is the solution."""
    matrix = np.linalg.qr(MATRIX)[0] * np.array([[1.0, 30.0, 0.1, 3.0, 1.0]])
    method = Preconditioned(learning_rate=1.0, blocks=blocks, momentum=0.0, damping=1e-14)
    result = fit([Stage(objective(matrix), method, steps=1, chunk=1)], START)
    for leaf in jax.tree.leaves(result.trainables):
        np.testing.assert_allclose(leaf, 1.0, rtol=1e-8)


def test_scales_of_the_parameters_do_not_matter():
    """What descent cannot learn in a hundred steps, because columns differ 300 fold, the diagonal makes easy."""
    ends = [
        fit([Stage(objective(MATRIX), Preconditioned(learning_rate=0.3, damping=damping), steps=100, chunk=50)], START)
        for damping in (1e-8, 1e8)
    ]
    errors = [max(float(jnp.abs(leaf - 1.0).max()) for leaf in jax.tree.leaves(end.trainables)) for end in ends]
    assert errors[0] < 1e-3 < errors[1]


def test_a_network_learns_faster_than_by_adam():
    """Both at 300 steps on the same points: the error is at least three times smaller."""
    base = dataclasses.replace(
        Poisson1D().recipe(),
        network=NetworkConfig(width=12, depth=2),
        points=PointsConfig(interior=128, adaptive="none", refresh=50),
    )
    problem = Poisson1D(half_waves=2.0)
    errors = [
        solve(problem, dataclasses.replace(base, stages=(stage,))).summary["relative_l2"]
        for stage in (
            StageConfig("preconditioned", steps=300),
            StageConfig("adam", steps=300, options={"learning_rate": 1e-3}),
        )
    ]
    assert errors[0] < errors[1] / 3


def test_bad_options():
    """Refused by name."""
    with pytest.raises(UnknownNameError, match="leaf"):
        Preconditioned(blocks="leave")
    with pytest.raises(PdesolveError, match="damping"):
        Preconditioned(damping=0.0)
