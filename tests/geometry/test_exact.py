"""Approximate distance functions: zero and slope 1 on their parts, positive elsewhere, smooth, on any combination."""

import math
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.calculus import laplacian, pointwise
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.geometry import (
    Ball,
    Box,
    Difference,
    Extrusion,
    Intersection,
    MeshDomain,
    Polygon,
    SpaceTime,
    Union,
    cylinder,
    distance,
    transfinite,
)

from . import files

BOX = Box({"x": (-1, 1), "y": (0, 3)})
STAR = Polygon([(0, 0), (2, 0), (2, 2), (1, 0.5), (0, 2)])
DISK = Ball((1.0, 1.0), 0.5)
L = Union(Box({"x": (0, 2), "y": (0, 1)}), Box({"x": (0, 1), "y": (0, 2)}))
DOMAINS = {
    "interval": Box({"x": (0, 1)}),
    "star": STAR,
    "holed": Difference(BOX, Ball((0.0, 1.0), 0.5, part="hole")),
    "notched": Difference(BOX, Polygon([(0, 1), (2, 1), (2, 2), (0, 2)])),
    "union": Union(BOX, DISK),
    "half_disk": Intersection(DISK, BOX),
    "nested": Difference(Union(BOX, DISK), Difference(DISK, Ball((1.0, 1.0), 0.25))),
    "flush": L,
    "prism": Extrusion(STAR, -1, 1),
    "cross": Union(cylinder((0, 0), 0.5, -1, 1, "x"), cylinder((0, 0), 0.4, -1, 1, "y", part="other")),
    "in_time": SpaceTime(Intersection(DISK, BOX), 0, 2),
}


def function(domain, parts="boundary"):
    """The distance function, of points `(..., d)`."""
    phi = distance(domain, parts)
    return lambda points: phi(SimpleNamespace(**{name: points[..., i] for i, name in enumerate(domain.coordinates)}))


@pytest.mark.parametrize("name", DOMAINS)
def test_each_part(name):
    """On the part phi = 0, inwards it grows like the distance h to first order, and inside phi > 0."""
    domain = DOMAINS[name]
    inside = domain.sample_interior(300)
    for part in [part for part in domain.boundary_parts if domain.part_measure(part) > 0]:
        phi = function(domain, part)
        points, normals = domain.sample_boundary(part, 40)
        assert np.abs(phi(points)).max() < 1e-14
        np.testing.assert_allclose(phi(points - 1e-7 * normals) / 1e-7, 1, atol=1e-4)
        assert phi(inside).min() > 0


@pytest.mark.parametrize(
    "name, part", [pytest.param("star", "edge_2", marks=pytest.mark.slow), ("holed", "hole"), ("half_disk", "x_max")]
)
def test_in_jax(name, part):
    """JAX and NumPy agree; the gradient on the part is the inward normal, also where round-off puts points outside."""
    domain = DOMAINS[name]
    phi, inside = function(domain, part), domain.sample_interior(50)
    points, normals = domain.sample_boundary(part, 40)
    values, slopes = jax.vmap(jax.value_and_grad(phi))(jnp.asarray(np.concatenate([points, inside])))
    np.testing.assert_allclose(values, phi(np.concatenate([points, inside])), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(slopes[:40], -normals, atol=1e-10)


@pytest.mark.parametrize(
    "name, start, end",
    [
        ("star", (0.3, 0.3), (1.7, 0.5)),
        ("holed", (-0.8, 0.3), (0.8, 0.3)),
        ("union", (0.3, 1.1), (1.3, 1.0)),
        ("nested", (0.3, 1.1), (0.4, 2.5)),
        ("prism", (0.3, 0.3, -0.7), (1.7, 0.5, 0.6)),
        ("cross", (-0.7, 0.1, 0.1), (0.1, 0.7, 0.1)),
    ],
)
def test_smooth_between_parts(name, start, end):
    """Along a line inside, third differences of phi fall like h^3: there is no kink, as an exact distance has."""
    phi, line = function(DOMAINS[name]), lambda n: start + np.linspace(0, 1, n)[:, None] * np.subtract(end, start)
    assert DOMAINS[name].contains(line(401)).all()
    coarse, fine = (np.abs(np.diff(phi(line(n)), 3)).max() for n in (801, 1601))
    assert coarse / fine > 6


@pytest.mark.parametrize("name", DOMAINS)
def test_level_has_the_sign_of_the_domain(name):
    """Positive exactly where the signed distance is negative, with slope 1 on the boundary away from corners."""
    domain = DOMAINS[name]
    low, high = domain.bounds.T
    points = low - 0.2 * (high - low) + 1.4 * (high - low) * np.random.default_rng(0).random((500, domain.dimension))
    np.testing.assert_array_equal(domain.level(points) > 0, domain.signed_distance(points) < 0)


def test_subtracting_a_polygon_leaves_its_lines():
    """The notch's side y = 1 ends at x = 0; on its line beyond, x < 0 in the domain, phi is at least 0.2 |x|."""
    phi = function(DOMAINS["notched"], "edge_0")
    x = np.linspace(-0.9, -0.1, 9)
    assert np.all(phi(np.column_stack([x, np.ones(9)])) > 0.2 * np.abs(x))


def test_closed_forms():
    """A circle's (r^2 - |x|^2) / 2r, an interval's product of ends, and a segment's height over angle."""
    points = np.array([[0.3, 0.4], [0.1, -0.2]])
    np.testing.assert_allclose(function(Ball((0, 0), 1.0))(points), [0.375, 0.475], rtol=1e-14)
    np.testing.assert_allclose(function(Box({"x": (0, 1)}))(np.array([[0.3]])), 0.21, rtol=1e-14)
    # From (0, 0.5) the segment from (-1, 0) to (1, 0) is seen under 2 atan 2.
    square = Polygon([(-1, 0), (1, 0), (1, 1), (0, 0.9), (-1, 1)])
    trimmed = square.part_distance("edge_0", np.array([0.0, 0.5]), side="everywhere")
    np.testing.assert_allclose(trimmed, math.pi * 0.5 / (2 * math.atan(2)), rtol=1e-14)


def test_facets_in_line_are_one(tmp_path):
    """phi of a boundary does not depend on how it is divided into facets: a mesh and a polygon of the L agree."""
    mesh = MeshDomain(files.plane(tmp_path / "l.msh"))
    polygon = Polygon([(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)])
    points = polygon.sample_interior(50)
    expected = 1 / sum(1 / polygon.part_distance(f"edge_{i}", points, side="everywhere") for i in range(6))
    np.testing.assert_allclose(function(mesh)(points), expected, rtol=1e-12)


@pytest.mark.slow
def test_solid_facets(tmp_path):
    """On the surface of tetrahedra phi = 0 with slope 1, and inside, the Laplacian by our calculus is finite."""
    mesh = MeshDomain(files.solid(tmp_path / "p.vtu"))
    phi = function(mesh)
    points, normals = mesh.sample_boundary("boundary", 30)
    assert np.abs(phi(points)).max() < 1e-14
    np.testing.assert_allclose(phi(points - 1e-7 * normals) / 1e-7, 1, atol=1e-4)
    inside = mesh.sample_interior(20)
    equation = pointwise(lambda fields, at: {"u": fields.u, "laplacian": laplacian(fields.u)}, phi, "xyz", ("u",))
    by_jax = jax.jit(jax.vmap(equation))(jnp.asarray(inside))
    np.testing.assert_allclose(by_jax["u"], phi(inside), rtol=1e-12)
    h, steps = 1e-4, np.concatenate([np.eye(3), -np.eye(3)])
    differences = sum(phi(inside + h * step) - phi(inside) for step in steps) / h**2
    np.testing.assert_allclose(by_jax["laplacian"], differences, rtol=1e-3, atol=1e-3)


def test_boundary_is_all_parts_in_space():
    """ "boundary" has neither first nor last time; both can be added by name."""
    domain = DOMAINS["in_time"]
    start = domain.sample_boundary("initial", 20)[0]
    assert function(domain)(start).min() > 0
    assert np.abs(function(domain, ["boundary", "initial"])(start)).max() == 0


def test_transfinite_interpolation():
    """g equals each part's value there, and lies between the values inside."""
    domain = DOMAINS["holed"]
    sides = dict.fromkeys(("x_min", "x_max", "y_min", "y_max"), 0.2)
    g = transfinite(domain, {**sides, "hole": lambda at: 1 + at.x})
    for part, value in (("x_max", lambda p: 0.2), ("hole", lambda p: 1 + p[:, 0])):
        points, _ = domain.sample_boundary(part, 30)
        at = SimpleNamespace(x=points[:, 0], y=points[:, 1])
        np.testing.assert_allclose(g(at), value(points) * np.ones(30), rtol=1e-12)
    x, y = domain.sample_interior(100).T
    inside = g(SimpleNamespace(x=x, y=y))
    assert np.all(inside > np.minimum(1 + x, 0.2)) and np.all(inside < np.maximum(1 + x, 0.2))


def test_errors():
    """Parts must exist; a Union must not be glued along a face; a third party's domain may have no distance."""
    with pytest.raises(UnknownNameError, match=r"part of Box 'x_mn'. Did you mean 'x_min'"):
        distance(BOX, "x_mn")
    with pytest.raises(UnknownNameError, match="part of Box 'top'"):
        transfinite(BOX, {"top": 1.0})
    with pytest.raises(PdesolveError, match="at least one boundary part"):
        distance(BOX, [])
    with pytest.raises(PdesolveError, match="a value for at least one"):
        transfinite(BOX, {})
    glued = Union(Box({"x": (0, 1), "y": (0, 1)}), Box({"x": (1, 2), "y": (0, 1)}))
    with pytest.raises(PdesolveError, match=r"touch along 'first_x_max', .* Let them overlap"):
        function(glued)(np.array([0.5, 0.5]))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Extrusion(BOX, 1, 1), r"bounds of 'z' must be finite and have low < high, got \(1.0, 1.0\)"),
        (lambda: Extrusion(BOX, 0, 1, "x"), "the base has a coordinate 'x' already"),
        (lambda: Extrusion(Ball((0, 0), 1.0, part="z_min"), 0, 1), r"parts \['z_min'\] of the base"),
        (lambda: cylinder((0, 0), 1, 0, 1, "t"), "`axis` must be 'x', 'y' or 'z', got 't'"),
        (lambda: cylinder((0, 0), -1, 0, 1), "`radius` must be positive"),
    ],
)
def test_bad_extrusions(make, message):
    """Each says what was given."""
    with pytest.raises(PdesolveError, match=message):
        make()
