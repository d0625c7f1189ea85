"""PDE-CL: the least-squares solve against plain ones, its derivatives in three ways, and what it costs."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from operators import PDECL
from operators.pde_cl import expand
from pdesolve.constraints import PointwiseLeastSquares, stationarity, weights_of_least_squares
from pdesolve.errors import PdesolveError, UnknownNameError
from problems import BurgersTrajectories, Darcy2D, DiffusionSorption

from .equations import POINTS, Family, Line, LinearLine, Waves, given, solved_by


@eqx.filter_jit
def weights_of(model, sample):
    return model.weights(sample)


@eqx.filter_jit
def answer_of(model, sample):
    return model(sample)


@eqx.filter_jit
@eqx.filter_grad
def gradient_of(model, sample):
    return jnp.sum(model(sample) ** 2)


def layer(system, basis=4, **options):
    options = {"operator": Waves, "ridge": 1e-6, "tolerance": 1e-12, "key": jax.random.key(3), **options}
    return PDECL(2, 1, family=Family(system), basis=basis, **options)


def dense(model, sample):
    """Return matrix and right side of the linear equation: mean squares of rows and ends, and the ridge."""
    functions, n = model.basis_functions(sample)[:, 0], POINTS
    second = np.zeros((n, n))
    for i in range(1, n - 1):
        second[i, i - 1 : i + 2] = 1, -2, 1
    second[0, :4] = second[-1, -4:][::-1] = 2, -5, 4, -1
    operator = second * (n - 1) ** 2 - np.eye(n)
    matrix = [functions @ operator.T / np.sqrt(n), functions[:, [0, -1]] / np.sqrt(2), 1e-6 * jnp.eye(len(functions))]
    right = [sample[0] / np.sqrt(n), sample[1, [0, -1]] / np.sqrt(2), jnp.zeros(len(functions))]
    return jnp.concatenate(matrix, axis=1).T, jnp.concatenate(right)


def test_linear_equation_is_solved_as_numpy_does():
    """Weights equal those of a dense least-squares problem that is written down by hand; so does the answer."""
    model, sample = layer(LinearLine()), given()
    matrix, right = dense(model, sample)
    expected = np.linalg.lstsq(np.asarray(matrix), np.asarray(right), rcond=None)[0]
    weights, left = weights_of(model, sample)
    np.testing.assert_allclose(weights, expected, rtol=1e-9)
    assert left < 1e-12
    np.testing.assert_allclose(answer_of(model, sample)[0], expected @ model.basis_functions(sample)[:, 0], rtol=1e-9)
    # There are more equations than weights: they are not met.
    assert np.linalg.norm(matrix @ expected - right) > 1e-3


def test_gradient_of_the_linear_layer_is_that_of_the_dense_inverse():
    """To 1e-10, with respect to the parameters of the basis functions and to the sample."""

    def dense_answer(model, sample):
        matrix, right = dense(model, sample)
        return jnp.linalg.solve(matrix.T @ matrix, matrix.T @ right) @ model.basis_functions(sample)[:, 0]

    def slopes(answer):
        gradient = eqx.filter_jit(eqx.filter_grad(lambda both: jnp.sum(jnp.cos(answer(*both)))))
        return jax.tree.leaves(gradient((layer(LinearLine()), given())))

    found, expected = slopes(lambda m, s: m(s)[0]), slopes(dense_answer)
    assert len(found) == len(expected) == 2
    for f, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-10, atol=1e-10 * float(jnp.abs(e).max()))


@pytest.mark.slow
@pytest.mark.parametrize("system", [LinearLine(), Line(3)], ids=["linear", "nonlinear"])
def test_solution_in_the_span_is_found(system):
    """Then all residuals vanish, and the weights are those the solution is made of."""
    model, wanted = layer(system, ridge=0.0), jnp.array([0.7, -0.4, 0.2, 0.5])
    sample = given()
    for _ in range(2):  # f depends on the basis functions, which depend on the mean of f
        functions = model.basis_functions(sample)[:, 0]
        sample = solved_by(system, wanted @ functions)
        model = eqx.tree_at(lambda m: m.operator.numbers, model, model.operator.numbers.at[2].set(0.0))
    np.testing.assert_allclose(weights_of(model, sample)[0], wanted, atol=1e-8)
    np.testing.assert_allclose(answer_of(model, sample)[0], sample[1], atol=1e-9)


def least_squares(model, sample):
    """Return the residuals of the nonlinear equation as a plain function of the weights."""
    functions = model.basis_functions(sample)

    def residual(weights):
        answer = jnp.tensordot(weights, functions, 1)
        system = model.system
        found = system.residuals(sample, answer, system.coordinates(answer.shape[1:]))
        rows = [f / np.sqrt(f.size) for f in found.values()]
        return jnp.concatenate([*rows, model.solver.ridge * weights])

    return residual


def test_nonlinear_equation_is_solved_as_scipy_does():
    """A stationary point, the same as that of an independent solver; the residuals are not small."""
    model, sample = layer(Line(3)), given()
    residual = jax.jit(least_squares(model, sample))
    expected = scipy.optimize.least_squares(
        residual, np.zeros(4), jax.jit(jax.jacobian(residual)), xtol=1e-15, ftol=1e-15, gtol=1e-14
    )
    weights, left = weights_of(model, sample)
    assert left < 1e-8 and expected.cost > 1e-5
    np.testing.assert_allclose(weights, expected.x, rtol=1e-6)
    slope = jax.grad(lambda w: 0.5 * jnp.sum(residual(w) ** 2))(weights)
    assert jnp.abs(slope).max() < 1e-7


def test_implicit_gradient_is_the_unrolled_one_and_that_of_differences():
    """Newton's method differentiated step by step; central differences along a direction."""
    model, sample = layer(Line(3)), given()
    start = weights_of(model, sample)[0]

    def implicit(numbers):
        return jnp.sum(eqx.tree_at(lambda m: m.operator.numbers, model, numbers)(sample) ** 3)

    def unrolled(numbers):
        there = eqx.tree_at(lambda m: m.operator.numbers, model, numbers)
        residual = least_squares(there, sample)
        slope = jax.grad(lambda w: 0.5 * jnp.sum(residual(w) ** 2))

        def newton(weights, _):
            return weights - jnp.linalg.solve(jax.jacfwd(slope)(weights), slope(weights)), None

        weights, _ = jax.lax.scan(newton, start + 1e-3, length=5)
        return jnp.sum((weights @ there.basis_functions(sample)[:, 0]) ** 3)

    numbers = model.operator.numbers
    implicit = jax.jit(implicit)
    np.testing.assert_allclose(implicit(numbers), jax.jit(unrolled)(numbers), rtol=1e-9)
    found = jax.jit(jax.grad(implicit))(numbers)
    np.testing.assert_allclose(found, jax.jit(jax.grad(unrolled))(numbers), rtol=1e-6, atol=1e-8)
    direction = jax.random.normal(jax.random.key(1), numbers.shape)
    step = 1e-5
    slope = (implicit(numbers + step * direction) - implicit(numbers - step * direction)) / (2 * step)
    np.testing.assert_allclose(jnp.sum(found * direction), slope, rtol=1e-6)


@pytest.mark.slow
def test_forward_derivatives_agree_with_reverse_ones():
    """What Gauss-Newton methods ask for: J v, and the transpose."""
    model, sample = layer(Line(3)), given()
    ones = jnp.ones_like(sample)
    along = jax.jit(lambda s: jax.jvp(model, (s,), (ones,))[1])(sample)
    back = jax.jit(jax.grad(lambda s: jnp.sum(model(s))))(sample)
    np.testing.assert_allclose(jnp.sum(along), jnp.sum(back), rtol=1e-8)


@pytest.mark.slow
def test_affine_rows_make_one_step():
    """A problem that does not say it is linear has the same weights, to the tolerance of the search."""
    model, sample = layer(LinearLine()), given()
    np.testing.assert_allclose(weights_of(layer(Line(1)), sample)[0], weights_of(model, sample)[0], rtol=1e-7)


@pytest.mark.slow
def test_order_of_basis_functions():
    """Another order gives the same weights in that order, and the same answer."""
    model, sample, order = layer(Line(3)), given(), jnp.array([2, 0, 3, 1])
    moved = eqx.tree_at(lambda m: m.operator.numbers, model, model.operator.numbers[:, order])
    np.testing.assert_allclose(weights_of(moved, sample)[0], weights_of(model, sample)[0][order], rtol=1e-8)
    np.testing.assert_allclose(answer_of(moved, sample), answer_of(model, sample), rtol=1e-9)


def test_terms_are_computed_once():
    """However many steps the search may take; nothing is differentiated inside."""
    calls = []

    class Counted(Line):
        def terms(self, given, answer, coordinates):
            calls.append(1)
            return super().terms(given, answer, coordinates)

    for steps in (1, 50):
        calls.clear()
        eqx.filter_eval_shape(layer(Counted(3), max_steps=steps), given())
        assert len(calls) == 1


@pytest.mark.slow
def test_gradient_is_finite_where_the_search_was_cut_short():
    model, sample = layer(Line(3), max_steps=1), given()
    assert weights_of(model, sample)[1] > 1e-6
    gradient = gradient_of(model, sample)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(gradient))


@pytest.mark.slow
def test_ridge_keeps_equal_basis_functions_apart():
    """They share their weight, and derivatives are finite."""
    model, sample = layer(Line(3), ridge=1e-4), given()
    model = eqx.tree_at(lambda m: m.operator.numbers, model, model.operator.numbers[:, jnp.array([0, 1, 2, 2])])
    weights = weights_of(model, sample)[0]
    np.testing.assert_allclose(weights[2], weights[3], rtol=1e-5)
    gradient = gradient_of(model, sample)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(gradient))


@pytest.mark.slow
def test_points_are_drawn_once():
    """At 10 of 24 points the weights are those of these rows; at all of them the number says nothing."""
    sample = given()
    some, every = layer(LinearLine(), points=10), layer(LinearLine())
    assert not np.allclose(weights_of(some, sample)[0], weights_of(every, sample)[0], rtol=1e-3)
    np.testing.assert_array_equal(answer_of(some, sample), answer_of(layer(LinearLine(), points=10), sample))
    np.testing.assert_array_equal(answer_of(layer(LinearLine(), points=24), sample), answer_of(every, sample))


def test_expansion_is_affine():
    """Terms and conditions of a sum are the sums of terms and conditions."""
    system, sample = Line(3), given()
    functions = layer(system).basis_functions(sample)
    expansion, weights = expand(system, sample, functions), jnp.array([0.3, -1.0, 0.4, 2.0])
    answer = expansion.answer(weights)
    found = system.terms(sample, answer, system.coordinates(answer.shape[1:]))
    offset, tensor = expansion.terms
    for index, name in enumerate(expansion.names):
        np.testing.assert_allclose(offset[index] + weights @ tensor[:, index], found[name], atol=1e-10)


@pytest.mark.slow
def test_search_of_rosenbrock():
    """Two rows, rho = (10 (y - x^2), 1 - x): from zero to (1, 1), where they vanish."""
    problem = PointwiseLeastSquares(
        tensor=jnp.eye(2)[:, None],
        offset=jnp.zeros((2, 1)),
        data=jnp.zeros((0, 1)),
        scale=jnp.ones(1),
        matrix=jnp.zeros((0, 2)),
        shift=jnp.zeros(0),
        function=lambda z, _: jnp.stack([10.0 * (z[1] - z[0] ** 2), 1.0 - z[0]]),
    )
    weights = eqx.filter_jit(weights_of_least_squares)(problem, tolerance=1e-10, max_steps=100)
    np.testing.assert_allclose(weights, 1.0, atol=1e-9)
    assert stationarity(problem, jnp.zeros(2)) > 0.5


def test_bad_input(key):
    sample = given()
    with pytest.raises(PdesolveError, match="there is no equation to solve: build the operator with `family`"):
        PDECL(2, 1, operator=Waves, key=key).weights(sample)
    with pytest.raises(PdesolveError, match="object has no `system`, the form of its equations"):
        PDECL(2, 1, family=object(), key=key)
    with pytest.raises(UnknownNameError, match="unknown option of the basis operator 'fno' 'mode'"):
        PDECL(2, 1, mode=3, key=key)
    with pytest.raises(PdesolveError, match="`tolerance` must be above 0 and below 1, got 2"):
        PDECL(2, 1, tolerance=2, key=key)
    with pytest.raises(PdesolveError, match="`basis` must be at least 1, got 0"):
        PDECL(2, 1, basis=0, key=key)
    with pytest.raises(PdesolveError, match="`points` must be at most the 24 points of an expert's block, got 25"):
        layer(LinearLine(), points=25)(sample)


@pytest.mark.parametrize(
    ("family", "inner"),
    [
        (BurgersTrajectories(viscosity=0.02), (slice(1, -1), slice(None))),
        (Darcy2D(), (slice(1, -1), slice(1, -1))),
        (DiffusionSorption(), (slice(None), slice(None))),
    ],
    ids=["burgers", "darcy", "diffusion_sorption"],
)
def test_systems_of_families_are_their_residuals(family, inner, key):
    """From terms and data as from the answer; where the equation does not count the system has zeros."""
    sample, answer = 3.0 + jnp.abs(jax.random.normal(key, (2, 1, 7, 8)))
    system = family.system()
    coordinates = system.coordinates((7, 8))
    assert list(coordinates) == list(family.coordinates)

    @jax.jit
    def both(sample, answer):
        return system.residuals(sample, answer, coordinates), family.residuals(
            sample, answer, coordinates, family.residual_forms[0]
        )

    found, expected = both(sample, answer)
    assert set(found) == set(expected) == set(family.residual_names)
    inside = found["equation"][inner]
    assert jnp.count_nonzero(found["equation"]) == jnp.count_nonzero(inside)
    np.testing.assert_allclose(inside, expected["equation"], rtol=1e-9, atol=1e-9)
    for name in family.residual_names[1:]:
        np.testing.assert_array_equal(found[name], expected[name])
