"""Set operations: identities, part names, shared boundaries, empty results."""

import math

import numpy as np
import pytest

from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.geometry import Ball, Box, Difference, Intersection, SpaceTime, Union

A = Box({"x": (0, 2), "y": (0, 2)})
B = Ball((2.0, 1.0), 0.75)
POINTS = np.random.default_rng(0).uniform(-0.5, 3.0, (2000, 2))


def test_membership_is_set_algebra():
    """p in A|B, A-B, A&B by the logic of p in A and p in B."""
    in_a, in_b = A.contains(POINTS), B.contains(POINTS)
    np.testing.assert_array_equal(Union(A, B).contains(POINTS), in_a | in_b)
    np.testing.assert_array_equal(Difference(A, B).contains(POINTS), in_a & ~in_b)
    np.testing.assert_array_equal(Intersection(A, B).contains(POINTS), in_a & in_b)


def test_distance_identities():
    """A | B = B | A and A & A = A as distances; A - (A - B) = A & B as sets."""
    pairs = ((Union(A, B), Union(B, A)), (Intersection(A, A), A), (Union(B, B), B))
    for one, other in pairs:
        np.testing.assert_array_equal(one.signed_distance(POINTS), other.signed_distance(POINTS))
    nested = Difference(A, Difference(A, B))
    np.testing.assert_array_equal(nested.contains(POINTS), Intersection(A, B).contains(POINTS))


def test_inclusion_exclusion():
    """|A| + |B| = |A | B| + |A & B| and |A - B| = |A| - |A & B|, to the 1e-3 of the estimates."""
    both = Intersection(A, B).measure
    np.testing.assert_allclose(Union(A, B).measure + both, A.measure + B.measure, rtol=2e-3)
    np.testing.assert_allclose(Difference(A, B).measure, A.measure - both, rtol=1e-3)


def test_part_measures():
    """The disk cuts 1.5 out of the side x = 2, of length 2; half of its circle is inside."""
    cut = Difference(A, B)
    np.testing.assert_allclose(cut.part_measure("x_max"), 0.5, rtol=2e-3)
    np.testing.assert_allclose(cut.part_measure("x_min"), 2.0, rtol=1e-12)
    np.testing.assert_allclose(cut.part_measure("surface"), 0.75 * math.pi, rtol=2e-3)


def test_normals_point_out_of_the_combination():
    """On a subtracted disk the outward normal points to its center; on an added one, away from it."""
    for domain, sign in ((Difference(A, B), -1), (Union(A, B), 1), (Intersection(A, B), 1)):
        points, normals = domain.sample_boundary("surface", 100)
        np.testing.assert_allclose(normals, sign * (points - B.center) / B.radius, atol=1e-12)


def test_part_names():
    """Names pass through where they differ; shared ones are told apart, also when that was done before."""
    two_boxes = Union(A, Box({"x": (2, 3), "y": (0, 1)}))
    assert Difference(A, B).boundary_parts == ("x_min", "x_max", "y_min", "y_max", "surface")
    assert "first_x_min" in two_boxes.boundary_parts and "second_y_max" in two_boxes.boundary_parts
    holes = Difference(Difference(A, Ball((0.5, 0.5), 0.2)), Ball((1.5, 1.5), 0.2))
    assert holes.boundary_parts == ("x_min", "x_max", "y_min", "y_max", "first_surface", "second_surface")
    np.testing.assert_allclose(holes.sample_boundary("first_surface", 200)[0].mean(axis=0), 0.5, atol=0.01)
    three = Difference(Difference(holes, Ball((0.5, 1.5), 0.2)), Ball((1.5, 0.5), 0.2))
    assert len(set(three.boundary_parts)) == 8


def test_shared_face_of_a_union_is_inside():
    """Two boxes that touch at x = 2: the part 0 < y < 1 of that line is no boundary, the rest of it is."""
    both = Union(A, Box({"x": (2, 3), "y": (0, 1)}))
    assert both.sample_boundary("first_x_max", 200)[0][:, 1].min() > 1
    with pytest.raises(PdesolveError, match=r"boundary part 'second_x_min' of Union.* is empty or too thin"):
        both.sample_boundary("second_x_min", 5)


def test_flush_faces_are_sampled_once():
    """Two overlapping boxes flush at y = 0: that side is whole, and where both have it the first one owns it."""
    flush = Union(A, Box({"x": (1, 3), "y": (0, 1)}))
    np.testing.assert_allclose(flush.part_measure("first_y_min"), 2, rtol=1e-12)
    np.testing.assert_allclose(flush.part_measure("second_y_min"), 1, rtol=2e-3)
    assert flush.sample_boundary("second_y_min", 100)[0][:, 0].min() > 2


def test_cut_along_a_face():
    """A box minus its right half: the flush sides of the removed half are gone, the cut is a side facing right."""
    half = Difference(A, Box({"x": (1, 2), "y": (0, 2)}))
    assert half.sample_boundary("first_y_min", 100)[0][:, 0].max() < 1
    points, normals = half.sample_boundary("second_x_min", 10)
    assert np.all(points[:, 0] == 1) and np.all(normals == [1, 0])
    with pytest.raises(PdesolveError, match="boundary part 'first_x_max' of Difference"):
        half.sample_boundary("first_x_max", 5)


def test_empty_results_are_errors():
    """No points is an error that names the domain, and the part, never an empty array."""
    with pytest.raises(PdesolveError, match=r"Intersection\(Box.*Ball.* is empty: the bounds .* do not overlap"):
        Intersection(A, Ball((9.0, 9.0), 1.0))
    # The bounds overlap at the corner, the disk does not reach it.
    with pytest.raises(PdesolveError, match=r"the interior of Intersection\(Box.* 0 of \d+ candidate points"):
        Intersection(A, Ball((2.75, 2.75), 1.0)).sample_interior(5)
    nothing = Difference(A, Ball((1.0, 1.0), 9.0))
    with pytest.raises(PdesolveError, match="boundary part 'x_min' of Difference"):
        nothing.sample_boundary("x_min", 5)
    with pytest.raises(PdesolveError, match=r"the boundary of Difference.* is empty"):
        nothing.sample_boundary("boundary", 5)
    assert nothing.measure == 0


def test_wrong_combinations_are_errors():
    """Coordinates must agree; unknown parts name the known ones."""
    with pytest.raises(PdesolveError, match=r"same coordinates in the same order, got \('x', 'y'\) and \('x',\)"):
        Union(A, Ball((0.0,), 1.0))
    with pytest.raises(UnknownNameError, match=r"part of Difference 'surfac'. Did you mean 'surface'"):
        Difference(A, B).sample_boundary("surfac", 5)


def test_combinations_in_time():
    """A holed space over time: the lateral surface of the hole has measure circumference times duration."""
    domain = SpaceTime(Difference(A, Ball((1.0, 1.0), 0.5, part="hole")), 0, 3)
    np.testing.assert_allclose(domain.part_measure("hole"), 3 * math.pi, rtol=1e-12)
