"""Arithmetic of fields and the identities of vector calculus, on fields of closed-form functions at a point."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.calculus import (
    apply,
    curl,
    directional_derivative,
    divergence,
    field_at,
    gradient,
    hessian,
    laplacian,
    material_derivative,
    partial,
)
from pdesolve.errors import PdesolveError, UnknownNameError

from .nested import nested

POINT = jnp.array([0.4, -0.3, 0.8, 0.2])


def functions(p):
    """Four smooth functions of (x, y, z, t), all their derivatives different from zero."""
    x, y, z, t = p
    return jnp.stack(
        [
            jnp.sin(x * y + z) * jnp.exp(-t),
            x**2 * y * jnp.cos(z * t) + y**3,
            jnp.tanh(x + 2 * y - z) + t * x * z,
            2 + jnp.cos(x - y * z * t),
        ]
    )


@pytest.fixture
def fields():
    return field_at(functions, POINT, ("x", "y", "z", "t"), ("u", "v", "w", "r"))


def values(tree):
    return np.array(jax.tree.leaves(tree))  # a field is a tree whose leaf is its value


def assert_equal(a, b):
    # Round-off of terms of order one, differently summed.
    np.testing.assert_allclose(values(a), values(b), rtol=1e-12, atol=1e-12)


def derivative(function, *axes):
    """Return a partial derivative by nested jax.jvp."""
    return nested(function, POINT, tuple(axes.count(axis) for axis in range(4)))


COMPOSITES = {
    "product": (lambda u, r: u * r, lambda u, r: u * r),
    "quotient": (lambda u, r: u / r, lambda u, r: u / r),
    "reciprocal": (lambda u, r: 2.0 / r, lambda u, r: 2.0 / r),
    "integer_power": (lambda u, r: u**3, lambda u, r: u**3),
    "zeroth_and_first_power": (lambda u, r: u**0 + r**1, lambda u, r: u**0 + r**1),
    "real_power": (lambda u, r: r**2.5, lambda u, r: r**2.5),
    "power_of_field": (lambda u, r: r**u, lambda u, r: r**u),
    "power_of_number": (lambda u, r: 2.0**u, lambda u, r: 2.0**u),
    "sums": (lambda u, r: 1 - (u - r) + (+u) - (-r) * 2 - 3, lambda u, r: 1 - (u - r) + u + r * 2 - 3),
    "scalars": (lambda u, r: np.float64(2) * u / jnp.float64(3), lambda u, r: 2 * u / 3),
    "applied": (lambda u, r: apply(jnp.arctan2, u, r), lambda u, r: jnp.arctan2(u, r)),
    "applied_twice": (
        lambda u, r: apply(jnp.sin, u * apply(jnp.exp, r)),
        lambda u, r: jnp.sin(u * jnp.exp(r)),
    ),
    "absolute": (lambda u, r: abs(u) * r, lambda u, r: jnp.abs(u) * r),
}


@pytest.mark.parametrize("name", COMPOSITES)
def test_expressions_obey_the_rules_of_differentiation(name, fields):
    """Value, d/dx, d^2/dx dt and d^3/dx^2 dz of a function of two fields, against nested differentiation."""
    ours, plain = COMPOSITES[name]
    composite = ours(fields.u, fields.r)

    def scalar(p):
        u, _, _, r = functions(p)
        return plain(u, r)

    assert_equal(composite, scalar(POINT))
    assert_equal(partial(composite, "x"), derivative(scalar, 0))
    assert_equal(partial(composite, "x", "t"), derivative(scalar, 0, 3))
    assert_equal(partial(composite, "x", 2, "z"), derivative(scalar, 0, 0, 2))


def test_partial_by_components_and_order_zero(fields):
    """Of a vector by component; of order zero the field itself."""
    assert_equal(partial((fields.u, fields.v), "t"), (partial(fields.u, "t"), partial(fields.v, "t")))
    assert_equal(partial(fields.u, "x", 0), fields.u)


def test_divergence_of_curl_vanishes(fields):
    """div curl v = 0."""
    assert_equal(divergence(curl((fields.u, fields.v, fields.w))), 0.0)


def test_curl_of_gradient_vanishes(fields):
    """curl grad r = 0."""
    assert_equal(curl(gradient(fields.r)), (0.0, 0.0, 0.0))


def test_curl_of_curl(fields):
    """Curl curl v = grad div v - lap v."""
    v = (fields.u, fields.v, fields.w)
    expected = [a - b for a, b in zip(gradient(divergence(v)), laplacian(v), strict=True)]
    assert_equal(curl(curl(v)), expected)


def test_laplacian_is_divergence_of_gradient_and_trace_of_hessian(fields):
    """Lap u = div grad u = tr hess u, without a second time derivative."""
    rows = hessian(fields.u)
    assert_equal(laplacian(fields.u), divergence(gradient(fields.u)))
    assert_equal(laplacian(fields.u), sum(rows[i][i].value for i in range(3)))
    assert_equal(rows[0][2], rows[2][0])


def test_laplacian_of_product(fields):
    """Lap(u r) = u lap r + r lap u + 2 grad u . grad r."""
    u, r = fields.u, fields.r
    expected = u * laplacian(r) + r * laplacian(u) + 2 * directional_derivative(u, gradient(r))
    assert_equal(laplacian(u * r), expected)


def test_bilaplacian_is_the_laplacian_of_the_laplacian(fields):
    """The Laplacian, computed as a sum, is differentiated through its terms: lap lap u and d/dt lap u."""
    u = lambda p: functions(p)[0]  # noqa: E731
    expected = sum(derivative(u, i, i, j, j) for i in range(3) for j in range(3))
    assert_equal(laplacian(laplacian(fields.u)), expected)
    assert_equal(partial(laplacian(fields.u), "t"), sum(derivative(u, i, i, 3) for i in range(3)))


def test_product_rule_of_divergence_with_coordinates(fields):
    """div(r v) = r div v + v . grad r, for a vector that contains a constant; a tensor gives one of its rows each."""
    v = (fields.u, fields.v * 2, fields.w)
    scaled = tuple(component * fields.r for component in v)
    assert_equal(divergence(scaled), fields.r * divergence(v) + directional_derivative(fields.r, v))
    assert_equal(divergence((v, scaled, v)), (divergence(v), divergence(scaled), divergence(v)))


def test_material_derivative(fields):
    """D v / D t = v_t + (v . grad) v, by component."""
    v = (fields.u, fields.v, fields.w)
    expected = [
        partial(c, "t") + fields.u * partial(c, "x") + fields.v * partial(c, "y") + fields.w * partial(c, "z")
        for c in v
    ]
    assert_equal(material_derivative(v, v), expected)


def test_directional_derivative_along_an_array(fields):
    """n . grad u for a plain array n, and along a tuple of numbers."""
    n = jnp.array([1.0, -2.0, 0.5])
    expected = sum(float(c) * g.value for c, g in zip(n, gradient(fields.u), strict=True))
    assert_equal(directional_derivative(fields.u, n), expected)
    assert_equal(directional_derivative(fields.u, (1, -2, 0.5)), expected)


def test_curl_in_two_dimensions():
    """Curl (u, v) = v_x - u_y; for the rotation (-y, x) it is 2."""
    fields = field_at(lambda p: jnp.stack([-p[1], p[0]]), POINT[:2], ("x", "y"), ("u", "v"))
    assert_equal(curl((fields.u, fields.v)), 2.0)


def test_fields_are_arrays_to_jax(fields):
    """jnp.sin(u), jnp.where, compiled functions and comparisons take the value of a field."""
    u = fields.u
    assert_equal(jnp.sin(u), jnp.sin(u.value))
    assert_equal(jnp.where(u > 0, u, 0.0), jnp.where(u.value > 0, u.value, 0.0))
    assert_equal(jax.jit(jax.nn.relu)(u), jax.nn.relu(u.value))
    assert_equal(jnp.stack([u, fields.v]), jnp.stack([u.value, fields.v.value]))
    assert (u < 10) & (u <= 10) & (u >= -10)


def test_mistakes_are_named(fields):
    u, v = fields.u, fields.v
    with pytest.raises(UnknownNameError, match=r"unknown field 'uu'\. Did you mean 'u'\? Known: r, u, v, w"):
        _ = fields.uu
    assert not hasattr(fields, "uu")
    with pytest.raises(UnknownNameError, match=r"unknown coordinate 'X'\..*Known: t, x, y, z"):
        partial(u, "X")
    for directions in ((), (2,), ("x", 1, 2), ("x", -1), ("x", 1.5)):
        with pytest.raises(PdesolveError, match="a partial derivative is given by coordinates"):
            partial(u, *directions)
    with pytest.raises(PdesolveError, match=r"only a field can be differentiated, got a plain array.*apply\(jnp\.sin"):
        partial(jnp.sin(u), "x")
    with pytest.raises(PdesolveError, match="expected 3 components, one each for x, y, z; got 2"):
        divergence((u, v))
    with pytest.raises(PdesolveError, match="expected a tuple of fields, got"):
        divergence(u)
    with pytest.raises(PdesolveError, match="direction with 3 components, one each for x, y, z; got 4"):
        directional_derivative(u, jnp.ones(4))
    with pytest.raises(PdesolveError, match="defined in 2 and 3 spatial dimensions, got 1"):
        curl((field_at(jnp.sum, POINT[:1], ("x",), ("u",)).u,))
    with pytest.raises(PdesolveError, match="no spatial coordinate"):
        laplacian(field_at(jnp.sum, POINT[:1], ("t",), ("u",)).u)
    with pytest.raises(PdesolveError, match="neither true nor false"):
        bool(u)
    with pytest.raises(PdesolveError, match="cannot be combined with a tuple"):
        _ = u * (v, v)
    with pytest.raises(PdesolveError, match="a vector is a tuple of fields"):
        list(u)
    with pytest.raises(PdesolveError, match="`apply` needs at least one field"):
        apply(jnp.sin, 1.0)
