"""EquiNO: what holds whatever the weights, special cases that are exact, its loss, its optimum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from operators import EquiNO, Modes, draw_strains, equino_solve, magic_points
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.multiscale import MicroModel

from .cells import STRAIN, solved


@pytest.fixture(scope="module")
def modes():
    return solved().modes(4)


@pytest.fixture(scope="module")
def model(modes):
    """Random weights, far from any training."""
    return EquiNO(modes, width=8, depth=2, key=jax.random.key(0))


def test_equilibrium(model):
    """Any prediction is in weak equilibrium: forces on periodic displacements vanish against those of the elements."""
    for strain in solved().strains[:3]:
        forces, scale = solved().rve.unbalance(np.asarray(model.micro_fields(strain)["equilibrium"]))
        assert np.linalg.norm(forces) < 1e-10 * scale
    # The stress that the materials give to the strains is not, before training.
    forces, scale = solved().rve.unbalance(np.asarray(model.micro_fields(STRAIN)["stress"]))
    assert np.linalg.norm(forces) > 1e-3 * scale


def test_kinematics(model):
    """Fluctuations are equal on opposite sides and zero in the corner, strains are theirs, with the mean given."""
    rve, fields = solved().rve, model.micro_fields(STRAIN)
    fluctuation = np.asarray(fields["fluctuation"])
    assert np.abs(fluctuation).max() > 1e-4
    first = np.unique(rve.images, return_index=True)[1]
    np.testing.assert_allclose(fluctuation, fluctuation[first][rve.images], atol=1e-16)
    corner = np.argmin(rve.nodes.sum(axis=1))
    np.testing.assert_allclose(fluctuation[corner], 0.0, atol=1e-16)
    np.testing.assert_allclose(fields["strain"], STRAIN[None] + rve.strain_of(fluctuation), atol=1e-15)
    np.testing.assert_allclose(rve.mean(np.asarray(fields["strain"])), STRAIN, atol=1e-15)


def test_work(model):
    """Hill and Mandel: the mean of stress times strain is the product of their means, for any coefficients."""
    fields = model.micro_fields(STRAIN)
    work = solved().rve.mean(np.sum(np.asarray(fields["equilibrium"] * fields["strain"]), axis=1))
    assert work == pytest.approx(float(model(STRAIN) @ STRAIN), rel=1e-9)


def test_mean_stress_and_tangent(model):
    """The short way to the mean stress is the mean of the field; its Jacobian is that of central differences."""
    field = np.asarray(model.micro_fields(STRAIN)["equilibrium"])
    np.testing.assert_allclose(model(STRAIN), solved().rve.mean(field), rtol=1e-12)
    assert isinstance(model, MicroModel)
    step = 1e-6 * np.eye(3)
    strains = np.concatenate([STRAIN[None], STRAIN + step, STRAIN - step])
    stresses, tangents = model.respond(strains)
    numbers = (stresses[1:4] - stresses[4:]).T / 2e-6
    np.testing.assert_allclose(tangents[0], numbers, atol=1e-8 * np.abs(numbers).max())
    np.testing.assert_allclose(stresses, [model(strain) for strain in strains], rtol=1e-12)
    np.testing.assert_array_equal(model.box, 0.04 * np.array([[-1, 1]] * 3))


@pytest.mark.parametrize("kind", ["released", "corrected", "linear"])
def test_law(kind):
    """The materials of the cell, in stresses and derivatives; also at zero strain, where the norm has none."""
    rve, modes = solved(kind, 3).rve, solved(kind, 3).modes(3)
    strains = np.random.default_rng(0).uniform(-0.05, 0.05, (len(rve.weights), 3))
    strains[:50] = 0.0
    stresses, tangents = rve.law(strains)
    np.testing.assert_allclose(modes.law(jnp.asarray(strains)), stresses, rtol=1e-12, atol=1e-10)
    columns = [
        jax.jvp(modes.law, (jnp.asarray(strains),), (jnp.ones_like(strains) * unit[None],))[1] for unit in np.eye(3)
    ]
    np.testing.assert_allclose(np.stack(columns, axis=-1), tangents, rtol=1e-10, atol=1e-8)
    slope = jax.grad(lambda e: jnp.sum(modes.law(e)))(jnp.zeros_like(strains))
    assert bool(jnp.isfinite(slope).all())


def test_loss(model):
    """The mean over strains, points and components of the squared gap, in NumPy."""
    rve, strains = solved().rve, solved().strains[:3]
    squares = []
    for strain in strains:
        b, c = (np.asarray(part) for part in model.coefficients(strain))
        u = np.asarray(model.modes.displacement.value) @ b
        stress = rve.law(strain[None] + rve.strain_of(u))[0]
        squares.append((stress - np.asarray(model.modes.stress.value) @ c) ** 2)
    assert float(model.loss(jnp.asarray(strains))) == pytest.approx(np.mean(squares), rel=1e-12)


def test_all_snapshots_as_modes():
    """As many modes as snapshots: each one is reproduced, in displacement and in stress."""
    data = solved()
    modes = data.modes(4, count=4)
    for snapshots, basis in ((data.fluctuations[:4], modes.displacement), (data.stresses[:4], modes.stress)):
        flat = snapshots.reshape(len(snapshots), -1)
        phi = np.asarray(basis.value).reshape(flat.shape[1], -1)
        np.testing.assert_allclose(phi.T @ phi, np.eye(len(snapshots)), atol=1e-12)
        np.testing.assert_allclose(flat @ phi @ phi.T, flat, atol=1e-10 * np.abs(flat).max())
    optimum = equino_solve(modes, jnp.asarray(data.strains[:3]))
    np.testing.assert_allclose(optimum.mean_stress(modes), data.mean[:3], rtol=1e-6)
    assert float(optimum.loss.max()) < 1e-10


def test_linear_materials():
    """Three snapshots are enough for all strains."""
    data = solved("linear")
    modes = data.modes(3, count=3)
    optimum = equino_solve(modes, jnp.asarray(data.strains[3:6]))
    np.testing.assert_allclose(optimum.mean_stress(modes), data.mean[3:6], rtol=1e-9)
    assert float(optimum.loss.max()) < 1e-15
    b = np.asarray(optimum.coefficients(modes)[0, 0])
    np.testing.assert_allclose(modes.displacement.value @ b, data.fluctuations[3], atol=1e-12)


def test_one_material():
    """Nothing fluctuates, and the stress is the material's."""
    data = solved("one_material", 6)
    modes = data.modes(3, count=3)
    optimum = equino_solve(modes, jnp.asarray(data.strains[3:]))
    b = np.asarray(optimum.coefficients(modes)[:, 0])
    assert np.abs(np.einsum("pik,nk->npi", modes.displacement.value, b)).max() < 1e-12
    np.testing.assert_allclose(optimum.mean_stress(modes), data.mean[3:], rtol=1e-9)


def test_modes_of_infinitesimal_strains():
    """With them the tangent at zero strain is the cell's; with leading singular vectors alone it is not."""
    data, small = solved(), 1e-6 * np.eye(3)
    expected = np.array([data.rve.solve(strain).stress for strain in small])
    errors = []
    for linear in (True, False):
        modes = data.modes(8, linear=linear)
        assert modes.rank == (11 if linear else 8)
        for basis in (modes.displacement, modes.stress):
            flat = np.asarray(basis.value).reshape(-1, modes.rank)
            np.testing.assert_allclose(flat.T @ flat, np.eye(modes.rank), atol=1e-10)
        found = np.asarray(equino_solve(modes, jnp.asarray(small)).mean_stress(modes))
        errors.append(np.abs(found - expected).max(axis=1) / np.abs(expected).max(axis=1))
    assert errors[0].max() < 1e-5 < 1e-4 < errors[1].max()
    model = EquiNO(data.modes(8, linear=True), width=8, depth=2, key=jax.random.key(0))
    forces, scale = data.rve.unbalance(np.asarray(model.micro_fields(STRAIN)["equilibrium"]))
    assert np.linalg.norm(forces) < 1e-9 * scale
    # Where the answers are in the span already, nothing is added: a mode of rounding errors would be in no equilibrium.
    modes = solved("linear").modes(3, count=3, linear=True)
    assert modes.rank == 6 and np.abs(modes.stress.value[..., 3:]).max() == 0.0


@pytest.mark.parametrize("scaling", ["per_mode", "scalar"])
def test_optimum(scaling):
    """No other coefficients have a smaller loss: SciPy's least squares finds none, and the model of the loss holds."""
    modes = solved().modes(4, scaling=scaling)
    model = EquiNO(modes, width=4, depth=1, key=jax.random.key(1))
    strains = jnp.asarray(solved().strains[:3])
    optimum = equino_solve(modes, strains)
    assert int(optimum.iterations.max()) < 10

    def gap(outputs, strain):
        b, c = modes.scales.value * outputs.reshape(2, -1) + modes.shifts.value
        return modes.gap(strain, b, c).reshape(-1)

    gap, slope = jax.jit(gap), jax.jit(jax.jacfwd(gap))
    for k in range(2):
        found = scipy.optimize.least_squares(gap, np.zeros(8), slope, args=(strains[k],), xtol=1e-12, x_scale="jac")
        assert float(optimum.loss[k]) == pytest.approx(2 * found.cost / len(found.fun), rel=1e-8)
        assert np.mean(gap(model.outputs(strains[k]), strains[k]) ** 2) >= float(optimum.loss[k])
        change = 1e-4 * np.random.default_rng(k).standard_normal(8)
        there = np.mean(gap(optimum.outputs[k].reshape(-1) + change, strains[k]) ** 2)
        expected = optimum.loss[k] + np.sum((np.asarray(optimum.roots[k]) @ change) ** 2)
        assert there - float(optimum.loss[k]) == pytest.approx(float(expected - optimum.loss[k]), rel=0.05)


def test_scalings(modes):
    """`scalar` has one mean and one deviation of all coefficients of a kind, as published; `per_mode` one of each."""
    scalar, data = solved().modes(4, scaling="scalar"), solved()
    coefficients = np.einsum("npi,pik->nk", data.stresses, np.asarray(scalar.stress.value))
    np.testing.assert_allclose(scalar.scales.value[1], np.full(4, coefficients.std()), rtol=1e-10)
    np.testing.assert_allclose(scalar.shifts.value[1], np.full(4, coefficients.mean()), rtol=1e-7)
    coefficients = np.einsum("npi,pik->nk", data.stresses, np.asarray(modes.stress.value))
    np.testing.assert_allclose(modes.scales.value[1], np.sqrt(np.mean(coefficients**2, axis=0)), rtol=1e-10)


def test_magic_points(modes):
    """Few points determine a stress field in the span of the modes; they come whole, and no point twice."""
    chosen = magic_points(modes)
    assert len(set(chosen.tolist())) == 4 == len(chosen)
    few = modes.at(chosen)
    assert isinstance(few, Modes) and few.stress.value.shape == (4, 3, 4)
    c = np.random.default_rng(0).standard_normal(4)
    found = np.linalg.lstsq(np.asarray(few.stress.value).reshape(12, 4), np.asarray(few.stresses(c)).ravel())[0]
    np.testing.assert_allclose(found, c, rtol=1e-8)
    random = modes.at(np.arange(4))
    assert np.linalg.cond(few.stress.value.reshape(12, 4)) < np.linalg.cond(random.stress.value.reshape(12, 4))
    # Where the law can be met everywhere, meeting it at these points is enough.
    data = solved("linear")
    modes = data.modes(3, count=3)
    few = modes.at(magic_points(modes))
    optimum = equino_solve(few, jnp.asarray(data.strains[3:6]))
    np.testing.assert_allclose(optimum.mean_stress(few), data.mean[3:6], rtol=1e-8)


def test_refusals(modes, tmp_path):
    data = solved()
    with pytest.raises(UnknownNameError, match="'per_node'"):
        data.modes(4, scaling="per_node")
    with pytest.raises(PdesolveError, match="from 1 to the number of snapshots, 16; got 17"):
        data.modes(17)
    with pytest.raises(PdesolveError, match=r"expected snapshots of shapes \(16,"):
        data._replace(stresses=data.stresses[:, 1:]).modes(4)
    with pytest.raises(PdesolveError, match="`count` must be from 3 to"):
        magic_points(modes, 2)
    with pytest.raises(PdesolveError, match="at least 1, got 0"):
        draw_strains(0)
    with pytest.raises(PdesolveError, match=r"nothing\.h5"):
        EquiNO.load(tmp_path / "nothing.h5")
