"""NNCG: preconditioner and conjugate gradients against dense algebra, and what it does to a network."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve import solve
from pdesolve.config import NetworkConfig, PointsConfig, StageConfig
from pdesolve.errors import PdesolveError
from pdesolve.fit import Stage, fit
from pdesolve.objective import Objective, PointwiseBlock, Term
from pdesolve.optim import NNCG
from pdesolve.optim.nncg import Nystrom, nystrom, preconditioned_cg
from pdesolve.samplers import FixedSamples, FreshSamples
from problems import Poisson1D

KEY = jax.random.key(0)
EIGENVECTORS = np.linalg.qr(np.random.default_rng(0).standard_normal((12, 12)))[0]


def symmetric(values):
    return jnp.asarray(EIGENVECTORS[:, : len(values)] * np.asarray(values)[None] @ EIGENVECTORS[:, : len(values)].T)


def test_exact_when_the_rank_suffices():
    """A matrix of rank 4 from 5 vectors; a larger one approximately, and better with more vectors."""
    low = symmetric([9.0, 4.0, 1.0, 0.5])
    found = nystrom(KEY, lambda v: low @ v, 12, 5, jnp.float64)
    np.testing.assert_allclose(found.vectors * found.values[None] @ found.vectors.T, low, atol=1e-10)
    full = symmetric(10.0 ** -np.arange(12.0))
    errors = []
    for rank in (2, 4, 8):
        found = nystrom(KEY, lambda v: full @ v, 12, rank, jnp.float64)
        errors.append(float(jnp.linalg.norm(found.vectors * found.values[None] @ found.vectors.T - full, 2)))
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


def test_the_preconditioner_is_the_inverse_it_is_said_to_be():
    """Of U (Lambda + mu) U^T / (lambda_r + mu) + (I - U U^T)."""
    vectors, values, mu = jnp.asarray(EIGENVECTORS[:, :3]), jnp.array([5.0, 2.0, 1.0]), jnp.asarray(0.1)
    dense = vectors * ((values + mu) / (values[-1] + mu))[None] @ vectors.T + jnp.eye(12) - vectors @ vectors.T
    x = jnp.arange(12.0)
    np.testing.assert_allclose(Nystrom(vectors, values).precondition(mu, x), jnp.linalg.solve(dense, x), rtol=1e-12)


def test_one_iteration_with_the_right_preconditioner():
    """For a matrix of low rank plus damping; without it it takes as many as there are eigenvalues."""
    matrix, mu, right = symmetric([9.0, 4.0, 1.0]), jnp.asarray(0.01), jnp.asarray(EIGENVECTORS[:, :3].sum(1))
    sketch = nystrom(KEY, lambda v: matrix @ v, 12, 3, jnp.float64)

    def solved(precondition):
        return preconditioned_cg(
            lambda v: matrix @ v + mu * v, right, jnp.zeros(12), precondition, tolerance=1e-10, iterations=50
        )

    x, count = solved(lambda v: sketch.precondition(mu, v))
    np.testing.assert_allclose(matrix @ x + mu * x, right, atol=1e-9)
    plain, many = solved(lambda v: v)
    np.testing.assert_allclose(plain, x, rtol=1e-8, atol=1e-10)
    assert int(count) <= 3 <= int(many) - 1


def test_negative_curvature_stops_it():
    """What was found before is returned, finite."""
    matrix = symmetric([3.0, -1.0])
    x, count = preconditioned_cg(
        lambda v: matrix @ v, jnp.ones(12), jnp.zeros(12), lambda v: v, tolerance=1e-10, iterations=50
    )
    assert np.isfinite(x).all() and int(count) < 20


def test_a_quadratic_takes_one_step():
    """Little damping: the Newton step; then nothing helps any more."""
    matrix = jnp.asarray(np.random.default_rng(1).standard_normal((9, 4)))
    block = PointwiseBlock(lambda x, row, k, c: {"r": row @ x - 1.0}, FixedSamples(matrix), (Term("r"),))
    stage = Stage(Objective((block,)), NNCG(damping=1e-12, rank=4, tolerance=1e-14), steps=1, chunk=1)
    expected = np.linalg.lstsq(matrix, np.ones(9))[0]
    np.testing.assert_allclose(fit([stage], jnp.zeros(4)).trainables, expected, rtol=1e-8)


@pytest.mark.slow
def test_it_polishes_a_network():
    """After L-BFGS it goes on lowering the error, on the same points."""
    base = dataclasses.replace(
        Poisson1D().recipe(),
        network=NetworkConfig(width=10, depth=2),
        points=PointsConfig(interior=128, adaptive="none", refresh=20),
    )
    before = (StageConfig("lbfgs", steps=100),)
    problem = Poisson1D(half_waves=2.0)
    alone = solve(problem, dataclasses.replace(base, stages=before)).summary
    after = solve(problem, dataclasses.replace(base, stages=(*before, StageConfig("nncg", steps=60)))).summary
    assert after["relative_l2"] < 0.5 * alone["relative_l2"]


def test_what_is_refused():
    """Samples that change every step, and numbers that make no sense."""
    block = PointwiseBlock(
        lambda x, s, k, c: {"r": x - s}, FreshSamples(lambda key: jax.random.uniform(key, (3,)), 3), (Term("r"),)
    )
    with pytest.raises(PdesolveError, match="change every"):
        NNCG().check(Objective((block,)))
    with pytest.raises(PdesolveError, match="rank"):
        NNCG(rank=0)
    with pytest.raises(PdesolveError, match="damping"):
        NNCG(damping=0.0)
