"""A file is there whole or as it was before, whatever fails in between."""

import errno
import os
import subprocess
import sys

import pytest

from pdesolve.errors import PdesolveError
from pdesolve.io import _header, atomic, read, write, write_xdmf

from .cases import dataset


def test_failure_in_the_middle_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "u.h5"
    write(path, dataset("x"), name="old", provenance={})
    before = path.read_bytes()

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_header, "write_provenance", fail)
    with pytest.raises(KeyboardInterrupt):
        write(path, dataset("time", "x"), name="new", provenance={})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["u.h5"]


def test_a_full_disk_is_an_error_and_not_a_crash(tmp_path):
    """Writes that the system refuses, at several points of the file.

    The limit on the size of a file stands for a disk without room: both make the same system call fail. It is
    set in a process of its own, because the HDF5 library by itself answers with a segmentation fault.
    """
    script = f"""
import resource, signal
import numpy as np, xarray as xr
from pdesolve.errors import PdesolveError
from pdesolve.io import write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
data = xr.Dataset({{"u": ("x", np.ones(50_000))}}, {{"x": np.arange(50_000.0)}})
path = {str(tmp_path / "u.h5")!r}
write(path, data, name="old", provenance={{}})
size = __import__("os").path.getsize(path)
for limit in (100, 3_000, 300_000, 600_000, size - 1_000, size - 1):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write(path, data, name="new", provenance={{}})
    except PdesolveError as error:
        print(error)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == 6
    assert all("File too large. The file that was there is unchanged." in line for line in lines)
    assert read(tmp_path / "u.h5")[1]["name"] == "old"
    assert os.listdir(tmp_path) == ["u.h5"]


def test_no_space_left_is_said_in_words(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PdesolveError, match=r"cannot write .*u\.h5: No space left on device"):
        write(tmp_path / "u.h5", dataset("x"), name="case", provenance={})
    assert os.listdir(tmp_path) == []


def test_read_only_target(tmp_path, monkeypatch):
    """A refused rename stands for a read-only place: the superuser's tests may write everywhere."""
    write(tmp_path / "u.h5", dataset("x"), name="case", provenance={})

    def refuse(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PdesolveError, match="Permission denied"):
        write_xdmf(tmp_path / "u.h5")
    assert os.listdir(tmp_path) == ["u.h5"]


def test_places_that_cannot_hold_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "u.h5", tmp_path / "missing" / "u.h5"):
        with pytest.raises(PdesolveError, match="not an existing directory"):
            write(path, dataset("x"), name="case", provenance={})
    # Renaming onto a device would replace the device.
    os.mkfifo(tmp_path / "device")
    for path in (tmp_path, tmp_path / "device"):
        with pytest.raises(PdesolveError, match="not a regular file"):
            write(path, dataset("x"), name="case", provenance={})
    assert sorted(os.listdir(tmp_path)) == ["device", "file"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "latest").symlink_to(tmp_path / "data" / "u.txt")
    with atomic(tmp_path / "latest") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "latest").is_symlink()
    assert (tmp_path / "data" / "u.txt").read_text() == "new"
