"""Solved states of a unit cell: read from a file of `pdesolve data make`, or made where they are needed."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from jaxtyping import Float

from pdesolve import io
from pdesolve.data import make_data
from pdesolve.errors import PdesolveError
from pdesolve.family import AbstractFamily, FamilyData

__all__ = ["Snapshots", "is_unit_cell", "make_snapshots", "read_snapshots", "split"]

_MATTERING = ("bound", "out_of_plane")
"""Parameters on which samples depend, besides the mesh."""


class Snapshots(NamedTuple):
    """States of a cell under some mean strains.

    Attributes:
        strains: Mean strains, xx, yy, engineering xy.
        fluctuations: Periodic displacements at the nodes.
        fields: Stresses at the Gauss points, in MPa.
        stresses: Mean stresses.
        tangents: Their derivatives by the strains.
        seconds: Wall time of one solve.
    """

    strains: Float[np.ndarray, "n 3"]
    fluctuations: Float[np.ndarray, "n node 2"]
    fields: Float[np.ndarray, "n point 3"]
    stresses: Float[np.ndarray, "n 3"]
    tangents: Float[np.ndarray, "n 3 3"]
    seconds: float

    def part(self, start: int, stop: int) -> "Snapshots":
        """Return consecutive ones."""
        return Snapshots(*(values[start:stop] for values in self[:-1]), self.seconds)


_PLACES = {
    "strains": "mean_strain",
    "fluctuations": "arrays/fluctuation",
    "fields": "arrays/stress",
    "stresses": "mean_stress",
    "tangents": "arrays/tangent",
}
"""Where a file of `make_data` has them."""


def read_snapshots(path: str | Path, problem: Any, count: int) -> tuple[Snapshots, int]:
    """Return the first samples of a file, and the elements along a side of its cell.

    Raises:
        PdesolveError: If the file cannot be read, is of another problem or other parameters, or holds fewer samples.
    """
    _, about = io.read(path)
    try:
        made = json.loads(about["provenance"]["data"])
        with h5py.File(path) as file:
            stored = {name: np.asarray(file[place][:count]) for name, place in _PLACES.items()}  # pyright: ignore
            seconds = float(file.attrs["seconds_per_sample"])  # pyright: ignore[reportArgumentType]
    except (KeyError, ValueError) as error:
        raise PdesolveError(
            f"{path} holds no states of a unit cell; `pdesolve data make rve1` writes such a file."
        ) from error
    if made["class"] != _class_of(problem):
        raise PdesolveError(f"{path} holds samples of {made['family']}, not of {type(problem).__name__}.")
    for parameter in _MATTERING:
        value, wanted = made["parameters"].get(parameter), float(getattr(problem, parameter))
        if value != wanted:
            raise PdesolveError(f"{path} was made with {parameter} = {value}; the problem has {wanted}.")
    n = len(stored["strains"])
    if n < count:
        raise PdesolveError(f"{path} holds {n} samples, of which `data.train` asks for {count}.")
    means = {name: stored[name].reshape(n, 3) for name in ("strains", "stresses")}
    return Snapshots(**(stored | means), seconds=seconds), int(made["resolution"])


def make_snapshots(problem: Any, count: int, seed: int, directory: Path | None) -> tuple[Snapshots, int]:
    """Solve for drawn strains, in parallel processes if there is a directory to keep them in; return as when read.

    An interrupted call continues with the samples that are there.
    """
    if directory is None:
        return _of(problem.generate(count, problem.cells, seed)), problem.cells
    path = directory / "snapshots.h5"
    make_data(
        problem,
        path,
        name=type(problem).__name__.lower(),
        samples=count,
        resolution=problem.cells,
        seed=seed,
        processes=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        parameters={name: getattr(problem, name) for name in _MATTERING},
    )
    return read_snapshots(path, problem, count)


def split(snapshots: Snapshots, test: int) -> tuple[Snapshots, Snapshots, Snapshots]:
    """Return samples to train, to validate and to test: the last `test` ones, and of the others four fifths to train.

    Raises:
        PdesolveError: If none is left to train or to validate.
    """
    n = len(snapshots.strains)
    train = (n - test) * 4 // 5
    if train < 1 or train == n - test:
        raise PdesolveError(
            f"{n} samples, {test} of them to test, leave too few to train and to validate: `data.train` counts all of "
            "them, `data.test` the last ones."
        )
    return snapshots.part(0, train), snapshots.part(train, n - test), snapshots.part(n - test, n)


def is_unit_cell(problem: Any) -> bool:
    """Say whether a problem is a unit cell whose states can be sampled."""
    return isinstance(problem, AbstractFamily) and hasattr(problem, "rve") and hasattr(problem, "strain")


def _of(data: FamilyData) -> Snapshots:
    assert data.inputs is not None
    arrays = {name: data.arrays[place.removeprefix("arrays/")] for name, place in _PLACES.items() if "/" in place}
    return Snapshots(strains=data.inputs[:, 0], stresses=data.outputs[:, 0], seconds=data.seconds, **arrays)


def _class_of(problem: Any) -> str:
    return f"{type(problem).__module__}:{type(problem).__qualname__}"
