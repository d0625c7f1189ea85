"""Spectral elements for flow: against exact solutions, in space and in time."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from problems._flow import FlowElements

NU, LENGTH = 0.05, 2.0


def channel(degree, cells=(2, 1)):
    edges = tuple(np.linspace(0, side, n + 1) for side, n in zip((LENGTH, 1.0), cells, strict=True))
    return FlowElements(edges, degree, np.ones(cells, bool), (("x_max",), ()), NU)


def test_poiseuille_flow_is_exact():
    """u = 4 y (1 - y), v = 0, p = 8 nu (2 - x): polynomials of the spaces."""
    elements = channel(4, (3, 2))
    flow = elements.steady(elements.inlet(lambda y: 4 * y * (1 - y)))
    points = np.random.default_rng(0).uniform((0, 0, 0), (LENGTH, 1, 1), (50, 3))
    found = elements.evaluate(lambda t: flow, points)
    np.testing.assert_allclose(found["u"], 4 * points[:, 1] * (1 - points[:, 1]), atol=1e-11)
    np.testing.assert_allclose(found["v"], 0, atol=1e-11)
    np.testing.assert_allclose(found["p"], 8 * NU * (LENGTH - points[:, 0]), atol=1e-11)


def test_a_higher_degree_has_the_same_flow():
    elements, finer = channel(3), channel(5)
    flow = elements.steady(elements.inlet(lambda y: y * (1 - y)))
    points = np.random.default_rng(0).uniform((0, 0, 0), (LENGTH, 1, 1), (20, 3))
    raised = type(flow)(elements.raised(flow, 5), np.zeros((8, 4)))
    for name in "uv":
        again = finer.evaluate(lambda t: raised, points)[name]
        np.testing.assert_allclose(again, elements.evaluate(lambda t: flow, points)[name], atol=1e-14)


def test_walls_of_solid_cells():
    """Free velocities vanish in solid cells and on their edges, pressures are zero there."""
    edges = (np.array([0.0, 1, 2]), np.array([0.0, 1, 2]))
    elements = FlowElements(edges, 4, np.array([[True, False], [True, True]]), (("x_max",), ()), NU)
    rng = np.random.default_rng(0)
    velocity = np.zeros((2, *elements.shape))
    for component, free in zip(velocity, elements.free, strict=True):
        component.reshape(-1)[free] = rng.normal(size=len(free))
    along_x, along_y = (t[0] for t in elements.tables)
    solid = elements.weights == 0
    assert np.abs(along_x @ velocity @ along_y.T)[:, solid].max() < 1e-14
    assert np.abs((along_x @ velocity @ along_y.T)[:, ~solid]).max() > 1e-2
    s = np.linspace(0.1, 0.9, 5)
    flow = elements.steady(elements.inlet(lambda y: np.where(y < 1, y * (1 - y), 0)))
    for wall in ((s, 1 + 0 * s), (1 + 0 * s, 1 + s), (1 + s, 2 + 0 * s), (2 * s, 0 * s)):
        at = np.stack([*wall, 0 * s], axis=-1)
        found = elements.evaluate(lambda t: flow, at)
        assert max(np.abs(found[name]).max() for name in "uv") < 1e-12
    below = elements.evaluate(lambda t: flow, np.array([[0.5, 1.0, 0], [0.5, 1 - 1e-9, 0]]))["p"]
    assert abs(below[0] - below[1]) < 1e-6 and below[0] != 0


def manufactured(x, y, t):
    """Stream function a(x) b(y) sin t with a' = 0 at both ends, b = b' = 0 on the walls; p = 0 at the outlet."""

    def psi(x, y):
        return (1 + 0.4 * jnp.cos(jnp.pi * x / LENGTH)) * (1 - y) ** 2 * y**2 * 8 * jnp.exp(y) * jnp.sin(t)

    return jax.grad(psi, 1)(x, y), -jax.grad(psi, 0)(x, y), (LENGTH - x) * jnp.cos(y) * jnp.cos(t)


def forces(x, y, t):
    """What makes `manufactured` a solution."""

    def velocity(x, y, t):
        return jnp.stack(manufactured(x, y, t)[:2])

    v = velocity(x, y, t)
    v_x, v_y, v_t = jax.jacfwd(velocity, (0, 1, 2))(x, y, t)
    v_xx, v_yy = (jax.jacfwd(jax.jacfwd(velocity, i), i)(x, y, t) for i in (0, 1))
    gradient = jnp.stack(jax.grad(lambda x, y: manufactured(x, y, t)[2], (0, 1))(x, y))
    return v_t + v[0] * v_x + v[1] * v_y + gradient - NU * (v_xx + v_yy)


forces_at = jax.jit(jax.vmap(forces, (0, 0, None)))


def errors(degree, steps, points):
    """Relative errors of velocities and pressure at points."""
    elements = channel(degree)
    nodes = [jnp.asarray(array.ravel()) for array in np.meshgrid(*(x for x, _ in elements.nodes), indexing="ij")]
    shape = elements.weights.shape
    profile = elements.inlet(lambda y: np.asarray(jax.vmap(lambda y: manufactured(0.0, y, jnp.pi / 2)[0])(y)))
    flow = elements.unsteady(
        lambda t: np.sin(t) * profile,
        lambda t: np.asarray(forces_at(*nodes, t)).T.reshape(2, *shape),
        duration=1.0,
        steps=steps,
        every=steps // 10,
    )
    found = elements.evaluate(flow, points)
    expected = np.array(jax.vmap(manufactured)(*jnp.asarray(points).T))
    velocity = np.stack([found["u"], found["v"]]) - expected[:2]
    pressure = found["p"] - expected[2]
    return np.linalg.norm(velocity) / np.linalg.norm(expected[:2]), np.linalg.norm(pressure) / np.linalg.norm(
        expected[2]
    )


def test_manufactured_flow_in_time():
    """Third order in time; at the start the pressure is there already."""
    points = np.random.default_rng(0).uniform((0, 0, 0), (LENGTH, 1, 1), (200, 3))
    points[:, 2] = 1.0
    found = np.array([errors(8, steps, points) for steps in (40, 80)])
    orders = np.log2(found[0] / found[1])
    assert (np.abs(orders - 3) < 0.4).all(), (found, orders)
    assert (found[-1] < 1e-4).all()
    points[:, 2] = 0.0
    found = errors(8, 20, points + np.array([0, 0, 1e-12]))
    assert found[1] < 1e-3


@pytest.mark.slow
def test_manufactured_flow_in_space():
    """Spectral convergence: two degrees more divide the error by five and more."""
    points = np.random.default_rng(0).uniform((0, 0, 0), (LENGTH, 1, 1), (200, 3))
    points[:, 2] = 0.5
    found = np.array([errors(degree, 200, points) for degree in (3, 5, 7)])
    assert all((later < sooner / 5).all() for sooner, later in itertools.pairwise(found)), found
