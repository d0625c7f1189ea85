"""Errors of fields in named norms, against values worked out by hand."""

import math

import numpy as np
import pytest

from pdesolve.errors import PdesolveError
from pdesolve.metrics import NORMS, errors, max_error, relative_l2, relative_max, rmse, trivial_errors

REFERENCE = np.array([[3.0, 0.0], [0.0, 4.0]])
VALUE = np.array([[3.0, 1.0], [0.0, 2.0]])


def test_norms_by_hand():
    """Errors (0, 1, 0, 2) against (3, 0, 0, 4): squares sum to 5 and 25, the largest are 2 and 4."""
    assert relative_l2(VALUE, REFERENCE) == pytest.approx(math.sqrt(5 / 25), rel=1e-15)
    assert relative_max(VALUE, REFERENCE) == 2 / 4
    assert max_error(VALUE, REFERENCE) == 2.0
    assert rmse(VALUE, REFERENCE) == pytest.approx(math.sqrt(5 / 4), rel=1e-15)


@pytest.mark.parametrize("name", NORMS)
def test_norms_are_norms(name):
    """Zero for equal fields; twice the error is twice the norm; relative ones do not see units."""
    rng = np.random.default_rng(0)
    reference, error = rng.standard_normal((2, 50))
    norm = NORMS[name]
    assert norm(reference, reference) == 0
    # Rounding of reference + error leaves an error of the order of 1e-16 of either.
    assert norm(reference + 2 * error, reference) == pytest.approx(2 * norm(reference + error, reference), rel=1e-13)
    scaled = norm(10 * (reference + error), 10 * reference) / norm(reference + error, reference)
    assert scaled == pytest.approx(1 if name.startswith("relative") else 10, rel=1e-13)


@pytest.mark.parametrize("name", NORMS)
def test_points_outside_the_domain_do_not_count(name):
    """NaN in the reference marks what is outside, whatever the computed field has there."""
    holed = np.append(REFERENCE.ravel(), [np.nan, np.nan])
    value = np.append(VALUE.ravel(), [1e9, np.nan])
    assert NORMS[name](value, holed) == NORMS[name](VALUE, REFERENCE)


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("up_to_constant", [False, True])
def test_a_diverged_field_has_no_small_error(name, up_to_constant):
    """NaN inside the domain is not left out of the average: the norm is NaN, and no test `< target` passes."""
    value = VALUE.copy()
    value[0, 0] = np.nan
    assert math.isnan(NORMS[name](value, REFERENCE, up_to_constant=up_to_constant))


def test_pressure_up_to_a_constant():
    """p + c is p; without the option the shift is an error."""
    pressure = np.random.default_rng(1).standard_normal(100)
    # Means cancel to round-off of values near 7.
    assert relative_l2(pressure + 7, pressure, up_to_constant=True) < 1e-14
    assert relative_l2(pressure + 7, pressure) > 5


def test_pooled_and_by_field():
    """Pooled is the norm of all fields laid end to end."""
    values, references = {"u": VALUE, "v": np.array([1.0])}, {"u": REFERENCE, "v": np.array([3.0])}
    found = errors(values, references)
    assert set(found) == {"pooled", "u", "v"}
    assert found["u"]["relative_l2"] == relative_l2(VALUE, REFERENCE)
    assert found["v"]["relative_l2"] == pytest.approx(2 / 3)
    end_to_end = np.append(VALUE, 1.0), np.append(REFERENCE, 3.0)
    for name, norm in NORMS.items():
        assert found["pooled"][name] == pytest.approx(norm(*end_to_end), rel=1e-15)
        assert relative_l2(values, references) == pytest.approx(found["pooled"]["relative_l2"], rel=1e-15)


def test_constants_are_taken_from_the_named_fields_only():
    references = {"u": REFERENCE, "p": REFERENCE}
    values = {name: field + 1 for name, field in references.items()}
    found = errors(values, references, up_to_constant=("p",))
    assert found["p"]["max_error"] == pytest.approx(0, abs=1e-15)
    assert found["u"]["max_error"] == 1


def test_trivial_answers():
    """Zero is off by all of r; the mean by its deviation: sqrt((25 - 4 (7/4)^2) / 25) here."""
    found = trivial_errors(REFERENCE)
    assert found["zero"] == 1
    assert found["mean"] == pytest.approx(math.sqrt((25 - 4 * (7 / 4) ** 2) / 25), rel=1e-14)
    # Where the mean does not count, zero and the mean are the same answer.
    assert trivial_errors(REFERENCE, up_to_constant=True) == pytest.approx({"zero": 1.0, "mean": 1.0}, rel=1e-15)
    assert trivial_errors({"u": REFERENCE, "v": [1.0, np.nan]})["zero"] == 1


def test_a_zero_reference_has_no_relative_error():
    zero = np.zeros(3)
    for norm in (relative_l2, relative_max):
        with pytest.raises(PdesolveError, match="use max_error or rmse"):
            norm(zero + 1, zero)
    assert errors({"w": zero + 1}, {"w": zero})["w"] == {"max_error": 1.0, "rmse": 1.0}


def test_unfit_fields_are_refused():
    with pytest.raises(PdesolveError, match=r"computed shape \(4,\), reference shape \(2, 2\)"):
        relative_l2(VALUE.ravel(), REFERENCE)
    with pytest.raises(PdesolveError, match="NaN at every point"):
        rmse([1.0], [np.nan])
    with pytest.raises(PdesolveError, match=r"computed \['u'\], reference \['u', 'v'\]"):
        rmse({"u": VALUE}, {"u": REFERENCE, "v": REFERENCE})
    with pytest.raises(PdesolveError, match="no computed field 'v'"):
        errors({"u": VALUE}, {"u": REFERENCE, "v": REFERENCE})
