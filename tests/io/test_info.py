"""A file described in words and numbers."""

import numpy as np

from pdesolve.io import describe, to_lines, write, write_points

from .cases import PROVENANCE, dataset


def test_grid(tmp_path):
    """Ranges are over the domain; values outside it and values that are no numbers are counted apart."""
    given = dataset("time", "x").assign_attrs(status="verified", errors={"relative_l2": 1e-4})
    given["mask"] = "x", np.arange(7) != 3
    given["u"][1, 0] = np.inf
    given["u_reference"] = given["u"] * 0 + 2.0
    boundary = [{"name": "ends", "kind": "wall", "dims": ["x"], "fields": ["u"]}]
    options = {"parameters": {"viscosity": 0.01}, "boundary": boundary}
    write(tmp_path / "u.h5", given, name="burgers", provenance=PROVENANCE, **options)
    found = describe(tmp_path / "u.h5")
    inside = np.delete(given["u"].values, 3, axis=1)
    u = found["fields"]["u"]
    assert (u["minimum"], u["maximum"]) == (inside[np.isfinite(inside)].min(), inside[np.isfinite(inside)].max())
    assert (u["masked"], u["not_finite"]) == (4, 1)
    assert (u["units"], u["role"], u["dims"], u["shape"]) == ("m/s", "solution", ["time", "x"], [4, 7])
    text = "\n".join(to_lines(found))
    expected = ("burgers", "viscosity = 0.01", "u (time 4, x 7) float64 in [", "m/s", "4 outside the domain")
    more = ("1 NOT FINITE", "reference", "ends: wall in x", "x: 7 from", "nodes", "status: verified", "seed: 7")
    for part in (*expected, *more, "'relative_l2': 0.0001", "model: none"):
        assert part in text


def test_points(tmp_path):
    points = np.random.default_rng(0).random((4, 2))
    write_points(tmp_path / "p.h5", points, None, {"u": np.arange(4.0)}, name="p", provenance={}, model=b"m")
    text = "\n".join(to_lines(describe(tmp_path / "p.h5")))
    assert "u (point 4) float64 in [0, 3]" in text
    assert "model: stored" in text
