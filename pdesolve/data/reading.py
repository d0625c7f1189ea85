"""Files of samples, recognised by what is in them."""

import os
import zipfile
from pathlib import Path

import h5py

from ..errors import PdesolveError
from .pairs import read_mat, read_mat73, read_npz
from .pdebench import read_pdebench
from .source import DataFile, checked, joined, opened
from .well import is_well, read_well

__all__ = ["SPLITS", "read_data", "read_splits"]

SPLITS = ("train", "valid", "test")
"""Folders of a data set of The Well."""

_SUFFIXES = (".h5", ".hdf5")
_KNOWN = (
    "files of `pdesolve data make`, The Well (.h5, .hdf5), PDEBench (.h5, .hdf5), pairs of arrays in .npz or .mat, and "
    "a folder with folders train, valid and test"
)


def read_data(path: str | os.PathLike) -> DataFile:
    """Describe a file of samples; numbers are read when they are asked for, but for those of `.npz` and old `.mat`.

    The layout is recognised by what the file holds, not by its name.

    Raises:
        PdesolveError: If there is no such file, it is foreign, truncated or damaged, a part is missing, or its grid is
            not uniform.
    """
    path = Path(path)
    if path.is_dir():
        raise PdesolveError(f"{path} is a folder; expected a file, or a folder with a folder 'train'.")
    if not path.is_file():
        raise PdesolveError(f"{path}: no such file.")
    if h5py.is_hdf5(path):
        return checked(_hdf5(path))
    if zipfile.is_zipfile(path) or path.suffix == ".npz":
        return checked(read_npz(path))
    if path.suffix == ".mat":
        return checked(read_mat(path))
    with open(path, "rb") as raw:
        raise PdesolveError(f"{path}: no data file (it begins with {raw.read(8)!r}). Known are {_KNOWN}.")


def _hdf5(path: Path) -> DataFile:
    with opened(path) as file:
        if is_well(file):
            return read_well(str(path), file)
        found = read_pdebench(str(path), file) or read_mat73(path, file)
        if found is None:
            held = ", ".join(sorted(file)) or "none"
            raise PdesolveError(f"{path}: no layout of samples; groups and datasets found: {held}. Known are {_KNOWN}.")
        return found


def read_splits(path: str | os.PathLike) -> dict[str, DataFile]:
    """Describe a data set: `{"all": file}` of a file, or by folder the files of `train`, `valid` and `test`.

    In a folder these stand directly or below `data`; files are taken in the order of their names.

    Raises:
        PdesolveError: As `read_data`; if a folder has no files to train on, or the files of one differ.
    """
    path = Path(path)
    if not path.is_dir():
        return {"all": read_data(path)}
    base = path / "data" if (path / "data").is_dir() else path
    found = {split: sorted(f for f in (base / split).glob("*") if f.suffix in _SUFFIXES) for split in SPLITS}
    if not found["train"]:
        raise PdesolveError(f"{path}: expected HDF5 files in {base / 'train'}; a folder holds train, valid and test.")
    return {
        split: joined([read_data(file) for file in files], str(base / split)) for split, files in found.items() if files
    }
