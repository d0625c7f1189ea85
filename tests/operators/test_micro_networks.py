"""VPIONet and DNN-FE2: periodicity, energies, equilibrium at the least energy, scaling, tangents."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from operators import StressNetwork, VPIONet, energy_objective, stress_objective
from operators.materials import energies, materials_of, stresses
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.multiscale import MicroModel

from .cells import STRAIN, losses_of, solved


@pytest.fixture(scope="module")
def model():
    return VPIONet(solved().rve, rank=3, width=6, depth=1, key=jax.random.key(0))


def test_energy_is_the_potential_of_the_stress():
    """The derivative of the energy by the strains is the stress; of a linear material it is half of their product."""
    for kind in ("corrected", "linear"):
        rve = solved(kind, 3).rve
        materials = materials_of(rve)
        strains = jnp.asarray(np.random.default_rng(0).uniform(-0.05, 0.05, (len(rve.weights), 3)))
        slope = jax.grad(lambda e, m=materials: jnp.sum(energies(m, e)))(strains)
        np.testing.assert_allclose(slope, stresses(materials, strains), rtol=1e-10, atol=1e-10)
    half = 0.5 * jnp.sum(strains * stresses(materials, strains), axis=1)
    np.testing.assert_allclose(energies(materials, strains), half, rtol=1e-12)
    assert bool(jnp.isfinite(jax.grad(lambda e: jnp.sum(energies(materials, e)))(jnp.zeros_like(strains))).all())


def test_kinematics(model):
    """Fluctuations are equal on opposite sides and zero in the corner; the mean strain is the one given."""
    rve, fields = solved().rve, model.micro_fields(jnp.asarray(STRAIN))
    fluctuation = np.asarray(fields["fluctuation"])
    assert np.abs(fluctuation).max() > 1e-5
    first = np.unique(rve.images, return_index=True)[1]
    np.testing.assert_allclose(fluctuation, fluctuation[first][rve.images], atol=1e-16)
    np.testing.assert_array_equal(fluctuation[np.argmin(rve.nodes.sum(axis=1))], 0.0)
    np.testing.assert_allclose(fields["strain"], STRAIN[None] + rve.strain_of(fluctuation), atol=1e-15)
    np.testing.assert_allclose(rve.mean(np.asarray(fields["strain"])), STRAIN, atol=1e-15)
    np.testing.assert_allclose(fields["stress"], rve.law(np.asarray(fields["strain"]))[0], rtol=1e-10, atol=1e-9)


def test_marks(model):
    """Inside the circle 1, outside -1, on it 0; the circle is inside the cell."""
    distance = np.linalg.norm(solved().rve.nodes - np.array([0.05, 0.02]), axis=1)
    on = np.abs(distance - 0.3) < 1e-9
    np.testing.assert_array_equal(np.asarray(model.marks.value)[on], 0.0)
    np.testing.assert_array_equal(np.asarray(model.marks.value)[~on], np.where(distance < 0.3, 1.0, -1.0)[~on])


def test_energies(model):
    """The losses are their formulas; for linear materials both are one, and no less than that of finite elements."""
    data = solved("linear", 3)
    linear = VPIONet(data.rve, rank=3, width=6, depth=1, key=jax.random.key(0))
    strains = jnp.asarray(data.strains)
    published, true = (losses_of(energy_objective(data.rve, strains, energy=e), linear) for e in ("published", "true"))
    assert published["energy"] == pytest.approx(true["energy"], rel=1e-12)
    least = np.mean([0.5 * stress @ strain for stress, strain in zip(data.mean, data.strains, strict=True)])
    assert published["energy"] > least
    strain = jnp.asarray(STRAIN)
    fields = {name: np.asarray(values) for name, values in model.micro_fields(strain).items()}
    expected = solved().rve.mean(0.5 * np.sum(fields["strain"] * fields["stress"], axis=1))
    assert losses_of(energy_objective(solved().rve, strain[None]), model)["energy"] == pytest.approx(
        expected, rel=1e-12
    )
    with pytest.raises(PdesolveError, match="no stored energy"):
        energy_objective(solved().rve, strain[None], energy="true")
    with pytest.raises(UnknownNameError, match="'tru'"):
        energy_objective(solved().rve, strain[None], energy="tru")


def test_least_energy_is_equilibrium():
    """At the solution of finite elements the stored energy has no slope along fluctuations; the published one has."""
    data = solved("corrected", 3)
    materials, weights = materials_of(data.rve), jnp.asarray(data.rve.weights)
    strains = data.strains[0][None] + data.rve.strain_of(data.fluctuations[0])
    direction = data.rve.strain_of(np.sin(2 * np.pi * data.rve.nodes))

    def true(strain):
        return weights @ energies(materials, strain)

    def published(strain):
        return 0.5 * weights @ jnp.sum(strain * stresses(materials, strain), axis=1)

    slopes = [float(jax.jvp(f, (jnp.asarray(strains),), (jnp.asarray(direction),))[1]) for f in (true, published)]
    assert abs(slopes[0]) < 1e-9 * abs(slopes[1])


def test_tangent(model):
    """That of central differences, of both networks."""
    network = StressNetwork(solved().mean, width=6, depth=2, key=jax.random.key(1))
    for micro in (model, network):
        assert isinstance(micro, MicroModel)
        step = 1e-6 * np.eye(3)
        stresses, tangents = micro.respond(np.concatenate([STRAIN[None], STRAIN + step, STRAIN - step]))
        numbers = (stresses[1:4] - stresses[4:]).T / 2e-6
        np.testing.assert_allclose(tangents[0], numbers, atol=1e-6 * np.abs(numbers).max())
    fields = model.micro_fields(jnp.asarray(STRAIN))
    np.testing.assert_allclose(model(jnp.asarray(STRAIN)), solved().rve.mean(np.asarray(fields["stress"])), rtol=1e-12)


def test_stress_network_losses():
    """Mean squares in units of the stresses' deviation and the box of strains; zero for a network that is right."""
    data = solved()
    network = StressNetwork(data.mean, width=6, depth=2, key=jax.random.key(1))
    np.testing.assert_allclose(network.deviation.value, data.mean.std(axis=0), rtol=1e-12)
    given = [jnp.asarray(values[:4]) for values in (data.strains, data.mean, data.tangents)]
    found = losses_of(stress_objective(*given, tangent_weight=0.5), network)
    stresses, tangents = network.respond(data.strains[:4])
    units = data.mean.std(axis=0)
    assert found["stress"] == pytest.approx(np.mean(((stresses - data.mean[:4]) / units) ** 2), rel=1e-10)
    off = (tangents - data.tangents[:4]) * 0.04 / units[:, None]
    assert found["tangent"] == pytest.approx(0.5 * np.mean(off**2), rel=1e-10)
    right = given[0], *(jnp.asarray(values) for values in (stresses, tangents))
    assert max(losses_of(stress_objective(*right), network).values()) < 1e-25
    with pytest.raises(PdesolveError, match="must not be negative, got -1"):
        stress_objective(*given, tangent_weight=-1.0)
