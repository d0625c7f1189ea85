"""Training of EquiNO: its losses against formulas, steps that make them small, no labels beyond the modes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from operators import EquiNO, draw_strains, equino_solve, magic_points, train_equino
from operators.equino_training import LOSSES, equino_objective, equino_stages, fitted_stress_objective, with_modes
from pdesolve.errors import PdesolveError, UnknownNameError

from .cells import losses_of, solved


@pytest.fixture(scope="module")
def model():
    return EquiNO(solved().modes(4), width=6, depth=2, key=jax.random.key(0))


def loss_of(objective, model):
    return losses_of(objective, model)["gap"]


def test_losses(model):
    """Each loss is its formula."""
    modes, strains = model.modes, draw_strains(3, seed=2)
    assert loss_of(equino_objective(model, strains, loss="published"), model) == pytest.approx(
        float(model.loss(strains)), rel=1e-12
    )
    points = magic_points(modes)
    squares, left, distance = [], [], []
    psi = np.asarray(modes.stress.value).reshape(-1, 4)
    for strain in np.asarray(strains):
        b, c = model.coefficients(strain)
        stress = solved().rve.law(np.asarray(modes.strains(strain, b)))[0]
        squares.append((stress - np.asarray(modes.stresses(c)))[points] ** 2)
        left.append((stress.ravel() - psi @ (psi.T @ stress.ravel())) ** 2)
        distance.append(np.sum((np.asarray(c) - psi.T @ stress.ravel()) ** 2) / stress.size)
    reduced = with_modes(model, modes.at(points))
    found = loss_of(equino_objective(reduced, strains, loss="magic"), reduced)
    assert found == pytest.approx(np.mean(squares), rel=1e-10)
    found = loss_of(equino_objective(model, strains, loss="variable_projection"), model)
    assert found == pytest.approx(np.mean(left), rel=1e-10)
    fitted = loss_of(fitted_stress_objective(strains), model)
    assert fitted == pytest.approx(np.mean(distance), rel=1e-10)
    # Stress modes are orthonormal: what a network of stresses adds to the least loss is its distance from the best.
    assert found + fitted == pytest.approx(float(model.loss(strains)), rel=1e-10)


def test_projected_loss(model):
    """Near the optimum the projected loss is the published one less its least value."""
    strains = draw_strains(3, seed=3)
    optimum = equino_solve(model.modes, strains)
    objective = equino_objective(model, strains)
    _, target, root = objective.blocks[0].sampler.samples
    change = 1e-3 * jax.random.normal(jax.random.key(1), target.shape)
    coefficients = model.modes.scales.value[None] * (target + change) + model.modes.shifts.value[None]
    losses = [
        float(jnp.mean(jnp.square(model.modes.gap(strain, b, c))))
        for strain, (b, c) in zip(strains, coefficients, strict=True)
    ]
    predicted = jnp.sum(jnp.square(jnp.einsum("nij,nj->ni", root, change.reshape(3, -1))), axis=1)
    np.testing.assert_allclose(np.array(losses) - optimum.loss, predicted, rtol=0.05)
    outputs = jax.vmap(model.outputs)(strains)
    expected = jnp.sum(jnp.square(jnp.einsum("nij,nj->ni", root, (outputs - target).reshape(3, -1))), axis=1)
    assert loss_of(objective, model) == pytest.approx(float(jnp.mean(expected)), rel=1e-12)


@pytest.mark.slow
def test_training(model):
    """Gauss-Newton steps on the projected gap bring the published loss near its optimum; modes stay as they are."""
    strains = draw_strains(8, seed=1)
    trained, result = train_equino(model, strains, steps=(40,))
    assert result.status in ("completed", "stalled")
    optimum = equino_solve(model.modes, strains).loss
    before, after = float(model.loss(strains)), float(trained.loss(strains))
    assert float(jnp.mean(optimum)) <= after < 2 * float(jnp.mean(optimum)) < before / 100
    np.testing.assert_array_equal(trained.modes.strain.value, model.modes.strain.value)
    # By sample, no network is below the optimum.
    for k in range(8):
        assert float(trained.loss(strains[k : k + 1])) >= float(optimum[k]) * (1 - 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["published", "magic", "variable_projection"])
def test_first_order_trainings(model, loss):
    """Adam, then L-BFGS: the published loss falls by every way of training; where it is imposed, if at few points."""
    steps = (300, 100, 100) if loss == "variable_projection" else (300, 100)
    trained, result = train_equino(model, draw_strains(30), loss=loss, steps=steps)
    assert len(result.steps) == len(steps)
    test = draw_strains(20, seed=9)
    points = magic_points(model.modes) if loss == "magic" else np.arange(len(solved().rve.weights))
    before, after = (float(with_modes(m, m.modes.at(points)).loss(test)) for m in (model, trained))
    assert after < 0.01 * before
    assert trained.modes.strain.value.shape == model.modes.strain.value.shape


def test_stages(model):
    """As published: Adam, then L-BFGS. With variable projection a network at a time, the stresses last."""
    strains = draw_strains(12)
    names = {loss: [type(s.optimiser).__name__ for s in equino_stages(model, strains, loss=loss)] for loss in LOSSES}
    assert names["projected"] == ["LevenbergMarquardt"] and names["published"] == ["FirstOrder", "LBFGS"]
    stages = equino_stages(model, strains, loss="variable_projection", steps=(3, 2, 1))
    assert [stage.steps for stage in stages] == [3, 2, 1]
    first, last = stages[0].partition(model)[0], stages[-1].partition(model)[0]
    assert jax.tree.leaves(first.displacement) and not jax.tree.leaves((first.stress, first.modes))
    assert jax.tree.leaves(last.stress) and not jax.tree.leaves((last.displacement, last.modes))
    with pytest.raises(PdesolveError, match="has 3 stages"):
        equino_stages(model, strains, loss="variable_projection", steps=(3, 2))
    with pytest.raises(UnknownNameError, match="'projekted'"):
        equino_objective(model, strains, loss="projekted")
