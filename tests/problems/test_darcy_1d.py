"""Darcy flow along a line: its data against its equation, an independent solver, and its law."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from pdesolve.errors import PdesolveError
from problems import Darcy1D


@pytest.fixture(scope="module")
def data():
    return Darcy1D().generate(400, 32, seed=3)


def test_data_satisfy_the_equation(data):
    """Residual and constraint of data are zero to round-off: h^-2 eps |K p| for the residual; of noise they are not."""
    family = Darcy1D()
    fields = jnp.asarray(data.outputs)
    assert jnp.max(jnp.abs(jax.vmap(family.residual)(fields))) < 1e-10
    assert jnp.max(jnp.abs(jax.vmap(family.constraint)(fields))) < 1e-12
    assert jnp.mean(jnp.abs(family.residual(fields[0] + 1e-3 * jnp.sin(9.0 * fields[0])))) > 1e-2


def test_against_a_dense_solver(data):
    """The pressure is the least-squares solution of the tridiagonal system with a row for the mean."""
    n = 32
    p, permeability = data.outputs[0]
    face = 0.5 * (permeability[1:] + permeability[:-1])
    gradient = n * (np.eye(n, k=1) - np.eye(n))[:-1]
    matrix = gradient.T @ np.diag(face) @ gradient
    x = (np.arange(n) + 0.5) / n
    source = 10.0 * ((x < 0.125) * 1.0 - (x > 0.875))
    expected = scipy.linalg.lstsq(np.vstack([matrix, np.ones(n)]), np.append(source, 0.0))[0]
    np.testing.assert_allclose(p, expected, atol=1e-10)


def test_residual_is_linear_in_the_pressure(data):
    """R(p, K) + f is linear in p, does not see a constant, and is odd under reflection with p's sign turned."""
    family = Darcy1D()
    p, k = jnp.asarray(data.outputs[1])
    q = jnp.cos(7.0 * jnp.arange(32.0))

    def operator(p, k):
        return family.residual(jnp.stack([p, k])) - family.residual(jnp.stack([0.0 * p, k]))

    np.testing.assert_allclose(operator(2.0 * p + q, k), 2.0 * operator(p, k) + operator(q, k), atol=1e-8)
    np.testing.assert_allclose(operator(q + 5.0, k), operator(q, k), atol=1e-8)
    turned = family.residual(jnp.stack([-q[::-1], k[::-1]]))
    np.testing.assert_allclose(turned, -family.residual(jnp.stack([q, k]))[:, ::-1], atol=1e-8)


def test_constraint_has_independent_gradients(data):
    """n numbers whose Jacobian has rank n; the sum of the residual does not depend on the field, so its has less."""
    family, field = Darcy1D(), jnp.asarray(data.outputs[2])
    rows = jax.jacobian(family.constraint)(field).reshape(32, -1)
    assert np.linalg.matrix_rank(rows) == 32
    assert np.linalg.matrix_rank(jax.jacobian(family.residual)(field).reshape(32, -1)) == 31


def test_law_of_the_permeability():
    """log K is Gaussian with the stated covariance: within five standard errors of 20000 samples."""
    n, samples = 8, 20_000
    logarithm = np.log(Darcy1D(length=0.3, deviation=0.4).generate(samples, n, 0).outputs[:, 1])
    x = (np.arange(n) + 0.5) / n
    expected = 0.16 * np.exp(-((x[:, None] - x) ** 2) / (2 * 0.09))
    assert np.abs(np.cov(logarithm, rowvar=False) - expected).max() < 5 * 0.16 * np.sqrt(2 / samples)
    assert np.abs(logarithm.mean(0)).max() < 5 * 0.4 / np.sqrt(samples)


def test_samples_by_seed(data):
    """Sample k does not depend on how many are drawn; other seeds give other samples."""
    np.testing.assert_allclose(Darcy1D().generate(3, 32, 3).outputs, data.outputs[:3], rtol=1e-12)
    assert not np.any(Darcy1D().generate(3, 32, 4).outputs[:, 1] == data.outputs[:3, 1])


def test_resolved_and_corrected(data):
    """Solving data anew changes nothing, and repairs a spoilt pressure; K that is negative has no solution."""
    family = Darcy1D()
    spoilt = data.outputs[:4].copy()
    spoilt[:, 0] += 1.0
    spoilt[3, 1, 5:7] = -2.0
    solved = family.resolved(spoilt)
    np.testing.assert_allclose(solved[:3], data.outputs[:3], atol=1e-13)
    assert np.isnan(solved[3, 0]).any()
    corrected = family.corrected(jnp.asarray(spoilt[0]))
    np.testing.assert_allclose(corrected, data.outputs[0], atol=1e-13)


def test_grid_is_fine_enough():
    with pytest.raises(PdesolveError, match="`resolution` must be at least 8 for source and sink to be seen, got 7"):
        Darcy1D().generate(1, 7, 0)
