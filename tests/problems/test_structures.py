"""Structures of two-scale solves: geometry, equilibrium, energy, and what is known of them in closed form."""

import numpy as np
import pytest

from pdesolve import registry
from pdesolve.multiscale import AbstractStructure, Discretisation, LinearElastic, SaturatingElastic, solve_macro
from problems import CookMembrane, LProfile, PlateWithHole, SingleElement

STRUCTURES = {"cook_membrane": CookMembrane, "l_profile": LProfile}
STRUCTURES |= {"plate_with_hole": PlateWithHole, "single_element": SingleElement}


def solved(structure, material=None, **options):
    return solve_macro(Discretisation(structure.body()), material or LinearElastic(), **options)


@pytest.mark.parametrize("name", STRUCTURES)
def test_registered(name):
    """Each is solved by its own recipe's method, and asks for numbers that are finite."""
    structure = registry.load("problems", name)()
    assert type(structure) is STRUCTURES[name] and isinstance(structure, AbstractStructure)
    assert structure.recipe().method == "two_scale"
    answer = solved(structure, SaturatingElastic(), load_steps=5)
    assert answer.status == "converged"
    assert all(np.isfinite(value) for value in structure.quantities(answer).values())
    # The loads are chosen for micro models trained on strains up to 0.04.
    assert 0.01 < np.abs(answer.strains).max() < 0.04


@pytest.mark.parametrize(
    ("structure", "area"), [(CookMembrane(), 1440.0), (LProfile(), 7500.0), (SingleElement(), 1.0)]
)
def test_area(structure, area):
    assert np.isclose(Discretisation(structure.body()).basis.dx.sum(), area)


def test_area_of_the_plate():
    """The hole is a polygon of 4 x 2 n corners on the circle; refinement approaches the circle."""
    for refinement in (1, 2):
        angle = 2 * np.pi / (64 * refinement)
        hole = 15.0**2 * 8 * refinement * np.sin(angle)
        found = Discretisation(PlateWithHole().body(refinement)).basis.dx.sum()
        assert np.isclose(found, 2500.0 - hole, rtol=1e-12)


@pytest.mark.parametrize("material", [LinearElastic(), SaturatingElastic()])
def test_single_element_answers_for_the_material(material):
    structure = SingleElement(cells=2)
    answer = solved(structure, material, load_steps=3)
    expected = material.respond(np.array([[0.012, -0.007, 0.015]]))[0][0]
    np.testing.assert_allclose(list(structure.quantities(answer).values()), expected, rtol=1e-11)


def test_reaction_of_the_membrane():
    quantities = CookMembrane(traction=4.0).quantities(solved(CookMembrane(traction=4.0), SaturatingElastic()))
    assert np.isclose(quantities["reaction_y_n_per_mm"], -4.0 * 16.0, rtol=1e-8)
    assert abs(quantities["reaction_x_n_per_mm"]) < 1e-7


@pytest.mark.parametrize("structure", [LProfile(), PlateWithHole()])
def test_work_is_energy(structure):
    """Clapeyron: force times displacement is twice the elastic energy."""
    answer = solved(structure)
    energy = (answer.strains * answer.stresses).sum(axis=1) @ answer.discretisation.basis.dx.ravel()
    assert np.isclose(abs(structure.quantities(answer)["force_n_per_mm"]) * structure.displacement, energy, rtol=1e-10)
    assert structure.quantities(answer)["force_n_per_mm"] > 0


def test_force_of_the_profile_is_that_of_its_clamp():
    answer = solved(LProfile(), SaturatingElastic())
    clamp = answer.reaction(lambda x: np.isclose(x[1], 100.0))
    np.testing.assert_allclose(clamp, [0.0, LProfile().quantities(answer)["force_n_per_mm"]], atol=1e-7)


def test_kirsch():
    """Beside a small hole the stress along the load is that of an infinite plate, 3 times the mean one at its edge."""
    radius, structure = 4.0, PlateWithHole(radius=4.0, cells=24)
    answer = solved(structure)
    r, y = answer.discretisation.gauss_points.T
    chosen = (y < 0.05 * r) & (r < 3 * radius)
    mean = structure.quantities(answer)["force_n_per_mm"] / 50.0
    a = radius / r[chosen]
    assert chosen.sum() >= 8 and a.max() > 0.88
    np.testing.assert_allclose(answer.stresses[chosen, 1] / mean, 1 + a**2 / 2 + 3 * a**4 / 2, rtol=0.04)
