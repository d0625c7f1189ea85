"""Pictures: the right panels with the right numbers in them, for every kind of problem.

The figure is caught before it is written, so that what is asked of it is what it shows and not its pixels.
"""

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from pdesolve.errors import PdesolveError
from pdesolve.plots import plot_solution

STEPS = np.arange(0, 100, 10)
HISTORY = {
    "step": STEPS,
    "seconds": STEPS * 0.1,
    "equation": 10.0 ** -(STEPS / 20),
    "relative_l2": 10.0 ** -(STEPS / 50),
}


def dataset(*dims, names="u"):
    rng = np.random.default_rng(0)
    sizes = {"sample": 2, "time": 9, "x": 12, "y": 8, "z": 5}
    shape = [sizes[d] for d in dims]
    coords = {d: np.linspace(0, 1, sizes[d]) for d in dims if d != "sample"}
    return xr.Dataset({name: (dims, rng.standard_normal(shape), {"units": "K"}) for name in names}, coords)


@pytest.fixture
def draw(tmp_path, monkeypatch):
    """Draw to a file and return the figure's axes by title (colour bars have none), and all its texts."""
    saved = []
    original = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (saved.append(self), original(self, *a, **k)))

    def call(*args, **options):
        path = plot_solution(*args, path=tmp_path / "u.png", **options)
        assert path.read_bytes().startswith(b"\x89PNG")
        (figure,) = saved
        texts = [t.get_text() for t in figure.findobj(mpl.text.Text)]
        return {a.get_title(loc="left"): a for a in figure.findobj(mpl.axes.Axes) if a.get_title(loc="left")}, texts

    return call


def image(axes):
    """Values of an image, first axis across."""
    return axes.collections[0].get_array().reshape(len(axes.collections[0].get_coordinates()) - 1, -1).T


def test_one_dimension(draw):
    given = dataset("x")
    panels, _ = draw(given, given * 1.01, HISTORY)
    assert list(panels) == ["u [K]", "|error|   relative L2 9.90e-03", "loss terms", "error"]
    reference, solution = panels["u [K]"].lines
    assert np.array_equal(solution.get_ydata(), given["u"])
    assert np.array_equal(reference.get_ydata(), given["u"] * 1.01)
    assert panels["u [K]"].get_xlabel() == "x"


def test_one_dimension_in_time(draw):
    """Time runs across and x up, in the images as in their labels."""
    given = dataset("time", "x")
    panels, _ = draw(given, given * 1.01)
    expected = ["solution u [K]", "reference", "|error|   relative L2 9.90e-03", "u [K] at some times"]
    assert list(panels) == expected
    assert np.array_equal(image(panels["solution u [K]"]), given["u"])
    assert np.array_equal(image(panels["reference"]), given["u"] * 1.01)
    assert np.array_equal(image(panels[expected[2]]), np.abs(given["u"] - given["u"] * 1.01))
    assert (panels["reference"].get_xlabel(), panels["reference"].get_ylabel()) == ("t", "x")
    # Five times and their references, first to last.
    lines = panels["u [K] at some times"].lines
    assert len(lines) == 10
    assert np.array_equal(lines[0].get_ydata(), given["u"][0])
    assert np.array_equal(lines[-2].get_ydata(), given["u"][-1])


def test_two_dimensions_with_several_fields(draw):
    """A row for each field; points outside the domain have no colour; both axes have one scale."""
    given = dataset("x", "y", names="uvp")
    given = given.where(given["u"] > -1)
    panels, _ = draw(given, given + 0.1)
    assert [t for t in panels if t.startswith("solution")] == ["solution u [K]", "solution v [K]", "solution p [K]"]
    shown = image(panels["solution v [K]"])
    assert np.array_equal(np.ma.getmaskarray(shown), np.isnan(given["v"]))
    assert np.array_equal(shown.filled(0), given["v"].fillna(0))
    assert panels["solution v [K]"].get_aspect() == 1


def test_two_dimensions_in_time(draw):
    given = dataset("time", "x", "y")
    panels, _ = draw(given, None, None)
    titles = ["solution u [K], t = 0", "solution u [K], t = 0.5", "solution u [K], t = 1"]
    assert list(panels) == titles
    for title, step in zip(titles, (0, 4, 8), strict=True):
        assert np.array_equal(image(panels[title]), given["u"][step])


def test_reference_in_the_dataset(draw):
    given = dataset("time", "x")
    panels, _ = draw(given.assign(u_reference=given["u"] + 1, u_error=given["u"] * 0 + 1))
    assert np.array_equal(image(panels["reference"]), given["u"] + 1)
    assert [t for t in panels if t.startswith("solution")] == ["solution u [K]"]


def test_middle_plane_and_first_sample_are_said(draw):
    given = dataset("sample", "x", "y", "z")
    panels, texts = draw(given, title="poisson_3d")
    assert "poisson_3d (sample 0 of 2, z = 0.5)" in texts
    assert np.array_equal(image(panels["solution u [K]"]), given["u"][0, :, :, 2])


def test_points(draw):
    """Values belong to the nodes of the triangles; a cell with an unknown value is not drawn."""
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    cells = np.array([[0, 1, 2], [1, 2, 3]])
    values = np.array([1.0, 2.0, 3.0, np.nan])
    given = xr.Dataset(
        {"points": (("point", "axis"), points), "cells": (("cell", "vertex"), cells), "u": ("point", values)}
    )
    panels, _ = draw(given)
    (mesh,) = panels["solution u"].collections
    assert mesh.get_array()[:3].tolist() == [1.0, 2.0, 3.0]
    assert len(mesh.get_paths()) == 1


@pytest.mark.parametrize("dims", [("x",), ("time", "x"), ("x", "y"), ("time", "x", "y")], ids="-".join)
def test_unverified_is_written_on_every_solution(draw, dims):
    """Once in the corner and once on each solution panel; a verified one says so in the corner alone."""
    panels, texts = draw(dataset(*dims), status="unverified")
    solutions = [t for t in panels if t.startswith(("solution", "u [K]")) and "some times" not in t]
    assert texts.count("unverified") == 1 + len(solutions)


def test_verified_is_written_once(draw):
    assert draw(dataset("x", "y"), status="verified")[1].count("verified") == 1


def test_history(draw):
    """Loss terms over steps, the error over seconds, its last value named; what cannot be drawn is left out."""
    history = HISTORY | {"boundary": np.append(np.zeros(5), np.full(5, np.nan))}
    panels, texts = draw(dataset("x"), None, history)
    losses, errors = panels["loss terms"], panels["error"]
    assert (losses.get_xlabel(), errors.get_xlabel()) == ("step", "seconds")
    assert np.array_equal(losses.lines[0].get_ydata(), HISTORY["equation"])
    assert len(losses.lines[1].get_ydata()) == 0
    assert np.array_equal(errors.lines[0].get_xdata(), HISTORY["seconds"])
    assert f"relative_l2, at last {HISTORY['relative_l2'][-1]:.2e}" in texts
    assert losses.lines[0].get_marker() == "None"


def test_history_of_one_point_is_seen(draw):
    panels, _ = draw(dataset("x"), None, {name: values[-1:] for name, values in HISTORY.items()})
    assert [panels[name].lines[0].get_marker() for name in ("loss terms", "error")] == ["o", "o"]


@pytest.mark.parametrize(
    "value", [np.zeros((9, 12)), np.full((9, 12), np.nan), np.full((9, 12), np.inf)], ids=["zero", "nan", "inf"]
)
def test_degenerate_values_are_drawn(draw, value):
    """No warning and no failure where there is no range of colours to choose."""
    given = dataset("time", "x")
    draw(given.copy(data={"u": value}), given.copy(data={"u": np.zeros((9, 12))}))


def test_large_grids_are_thinned(draw):
    given = xr.Dataset({"u": (("x", "y"), np.random.default_rng(0).random((2500, 30)))})
    panels, _ = draw(given)
    assert np.array_equal(image(panels["solution u"]), given["u"][::5])


def test_global_settings_stay(draw):
    before = dict(mpl.rcParams), mpl.get_backend()
    draw(dataset("time", "x"), None, HISTORY, title="t", status="unverified")
    assert (dict(mpl.rcParams), mpl.get_backend()) == before


def test_unfit_data_are_refused(tmp_path):
    given = dataset("time", "x")
    with pytest.raises(PdesolveError, match="u: the solution lies on"):
        plot_solution(given, given.isel(x=slice(3)), path=tmp_path / "u.png")
    with pytest.raises(PdesolveError, match="no field to draw"):
        plot_solution(given[[]], path=tmp_path / "u.png")
    with pytest.raises(PdesolveError, match="not an existing directory"):
        plot_solution(given, path=tmp_path / "missing" / "u.png")
    assert list(tmp_path.iterdir()) == []
