"""`info`, `export` and `plot` on a solution file."""

import numpy as np
import pytest
import xarray as xr

from pdesolve import io


@pytest.fixture
def solution(here):
    """`runs/rod/rod.h5`: u = sin(pi x) exp(-t)."""
    x, t = np.linspace(0, 1, 9), np.linspace(0, 1, 5)
    u = np.exp(-t)[:, None] * np.sin(np.pi * x)
    dataset = xr.Dataset({"u": (("time", "x"), u)}, coords={"time": t, "x": x})
    directory = here / "runs" / "rod"
    directory.mkdir(parents=True)
    io.write(directory / "rod.h5", dataset, name="rod", provenance={"status": "solved"}, parameters={"a": 2.0})
    return directory / "rod.h5"


@pytest.mark.parametrize("word", ["runs/rod/rod.h5", "runs/rod"])
def test_info(run, solution, word):
    """The file or its run directory; fields, parameters and provenance are told."""
    code, out, _ = run("info", word)
    assert code == 0
    for text in ("rod", "a = 2.0", "u (time 5, x 9)", "status: solved"):
        assert text in out


@pytest.mark.parametrize(
    ("kind", "suffix"), [("csv", ".csv"), ("netcdf", ".nc"), ("vtu", ".vtu"), ("xdmf", ".xdmf"), ("hdf5", ".h5")]
)
def test_export(run, solution, kind, suffix):
    """The path of what was written is printed; by default it lies beside the file, but never upon it."""
    if kind != "hdf5":
        assert run("export", "runs/rod", "--to", kind)[:2] == (0, f"runs/rod/rod{suffix}\n")
        assert solution.with_suffix(suffix).stat().st_size > 0
    else:
        code, _, err = run("export", "runs/rod", "--to", kind)
        assert (code, err) == (2, "error: runs/rod/rod.h5 is HDF5 already; give another file to write by --out.\n")
    assert run("export", "runs/rod", "--to", kind, "--out", f"other{suffix}")[:2] == (0, f"other{suffix}\n")


def test_plot(run, solution):
    """A PNG beside the file, or where `--out` says."""
    assert run("plot", "runs/rod")[:2] == (0, "runs/rod/rod.png\n")
    assert run("plot", str(solution), "--out", "mine.png")[:2] == (0, "mine.png\n")
    assert solution.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["info", "none.h5"], "none.h5"),
        (["info", "rod.py"], "rod.py"),
        (["info", "runs"], "runs is a directory; expected one solution (.h5) in it, found: none."),
        (["info"], "the following arguments are required: FILE. See `pdesolve info --help`."),
        (["export", "runs/rod", "--to", "cvs"], "unknown kind of export 'cvs'. Did you mean 'csv'? Known: csv, hdf5, "),
        (["export", "runs/rod"], "the following arguments are required: --to. See `pdesolve export --help`."),
        (["export", "runs/rod", "--to", "csv", "--out", "no/where.csv"], "cannot write no/where.csv: "),
        (["plot", "runs/rod", "--otu", "x.png"], "unknown option '--otu'. Did you mean '--out'? Known: --help, --out."),
    ],
)
def test_bad_input(run, solution, words, message):
    """Exit code 2 and one line."""
    code, _, err = run(*words)
    assert code == 2
    assert err.startswith(f"error: {message}")
    assert "Traceback" not in err
