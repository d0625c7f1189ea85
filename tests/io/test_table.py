"""Tables of numbers from files."""

import h5py
import numpy as np
import pytest

from pdesolve.errors import PdesolveError
from pdesolve.io.table import read_table


def test_three_kinds_of_files(tmp_path):
    """The same columns from each; what is left out in a line is NaN, lines with # are comments."""
    columns = {"x": np.array([0.0, 0.5]), "u": np.array([1.0, np.nan])}
    (tmp_path / "a.csv").write_text("# wells\nx, u\n0, 1.0\n0.5,\n")
    np.savez(tmp_path / "a.npz", **columns)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.update(columns)
    for suffix in ("csv", "npz", "h5"):
        table = read_table(tmp_path / f"a.{suffix}")
        assert set(table) == {"x", "u"}
        for name, values in columns.items():
            np.testing.assert_array_equal(table[name], values)
            assert table[name].dtype == np.float64


def test_messages(tmp_path):
    (tmp_path / "a.csv").write_text("x,u\n0,high\n")
    (tmp_path / "a.npz").write_text("nothing")
    np.savez(tmp_path / "b.npz", x=np.zeros(2), u=np.zeros(3))
    for name, words in (
        ("a.csv", "a.csv: is not a table of numbers"),
        ("a.npz", "a.npz: is not a table of numbers"),
        ("b.npz", "columns of a table are lists of the same length"),
        ("a.txt", "a table is read from .csv, .npz, .h5, .hdf5; got '.txt'"),
        ("c.csv", "c.csv: no such file"),
    ):
        with pytest.raises(PdesolveError, match=words):
            read_table(tmp_path / name)
