"""Equations on linear bases: the equation of the represented function, and linear in the weights where it should be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.calculus import basis_fields, basis_terms, laplacian, on_basis, partial, pointwise, requested
from pdesolve.errors import PdesolveError

from .nested import count

COORDINATES = ("x", "y", "t")


def basis(point):
    """Seven smooth functions of (x, y, t)."""
    return jnp.tanh(jnp.linspace(-1, 1, 21).reshape(7, 3) @ point + jnp.linspace(0, 1, 7))


def heat(fields, at):
    return {"heat": partial(fields.u, "t") - 0.3 * laplacian(fields.u) - fields.u * at.x}


def coupled(fields, at):
    u, v = fields.u, fields.v
    return {"u": partial(u, "t") + u * partial(u, "x") + v * partial(u, "y"), "v": partial(u * v, "x") + jnp.sin(at.y)}


def test_equals_the_equation_of_the_function(key):
    """A non-linear system of u = phi . w_u, v = phi . w_v agrees with `pointwise` on that function."""
    keys = jax.random.split(key, 2)
    points = jax.random.normal(keys[0], (9, 3))
    w = jax.random.normal(keys[1], (2, 7))
    residual = on_basis(coupled, basis, points, COORDINATES, ("u", "v"))({"u": w[0], "v": w[1]})
    expected = jax.vmap(pointwise(coupled, lambda p: w @ basis(p), COORDINATES, ("u", "v")))(points)
    for name in expected:
        assert residual[name].shape == (9,)
        np.testing.assert_allclose(residual[name], expected[name], rtol=1e-12, atol=1e-13)


def test_linear_equation_is_linear_in_the_weights(key):
    """r(a w1 + w2) = a r(w1) + r(w2); its matrix A = dr/dw gives r(w) = A w."""
    points = jax.random.normal(key, (9, 3))
    w1, w2 = jax.random.normal(key, (2, 7))
    residual = on_basis(heat, basis, points, COORDINATES, ("u",))
    r = lambda w: residual({"u": w})["heat"]  # noqa: E731
    np.testing.assert_allclose(r(2.5 * w1 + w2), 2.5 * r(w1) + r(w2), atol=1e-13)
    np.testing.assert_allclose(jax.jacfwd(r)(jnp.zeros(7)) @ w1, r(w1), atol=1e-13)


def test_nothing_is_differentiated_for_new_weights(key):
    """Once the terms are known, the basis is not evaluated again: no tanh, one product for each term."""
    residual = on_basis(heat, basis, jnp.ones((9, 3)), COORDINATES, ("u",))
    weights = {"u": jnp.ones(7)}
    assert count(residual, weights, primitive="tanh") == 0
    assert count(residual, weights) == 3  # u, u_t, and the Laplacian as one


def test_mistakes_are_named():
    points = jnp.ones((9, 3))
    terms = basis_terms(basis, points, COORDINATES, [(0, 0, 0)])
    fields, _ = basis_fields(terms, {"u": jnp.ones(7)})
    with pytest.raises(
        PdesolveError, match=r"derivative \(1, 0, 0\) of the basis was not computed; known: \[\(0, 0, 0\)\]"
    ):
        _ = partial(fields.u, "x").value
    with pytest.raises(PdesolveError, match=r"weights of 'u' of shape \(7,\), got \(8,\)"):
        basis_fields(terms, {"u": jnp.ones(8)})
    with pytest.raises(PdesolveError, match=r"points of shape \(n, 3\), one column each for x, y, t; got \(3,\)"):
        basis_terms(basis, points[0], COORDINATES, [(0, 0, 0)])
    with pytest.raises(PdesolveError, match=r"equation 'a': expected shape \(\).*got \(9,\)"):
        on_basis(lambda f, at: {"a": f.u * jnp.ones(9)}, basis, points, COORDINATES, ("u",))
    assert requested(heat, COORDINATES, ("u",)) >= {(0, 0, 0), (0, 0, 1)}
