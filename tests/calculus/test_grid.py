"""Differentiation rules on grids: exactness, order of accuracy, and the checks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdesolve.calculus import (
    Chebyshev,
    Spectral,
    Stencil,
    apply,
    finite_difference_weights,
    grid_fields,
    laplacian,
    on_grid,
    partial,
)
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.spectral import chebyshev_points


def periodic_grid(n, length=2 * np.pi):
    return np.arange(n) * (length / n)


def observed_order(h, error):
    """Least-squares slope of log(error) over log(h)."""
    return np.polyfit(np.log(h), np.log(error), 1)[0]


@pytest.mark.parametrize("n", [15, 16])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_spectral_is_exact_below_the_nyquist_mode(n, order):
    """D^k of cos(2 pi m x / L + 1) for m below n / 2, period L = 3; round-off grows like the largest symbol."""
    x = periodic_grid(n, 3.0)
    for m in range((n + 1) // 2):
        wave = 2 * np.pi * m / 3.0
        expected = wave**order * np.cos(wave * x + 1 + order * np.pi / 2)
        computed = Spectral().differentiate(jnp.cos(wave * x + 1), jnp.asarray(x), order)
        np.testing.assert_allclose(computed, expected, atol=1e-13 * (np.pi * n / 3) ** order)


def test_nyquist_mode_has_no_odd_derivative():
    """(-1)^j on an even grid: the first derivative is zero, the second -(n / 2)^2 times the values."""
    values = jnp.asarray((-1.0) ** np.arange(8))
    x = jnp.asarray(periodic_grid(8))
    np.testing.assert_allclose(Spectral().differentiate(values, x, 1), 0, atol=1e-13)
    np.testing.assert_allclose(Spectral().differentiate(values, x, 2), -16 * values, rtol=1e-13)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("accuracy", [2, 4])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_stencils_have_their_order_of_accuracy(order, accuracy, periodic):
    """Error of D^k sin(x + 1) in the maximum norm, ends included; slopes are fitted on three grids."""
    sizes = (40, 60, 80)
    errors = []
    for n in sizes:
        x = periodic_grid(n) if periodic else np.linspace(0, 2 * np.pi, n + 1)
        computed = Stencil(accuracy, periodic).differentiate(jnp.sin(x + 1), jnp.asarray(x), order)
        errors.append(np.abs(computed - np.sin(x + 1 + order * np.pi / 2)).max())
    # One-sided ends reach their asymptotic slope later than central differences: 0.3 where they dominate.
    assert abs(observed_order(1 / np.array(sizes), errors) - accuracy) < (0.1 if periodic else 0.3)
    assert errors[-1] < (0.1 if accuracy == 2 else 0.01)


@settings(max_examples=25, deadline=None)
@given(
    order=st.integers(1, 4),
    accuracy=st.sampled_from([2, 4]),
    coefficients=st.lists(st.integers(-3, 3), min_size=1, max_size=5),
)
def test_bounded_stencils_are_exact_for_polynomials(order, accuracy, coefficients):
    """Polynomials of degree below order + accuracy, at every point of a bounded grid."""
    polynomial = np.polynomial.Polynomial(coefficients[: order + accuracy])
    x = np.linspace(-1, 1, 12)
    computed = Stencil(accuracy).differentiate(jnp.asarray(polynomial(x)), jnp.asarray(x), order)
    # Round-off of values of the size 15, times weights that add up to 700 at most, is divided by h^k.
    np.testing.assert_allclose(computed, polynomial.deriv(order)(x), atol=2e-16 * 15 * 700 / (2 / 11) ** order)


def test_weights_of_fornberg():
    """Entries of tables 1 and 3 in the reference: central of order 4, one-sided of order 2."""
    np.testing.assert_allclose(
        finite_difference_weights(range(-2, 3), 1), [1 / 12, -2 / 3, 0, 2 / 3, -1 / 12], atol=1e-16
    )
    np.testing.assert_allclose(finite_difference_weights(range(4), 2), [2, -5, 4, -1])


def test_chebyshev_is_exact_for_polynomials():
    """Derivatives of x^5 on [1, 4] at 8 points."""
    x = jnp.asarray(chebyshev_points(8, (1.0, 4.0)))
    for order, expected in ((1, 5 * x**4), (2, 20 * x**3), (3, 60 * x**2)):
        np.testing.assert_allclose(Chebyshev().differentiate(x**5, x, order), expected, rtol=1e-9)


def test_mixed_rules_on_a_bounded_channel():
    """u = sin(x) y^3 exp(-t): Fourier in x, Chebyshev in y, differences in t; coordinates and products mixed in."""
    axes = {
        "x": periodic_grid(16),
        "y": chebyshev_points(8, (0.0, 1.0)),
        "t": np.linspace(0, 1, 41),
    }
    x, y, t = np.meshgrid(*axes.values(), indexing="ij")
    u = np.sin(x) * y**3 * np.exp(-t)

    def equation(fields, at):
        u = fields.u
        return {
            "laplacian": laplacian(u) + u - 6 * at.y * apply(jnp.sin, at.x) * apply(jnp.exp, -at.t),
            "mixed": partial(u, "x", "y", "t") + 3 * at.y**2 * jnp.cos(at.x) * jnp.exp(-at.t),
            "flux": partial(at.y * u * u, "y") - 7 * u * u,
            "constant": 0.5,
        }

    values = {"u": jnp.asarray(u)}
    rules = {"x": Spectral(), "y": Chebyshev(), "t": Stencil(4)}
    residual = jax.jit(lambda values: on_grid(equation, values, axes, rules))(values)
    assert {value.shape for value in residual.values()} == {(16, 8, 41)}
    np.testing.assert_allclose(residual["laplacian"], 0, atol=1e-10)  # second Chebyshev derivative: round-off times n^4
    np.testing.assert_allclose(residual["mixed"], 0, atol=3e-6)  # h^4 = 4e-7
    np.testing.assert_allclose(residual["flux"], 0, atol=1e-12)
    np.testing.assert_array_equal(residual["constant"], 0.5)

    fields, at = grid_fields(values, axes, rules)
    np.testing.assert_allclose(equation(fields, at)["mixed"].value, residual["mixed"], atol=1e-12)


@pytest.mark.parametrize("rule", [Spectral(), Stencil(4, periodic=True), Stencil(2), Chebyshev()])
def test_rules_are_linear_batched_and_differentiable(rule, key):
    """d/du of sum(w D u) is D^T w; samples through jax.vmap."""
    n = 12
    points = chebyshev_points(n) if isinstance(rule, Chebyshev) else periodic_grid(n)
    u, w = jax.random.normal(key, (2, 3, n))

    def differentiate(u):
        return on_grid(lambda f, at: {"a": partial(f.u, "x")}, {"u": u}, {"x": points}, {"x": rule})["a"]

    matrix = jax.vmap(differentiate, out_axes=1)(jnp.eye(n))
    np.testing.assert_allclose(jax.vmap(differentiate)(u), u @ matrix.T, atol=1e-12)
    gradient = jax.grad(lambda u: jnp.sum(w[0] * differentiate(u)))(u[0])
    np.testing.assert_allclose(gradient, matrix.T @ w[0], atol=1e-12)


def test_single_precision_stays_single():
    x = jnp.asarray(periodic_grid(16), jnp.float32)
    for rule in (Spectral(), Stencil(4), Stencil(2, periodic=True)):
        assert rule.differentiate(jnp.sin(x), x, 2).dtype == jnp.float32


def test_mistakes_are_named():
    x = periodic_grid(8)
    u = {"u": jnp.ones(8)}

    def evaluate(values, coordinates, rules, equation=lambda f, at: {"a": partial(f.u, "x")}):
        return on_grid(equation, values, coordinates, rules)

    with pytest.raises(
        PdesolveError, match=r"values of 'u' of shape \(8,\), axes in the order x; got \(3, 8\).*jax.vmap"
    ):
        evaluate({"u": jnp.ones((3, 8))}, {"x": x}, {"x": Spectral()})
    with pytest.raises(PdesolveError, match=r"no rule to differentiate along 'x'; rules are given for: none"):
        evaluate(u, {"x": x}, {})
    with pytest.raises(UnknownNameError, match="unknown coordinate 'y'"):
        evaluate(u, {"x": x}, {"y": Spectral()})
    with pytest.raises(PdesolveError, match="uniform grid along 'x'; its steps are between"):
        evaluate(u, {"x": x**2}, {"x": Stencil()})
    with pytest.raises(PdesolveError, match="needs Chebyshev points along 'x'"):
        evaluate(u, {"x": x}, {"x": Chebyshev()})
    with pytest.raises(
        PdesolveError, match="order 4 with an error of order 4 needs at least 8 points along its axis, got 7"
    ):
        Stencil(4).differentiate(jnp.ones(7), jnp.arange(7.0), 4)
    with pytest.raises(PdesolveError, match="`order` of a stencil must be 2 or 4, got 3"):
        Stencil(3)
    with pytest.raises(PdesolveError, match=r"equation 'a': expected shape \(\).*got \(1,\)"):
        evaluate(u, {"x": x}, {"x": Spectral()}, lambda f, at: {"a": f.u * jnp.ones(1)})
