"""Small mesh and surface files, written for tests: an L in the plane, and a prism over it."""

import itertools
from pathlib import Path

import meshio
import numpy as np
import trimesh

from pdesolve.geometry import MeshDomain


def cubes(dimension):
    """Nodes and simplices of three unit squares in the form of an L, in space with height 1 (Kuhn's division)."""
    shape = (3, 3, 2)[:dimension]
    points = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, dimension).astype(float)
    cells = []
    for corner in ((0, 0, 0), (1, 0, 0), (0, 1, 0)):
        for order in itertools.permutations(range(dimension)):
            path = [np.array(corner[:dimension])]
            for axis in order:
                path.append(path[-1] + np.eye(dimension, dtype=int)[axis])
            cells.append([np.ravel_multi_index(tuple(node), shape) for node in path])
    return points, np.array(cells)


def plane(path, *, z=0.0, sets=None):
    """The L of area 3 with corners (0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2): physical groups floor and left."""
    points, triangles = cubes(2)
    points = np.column_stack([points, z * points[:, 0]])
    lines = np.array([[0, 3], [3, 6], [0, 1], [1, 2]])
    tags = np.repeat([7, 8], 2)
    cells = [("triangle", triangles), ("line", lines)]
    if Path(path).suffix != ".msh":
        meshio.Mesh(points, cells, cell_sets=sets or {}).write(path)
        return path
    data = [np.full(len(triangles), 9), tags]
    mesh = meshio.Mesh(
        points,
        cells,
        cell_data={"gmsh:physical": data, "gmsh:geometrical": data},
        field_data={"floor": np.array([7, 1]), "left": np.array([8, 1]), "inside": np.array([9, 2])},
    )
    mesh.write(path, file_format="gmsh22")
    return path


def solid(path):
    """A prism of height 1 over the L: tetrahedra."""
    points, tetrahedra = cubes(3)
    meshio.Mesh(points, [("tetra", tetrahedra)]).write(path)
    return path


def surface(path, change=lambda triangles: triangles):
    """The surface of the prism: triangles of shape `(n, 3, 3)`, possibly changed."""
    facets = MeshDomain(solid(Path(path).with_suffix(".vtu"))).facets
    triangles = change(facets.corners)
    mesh = trimesh.Trimesh(triangles.reshape(-1, 3), np.arange(3 * len(triangles)).reshape(-1, 3), process=False)
    mesh.export(path)
    return path
