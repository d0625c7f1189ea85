"""What ParaView shows: VTK's own reader must find every value at its node."""

import shutil

import numpy as np
import pytest

from pdesolve.errors import PdesolveError
from pdesolve.io import write, write_points, write_xdmf

from .cases import dataset

vtk = pytest.importorskip("vtk")


def load(path, time=None):
    """Times, node positions and arrays by name, from VTK's XDMF reader."""
    from vtk.util.numpy_support import vtk_to_numpy

    reader = vtk.vtkXdmfReader()
    reader.SetFileName(str(path))
    reader.UpdateInformation()
    information, key = reader.GetOutputInformation(0), vtk.vtkStreamingDemandDrivenPipeline.TIME_STEPS()
    times = [information.Get(key, i) for i in range(information.Length(key))] if information.Has(key) else []
    if time is None:
        reader.Update()
    else:
        reader.UpdateTimeStep(time)
    grid = reader.GetOutputDataObject(0)
    while grid.IsA("vtkMultiBlockDataSet"):
        grid = grid.GetBlock(0)
    points = np.array([grid.GetPoint(i) for i in range(grid.GetNumberOfPoints())])
    data = grid.GetPointData()
    arrays = {data.GetArrayName(i): vtk_to_numpy(data.GetArray(i)) for i in range(data.GetNumberOfArrays())}
    return times, points, arrays, grid


def as_table(points, values):
    """Node to value, independent of the order of nodes; positions compare exactly."""
    return {tuple(point): value for point, value in zip(points.tolist(), values.tolist(), strict=True)}


def expected(data, axes, field="u"):
    """The same table from the dataset, positions padded with zeros to three coordinates."""
    grids = np.meshgrid(*[data[axis].values for axis in axes], indexing="ij")
    points = np.stack([g.ravel() for g in grids], -1)
    values = data[field].transpose(*axes, ...).values
    values = values.reshape(len(points), *values.shape[len(axes) :])
    return as_table(np.pad(points, ((0, 0), (0, 3 - len(axes)))), values)


@pytest.mark.parametrize(
    ("dims", "axes"),
    [(("x",), "x"), (("time", "x"), ("x", "time")), (("x", "y"), "xy"), (("x", "y", "z"), "xyz")],
    ids=["x", "time-x", "x-y", "x-y-z"],
)
def test_single_grids(tmp_path, dims, axes):
    """u at node (x, t), (x, y) or (x, y, z) is u there; grids have unequal spacing and axes unequal lengths."""
    given = dataset(*dims)
    write(tmp_path / "a file.h5", given, name="a <case>", provenance={})
    times, points, arrays, _ = load(write_xdmf(tmp_path / "a file.h5"))
    assert times == []
    assert as_table(points, arrays["u"]) == expected(given, tuple(axes))


@pytest.mark.parametrize("dims", [("time", "x", "y"), ("time", "x", "y", "z")], ids="-".join)
def test_series_in_time(tmp_path, dims):
    given = dataset(*dims)
    write(tmp_path / "u.h5", given, name="case", provenance={})
    times, *_ = load(write_xdmf(tmp_path / "u.h5"))
    assert times == given["time"].values.tolist()
    for step, time in enumerate(times):
        _, points, arrays, _ = load(tmp_path / "u.xdmf", time)
        assert as_table(points, arrays["u"]) == expected(given.isel(time=step), dims[1:])


def test_chosen_sample_in_single_precision(tmp_path):
    given = dataset("sample", "time", "x", dtype=np.float32)
    write(tmp_path / "u.h5", given, name="case", provenance={})
    for sample in (0, 2):
        _, points, arrays, _ = load(write_xdmf(tmp_path / "u.h5", sample=sample))
        assert as_table(points, arrays["u"]) == expected(given.isel(sample=sample), ("x", "time"))
    with pytest.raises(PdesolveError, match="samples 0 to 2"):
        write_xdmf(tmp_path / "u.h5", sample=3)


def test_vectors(tmp_path):
    """Three components are a vector; two are two scalars, which is all that XDMF can hold."""
    space, plane = dataset("x", "y", "z", components=True), dataset("x", "y", components=True)
    write(tmp_path / "space.h5", space, name="case", provenance={})
    _, points, arrays, _ = load(write_xdmf(tmp_path / "space.h5"))
    assert as_table(points, arrays["v"]) == expected(space, tuple("xyz"), "v")
    write(tmp_path / "plane.h5", plane, name="case", provenance={})
    _, points, arrays, _ = load(write_xdmf(tmp_path / "plane.h5"))
    pairs = np.stack([arrays["v_0"], arrays["v_1"]], -1)
    assert as_table(points, pairs) == expected(plane, tuple("xy"), "v")


def test_companion_finds_its_file_wherever_both_are_moved(tmp_path):
    given = dataset("x", "y")
    (tmp_path / "one" / "figures").mkdir(parents=True)
    write(tmp_path / "one" / "u.h5", given, name="case", provenance={})
    write_xdmf(tmp_path / "one" / "u.h5", tmp_path / "one" / "figures" / "u.xdmf")
    shutil.move(tmp_path / "one", tmp_path / "two")
    _, points, arrays, _ = load(tmp_path / "two" / "figures" / "u.xdmf")
    assert as_table(points, arrays["u"]) == expected(given, tuple("xy"))


@pytest.mark.parametrize(("dims", "nodes", "vtk_type"), [(2, 3, 5), (2, 4, 9), (3, 4, 10), (3, 8, 12), (2, 6, 22)])
def test_meshes(tmp_path, dims, nodes, vtk_type):
    """Cells keep their nodes and their kind."""
    rng = np.random.default_rng(2)
    points, cells, u = rng.random((9, dims)), rng.permutation(9)[None, :nodes], rng.random((2, 9))
    options = {"time": np.array([0.0, 0.5]), "name": "mesh", "provenance": {}}
    write_points(tmp_path / "p.h5", points, cells, {"u": u}, **options)
    times, found, arrays, grid = load(write_xdmf(tmp_path / "p.h5"), 0.5)
    assert times == [0.0, 0.5]
    assert np.array_equal(found[:, :dims], points)
    assert np.array_equal(arrays["u"], u[1])
    assert grid.GetCellType(0) == vtk_type
    assert [grid.GetCell(0).GetPointId(i) for i in range(nodes)] == cells[0].tolist()


def test_points_without_cells(tmp_path):
    rng = np.random.default_rng(3)
    points, u = rng.random((5, 3)), rng.random(5)
    write_points(tmp_path / "p.h5", points, None, {"u": u}, name="cloud", provenance={})
    _, found, arrays, _ = load(write_xdmf(tmp_path / "p.h5"))
    assert as_table(found, arrays["u"]) == as_table(points, u)


def test_four_axes_of_space_are_refused(tmp_path):
    given = dataset("x", "y", "z").expand_dims(w=[0.0, 1.0])
    write(tmp_path / "u.h5", given, name="case", provenance={})
    with pytest.raises(PdesolveError, match="at most three axes of space, the file has 4"):
        write_xdmf(tmp_path / "u.h5")
