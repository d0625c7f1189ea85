"""A new HDF5 file on a disk that may fill up."""

import contextlib
import io
import os
from collections.abc import Iterator
from typing import Any

import h5py

from ._atomic import atomic

__all__ = ["new_hdf5"]


@contextlib.contextmanager
def new_hdf5(path: str | os.PathLike) -> Iterator[h5py.File]:
    """Open a new HDF5 file to write; it becomes `path` when the block ends without an error.

    Raises:
        PdesolveError: If it cannot be written; see `atomic`.
    """
    with atomic(path) as temporary, _Sink(temporary, "w+") as sink:
        with h5py.File(sink, "w", track_order=True) as file:
            yield file
        if sink.failure is not None:
            raise sink.failure


class _Sink(io.FileIO):
    """A file whose writes never fail for the one who writes: the first error is kept in `failure`.

    The HDF5 library leaves its objects half closed when a write fails, and the process then ends with a
    segmentation fault. It is told instead that all went well, and the error is raised once it has finished.
    """

    failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest and self.failure is None:
            try:
                rest = rest[super().write(rest) :]
            except OSError as error:
                self.failure = error
        return size

    def truncate(self, size: int | None = None, /) -> int:
        if self.failure is None:
            try:
                return super().truncate(size)
            except OSError as error:
                self.failure = error
        return size or 0

    def readinto(self, buffer: Any, /) -> int:
        target = memoryview(buffer).cast("B")
        found = super().readinto(target) or 0
        if self.failure is not None:
            target[found:] = bytes(len(target) - found)
            return len(target)
        return found
