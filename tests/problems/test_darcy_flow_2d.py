"""Darcy flow in a square: its stencils on quadratics, its data against dense least squares, and published numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError
from problems import DarcyFlow2D
from problems.darcy_flow_2d import covariance_modes

FAMILY = DarcyFlow2D()
RESIDUAL = jax.jit(FAMILY.residual)
N = 18


@pytest.fixture(scope="module")
def data():
    return DarcyFlow2D(length=0.5).generate(3, N, seed=3)


def operator(p, k):
    """The residual without its source: linear in p."""
    return RESIDUAL(jnp.stack([p, k])) - RESIDUAL(jnp.stack([0.0 * p, k]))


def test_stencils_are_exact_for_quadratics():
    """p = 2 x^2 - 3 y^2 + x y + x, K = 1 + 2 x + 3 y, one-sided ends included, to round-off of h^-2."""
    x, y = jnp.meshgrid(*[jnp.linspace(0.0, 1.0, N)] * 2, indexing="ij")
    p, k = 2 * x**2 - 3 * y**2 + x * y + x, 1 + 2 * x + 3 * y
    p_x, p_y = 4 * x + y + 1, -6 * y + x
    equation, normal_x, normal_y = operator(p, k)
    np.testing.assert_allclose(equation, -k * (4 - 6) - 2 * p_x - 3 * p_y, atol=1e-11)
    expected = np.zeros((2, N, N))
    expected[0, 0], expected[0, -1] = -p_x[0], p_x[-1]
    expected[1, :, 0], expected[1, :, -1] = -p_y[:, 0], p_y[:, -1]
    np.testing.assert_allclose(jnp.stack([normal_x, normal_y]), expected, atol=1e-12)


def test_source_and_sink():
    """Of a field without flow the residual is minus the source: blocks of 8 x 8 points of 64 x 64 in two corners."""
    equation, *rest = RESIDUAL(jnp.stack([jnp.zeros((64, 64)), jnp.ones((64, 64))]))
    expected = np.zeros((64, 64))
    expected[:8, :8], expected[-8:, -8:] = -10.0, 10.0
    np.testing.assert_array_equal(equation, expected)
    assert not np.any(rest)


def test_symmetries_of_the_residual(data):
    """It is linear in p, does not see a constant, and follows reflections along either axis."""
    p, k = jnp.asarray(data.outputs[0])
    q = jnp.cos(7.0 * jnp.linspace(0.0, 1.0, N))[:, None] * p
    np.testing.assert_allclose(operator(2.0 * p + q, k), 2.0 * operator(p, k) + operator(q, k), atol=1e-9)
    np.testing.assert_allclose(operator(p + 5.0, k), operator(p, k), atol=1e-9)
    for axis in (0, 1):
        turned = operator(jnp.flip(q, axis), jnp.flip(k, axis))
        np.testing.assert_allclose(turned, jnp.flip(operator(q, k), axis + 1), atol=1e-9)


def test_against_dense_least_squares(data):
    """The pressure minimises all rows, built by applying the residual to unit fields, with one for the mean."""
    p, k = data.outputs[1]
    units = jnp.eye(N * N).reshape(-1, N, N)
    rows = np.asarray(jax.vmap(lambda unit: operator(unit, jnp.asarray(k)))(units)).reshape(N * N, -1).T
    one = np.ones(N)
    one[[0, -1]] = 0.5
    rows = np.vstack([rows, np.outer(one, one).reshape(1, -1) / (N - 1) ** 2])
    wanted = -np.asarray(RESIDUAL(jnp.stack([jnp.zeros_like(k), jnp.asarray(k)]))).ravel()
    expected = np.linalg.lstsq(rows, np.append(wanted, 0.0))[0]
    np.testing.assert_allclose(p.ravel(), expected, atol=1e-9 * np.abs(p).max())
    assert abs(rows[-1] @ p.ravel()) < 1e-12


def test_constraint_tells_the_data_from_others(data):
    """It vanishes on data, and sees a spoilt or shifted pressure; its gradients by p, on 6 x 6 points, have rank 36."""
    fields = jnp.asarray(data.outputs)
    constraint = jax.jit(FAMILY.constraint)
    for field in fields:
        assert jnp.max(jnp.abs(constraint(field))) < 1e-9
    for spoilt in (fields[0].at[0].add(1e-3), fields[0].at[0, 4, 7].add(1e-3)):
        assert jnp.max(jnp.abs(constraint(spoilt))) > 1e-4
    p, k = fields[0, :, ::3, ::3]
    rows = jax.jit(jax.jacobian(lambda p: FAMILY.constraint(jnp.stack([p, k]))))(p).reshape(36, -1)
    assert np.linalg.matrix_rank(rows) == 36


def test_resolved_and_corrected(data):
    """Solving anew repairs a spoilt pressure; K that is not positive has no solution; the mean is shifted to zero."""
    spoilt = data.outputs.copy()
    spoilt[:, 0] += 1.0
    spoilt[2, 1, 3, 3] = 0.0
    solved = FAMILY.resolved(spoilt)
    np.testing.assert_allclose(solved[:2], data.outputs[:2], atol=1e-9)
    assert np.isnan(solved[2, 0]).all()
    np.testing.assert_allclose(FAMILY.corrected(jnp.asarray(spoilt[0])), data.outputs[0], atol=1e-12)


def test_modes_of_a_small_grid():
    """Those of the whole matrix, for an even and an odd number of points."""
    for n in (9, 10):
        x = np.linspace(0.0, 1.0, n)
        points = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1).reshape(-1, 2)
        matrix = np.exp(-np.linalg.norm(points[:, None] - points, axis=-1) / 0.3)
        values, modes = covariance_modes(n, 0.3)
        np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix)[::-1][:64], atol=1e-12)
        modes = modes.reshape(64, -1)
        np.testing.assert_allclose(modes @ modes.T, np.eye(64), atol=1e-12)
        np.testing.assert_allclose(matrix @ modes.T, values * modes.T, atol=1e-11)


@pytest.mark.slow
def test_published_numbers():
    """64 x 64: eigenvalues 207.907 and 10.820, 64.95 per cent of the variance, residual of data near 0.0012."""
    values, modes = covariance_modes(64, 0.1)
    np.testing.assert_allclose(values[[0, -1]], [207.907, 10.820], atol=6e-4)
    assert abs(values.sum() / 4096 - 0.6495) < 6e-5
    law = np.einsum("k,kij->ij", values, modes**2)  # variance of log K, point by point
    mean = np.exp(law / 2).mean()
    deviation = np.sqrt(np.exp(2 * law).mean() - mean**2)
    assert abs(mean - 1.386) < 0.01 and abs(deviation - 10.64 / 8) < 0.03
    fields = FAMILY.generate(20, 64, 0).outputs
    assert abs(float(jnp.mean(jnp.abs(jax.vmap(RESIDUAL)(jnp.asarray(fields))))) - 0.0012) < 0.0005
    assert abs(fields[:, 0].std() - 0.0714) < 0.015


def test_samples_by_seed(data):
    """Sample k does not depend on how many are drawn; other seeds give other samples."""
    family = DarcyFlow2D(length=0.5)
    np.testing.assert_allclose(family.generate(1, N, 3).outputs, data.outputs[:1], rtol=1e-9, atol=1e-12)
    assert not np.any(family.generate(1, N, 4).outputs[:, 1] == data.outputs[:1, 1])


def test_grid_is_fine_enough():
    with pytest.raises(PdesolveError, match="`resolution` must be at least 16 for source and sink to be seen, got 15"):
        FAMILY.generate(1, 15, 0)
