"""The layer: nearest point, derivatives in every mode, and training through it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pdesolve.constraints import HardConstraint
from pdesolve.fit import Stage, fit
from pdesolve.nets import MLP
from pdesolve.objective import Objective, PointwiseBlock, Term
from pdesolve.optim import FirstOrder
from pdesolve.samplers import FreshSamples

Y = jnp.array([0.7, -0.4, 1.3])


def sphere(x, radius):
    return jnp.stack([x @ x - radius**2])


def curve(x, a):
    """Two nonlinear equations for three unknowns: no closed form."""
    return jnp.stack([jnp.sin(x[0]) + x[1] ** 2 - a[0], x[0] * x[2] + jnp.exp(x[1]) - a[1]])


A = jnp.array([0.5, 1.4])


def unrolled(y, a, steps=40):
    """Newton's method on the optimality conditions, differentiated step by step."""

    def equations(point):
        x, multipliers = point[:3], point[3:]
        slope = x - y + jax.jacobian(curve)(x, a).T @ multipliers
        return jnp.concatenate([slope, curve(x, a)])

    point = jnp.concatenate([jax.lax.stop_gradient(HardConstraint(curve)(y, a)) + 0.01, jnp.zeros(2)])
    for _ in range(steps):
        point = point - jnp.linalg.solve(jax.jacobian(equations)(point), equations(point))
    return point[:3]


def test_nearest_point_on_a_sphere():
    """Along the ray; its derivative is the projection, times the ratio of radii."""
    layer = HardConstraint(sphere)
    size = jnp.linalg.norm(Y)
    np.testing.assert_allclose(layer(Y, 2.0), 2.0 * Y / size, rtol=1e-10)
    expected = 2.0 / size * (jnp.eye(3) - jnp.outer(Y, Y) / size**2)
    np.testing.assert_allclose(jax.jacfwd(layer)(Y, 2.0), expected, atol=1e-9)
    np.testing.assert_allclose(jax.jacrev(layer)(Y, 2.0), expected, atol=1e-9)
    np.testing.assert_allclose(jax.jacrev(layer, argnums=1)(Y, 2.0), Y / size, atol=1e-9)


def test_derivatives_are_those_of_differences():
    """By y and by what the constraints depend on: jvp, vjp, differences."""
    layer = jax.jit(HardConstraint(curve))
    assert HardConstraint(curve).violation(layer(Y, A), A) < 1e-10
    for argument in (0, 1):
        forward = jax.jit(jax.jacfwd(layer, argnums=argument))(Y, A)
        np.testing.assert_allclose(jax.jit(jax.jacrev(layer, argnums=argument))(Y, A), forward, atol=1e-8)
        step = 1e-5
        for i, given in enumerate(jnp.eye((Y, A)[argument].size) * step):
            ends = [layer(*(v + s * given if k == argument else v for k, v in enumerate((Y, A)))) for s in (1, -1)]
            np.testing.assert_allclose((ends[0] - ends[1]) / (2 * step), forward[:, i], atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("argument", [0, 1])
def test_derivatives_are_those_of_the_iteration(argument):
    """Differentiated step by step, which takes a minute to compile."""
    forward = jax.jit(jax.jacfwd(HardConstraint(curve), argnums=argument))(Y, A)
    np.testing.assert_allclose(jax.jit(jax.jacfwd(unrolled, argnums=argument))(Y, A), forward, atol=1e-7)


def test_second_derivatives_and_batches():
    """jvp of vjp against differences of the gradient; vmap against a loop."""
    layer = HardConstraint(curve)

    def loss(y):
        return jnp.sum(layer(y, A) ** 3)

    gradient = jax.jit(jax.grad(loss))
    direction = jnp.array([0.3, -0.2, 0.5])
    second = jax.jit(lambda y: jax.jvp(jax.grad(loss), (y,), (direction,))[1])(Y)
    step = 1e-5
    ends = [gradient(Y + sign * step * direction) for sign in (1, -1)]
    np.testing.assert_allclose(second, (ends[0] - ends[1]) / (2 * step), atol=1e-6)
    batch = Y[None] + 0.1 * jax.random.normal(jax.random.key(0), (5, 3))
    one = jax.jit(lambda y: layer(y, A))
    np.testing.assert_allclose(jax.jit(jax.vmap(one))(batch), [one(y) for y in batch], atol=1e-9)
    np.testing.assert_allclose(jax.jit(jax.vmap(gradient))(batch), [gradient(y) for y in batch], atol=1e-8)


def test_least_squares_and_dependent_constraints():
    """Without constraints the normal equations; the same constraint twice changes nothing."""
    matrix = jnp.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [2.0, 1.0, 1.0]])
    right = jnp.array([1.0, 2.0, 3.0, 5.0])  # no solution: what is left counts
    free = HardConstraint(None, lambda x, y, _: matrix @ x - right)
    np.testing.assert_allclose(free(Y), jnp.linalg.lstsq(matrix, right)[0], atol=1e-9)
    once = HardConstraint(lambda x, _: jnp.stack([x[0] + x[1]]))
    twice = HardConstraint(lambda x, _: jnp.stack([x[0] + x[1], 2 * (x[0] + x[1])]))
    np.testing.assert_allclose(twice(Y), once(Y), atol=1e-9)
    np.testing.assert_allclose(jax.jacobian(twice)(Y), jax.jacobian(once)(Y), atol=1e-8)


def test_training_through_the_layer(key):
    """u = sum of coefficients times sines meets -u'' = f at points that are drawn anew at every step.

    A network gives the coefficients for each frequency of the source; the loss wants them small, so that what is left
    is the least-norm solution of the constraints.
    """
    modes = jnp.arange(1.0, 7.0)

    def equation(coefficients, given):
        points, frequency = given["points"], given["frequency"]
        left = (coefficients * (modes * jnp.pi) ** 2) @ jnp.sin(jnp.pi * modes[:, None] * points[None])
        return (left - jnp.sin(frequency * jnp.pi * points)) / 100.0

    class Model(eqx.Module):
        network: MLP
        layer: HardConstraint

        def __call__(self, given):
            return self.layer(self.network(given["frequency"][None]), given)

    def draw(key):
        points, frequency = jax.random.split(key)
        return {
            "points": (jnp.arange(4.0)[None] + jax.random.uniform(points, (8, 4), minval=0.3, maxval=0.7)) / 4,
            "frequency": jax.random.uniform(frequency, (8,), minval=1.0, maxval=3.0),
        }

    def residual(model, given, key, context):
        return {"size": model(given)}

    objective = Objective((PointwiseBlock(residual, FreshSamples(draw, 8), (Term("size"),)),))
    model = Model(MLP(1, 6, width=8, depth=2, key=key), HardConstraint(equation))
    result = fit([Stage(objective, FirstOrder(optax.adam(1e-2)), steps=60, chunk=20)], model)
    assert result.status == "completed"
    assert result.history[-1]["loss"] < 0.5 * result.history[0]["loss"]
    given = jax.tree.map(lambda leaf: leaf[0], draw(jax.random.key(9)))
    coefficients = result.trainables(given)
    assert result.trainables.layer.violation(coefficients, given) < 1e-9


@pytest.mark.parametrize("y", [jnp.zeros(3)])
def test_a_singular_start_does_not_raise(y):
    """At the centre of the sphere no direction is nearer: the last iterate is returned, and its violation is known."""
    layer = HardConstraint(sphere, max_steps=20)
    x = layer(y, 1.0)
    assert x.shape == (3,) and float(layer.violation(x, 1.0)) > 0.5
    batch = jax.vmap(lambda y: HardConstraint(sphere)(y, 1.0))(jnp.stack([Y, jnp.full(3, jnp.nan)]))
    np.testing.assert_allclose(batch[0], Y / jnp.linalg.norm(Y), rtol=1e-9)
    assert np.isnan(batch[1]).all()
