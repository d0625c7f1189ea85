"""Constrained minimisation: published test problems, by all methods; and how it ends when it cannot succeed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.constraints import (
    AugmentedLagrangian,
    SketchedNewton,
    TrustRegionSQP,
    minimise_constrained,
)
from pdesolve.errors import PdesolveError

from .hock_schittkowski import PROBLEMS

METHODS = {
    "augmented_lagrangian": None,
    "trust_region_sqp": TrustRegionSQP(),
    "newton": SketchedNewton(inner="exact", tolerance=1e-8),
    "gaussian": SketchedNewton(),
    "kaczmarz": SketchedNewton(inner="kaczmarz"),
}
EQUATIONS = [name for name, problem in PROBLEMS.items() if problem.h is None]
SOME = {"augmented_lagrangian": list(PROBLEMS)[::3], "trust_region_sqp": list(PROBLEMS)[1::3]}
FEW = EQUATIONS[::4]
"""Solved in every run; all by all with `-m slow`."""
CASES = [
    pytest.param(method, name, marks=() if name in some else pytest.mark.slow)
    for method, some in SOME.items()
    for name in PROBLEMS
] + [
    pytest.param(method, name, marks=() if name in FEW else pytest.mark.slow)
    for method in ("newton", "gaussian", "kaczmarz")
    for name in EQUATIONS
]


def optimality(problem, result):
    """Largest residual of the conditions of Karush, Kuhn and Tucker, from the problem's own functions."""
    x = jnp.asarray(result.x)
    slope, parts = jax.grad(problem.f)(x), [0.0]
    for function, multipliers in ((problem.c, result.equality_multipliers), (problem.h, result.inequality_multipliers)):
        if function is not None:
            slope = slope + jax.jacobian(function)(x).T @ multipliers
            assert multipliers.shape == function(x).shape
    if problem.c is not None:
        parts.append(jnp.abs(problem.c(x)).max())
    if problem.h is not None:
        parts += [
            jnp.maximum(problem.h(x), 0).max(),
            jnp.abs(jnp.minimum(-problem.h(x), result.inequality_multipliers)).max(),
        ]
    return float(max(jnp.abs(slope).max(), *parts))


@pytest.mark.parametrize(("method", "name"), CASES)
def test_hock_schittkowski(method, name):
    """The published value, and conditions of optimality, multipliers included."""
    problem, tolerance = PROBLEMS[name], 1e-6 if method in ("gaussian", "kaczmarz") else 1e-8
    x0 = jnp.asarray(problem.x0, float)
    result = minimise_constrained(problem.f, x0, equality=problem.c, inequality=problem.h, method=METHODS[method])
    assert result.status == "converged" and result.success
    assert optimality(problem, result) <= tolerance
    np.testing.assert_allclose(result.value, problem.optimum, rtol=1e-8 if tolerance < 1e-7 else 1e-6, atol=1e-8)


def test_the_catalogue_is_large_enough():
    """At least twenty, of both kinds."""
    assert len(PROBLEMS) >= 30 and len(EQUATIONS) >= 12


def test_contradictory_constraints_end_as_infeasible():
    """A circle and a line that does not meet it; two parallel planes; an empty interval."""
    cases = [
        {"equality": lambda x: jnp.stack([x @ x - 1.0, x[0] + x[1] - 4.0])},
        {"equality": lambda x: jnp.stack([x[0] + x[1], x[0] + x[1] - 1.0])},
        {"inequality": lambda x: jnp.stack([x[0] - 1.0, 2.0 - x[0]])},
    ]
    for constraints in cases:
        for method in (AugmentedLagrangian(), TrustRegionSQP()):
            result = minimise_constrained(lambda x: (x - 3.0) @ (x - 3.0), jnp.zeros(2), method=method, **constraints)
            assert result.status == "infeasible" and not result.success
            assert result.violation > 0.1
            assert np.isfinite(result.x).all()


def test_a_stationary_violation_ends_nothing():
    """At the centre of a circle no direction lowers the violation to first order; the minimum is found all the same."""
    for method in (AugmentedLagrangian(), TrustRegionSQP()):
        result = minimise_constrained(
            lambda x: x[0] + x[1], jnp.zeros(2), equality=lambda x: jnp.stack([x @ x - 2.0]), method=method
        )
        assert result.status == "converged"
        np.testing.assert_allclose(result.x, -1.0, atol=1e-7)


def test_dependent_constraints_end_as_degenerate():
    """The same equation twice: the solution is found, and the status says that multipliers are not unique."""

    def equality(x):
        return jnp.stack([x[0] + x[1] - 2.0, 3.0 * (x[0] + x[1] - 2.0)])

    for method in (AugmentedLagrangian(), TrustRegionSQP()):
        result = minimise_constrained(lambda x: x @ x, jnp.array([3.0, -1.0]), equality=equality, method=method)
        assert result.status == "degenerate" and result.success
        np.testing.assert_allclose(result.x, 1.0, rtol=1e-8)
        np.testing.assert_allclose(result.equality_multipliers @ [1.0, 3.0], -2.0, rtol=1e-7)


def test_multipliers_that_need_a_penalty_no_greater_than_one():
    """min x1 + x2 on a circle: with mu = 1 the multipliers are 0.4516, 0.4947, 0.49941, 0.499935 by hand."""
    found = []
    for steps in range(1, 60):
        result = minimise_constrained(
            lambda x: x[0] + x[1],
            jnp.array([-1.5, -1.0]),
            equality=lambda x: jnp.stack([x @ x - 2.0]),
            method=AugmentedLagrangian(penalty=1.0, max_penalty=1.0, inner_tolerance=1e-6, tolerance=1e-5),
            max_steps=steps,
        )
        found.append(float(result.equality_multipliers[0]))
        if result.success:
            break
    assert result.status == "converged"
    for expected in (0.4516, 0.4947, 0.49941, 0.499935):
        assert min(abs(value - expected) for value in found) < 6e-5


def test_what_is_not_finite_is_survived():
    """A logarithm that ends at zero, and a root: trial steps beyond them are refused."""
    for method in (AugmentedLagrangian(), TrustRegionSQP()):
        result = minimise_constrained(
            lambda x: -jnp.log(x[0]) + 10 * x[1] ** 2,
            jnp.array([0.2, 2.0]),
            equality=lambda x: jnp.stack([jnp.sqrt(x[0]) + x[1] - 1.0]),
            method=method,
        )
        assert result.status == "converged"
        root = np.sqrt(result.x[0])  # d/ds (-2 log s + 10 (1 - s)^2) = 0
        np.testing.assert_allclose(-2 / root - 20 * (1 - root), 0.0, atol=1e-6)


def test_negative_curvature_is_left():
    """A saddle at the start: f falls along the constraint in both directions."""
    for method in (AugmentedLagrangian(), TrustRegionSQP(), SketchedNewton(inner="exact")):
        result = minimise_constrained(
            lambda x: -x[0] * x[1], jnp.array([0.1, 0.05]), equality=lambda x: jnp.stack([x @ x - 2.0]), method=method
        )
        assert result.status == "converged"
        np.testing.assert_allclose(np.abs(result.x), 1.0, atol=1e-6)


def test_pytrees():
    """Parameters and constraints of any structure."""
    result = minimise_constrained(
        lambda x: jnp.sum(x["a"] ** 2) + x["b"] ** 2,
        {"a": jnp.ones((2, 2)), "b": jnp.asarray(0.0)},
        equality=lambda x: {"sum": jnp.sum(x["a"]) - 2.0, "b": x["b"] - 1.0},
        inequality=lambda x: 0.75 - x["a"][0],
    )
    np.testing.assert_allclose(result.x["a"], [[0.75, 0.75], [0.25, 0.25]], atol=1e-8)
    np.testing.assert_allclose(result.x["b"], 1.0, atol=1e-8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"function": lambda x: x, "equality": lambda x: x[:1]}, "must be a scalar"),
        ({"function": lambda x: x @ x}, "no constraint to meet"),
        ({"function": lambda x: jnp.log(x[0]), "equality": lambda x: x[:1]}, "not finite at `x0`"),
        ({"function": lambda x: x @ x, "equality": lambda x: 1 / x}, "c is not finite at `x0`"),
        (
            {"function": lambda x: x @ x, "inequality": lambda x: x, "method": SketchedNewton()},
            "equality constraints only",
        ),
    ],
)
def test_bad_input(arguments, message):
    """What was given, and what is accepted."""
    function = arguments.pop("function")
    with pytest.raises(PdesolveError, match=message):
        minimise_constrained(function, jnp.zeros(2), **arguments)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (AugmentedLagrangian, {"curvature": "exat"}, "exact"),
        (AugmentedLagrangian, {"penalty": -1.0}, "positive"),
        (AugmentedLagrangian, {"growth": 1.0}, "above 1"),
        (TrustRegionSQP, {"curvature": "newton"}, "gauss_newton"),
        (TrustRegionSQP, {"radius": 0.0}, "positive"),
        (SketchedNewton, {"inner": "gausian"}, "gaussian"),
        (SketchedNewton, {"descent": 0.5}, "between 0 and 1/2"),
        (SketchedNewton, {"block": 0}, "at least 1"),
    ],
)
def test_bad_options(method, options, message):
    """Refused where they are given."""
    with pytest.raises(PdesolveError, match=message):
        method(**options)
