"""The trend under EquiNO's networks: odd, exact where it can be, the best of its kind, and where training begins."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from operators import EquiNO, OddTrend, draw_strains, equino_solve, fit_trend
from operators.equino_training import equino_objective, equino_stages
from operators.equino_trend import POWERS, blank_trend, features, num_features, toward_zero
from pdesolve.errors import PdesolveError

from .cells import losses_of, solved

METRIC = np.array([[0.4, -0.2, 0.01], [-0.2, 0.35, 0.0], [0.01, 0.0, 0.25]])
RANK = 4


@pytest.fixture(scope="module")
def known():
    """Modes, strains and their optima."""
    modes, strains = solved().modes(RANK), draw_strains(60, seed=4)
    return modes, strains, equino_solve(modes, strains)


@pytest.mark.parametrize("degree", [1, 3, 5])
def test_functions(degree):
    """They are their formula, odd, and at zero have the derivative of their linear part alone."""
    x = np.array([0.7, -0.4, 0.9])
    length = np.sqrt(x @ METRIC @ x)
    directions = [
        np.prod((x / length) ** np.array(powers))
        for powers in itertools.product(range(degree + 1), repeat=3)
        if sum(powers) == degree
    ]
    higher = (
        [length * (length / (1 + length)) ** d * p for d in range(1, POWERS + 1) for p in directions]
        if degree > 1
        else []
    )
    found = features(jnp.asarray(x), jnp.asarray(METRIC), degree)
    assert len(found) == num_features(degree)
    np.testing.assert_allclose(found, [*x, *higher], rtol=1e-13)
    np.testing.assert_allclose(features(-jnp.asarray(x), jnp.asarray(METRIC), degree), -found, rtol=1e-13)
    at_zero = jax.jacfwd(features)(jnp.zeros(3), jnp.asarray(METRIC), degree)
    np.testing.assert_array_equal(at_zero, np.eye(num_features(degree), 3))


def test_derivative():
    """The derivative is that of central differences."""
    x, metric = jnp.array([0.3, 0.5, -0.2]), jnp.asarray(METRIC)
    found, step = jax.jacfwd(features)(x, metric, 5), 1e-6
    for k, move in enumerate(step * jnp.eye(3)):
        difference = (features(x + move, metric, 5) - features(x - move, metric, 5)) / (2 * step)
        np.testing.assert_allclose(found[:, k], difference, atol=1e-8)


@pytest.mark.parametrize("degree", [1, 3])
def test_linear_optima_are_exact(known, degree):
    """Optima that are linear in the strain are met, whatever the curvature, and by what is odd."""
    modes, strains, optimum = known
    slopes = jax.random.normal(jax.random.key(0), (2, RANK, 3))
    given = optimum._replace(outputs=jnp.einsum("ijk,nk->nij", slopes, strains / modes.bound.value))
    trend, new = fit_trend(modes, strains, given, degree=degree), jnp.array([0.3, -0.9, 0.6])
    np.testing.assert_allclose(trend(new), slopes @ new, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(trend(-new), -trend(new), rtol=1e-12)


def test_least_squares(known):
    """No weights have a smaller loss than those of the fit: SciPy's least squares over all rows finds the same."""
    modes, strains, optimum = known
    trend = fit_trend(modes, strains, optimum, degree=3)
    x = strains / modes.bound.value
    table = np.asarray(jax.vmap(lambda x: features(x, trend.metric.value, 3))(x))
    sizes = np.sqrt(np.einsum("ni,ij,nj->n", x, trend.metric.value, x))
    roots, target = np.asarray(optimum.roots) / sizes[:, None, None], np.asarray(optimum.outputs).reshape(len(x), -1)
    rows = np.einsum("nij,nk->nijk", roots, table).reshape(len(x) * 2 * RANK, -1)
    right = np.einsum("nij,nj->ni", roots, target).ravel()
    lengths = np.linalg.norm(rows, axis=0)
    best = np.linalg.lstsq(rows / lengths[None], right)[0]
    least = np.sum((rows / lengths[None] @ best - right) ** 2) / len(x)
    model = EquiNO(modes, width=3, depth=1, trend=trend, key=jax.random.key(0))
    relative = optimum._replace(roots=jnp.asarray(roots))
    loss = losses_of(equino_objective(model, strains, optimum=relative), model)["gap"]
    assert least * (1 - 1e-9) <= loss < 1.001 * least


def test_linear_materials():
    """Where all materials are linear a linear trend is the optimum."""
    modes, strains = solved("linear").modes(3, 3), draw_strains(6, seed=1)
    trend = fit_trend(modes, strains, equino_solve(modes, strains), degree=1)
    model = EquiNO(modes, width=3, depth=1, trend=trend, key=jax.random.key(0))
    strain = np.array([0.03, 0.01, -0.02])
    expected = solved("linear").rve.solve(strain)
    np.testing.assert_allclose(model.micro_fields(jnp.asarray(strain))["stress"], expected.stresses, atol=1e-5)
    np.testing.assert_allclose(model.respond(strain[None])[1][0], expected.tangent, rtol=1e-6, atol=1e-4)


def test_start_of_training(known):
    """Networks begin at zero: the model is the trend, near the optimum already, at strains that it has not seen too."""
    modes, strains, optimum = known
    trend = fit_trend(modes, strains, optimum, degree=3)
    model = EquiNO(modes, width=6, depth=2, trend=trend, key=jax.random.key(0))
    x = jnp.array([0.01, -0.02, 0.03])
    np.testing.assert_array_equal(model.outputs(x), trend(x / modes.bound.value))
    np.testing.assert_array_equal(model(jnp.zeros(3)), np.zeros(3))
    new = draw_strains(10, seed=5)
    least = float(jnp.mean(equino_solve(modes, new).loss))
    linear = EquiNO(modes, width=6, depth=2, trend=fit_trend(modes, strains, optimum, degree=1), key=jax.random.key(0))
    assert least <= float(model.loss(new)) < 1.2 * least
    assert float(model.loss(new)) - least < 0.2 * (float(linear.loss(new)) - least)


def test_trend_is_not_trained(known):
    """Stages change the networks alone, also where they train one of them."""
    modes, strains, _ = known
    model = EquiNO(modes, width=3, depth=1, trend=blank_trend(RANK, 3), key=jax.random.key(0))
    for loss in ("published", "variable_projection"):
        for stage in equino_stages(model, strains, loss=loss):
            trained = stage.partition(model)[0]
            assert not jax.tree.leaves(trained.trend)
            assert jax.tree.leaves((trained.displacement, trained.stress))


def test_toward_zero():
    """Directions stay, lengths fall to shares between the two given."""
    strains = np.asarray(draw_strains(5))
    found = np.asarray(toward_zero(jnp.asarray(strains), least=0.1, most=0.5))
    np.testing.assert_allclose(found / strains, np.repeat(np.linspace(0.1, 0.5, 5)[:, None], 3, axis=1), rtol=1e-12)


def test_refusals(known):
    modes, strains, optimum = known
    with pytest.raises(PdesolveError, match=r"must be 1, 3, 5, \.\.\.; got 2"):
        fit_trend(modes, strains, optimum, degree=2)
    with pytest.raises(PdesolveError, match="has 66 functions and needs as many strains, got 60"):
        fit_trend(modes, strains, optimum, degree=5)
    assert isinstance(blank_trend(2, 1), OddTrend)
