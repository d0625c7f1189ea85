"""The text beside an HDF5 file from which ParaView and VisIt find its arrays (XDMF, version 2).

Our arrays run over (sample, time, x, y, z); XDMF's regular grids take the first axis for z. Two and three axes
of space therefore go out as structured meshes with a position for every node (`/mesh/points`), one for each
time. A 1-D field in time is one rectilinear grid over (x, time), whose order of axes is XDMF's own.

https://www.xdmf.org/index.php/XDMF_Model_and_Format
"""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from ..errors import PdesolveError
from . import _header
from ._atomic import atomic

__all__ = ["write_xdmf"]

_NUMBERS = {"f": "Float", "i": "Int", "u": "UInt"}
_CELLS = {
    **{"line": "Polyline", "triangle": "Triangle", "quad": "Quadrilateral", "tetra": "Tetrahedron"},
    **{"hexahedron": "Hexahedron", "triangle6": "Tri_6", "tetra10": "Tet_10"},
}


def write_xdmf(path: str | os.PathLike, out: str | os.PathLike | None = None, *, sample: int = 0) -> Path:
    """Write the companion of a pdesolve file and return its path.

    Args:
        path: The HDF5 file. The companion refers to it by a path relative to itself.
        out: The companion; by default `path` with the suffix `.xdmf`.
        sample: Which sample to show.

    Raises:
        PdesolveError: If the file is not a pdesolve file, has more than three axes of space or fewer samples,
            or the companion cannot be written.
    """
    out = Path(path).with_suffix(".xdmf") if out is None else Path(out)
    with _header.opened(path) as file:
        reference = os.path.relpath(Path(path).resolve(), out.resolve().parent)
        if file.attrs["pdesolve_layout"] == "points":
            grids = _points_grids(file, reference)
        elif not 0 <= sample < file.attrs["n_trajectories"]:
            raise PdesolveError(f"sample {sample}: {path} has samples 0 to {file.attrs['n_trajectories'] - 1}.")
        else:
            grids = _structured_grids(file, reference, sample)
        name = file.attrs["dataset_name"]
    root = ET.Element("Xdmf", Version="2.0")
    domain = ET.SubElement(root, "Domain")
    if len(grids) == 1:
        domain.append(grids[0])
    else:
        series = ET.SubElement(domain, "Grid", Name=name, GridType="Collection", CollectionType="Temporal")
        series.extend(grids)
    ET.indent(root)
    with atomic(out) as temporary:
        temporary.write_bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")
    return out


def _structured_grids(file: _header.Stored, reference: str, sample: int) -> list[ET.Element]:
    space = list(file["dimensions"].attrs["spatial_dims"])
    sizes = [file["dimensions"][axis].size for axis in space]
    times = file["dimensions/time"][()]
    if len(space) > 3:
        raise PdesolveError(f"{file.filename}: XDMF shows at most three axes of space, the file has {len(space)}.")
    if len(space) == 1:
        return [_rectilinear_grid(file, reference, sample, space[0])]
    grids = []
    for step, time in enumerate(times):
        grid = _grid(file.attrs["dataset_name"], time if len(times) > 1 else None)
        ET.SubElement(grid, "Topology", TopologyType=f"{len(space)}DSMesh", Dimensions=_text(sizes))
        geometry = ET.SubElement(grid, "Geometry", GeometryType="XYZ" if len(space) == 3 else "XY")
        geometry.append(_whole(file["mesh/points"], reference))
        for stored in _fields(file):
            grid.extend(_attributes(stored, reference, _selection(stored, sample, step), sizes))
        grids.append(grid)
    return grids


def _rectilinear_grid(file: _header.Stored, reference: str, sample: int, axis: str) -> ET.Element:
    """One grid with x along its first axis and time, if there is more than one, along its second."""
    x, time = file["dimensions"][axis], file["dimensions/time"]
    grid = _grid(file.attrs["dataset_name"], None)
    ET.SubElement(grid, "Topology", TopologyType="3DRectMesh", Dimensions=_text([1, time.size, x.size]))
    geometry = ET.SubElement(grid, "Geometry", GeometryType="VXVYVZ")
    zero = ET.Element("DataItem", Dimensions="1", NumberType="Float", Precision="8", Format="XML")
    zero.text = "0"
    geometry.extend([_whole(x, reference), _whole(time, reference), zero])
    for stored in _fields(file):
        if stored.attrs["time_varying"]:
            chosen = _selection(stored, sample, None)
            grid.extend(_attributes(stored, reference, chosen, [1, time.size, x.size]))
    return grid


def _points_grids(file: _header.Stored, reference: str) -> list[ET.Element]:
    points, times = file["points"], file["time"][()] if "time" in file else [None]
    grids = []
    for step, time in enumerate(times):
        grid = _grid(file.attrs["dataset_name"], time)
        grid.append(_topology(file, reference))
        geometry = ET.SubElement(grid, "Geometry", GeometryType={1: "X", 2: "XY", 3: "XYZ"}[points.shape[1]])
        geometry.append(_whole(points, reference))
        for stored in file["fields"].values():
            leading = [] if time is None else [(step, 1)]
            chosen = leading + [(0, n) for n in stored.shape[len(leading) :]]
            grid.extend(_attributes(stored, reference, chosen, [len(points)]))
        grids.append(grid)
    return grids


def _topology(file: _header.Stored, reference: str) -> ET.Element:
    if "cells" not in file:
        nodes = str(len(file["points"]))
        return ET.Element("Topology", TopologyType="Polyvertex", NumberOfElements=nodes, NodesPerElement="1")
    cells = file["cells"]
    topology = ET.Element("Topology", TopologyType=_CELLS[cells.attrs["cell_type"]])
    topology.attrib |= {"NumberOfElements": str(cells.shape[0]), "NodesPerElement": str(cells.shape[1])}
    topology.append(_whole(cells, reference))
    return topology


def _fields(file: _header.Stored) -> list[_header.Stored]:
    """Fields with a value at every node; a field constant along an axis has no place in XDMF."""
    fields = [*file["t0_fields"].values(), *file["t1_fields"].values()]
    return [stored for stored in fields if all(stored.attrs["dim_varying"])]


def _selection(stored: _header.Stored, sample: int, step: int | None) -> list[tuple[int, int]]:
    """Start and count along each stored axis: one sample, one time (all of them if `step` is None)."""
    leading = []
    if stored.attrs["sample_varying"]:
        leading.append((sample, 1))
    if stored.attrs["time_varying"] and step is not None:
        leading.append((step, 1))
    return leading + [(0, n) for n in stored.shape[len(leading) :]]


def _grid(name: str, time: float | None) -> ET.Element:
    grid = ET.Element("Grid", Name=name, GridType="Uniform")
    if time is not None:
        ET.SubElement(grid, "Time", Value=repr(float(time)))
    return grid


def _attributes(
    stored: _header.Stored, reference: str, chosen: Sequence[tuple[int, int]], nodes: Sequence[int]
) -> list[ET.Element]:
    """A field at the nodes, `chosen` from the array in the file.

    XDMF's vectors have three components; others go out as one scalar for each.
    """
    name = stored.name.rpartition("/")[2]
    if math.prod(n for _, n in chosen) == math.prod(nodes):
        return [_attribute(name, "Scalar", stored, reference, chosen, nodes)]
    num_components = chosen[-1][1]
    if num_components == 3:
        return [_attribute(name, "Vector", stored, reference, chosen, [*nodes, 3])]
    return [
        _attribute(f"{name}_{i}", "Scalar", stored, reference, [*chosen[:-1], (i, 1)], nodes)
        for i in range(num_components)
    ]


def _attribute(
    name: str,
    kind: str,
    stored: _header.Stored,
    reference: str,
    chosen: Sequence[tuple[int, int]],
    shape: Sequence[int],
) -> ET.Element:
    attribute = ET.Element("Attribute", Name=name, AttributeType=kind, Center="Node")
    slab = ET.SubElement(attribute, "DataItem", ItemType="HyperSlab", Dimensions=_text(shape))
    corner = ET.SubElement(slab, "DataItem", Dimensions=f"3 {len(chosen)}", Format="XML")
    start, count = [n for n, _ in chosen], [n for _, n in chosen]
    corner.text = "  ".join([_text(start), _text([1] * len(count)), _text(count)])
    slab.append(_whole(stored, reference))
    return attribute


def _whole(stored: _header.Stored, reference: str) -> ET.Element:
    """A reference to one array of the HDF5 file."""
    item = ET.Element("DataItem", Format="HDF", Dimensions=_text(stored.shape))
    item.attrib |= {"NumberType": _NUMBERS[stored.dtype.kind], "Precision": str(stored.dtype.itemsize)}
    item.text = f"{reference}:{stored.name}"
    return item


def _text(numbers: Sequence[int]) -> str:
    return " ".join(map(str, numbers))
