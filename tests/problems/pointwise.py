"""Residuals of problems on functions given in closed form, and on references, for the tests of this folder."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pdesolve.calculus import field_at, pointwise

NUM_POINTS = 12
STEP = 2e-4


def at_point(coordinates, point, normal=None, data=None):
    """Return what a user's function gets as `at`."""
    return SimpleNamespace(**dict(zip(coordinates, point, strict=True)), normal=normal, data=data)


def as_vector(problem, functions: Callable[[Any], dict[str, Any]]):
    """Return `at -> {name: scalar}` as a function of a point, `(d,) -> (number of fields,)`."""
    coordinates = problem.domain().coordinates

    def function(point):
        values = functions(at_point(coordinates, point))
        return jnp.stack([values[name] for name in problem.field_names])

    return function


def equation_residuals(problem, functions, points):
    """Return the residuals of a problem's equations on `at -> {name: scalar}`, one value for each point."""
    coordinates, names = problem.domain().coordinates, problem.field_names
    residual = pointwise(problem.equations, as_vector(problem, functions), coordinates, names)
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(residual))(jnp.asarray(points)))


def condition_residuals(problem, condition, functions, *, from_points=False):
    """Return the residuals of a condition on `at -> {name: scalar}` at points where it is stated.

    With `from_points`, `functions` is a pair: the first of it takes many points to a tree of arrays, the second one
    entry of that tree to the function valid near that point; boundary points are then of the later half of the time,
    because initial values need not meet the boundary conditions in their derivatives.
    """
    coordinates, names = problem.domain().coordinates, problem.field_names
    prepare, build = functions if from_points else (lambda points: points, lambda _: functions)
    points, normals, data, far = _places(problem.domain(), condition, late=from_points)
    normals = normals[:, [i for i, name in enumerate(coordinates) if name != "t"]]  # as in training

    def evaluate(point, normal, data, local, far_point, far_local):
        def residual(near, at):
            far = ()
            if condition.periodic_axis is not None:
                far = (field_at(as_vector(problem, build(far_local)), far_point, coordinates, names),)
            here = at_point(coordinates, [getattr(at, name) for name in coordinates], normal, data)
            return condition.residual(near, here, *far)

        return pointwise(residual, as_vector(problem, build(local)), coordinates, names)(point)

    arguments = (points, normals, data, prepare(points), far, prepare(far))
    values = jax.jit(jax.vmap(evaluate))(*jax.tree.map(jnp.asarray, arguments))
    return jax.tree.map(np.asarray, values)


def _places(domain, condition, late):
    """Return points, normals, data, and the points at the other end (the same ones unless periodic)."""
    if condition.points is not None:
        points = np.asarray(condition.points)
        return points, np.zeros_like(points), condition.data or {}, points
    if late and condition.part != "initial" and domain.coordinates[-1] == "t":
        domain = domain.window(0.5 * (domain.start + domain.end), domain.end)
    if condition.periodic_axis is not None:
        near, far = domain.sample_pairs(condition.periodic_axis, NUM_POINTS, "uniform", 0)
        return near, np.zeros_like(near), {}, far
    points, normals = domain.sample_boundary(condition.part, NUM_POINTS, "uniform", 0)
    return points, normals, {}, points


def random_functions(problem, key):
    """Return smooth random raw outputs of order 1: `at -> {name: scalar}`, a sum of tanh of plane waves."""
    coordinates = problem.domain().coordinates
    weights = {
        name: jax.random.normal(field_key, (len(coordinates) + 2, 8))
        for name, field_key in zip(problem.field_names, jax.random.split(key, len(problem.field_names)), strict=True)
    }

    def functions(at):
        point = jnp.stack([jnp.asarray(getattr(at, name), float) for name in coordinates])
        return {name: jnp.tanh(point @ w[:-2] + w[-2]) @ w[-1] for name, w in weights.items()}

    return functions


def local_model(problem, reference):
    """Return functions for `condition_residuals`: quartics along each axis through values of a reference.

    Stencils of five points with a step of `STEP` of the side point into the domain's box; their round-off and that
    of the reference grow like `STEP**-order`.
    """
    domain = problem.domain()
    coordinates, bounds = domain.coordinates, domain.bounds
    steps = STEP * (bounds[:, 1] - bounds[:, 0])
    # Rows: coefficients of the quartic through values at 0, 1, 2, 3, 4 steps.
    to_coefficients = np.linalg.inv(np.vander(np.arange(5.0), increasing=True))

    def prepare(points):
        inward = np.where(points + 4 * steps <= bounds[:, 1], steps, -steps)
        directions = np.eye(len(steps)) * inward[:, None]
        stencils = points[:, None, None] + np.arange(5)[:, None, None] * directions[:, None]
        flat = stencils.reshape(-1, len(steps))
        values = {name: value.reshape(stencils.shape[:-1]) for name, value in reference.evaluate(flat).items()}
        coefficients = {name: np.einsum("ks,nsa->nka", to_coefficients, value) for name, value in values.items()}
        return {"center": points, "step": inward, "coefficients": coefficients}

    def build(local):
        def functions(at):
            point = jnp.stack([jnp.asarray(getattr(at, name), float) for name in coordinates])
            s = (point - local["center"]) / local["step"]
            result = {}
            for name, c in local["coefficients"].items():
                rise = (((c[4] * s + c[3]) * s + c[2]) * s + c[1]) * s
                result[name] = c[0, 0] + jnp.sum(rise)
            return result

        return functions

    return prepare, build


def orders_in(condition, label):
    """Return the order of the derivative in a condition's residual, from its kind (and label, if periodic)."""
    if condition.kind == "periodic":
        suffix = label.rpartition("_")[2]
        return len(suffix) if set(suffix) == {condition.periodic_axis} else 0
    if condition.kind == "initial":
        return condition.time_order or 0
    return {"dirichlet": 0, "observations": 0}.get(condition.kind, 1)
