"""Domains from files: meshes of triangles and tetrahedra, and closed surfaces, held against the same shapes by hand."""

import jax
import jax.numpy as jnp
import meshio
import numpy as np
import pytest
import trimesh

from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.geometry import Ball, Difference, Extrusion, MeshDomain, Polygon, SpaceTime, SurfaceDomain

from . import files

L = Polygon([(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)])
PRISM = Extrusion(L, 0, 1)


@pytest.fixture(scope="module")
def domains(tmp_path_factory):
    """Each kind of domain with the same one made by hand."""
    folder = tmp_path_factory.mktemp("files")
    return {
        "plane": (MeshDomain(files.plane(folder / "plane.msh")), L),
        "solid": (MeshDomain(files.solid(folder / "solid.vtu")), PRISM),
        "surface": (SurfaceDomain(files.surface(folder / "surface.stl")), PRISM),
    }


@pytest.mark.parametrize("kind", ["plane", "solid", "surface"])
def test_distance(domains, kind):
    """The signed distance, in NumPy and JAX, is that of the polygon or prism; so is what is inside."""
    domain, same = domains[kind]
    points = np.random.default_rng(0).uniform(-1, 3, (1500, domain.dimension))
    expected = same.signed_distance(points)
    np.testing.assert_allclose(domain.signed_distance(points), expected, atol=1e-14)
    np.testing.assert_allclose(jax.vmap(domain.signed_distance)(jnp.asarray(points)), expected, atol=1e-14)
    np.testing.assert_array_equal(domain.contains(points), expected <= 0)
    lattice = np.stack(np.meshgrid(*[np.linspace(-0.5, 2.5, 13)] * domain.dimension), -1).reshape(-1, domain.dimension)
    np.testing.assert_array_equal(domain.contains(lattice), same.contains(lattice))


@pytest.mark.parametrize("kind", ["plane", "solid", "surface"])
def test_divergence_theorem(domains, kind):
    """Area or volume 3, perimeter 8 or surface 14; the flux of (x^2, y^2, ...) is the integral of 2 (x + y + ...)."""
    domain, _ = domains[kind]
    total = sum(domain.part_measure(part) for part in domain.boundary_parts)
    np.testing.assert_allclose([domain.measure, total], [3, 8 if kind == "plane" else 14], rtol=1e-14)
    interior = domain.sample_interior(4096, seed=1)
    points, normals = domain.sample_boundary("boundary", 4096, seed=2)
    assert domain.contains(interior).all() and domain.contains(points).all()
    flux = total * np.mean(np.sum(points**2 * normals, axis=1))
    np.testing.assert_allclose(flux, 3 * np.mean(2 * interior.sum(axis=1)), rtol=0.01)


@pytest.mark.parametrize("kind", ["plane", "solid", "surface"])
def test_normals_are_gradients_and_domains_are_static(domains, kind):
    """On the boundary grad d = n; equal files give domains that are equal and hash equal, without array leaves."""
    domain, _ = domains[kind]
    points, normals = domain.sample_boundary("boundary", 50)
    gradients = jax.jit(jax.vmap(jax.grad(domain.signed_distance)))(jnp.asarray(points))
    np.testing.assert_allclose(gradients, normals, atol=1e-12)
    again = type(domain)(domain.file)
    assert again == domain and hash(again) == hash(domain) and jax.tree.leaves(domain) == []


def test_uniform_in_elements_of_different_size(tmp_path):
    """A triangle of area 1/2 and one of 3/2: a quarter of the points is in the first, their mean its centroid."""
    points = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [-3, 0, 0]])
    meshio.Mesh(points, [("triangle", np.array([[0, 1, 2], [0, 2, 3]]))]).write(tmp_path / "t.vtu")
    sample = MeshDomain(tmp_path / "t.vtu").sample_interior(4096)
    first = sample[sample[:, 0] > 0]
    np.testing.assert_allclose(len(first) / 4096, 0.25, atol=0.005)
    np.testing.assert_allclose(first.mean(axis=0), 1 / 3, atol=0.01)


def test_groups_are_parts(tmp_path):
    """Gmsh's physical groups by name or number; what has no group is `surface`; groups of cells are no parts."""
    domain = MeshDomain(files.plane(tmp_path / "l.msh"))
    assert domain.boundary_parts == ("floor", "left", "surface")
    points, normals = domain.sample_boundary("left", 20)
    assert np.all(points[:, 0] == 0) and np.all(normals == [-1, 0])
    mesh = meshio.read(tmp_path / "l.msh")
    mesh.field_data = {}
    mesh.write(tmp_path / "n.vtu")
    assert MeshDomain(tmp_path / "n.vtu").boundary_parts == ("part_7", "part_8", "surface")
    assert SpaceTime(domain, 0, 1).boundary_parts[-2:] == ("initial", "final")


def test_a_file_that_changes_is_read_again(tmp_path):
    """What was read is kept for a file's time and size, and not for its name alone."""
    before = MeshDomain(files.plane(tmp_path / "l.msh"))
    points = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    meshio.Mesh(points, [("triangle", np.array([[0, 1, 2]]))]).write(tmp_path / "l.msh", file_format="gmsh22")
    assert (before.measure, MeshDomain(tmp_path / "l.msh").measure) == (3, 0.5)


def test_quadrilaterals_and_curved_cells(tmp_path):
    """A quadrilateral is two triangles; nodes in the middle of edges are left out."""
    square = np.array([[0.0, 0, 0], [2, 0, 0], [2, 1, 0], [0, 1, 0]])
    meshio.Mesh(square, [("quad", np.array([[0, 1, 2, 3]]))]).write(tmp_path / "q.vtu")
    six = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0.5, -0.1, 0], [0.5, 0.5, 0], [0, 0.5, 0]])
    meshio.Mesh(six, [("triangle6", np.array([[0, 1, 2, 3, 4, 5]]))]).write(tmp_path / "c.vtu")
    assert (MeshDomain(tmp_path / "q.vtu").measure, MeshDomain(tmp_path / "c.vtu").measure) == (2, 0.5)


def test_combinations_with_a_mesh(domains):
    """A hole in the L: its measure to the estimates' 1e-3, and what is inside by the two domains."""
    holed = Difference(domains["plane"][0], Ball((0.5, 0.5), 0.25, part="hole"))
    assert holed.boundary_parts == ("floor", "left", "surface", "hole")
    np.testing.assert_allclose(holed.measure, 3 - np.pi / 16, rtol=2e-3)
    points = np.random.default_rng(0).uniform(-0.5, 2.5, (1000, 2))
    np.testing.assert_array_equal(holed.contains(points), holed.signed_distance(points) <= 0)


def test_nested_shells_and_orientation(tmp_path):
    """A ball with a cavity, all its triangles turned inside out: the volume is that between the spheres."""
    shells = [trimesh.creation.icosphere(subdivisions=2, radius=radius) for radius in (1.0, 0.5)]
    shells[0].invert()
    trimesh.util.concatenate(shells).export(tmp_path / "shell.stl")
    domain = SurfaceDomain(tmp_path / "shell.stl")
    np.testing.assert_allclose(domain.measure, 4 / 3 * np.pi * (1 - 0.5**3), rtol=0.05)
    inside = domain.contains(np.array([[0.0, 0, 0], [0, 0.75, 0], [0, 0, 0.4], [0.8, 0, 0], [1.1, 0, 0]]))
    np.testing.assert_array_equal(inside, [False, True, False, True, False])


def cell(kind, nodes, points):
    return lambda path: meshio.Mesh(np.array(points, float), [(kind, np.array(nodes))]).write(path)


FLAT = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0.2, 0.2, 0]]
CUBE = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1]), -1).reshape(8, 3)


@pytest.mark.parametrize(
    "write, message",
    [
        (lambda path: None, "there is no file '.*bad.vtu'"),
        (lambda path: path.write_text("hello"), "bad.vtu cannot be read as a mesh"),
        (lambda path: files.plane(path, z=0.5), "is a surface in space.* SurfaceDomain"),
        (cell("line", [[0, 1]], FLAT), "no triangles, quadrilaterals or tetrahedra; its cells are: line"),
        (cell("hexahedron", [[0, 1, 3, 2, 4, 5, 7, 6]], CUBE), "cells of kind 'hexahedron'. .* tetrahedra"),
        (cell("triangle", [[0, 1, 2], [0, 1, 4]], FLAT), "cells of .*bad.vtu overlap"),
        (cell("triangle", [[0, 1, 2], [1, 3, 3]], FLAT), r"1 cells without volume, one at \(1, 0.666667\)"),
        (
            cell("triangle", [[0, 1, 4], [2, 3, 4]], FLAT),
            r"touches itself: more than two facets meet at \(0.2, 0.2\)",
        ),
    ],
)
def test_bad_meshes(tmp_path, write, message):
    """What is not the mesh of a domain is an error that says where and what."""
    write(tmp_path / "bad.vtu")
    with pytest.raises(PdesolveError, match=message):
        MeshDomain(tmp_path / "bad.vtu")


def test_bad_groups_and_names(tmp_path):
    """Groups must not share facets, nor take the name of the whole; parts and coordinates must exist."""
    sets = {"a": [[], [0, 1]], "b": [[], [1]]}
    files.plane(tmp_path / "g.inp", sets={})
    mesh = meshio.read(tmp_path / "g.inp")
    for names, message in ((sets, "groups 'a' and 'b' share"), ({"boundary": [[], [0]]}, "named 'boundary'")):
        mesh.cell_sets = {name: [np.array(each, int) for each in blocks] for name, blocks in names.items()}
        with pytest.MonkeyPatch.context() as patch, pytest.raises(PdesolveError, match=message):
            patch.setattr(meshio, "read", lambda file: mesh)
            MeshDomain(files.plane(tmp_path / f"{len(names)}.msh"))
    domain = MeshDomain(files.plane(tmp_path / "l.msh"))
    with pytest.raises(UnknownNameError, match=r"part of MeshDomain 'flor'. Did you mean 'floor'"):
        domain.sample_boundary("flor", 3)
    with pytest.raises(PdesolveError, match=r"a mesh in 2 dimensions, got coordinates \('x', 'y', 'z'\)"):
        MeshDomain(tmp_path / "l.msh", "xyz")


def flipped(triangles):
    return np.concatenate([triangles[:1, ::-1], triangles[1:]])


def two_prisms(triangles):
    return np.concatenate([triangles, triangles + np.array([0.5, 0.3, 0.2])])


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda triangles: triangles[1:], r"is open: facets end at \(.*\) and 2 more places"),
        (flipped, "has no consistent orientation"),
        (two_prisms, "intersects itself, for instance at"),
    ],
)
def test_bad_surfaces(tmp_path, change, message):
    """Open, turned and crossing surfaces are errors."""
    with pytest.raises(PdesolveError, match=message):
        SurfaceDomain(files.surface(tmp_path / "bad.stl", change))


def test_bad_surface_files(tmp_path, monkeypatch):
    """No surface, no third coordinate, no reader."""
    (tmp_path / "text.stl").write_text("hello")
    with pytest.raises(PdesolveError, match=r"text.stl cannot be read as a surface"):
        SurfaceDomain(tmp_path / "text.stl")
    with pytest.raises(PdesolveError, match=r"a surface in three dimensions, got coordinates \('x', 'y'\)"):
        SurfaceDomain(files.surface(tmp_path / "good.stl"), ("x", "y"))
    mesh, surface = files.plane(tmp_path / "new.msh"), files.surface(tmp_path / "new.stl")
    monkeypatch.setitem(__import__("sys").modules, "meshio", None)
    monkeypatch.setitem(__import__("sys").modules, "trimesh", None)
    with pytest.raises(PdesolveError, match=r"need meshio: pip install 'pdesolve\[mesh\]'"):
        MeshDomain(mesh)
    with pytest.raises(PdesolveError, match=r"need trimesh: pip install 'pdesolve\[mesh\]'"):
        SurfaceDomain(surface)
