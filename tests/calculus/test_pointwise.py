"""Equations on functions at a point: what is asked for, what is computed, what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.calculus import (
    Laplacian,
    apply,
    divergence,
    gradient,
    laplacian,
    material_derivative,
    partial,
    pointwise,
    requested,
)
from pdesolve.errors import PdesolveError, UnknownNameError

from .nested import count

XT, XYT = ("x", "t"), ("x", "y", "t")
VISCOSITY = 0.1


def burgers(fields, at):
    u = fields.u
    return {"burgers": partial(u, "t") + u * partial(u, "x") - VISCOSITY * partial(u, "x", 2)}


def navier_stokes(fields, at):
    """Incompressible flow in the plane."""
    v = (fields.u, fields.v)
    momentum = [
        a + b - VISCOSITY * c
        for a, b, c in zip(material_derivative(v, v), gradient(fields.p), laplacian(v), strict=True)
    ]
    return {"x": momentum[0], "y": momentum[1], "continuity": divergence(v)}


def taylor_green(point):
    """The decaying vortices u = -cos x sin y F, v = sin x cos y F, p = -(cos 2x + cos 2y) F^2 / 4, F = exp(-2 nu t)."""
    x, y, t = point
    decay = jnp.exp(-2 * VISCOSITY * t)
    return jnp.stack(
        [
            -jnp.cos(x) * jnp.sin(y) * decay,
            jnp.sin(x) * jnp.cos(y) * decay,
            -(jnp.cos(2 * x) + jnp.cos(2 * y)) * decay**2 / 4,
        ]
    )


def test_residual_vanishes_on_the_taylor_green_vortex(key):
    """An exact solution of the Navier-Stokes equations, at random points, to round-off."""
    residual = pointwise(navier_stokes, taylor_green, XYT, ("u", "v", "p"))
    values = jax.vmap(residual)(jax.random.uniform(key, (20, 3), maxval=6.0))
    assert set(values) == {"x", "y", "continuity"}
    for value in values.values():
        assert value.shape == (20,)
        np.testing.assert_allclose(value, 0, atol=1e-14)


def test_residual_vanishes_on_a_travelling_front():
    """Burgers: u = c - a tanh(a (x - c t) / (2 nu)) solves u_t + u u_x = nu u_xx."""
    a, c = 0.7, 0.4

    def front(point):
        x, t = point
        return c - a * jnp.tanh(a * (x - c * t) / (2 * VISCOSITY))

    residual = jax.vmap(pointwise(burgers, front, XT, ("u",)))(jnp.array([[0.05, 0.1], [-0.2, 0.3], [0.4, 0.9]]))
    np.testing.assert_allclose(residual["burgers"], 0, atol=1e-13)


def test_only_what_is_asked_for_is_computed():
    """The multi-indices of Burgers; of Navier-Stokes the Laplacian as one coefficient."""
    assert requested(burgers, XT, ("u",)) == {(0, 0), (0, 1), (1, 0), (2, 0)}
    assert requested(navier_stokes, XYT, ("u", "v", "p")) == {
        (0, 0, 0),
        (1, 0, 0),
        (0, 1, 0),
        (0, 0, 1),
        Laplacian((0, 1)),
    }
    assert requested(lambda f, at: {"a": f.u - jnp.sin(at.x)}, XT, ("u",)) == {(0, 0)}
    # The value of an expression that is only differentiated is not asked for beyond what its derivative needs.
    assert requested(lambda f, at: {"a": partial(f.u + f.v, "x")}, XT, ("u", "v")) == {(1, 0)}


def test_one_sweep_serves_all_equations(key):
    """Navier-Stokes needs 5 coefficients (4 in the first layer) of a network of 3 layers, and each tanh once."""
    model = eqx.nn.MLP(3, 3, 8, 2, activation=jnp.tanh, dtype=jnp.float64, key=key)
    residual = pointwise(navier_stokes, model, XYT, ("u", "v", "p"))
    assert count(jax.vmap(residual), jnp.ones((5, 3))) == 4 + 5 + 5
    assert count(jax.vmap(residual), jnp.ones((5, 3)), primitive="tanh") == 2


def test_one_sweep_for_laplacian_and_bilaplacian(key):
    """The Laplacian is the sum of second derivatives that the bilaplacian propagates anyway."""
    model = eqx.nn.MLP(2, 1, 8, 2, activation=jnp.tanh, dtype=jnp.float64, key=key)
    equation = lambda fields, at: {"a": laplacian(laplacian(fields.u)) + laplacian(fields.u)}  # noqa: E731
    assert count(pointwise(equation, model, ("x", "y"), ("u",)), jnp.ones(2), primitive="tanh") == 2


def test_laplacian_beside_second_derivatives(key):
    """Lap u - u_xx = u_yy, whether the sum or its terms are propagated."""

    def equation(fields, at):
        u = fields.u
        return {"all": laplacian(u) - partial(u, "x", 2) - partial(u, "y", 2), "one": laplacian(u) - partial(u, "x", 2)}

    values = pointwise(equation, lambda p: jnp.sin(p[0]) * p[1] ** 3, ("x", "y"), ("u",))(jnp.array([0.3, 0.5]))
    np.testing.assert_allclose(values["all"], 0, atol=1e-15)
    np.testing.assert_allclose(values["one"], 6 * 0.5 * jnp.sin(0.3), rtol=1e-13)


def test_coordinates_are_differentiated():
    """(x^2 u_x)_x = 2 x u_x + x^2 u_xx, also through apply, and (exp(x) u)_x."""

    def equation(fields, at):
        u, x = fields.u, at.x
        return {
            "flux": partial(x**2 * partial(u, "x"), "x") - 2 * x * partial(u, "x") - x**2 * partial(u, "x", 2),
            "applied": partial(apply(jnp.exp, x) * u, "x") - jnp.exp(x) * (u + partial(u, "x")),
        }

    values = pointwise(equation, lambda p: jnp.sin(p[0]), ("x",), ("u",))(jnp.array([0.7]))
    np.testing.assert_allclose(list(values.values()), 0, atol=1e-15)


def test_traced_coefficients_are_constants():
    """A coefficient that is itself differentiated may stand in a derivative: d/dk of (k u_x)_x is u_xx."""

    def residual(k):
        equation = lambda fields, at: {"a": partial(partial(fields.u, "x") * k, "x")}  # noqa: E731
        return pointwise(equation, lambda p: jnp.sin(p[0]), ("x",), ("u",))(jnp.array([0.7]))["a"]

    for transform in (jax.grad, jax.jacfwd, lambda f: jax.jit(jax.grad(f))):
        np.testing.assert_allclose(transform(residual)(2.0), -jnp.sin(0.7), rtol=1e-14)


@pytest.mark.parametrize(
    ("flux", "name"),
    [
        (lambda u, x: u * jnp.exp(x), "array of a coordinate"),
        (lambda u, x: u * jnp.sin(u), "array of a field"),
        (lambda u, x: apply(lambda v: v * jnp.exp(x), u), "array inside a function"),
        (lambda u, x: u ** (1 + jnp.exp(x)), "exponent"),
        (lambda u, x: u / jnp.cosh(x), "divisor"),
    ],
)
def test_an_array_that_varies_is_not_taken_as_constant(flux, name):
    """(u exp x)_x with a plain exp x would lose the term u exp x in silence."""
    residual = pointwise(lambda f, at: {"a": partial(flux(f.u, at.x), "x")}, jnp.sum, ("x",), ("u",))
    with pytest.raises(PdesolveError, match=r"as if it were constant.*apply\(jnp\.sin, u\)"):
        residual(jnp.ones(1))


@pytest.mark.parametrize("shape", [(1,), (3,), (1, 1)])
def test_a_residual_that_is_not_a_scalar_is_refused(shape):
    """(n,) against (n, 1) would broadcast to (n, n) in a loss."""
    residual = pointwise(lambda f, at: {"heat": f.u * jnp.ones(shape)}, jnp.sum, XT, ("u",))
    with pytest.raises(PdesolveError, match=r"equation 'heat': expected shape \(\), a scalar at each point; got \("):
        jax.vmap(residual)(jnp.ones((4, 2)))


def test_mistakes_are_named():
    def evaluate(equation, function=jnp.sum, coordinates=XT, names=("u",), point=jnp.ones(2)):  # noqa: B008
        return pointwise(equation, function, coordinates, names)(point)

    with pytest.raises(UnknownNameError, match=r"unknown field 'uu'\. Did you mean 'u'"):
        evaluate(lambda f, at: {"a": f.uu})
    with pytest.raises(UnknownNameError, match=r"unknown coordinate 'y'\..*Known: t, x"):
        evaluate(lambda f, at: {"a": at.y})
    with pytest.raises(PdesolveError, match=r"'a': expected one scalar, got a tuple of 2.*'a_x'"):
        evaluate(lambda f, at: {"a": gradient(f.u)}, coordinates=("x", "y"))
    with pytest.raises(PdesolveError, match="an equation returns a dictionary"):
        evaluate(lambda f, at: f.u)
    with pytest.raises(PdesolveError, match=r"return 2 values at a point, one each for u, v, shape \(2,\); got \(3,\)"):
        evaluate(lambda f, at: {"a": f.u}, function=lambda p: jnp.ones(3), names=("u", "v"))
    with pytest.raises(PdesolveError, match=r"expected a point of shape \(2,\), one entry each for x, t; got \(5, 2\)"):
        evaluate(lambda f, at: {"a": f.u}, point=jnp.ones((5, 2)))
