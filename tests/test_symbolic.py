"""Equations in SymPy are the equations written by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy

from pdesolve import AbstractProblem, Recipe, StageConfig, dirichlet, solve
from pdesolve.calculus import apply, partial, pointwise
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.geometry import Box
from pdesolve.symbolic import from_sympy

x, t, k = sympy.symbols("x t k")
u, v = (sympy.Function(name)(x, t) for name in "uv")
POINTS = jax.random.uniform(jax.random.key(0), (6, 2))


def functions(point):
    x, t = point
    return jnp.stack([jnp.sin(2 * x - t), jnp.exp(0.3 * x * t)])


def test_terms_of_every_kind():
    """Derivatives, mixed ones, those of products and quotients, powers, functions, parameters, an equality."""
    written = {
        "flow": u.diff(t) + u * u.diff(x) - k * u.diff(x, 2),
        "flux": sympy.Derivative((1 + u**2) * v.diff(x), x) / v + sympy.Rational(1, 3),
        "mixed": sympy.Eq(sympy.exp(-u) * u.diff(x, t), sympy.sqrt(v) + sympy.pi * sympy.cos(x * t)),
        "atan": sympy.atan2(u, v) - x**-2 + v**k,
    }

    def by_hand(fields, at):
        u, v = fields.u, fields.v
        return {
            "flow": partial(u, "t") + u * partial(u, "x") - 0.7 * partial(u, "x", 2),
            "flux": partial((1 + u**2) * partial(v, "x"), "x") / v + 1 / 3,
            "mixed": apply(jnp.exp, -u) * partial(u, "x", "t") - v**0.5 - jnp.pi * apply(jnp.cos, at.x * at.t),
            "atan": apply(jnp.arctan2, u, v) - at.x**-2 + v**0.7,
        }

    def symbolic(fields, at):
        return from_sympy(written, fields, at, {"k": 0.7})

    one, other = (
        jax.vmap(pointwise(residual, functions, ("x", "t"), ("u", "v")))(POINTS) for residual in (symbolic, by_hand)
    )
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_allclose(value, other[name], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("expression", "kind", "message"),
    [
        (u.diff(t) - sympy.Symbol("kk") * u, UnknownNameError, "unknown symbol 'kk'. Did you mean 'k'"),
        (sympy.Function("w")(x, t), PdesolveError, "w"),
        (sympy.Function("u")(x, sympy.Symbol("y")), PdesolveError, "function of coordinates, of which there are t, x"),
        (sympy.gamma(u), UnknownNameError, "unknown function 'gamma'"),
    ],
)
def test_what_has_no_meaning_is_named(expression, kind, message):
    with pytest.raises(kind, match=message):
        pointwise(
            lambda fields, at: from_sympy({"e": expression}, fields, at, {"k": 1.0}), functions, ("x", "t"), ("u", "v")
        )(POINTS[0])


class Beam(AbstractProblem):
    """A string under its weight, u'' = 8."""

    field_names = ("u",)

    def domain(self):
        return Box({"x": (0.0, 1.0)})

    def equations(self, fields, at):
        return from_sympy({"string": sympy.Eq(sympy.Function("u")(x).diff(x, 2), 8)}, fields, at)

    def conditions(self):
        return (dirichlet("x_min", {"u": 0.0}), dirichlet("x_max", {"u": 0.0}))

    def recipe(self):
        return Recipe(stages=(StageConfig(steps=15),), grid={"x": 33})


@pytest.mark.slow
def test_a_problem_is_solved():
    """u = 4 x (x - 1)."""
    values = solve(Beam(), classical=False).dataset["u"].squeeze()
    x = np.linspace(0, 1, 33)
    np.testing.assert_allclose(values, 4 * x * (x - 1), atol=1e-3)
