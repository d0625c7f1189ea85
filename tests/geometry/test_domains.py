"""What holds for every domain: distances, normals, measures, uniformity; and what is particular to each."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.geometry import Ball, Box, Difference, Extrusion, Intersection, Polygon, SpaceTime, Union, cylinder

BOX = Box({"x": (-1, 1), "y": (0, 3)})
STAR = Polygon([(0, 0), (2, 0), (2, 2), (1, 0.5), (0, 2)])
HOLED = Difference(BOX, Ball((0.0, 1.0), 0.5, part="hole"))

EXACT = {
    "interval": (Box({"x": (-1, 2)}), 3.0),
    "box_2d": (BOX, 6.0),
    "box_3d": (Box({"x": (0, 1), "y": (0, 2), "z": (-1, 1)}), 4.0),
    "ball_1d": (Ball((1.0,), 2.0), 4.0),
    "disk": (Ball((0.5, -0.5), 2.0), 4 * math.pi),
    "ball_3d": (Ball((0.0, 0.0, 1.0), 1.5), 4.5 * math.pi),
    "polygon": (STAR, 2.5),
    "polygon_clockwise": (Polygon([(0, 0), (0, 2), (1, 0.5), (2, 2), (2, 0)]), 2.5),
    "space_time": (SpaceTime(BOX, 0.5, 1), 3.0),
    "prism": (Extrusion(STAR, -1, 1), 5.0),
    "cylinder": (cylinder((0.5, 0.0), 0.5, 1, 3, "y"), math.pi / 2),
    "disk_in_time": (SpaceTime(Ball((0.0, 0.0), 1.0), 0, 2), 2 * math.pi),
}
COMBINED = {
    "holed": (HOLED, 6 - math.pi / 4),
    "union": (Union(BOX, Ball((1.0, 1.0), 0.5)), 6 + math.pi / 8),
    "half_disk": (Intersection(Ball((1.0, 1.0), 0.5), BOX), math.pi / 8),
    "holed_in_time": (SpaceTime(HOLED, 0, 2), 12 - math.pi / 2),
}
DOMAINS = EXACT | COMBINED


def all_parts(domain):
    return [part for part in domain.boundary_parts if domain.part_measure(part) > 0]


def gradients(domain, points):
    return np.asarray(jax.jit(jax.vmap(jax.grad(domain.signed_distance)))(jnp.asarray(points)))


def around(domain, num_points, seed):
    """Random points in and around the bounds."""
    low, high = domain.bounds.T
    unit = np.random.default_rng(seed).random((num_points, domain.dimension))
    return low - 0.3 * (high - low) + 1.6 * (high - low) * unit


@pytest.mark.parametrize("name", EXACT)
def test_distance_is_that_to_the_nearest_boundary_point(name):
    """|d(p)| = min over boundary points b of |p - b|, found among 20000 of them for each part."""
    domain, _ = EXACT[name]
    points = around(domain, 60, seed=1)
    boundary = np.concatenate([domain.sample_boundary(part, 20_000)[0] for part in all_parts(domain)])
    brute = np.min(np.linalg.norm(points[:, None] - boundary, axis=-1), axis=1)
    distance = np.abs(domain.signed_distance(points))
    # The nearest sample is beyond the nearest point, by at most the spacing h of samples on a surface.
    spacing = 4 * domain.extent * 20_000 ** (-1 / max(domain.dimension - 1, 1))
    assert np.all(distance <= brute + 1e-12)
    assert np.all(brute <= distance + spacing)


@pytest.mark.parametrize("name", DOMAINS)
def test_distance_agrees_in_jax_and_numpy_and_has_unit_gradient(name):
    """|grad d| = 1 almost everywhere (random points meet no medial axis), and d < 0 exactly inside."""
    domain, _ = DOMAINS[name]
    points = around(domain, 300, seed=2)
    by_jax = jax.vmap(domain.signed_distance)(jnp.asarray(points))
    np.testing.assert_allclose(by_jax, domain.signed_distance(points), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(np.linalg.norm(gradients(domain, points), axis=1), 1, rtol=1e-9)
    np.testing.assert_array_equal(domain.contains(points), np.asarray(by_jax) < 0)


@pytest.mark.parametrize("name", DOMAINS)
def test_boundary_points_and_normals(name):
    """On the boundary d = 0 to round-off, and the outward unit normal is grad d."""
    domain, _ = DOMAINS[name]
    for part in all_parts(domain):
        points, normals = domain.sample_boundary(part, 50, seed=1)
        assert points.shape == normals.shape == (50, domain.dimension)
        assert np.abs(domain.signed_distance(points)).max() < 1e-14 * max(1, domain.extent)
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, rtol=1e-14)
        np.testing.assert_allclose(gradients(domain, points), normals, atol=1e-9)
        assert domain.contains(points).all()


@pytest.mark.parametrize("name", DOMAINS)
def test_measure(name):
    """The measure has its closed form (estimates to 1e-3), and Monte Carlo over the bounds agrees in 4 sigma."""
    domain, exact = DOMAINS[name]
    np.testing.assert_allclose(domain.measure, exact, rtol=1e-14 if name in EXACT else 1e-3)
    low, high = domain.bounds.T
    inside = domain.contains(low + (high - low) * np.random.default_rng(0).random((20_000, domain.dimension)))
    volume = np.prod(high - low)
    sigma = volume * np.sqrt(inside.mean() * (1 - inside.mean()) / len(inside))
    assert abs(volume * inside.mean() - exact) <= 4 * sigma + 1e-12


@pytest.mark.parametrize("sampler", ["sobol", "uniform"])
@pytest.mark.parametrize("name", DOMAINS)
def test_divergence_theorem(name, sampler):
    """The integral of div F equals the flux of F, F_i = x_i^3 / 3 + x_i: interior, boundary, normals and measures.

    Any point that is not uniform, or any part that is missing, shows. 8192 points: 1% for low discrepancy, 5% (some
    4 sigma) for independent points.
    """
    domain, _ = DOMAINS[name]
    interior = domain.sample_interior(8192, sampler, seed=3)
    assert interior.shape == (8192, domain.dimension) and domain.contains(interior).all()
    source = domain.measure * np.mean(np.sum(interior**2 + 1, axis=1))
    flux = 0.0
    for part in all_parts(domain):
        points, normals = domain.sample_boundary(part, 8192, sampler, seed=4)
        flux += domain.part_measure(part) * np.mean(np.sum((points**3 / 3 + points) * normals, axis=1))
    np.testing.assert_allclose(flux, source, rtol=0.01 if sampler == "sobol" else 0.05)


@pytest.mark.parametrize("name", DOMAINS)
def test_whole_boundary(name):
    """ "boundary" gives as many points as asked, all with d = 0; in space-time none is initial or final."""
    domain, _ = DOMAINS[name]
    points, normals = domain.sample_boundary("boundary", 101, seed=2)
    assert points.shape == normals.shape == (101, domain.dimension)
    assert np.abs(domain.signed_distance(points)).max() < 1e-13
    if domain.coordinates[-1] == "t":
        assert np.all(normals[:, -1] == 0)


@pytest.mark.parametrize("domain", [BOX, STAR, SpaceTime(BOX, 0, 2)])
def test_whole_boundary_is_apportioned_by_measure(domain):
    """Of n points of "boundary" each part, known by its normal, has its share to within one."""
    parts = [part for part in domain.boundary_parts if part not in ("initial", "final")]
    _, normals = domain.sample_boundary("boundary", 101)
    measures = np.array([domain.part_measure(part) for part in parts])
    for part, share in zip(parts, 101 * measures / measures.sum(), strict=True):
        normal = domain.sample_boundary(part, 1)[1]
        assert abs(np.sum(np.all(np.abs(normals - normal) < 1e-12, axis=1)) - share) < 1


@pytest.mark.parametrize("name", DOMAINS)
def test_same_seed_same_points_and_static_under_jit(name):
    """Points depend on the seed alone; a domain has no array leaves and hashes, so jit takes it as static."""
    domain, _ = DOMAINS[name]
    np.testing.assert_array_equal(domain.sample_interior(20, seed=5), domain.sample_interior(20, seed=5))
    assert not np.array_equal(domain.sample_interior(20, seed=5), domain.sample_interior(20, seed=6))
    assert jax.tree.leaves(domain) == [] and hash(domain) == hash(domain)
    assert domain.sample_interior(0).shape == (0, domain.dimension)
    assert domain.sample_boundary("boundary", 0)[0].shape == (0, domain.dimension)


@pytest.mark.parametrize("sampler", ["uniform", "sobol", "halton", "latin_hypercube", "grid"])
def test_each_sampler_is_uniform_after_rejection(sampler):
    """Moments of the unit disk, drawn directly and cut from a square: E x = 0, E x^2 = 1/4, to 4 sigma of 2000."""
    disk = Ball((0.0, 0.0), 1.0)
    for sample in (disk.sample_interior(2000, sampler), Union(disk, disk).sample_interior(2000, sampler)):
        np.testing.assert_allclose(sample.mean(axis=0), 0, atol=4 * 0.5 / np.sqrt(2000))
        np.testing.assert_allclose((sample**2).mean(axis=0), 0.25, atol=4 * 0.25 / np.sqrt(2000))


def test_high_dimensional_ball():
    """In 100 dimensions rejection would accept one in 1e70; E |x|^2 = d / (d + 2) of the radius squared."""
    ball = Ball(np.zeros(100), 2.0, [f"x{i}" for i in range(100)])
    radii = np.linalg.norm(ball.sample_interior(1000), axis=1)
    np.testing.assert_allclose(np.mean(radii**2), 4 * 100 / 102, rtol=1e-3)


def test_box_parts_and_grid():
    """Parts lie exactly on their face; a grid holds both ends."""
    assert BOX.boundary_parts == ("x_min", "x_max", "y_min", "y_max")
    for part, axis, value, sign in (("x_min", 0, -1, -1), ("x_max", 0, 1, 1), ("y_max", 1, 3, 1)):
        points, normals = BOX.sample_boundary(part, 10)
        assert np.all(points[:, axis] == value) and np.all(normals[:, axis] == sign)
    grid = BOX.grid({"x": 5, "y": 4})
    np.testing.assert_array_equal(grid["x"], [-1, -0.5, 0, 0.5, 1])
    np.testing.assert_array_equal(grid["y"], [0, 1, 2, 3])


def test_interval_ends_repeat():
    """A boundary part that is one point gives as many copies as asked, and has measure 1."""
    interval = Box({"x": (0, 1)})
    points, normals = interval.sample_boundary("x_max", 3)
    np.testing.assert_array_equal(points, [[1], [1], [1]])
    np.testing.assert_array_equal(normals, [[1], [1], [1]])
    assert interval.part_measure("x_min") == 1


@pytest.mark.parametrize("domain", [BOX, SpaceTime(BOX, 0, 1), SpaceTime(Box({"x": (0, 1)}), 0, 1)])
def test_pairs(domain):
    """Pairs differ by the period in their axis and agree in all others."""
    lower, upper = domain.sample_pairs("x", 20)
    length = np.diff(domain.bounds[0])[0]
    np.testing.assert_array_equal(upper - lower, np.tile([length] + [0] * (domain.dimension - 1), (20, 1)))
    assert np.all(lower[:, 0] == domain.bounds[0, 0])


def test_space_time():
    """Time is last; initial and final hold their time exactly; a window has other times."""
    domain = SpaceTime(HOLED, 0, 2)
    assert domain.coordinates == ("x", "y", "t") and domain.boundary_parts[-3:] == ("hole", "initial", "final")
    assert np.all(domain.sample_boundary("initial", 5)[0][:, 2] == 0)
    assert np.all(domain.sample_boundary("final", 5)[1] == [0, 0, 1])
    assert HOLED.contains(domain.sample_boundary("initial", 50)[0][:, :2]).all()
    times = domain.sample_boundary("hole", 200)[0][:, 2]
    assert times.min() < 0.05 and times.max() > 1.95
    window = domain.window(1, 1.5)
    np.testing.assert_array_equal(window.bounds[-1], [1, 1.5])
    assert window.space == domain.space and window == SpaceTime(HOLED, 1, 1.5)


def test_distance_of_a_box_across_its_corner():
    """At (1 + 3, 3 + 4) the nearest point of the box is its corner, 5 away."""
    assert BOX.signed_distance(np.array([4.0, 7.0])) == 5


def test_distance_is_smooth_at_the_boundary_and_finite_at_a_center():
    """No NaN gradient where norms vanish: at a center, a corner, a vertex."""
    assert np.all(gradients(Ball((0.0, 1.0), 1.0), [[0.0, 1.0]]) == 0)
    assert np.isfinite(gradients(BOX, [[1.0, 3.0], [0.0, 1.5]])).all()
    assert np.isfinite(gradients(STAR, list(STAR.vertices))).all()


def bad(make, *args, **kwargs):
    return lambda: make(*args, **kwargs)


@pytest.mark.parametrize(
    "action, error, message",
    [
        (bad(Box, {"x": (1, 0)}), PdesolveError, "bounds of 'x' must be finite and have low < high, got"),
        (bad(Box, {}), PdesolveError, "at least one coordinate"),
        (bad(Ball, (0, 0), -1.0), PdesolveError, "`radius` must be positive and finite, got -1.0"),
        (bad(Ball, (0, 0), 1.0, ("x",)), PdesolveError, "one name for each of the 2 entries"),
        (bad(Ball, (0, np.nan), 1.0), PdesolveError, "`center` must be finite"),
        (bad(Polygon, [(0, 0), (1, 1)]), PdesolveError, r"n at least 3; got \(2, 2\)"),
        (bad(Polygon, [(0, 0), (1, 1), (1, 0), (0, 1)]), PdesolveError, "edge_0 meets edge_2"),
        (bad(Polygon, [(0, 0), (2, 0), (1, 0), (1, 1)]), PdesolveError, "edge_0 meets edge_1"),
        (bad(Polygon, [(0, 0), (2, 0), (1, 2), (1, 0), (0, 1)]), PdesolveError, "edge_0 meets edge_2"),
        (bad(Polygon, [(0, 0), (1, 0), (1, 0), (0, 1)]), PdesolveError, "edge_1 has no length"),
        (bad(SpaceTime, BOX, 1, 1), PdesolveError, r"start < end, got \(1.0, 1.0\)"),
        (bad(SpaceTime, SpaceTime(BOX, 0, 1), 0, 1), PdesolveError, "reserved for time"),
        (bad(SpaceTime, Box({"t": (0, 1)}), 0, 1), PdesolveError, "coordinate 't' already"),
        (bad(BOX.sample_boundary, "x_mn", 3), UnknownNameError, "part of Box 'x_mn'. Did you mean 'x_min'"),
        (bad(BOX.part_measure, "left"), UnknownNameError, "Known: boundary, x_max, x_min, y_max, y_min"),
        (bad(BOX.sample_interior, 3, "sobl"), UnknownNameError, "Did you mean 'sobol'"),
        (bad(BOX.contains, np.zeros((3, 1))), PdesolveError, r"shape \(n, 2\), one column for each of x, y; got"),
        (bad(BOX.grid, {"x": 3}), PdesolveError, "at least 2 points for 'y', got none"),
        (bad(BOX.grid, {"x": 3, "y": 3, "z": 3}), UnknownNameError, "unknown coordinate 'z'"),
        (bad(BOX.sample_pairs, "z", 3), UnknownNameError, "unknown coordinate 'z'"),
        (bad(SpaceTime(STAR, 0, 1).sample_pairs, "x", 3), PdesolveError, "need a Box as space"),
        (bad(SpaceTime(BOX, 0, 1).sample_pairs, "t", 3), UnknownNameError, "unknown coordinate 't'"),
    ],
)
def test_errors(action, error, message):
    """Each says what was given and what is accepted."""
    with pytest.raises(error, match=message):
        action()
