"""Standard errors of identified coefficients, against least squares in closed form and against data drawn anew."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.identification import standard_errors
from pdesolve.objective import Objective, PointwiseBlock, Term
from pdesolve.samplers import FixedSamples

X = np.linspace(0.2, 1.0, 9)


class Line(eqx.Module):
    """u = slope x + offset, and the coefficient that equals its slope: the \"network\" and the unknown."""

    slope: jax.Array
    offset: jax.Array
    unused: jax.Array
    unknowns: dict[str, Any]


def objective(measured, weight=1.0):
    """The equation u' = k, and measurements of u."""
    equation = PointwiseBlock(
        lambda line, x, key, context: {"slope": line.slope - line.unknowns["k"]},
        FixedSamples(jnp.zeros(3)),
        (Term("slope", weight),),
    )
    data = PointwiseBlock(
        lambda line, sample, key, context: {"data_u": line.slope * sample[0] + line.offset - sample[1]},
        FixedSamples(jnp.stack([jnp.asarray(X), jnp.asarray(measured)], axis=1)),
        (Term("data_u", 2.5),),
    )
    return Objective((equation, data))


def fitted(measured):
    """The line of least squares."""
    slope, offset = np.polyfit(X, measured, 1)
    k = jnp.asarray(slope)
    return Line(jnp.asarray(slope), jnp.asarray(offset), jnp.asarray(3.0), {"k": k})


@pytest.mark.parametrize("weight", [1e-3, 1.0, 1e3])
def test_line_through_measurements(weight):
    """The textbook's sigma / sqrt(sum (x - mean)^2), whatever the weights: line and equation can both be met.

    A parameter that no row depends on does not disturb.
    """
    measured = 2 * X + 0.5 + 0.1 * np.random.default_rng(0).standard_normal(len(X))
    expected = 1 / np.sqrt(np.sum((X - X.mean()) ** 2))
    given = objective(measured, weight), fitted(measured)
    known = standard_errors(*given, {"data_u": 0.1}, ("k",))
    np.testing.assert_allclose(known["k"], 0.1 * expected, rtol=1e-9)
    # Of unknown size: the residuals' sum of squares over n - 2.
    line = given[1]
    left = np.sum((np.asarray(line.slope) * X + np.asarray(line.offset) - measured) ** 2) / (len(X) - 2)
    estimated = standard_errors(*given, {"data_u": 0.0}, ("k",))
    np.testing.assert_allclose(estimated["k"], np.sqrt(left) * expected, rtol=1e-9)


def test_too_few_measurements(monkeypatch):
    """Two points determine the line and say nothing about their errors."""
    monkeypatch.setattr("tests.core.test_identification.X", np.array([0.2, 1.0]))
    assert standard_errors(objective([1.0, 2.0]), fitted([1.0, 2.0]), {"data_u": 0.0}, ("k",)) == {"k": np.inf}


def test_spread_of_answers():
    """Measurements drawn anew two thousand times move the fitted slope by as much as is said."""
    rng, clean = np.random.default_rng(1), 2 * X + 0.5
    slopes = [np.polyfit(X, clean + 0.1 * rng.standard_normal(len(X)), 1)[0] for _ in range(2000)]
    said = standard_errors(objective(clean), fitted(clean), {"data_u": 0.1}, ("k",))["k"]
    assert abs(np.std(slopes) / said - 1) < 0.06
