"""What holds for every registered problem.

Entries of the group that are no `AbstractProblem` (families, which generate data) are skipped here.
"""

import numpy as np
import pytest

from pdesolve import registry
from pdesolve.config import Recipe
from pdesolve.problem import AbstractProblem, Condition, comparison_points, evaluation_grid, parameters_of

from .pointwise import (
    STEP,
    condition_residuals,
    equation_residuals,
    local_model,
    orders_in,
    random_functions,
)

TWELVE = {
    *("advection", "allen_cahn", "burgers", "heat_1d", "helmholtz_2d", "kdv", "kovasznay"),
    *("lid_driven_cavity", "poisson_1d", "poisson_2d", "schrodinger", "wave_1d"),
}


@pytest.fixture(params=registry.names("problems"))
def problem(request):
    loaded = registry.load("problems", request.param)
    if not (isinstance(loaded, type) and issubclass(loaded, AbstractProblem)):
        pytest.skip(f"{request.param} is not a single problem")
    return loaded()


def test_names_are_registered():
    """Fails too where the package is on the path but not installed: entry points come with the installation."""
    assert set(registry.names("problems")) >= TWELVE


@pytest.mark.parametrize("name", registry.names("problems"))
def test_one_line_says_what_it_is(name):
    line = registry.describe("problems", name)
    assert line and len(line) <= 100 and line.endswith(".")


def test_parameters_are_documented_and_defaults_admissible(problem):
    for name, declared in parameters_of(problem).items():
        assert declared.description
        declared.check(name, float(getattr(problem, name)))


def test_names_agree(problem):
    """Fields named by conditions, scales, units and errors exist; so do parts and periodic axes."""
    domain, fields = problem.domain(), set(problem.field_names)
    assert fields and len(fields) == len(problem.field_names)
    assert fields.isdisjoint(domain.coordinates)
    for condition in problem.conditions():
        assert isinstance(condition, Condition)
        assert set(condition.fields) <= fields
        if condition.part is not None and condition.part != "boundary":
            assert condition.part in domain.boundary_parts
        if condition.periodic_axis is not None:
            assert condition.periodic_axis in domain.coordinates
        if condition.points is not None:
            assert domain.contains(condition.points).all()
    names = [condition.name for condition in problem.conditions()]
    assert len(set(names)) == len(names)
    assert set(problem.exact_conditions()) <= set(names)
    assert set(problem.field_scales()) <= fields
    assert set(problem.up_to_constant()) <= fields
    assert set(problem.units()) <= fields | set(domain.coordinates)
    assert set(problem.unknowns()) <= set(parameters_of(problem))
    assert all(low < high for low, high in problem.field_scales().values())


def test_equations_are_scalars(problem, key):
    """One finite number for each equation at random points of a random smooth function."""
    raw = random_functions(problem, key)
    points = problem.domain().sample_interior(20, "uniform", 0)
    residuals = equation_residuals(problem, lambda at: problem.transform(raw(at), at), points)
    assert residuals
    for values in residuals.values():
        assert values.shape == (20,)
        assert np.isfinite(values).all()


def test_exact_conditions_hold_for_random_functions(problem, key):
    """A condition named as exact vanishes whatever the raw outputs, to round-off of functions of order 1."""
    raw = random_functions(problem, key)
    for condition in problem.conditions():
        residuals = condition_residuals(problem, condition, lambda at: problem.transform(raw(at), at))
        assert residuals
        for label, values in residuals.items():
            assert values.ndim == 1 and np.isfinite(values).all()
            if condition.name in problem.exact_conditions():
                assert np.abs(values).max() < 1e-11, f"{condition.name}: {label}"


def test_reference_on_the_evaluation_grid(problem):
    """Finite values of every field, one for each point, and an error bound worth its name."""
    reference = problem.reference()
    if reference is None:
        pytest.skip("has no reference")
    points = comparison_points(problem, evaluation_grid(problem))
    values = reference.evaluate(points)
    assert set(values) == set(problem.field_names)
    for value in values.values():
        assert isinstance(value, np.ndarray) and value.dtype == np.float64
        assert value.shape == (len(points),)
        assert np.isfinite(value).all()
    assert 0 < reference.error_bound < 1e-3
    assert reference.description


def test_reference_meets_the_conditions(problem):
    """Each condition vanishes on the reference: values to its error bound, derivatives to that of differences."""
    reference = problem.reference()
    if reference is None:
        pytest.skip("has no reference")
    points = comparison_points(problem, evaluation_grid(problem))
    norm = max(np.sqrt(np.mean(value**2)) for value in reference.evaluate(points).values())
    for condition in problem.conditions():
        model = local_model(problem, reference)
        for label, values in condition_residuals(problem, condition, model, from_points=True).items():
            order = orders_in(condition, label)
            # Differences amplify errors by 1 / STEP for each order, and have some of their own.
            tolerance = STEP**-order * 10 * reference.error_bound + (1e-12 if order == 0 else 1e-3)
            # Measurements have errors of their own, whose mean square is that of the law up to a few per cent.
            allowed = tolerance * norm + 1.2 * condition.noise
            assert np.sqrt(np.mean(values**2)) <= allowed, f"{condition.name}: {label}"


def test_recipe(problem):
    """The default recipe is a `Recipe` whose grid names coordinates; names of methods are checked where they are."""
    recipe = problem.recipe()
    assert isinstance(recipe, Recipe)
    assert set(recipe.grid) <= set(problem.domain().coordinates)
    assert all(count >= 2 for count in recipe.grid.values())
    assert recipe.stages and recipe.windows >= 1
    for group, name in (("methods", recipe.method), ("networks", recipe.network.name)):
        known = registry.names(group) + (registry.names("operators") if group == "networks" else ())
        assert not known or name in known, f"{name} is not among the {group}"
