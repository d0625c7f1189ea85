"""A solution: fields that can be evaluated, compared, drawn and stored."""

import dataclasses
import io as bytes_io
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np
import xarray as xr
from jaxtyping import PyTree
from scipy.interpolate import RegularGridInterpolator

from . import io, registry, toml
from .config import Recipe
from .data_family import described_family
from .errors import PdesolveError
from .method import build_method
from .problem import Points, Values, with_parameters

__all__ = ["Solution"]

_OF_FILES = f"{described_family.__module__}:"
"""Beginning of the class of a problem that is known by a file of samples only."""


@dataclasses.dataclass(frozen=True)
class Solution:
    """The answer to a problem.

    Attributes:
        name: The problem's name.
        dataset: Fields on the grid, dims `(sample?, time?, *space)`, `NAME_reference` beside `NAME` where known.
        status: `solved`, `unverified` (no reference to compare with), `failed` (no better than a constant),
            `target_missed`, `diverged` or `interrupted`.
        reason: The same in a sentence.
        summary: Everything measured: errors, times, the classical solver's time. Also in `summary.json`.
        parameters: Values of the problem's parameters.
        provenance: Configuration, versions, seed, commit, date.
        evaluate: Points `(n, d)` in the order of the domain's coordinates to field values `(n,)`; None if unknown.
        source: What `evaluate` is: `model`, `classical solver`, `interpolant`, or `grid` if there is none.
        model: The trained pytree, if there is one.
        history: One record for each chunk of training.
    """

    name: str
    dataset: xr.Dataset
    status: str
    reason: str
    summary: dict[str, Any]
    parameters: dict[str, float]
    provenance: dict[str, Any]
    evaluate: Callable[[Points], Values] | None = None
    source: str = "grid"
    model: PyTree = None
    history: tuple[dict[str, Any], ...] = ()
    boundary: tuple[dict[str, Any], ...] = ()

    def __call__(self, points: Points) -> Values:
        """Return the fields at points `(n, d)`.

        Raises:
            PdesolveError: If the solution lives on its grid only.
        """
        if self.evaluate is None:
            raise PdesolveError(f"this solution of {self.name} is known on its grid only; use `to_xarray()`.")
        return self.evaluate(np.asarray(points, dtype=float))

    def to_xarray(self) -> xr.Dataset:
        """Return the fields on the grid, labelled."""
        return self.dataset

    def save(self, path: str | Path) -> Path:
        """Write one HDF5 file and, up to three axes of space, its XDMF companion, atomically; return the path.

        Raises:
            PdesolveError: If the file cannot be written.
        """
        path = Path(path)
        leaves = None
        if self.model is not None:
            buffer = bytes_io.BytesIO()
            eqx.tree_serialise_leaves(buffer, eqx.filter(self.model, eqx.is_array))
            leaves = buffer.getvalue()
        header = {
            "problem": self.name,
            "class": self.summary.get("class"),
            "parameters": self.parameters,
            "config": self.provenance.get("config"),
            "method": self.summary.get("method"),
            "functions": self.summary.get("functions"),
        }
        on_points = "points" in self.dataset
        write = io.write_points_dataset if on_points else partial(io.write, boundary=self.boundary)
        write(
            path,
            self.dataset,
            name=self.name,
            provenance={**self.provenance, "status": self.status, "reason": self.reason, "summary": self.summary},
            parameters=self.parameters,
            model=leaves,
            model_header=header if leaves is not None else None,
        )
        if on_points or len(set(self.dataset.dims) - {"sample", "time"}) <= 3:  # ParaView shows no more
            io.write_xdmf(path)
        return path

    def plot(self, path: str | Path) -> Path:
        """Draw solution, reference, error and convergence into one PNG; return the path."""
        from .plots import plot_solution

        columns = {
            "step" if key == "total_steps" else key: [record.get(key, np.nan) for record in self.history]
            for key in _columns(self.history)
        }
        plot_solution(self.dataset, history=columns or None, path=path, title=self.name, status=self.status)
        return Path(path)

    def table(self) -> Any:
        """Return the table of results, to be printed by rich."""
        from .report import table

        return table(self.summary)

    @staticmethod
    def load(path: str | Path) -> "Solution":
        """Read a solution back.

        `evaluate` is the model itself where the file stores one and its problem and method are registered here;
        otherwise a linear interpolant of the grid values, and `source` says so.

        Raises:
            PdesolveError: If the file is missing, damaged, or not one of ours.
        """
        dataset, stored = io.read(path)
        provenance = dict(stored.get("provenance", {}))
        summary = provenance.pop("summary", {})
        evaluate, source, model = _restore(Path(path)) or _interpolated(dataset)
        return Solution(
            name=stored.get("name", Path(path).stem),
            dataset=dataset,
            status=provenance.pop("status", "unknown"),
            reason=provenance.pop("reason", ""),
            summary=summary,
            parameters=dict(stored.get("parameters", {})),
            provenance=provenance,
            evaluate=evaluate,
            source=source,
            model=model,
        )


def _columns(history: tuple[dict[str, Any], ...]) -> list[str]:
    """Return what is drawn over training: time, losses, errors."""
    names = dict.fromkeys(key for record in history for key in record)
    return [key for key in names if key in ("total_steps", "seconds", "loss", "relative_l2") or key.startswith("loss/")]


def _restore(path: Path) -> tuple[Callable[[Points], Values] | None, str, PyTree] | None:
    """Rebuild the stored model from registered names, or return None if it is not stored or not known here."""
    try:
        leaves, header = io.read_model(path)
        # By its class, not its name: another class under that name would give the weights another meaning.
        name = next((n for n in registry.names("problems") if registry.target("problems", n) == header["class"]), None)
        if name is None and str(header["class"]).startswith(_OF_FILES):
            problem = described_family(header["functions"])()
        elif name is None:
            return None
        else:
            problem = with_parameters(registry.load("problems", name), header["parameters"])
        recipe = toml.merge(Recipe(), tomllib.loads(header["config"]), str(path))
        method = build_method(recipe)
    except PdesolveError:
        return None
    skeleton = method.skeleton(problem, recipe)
    try:
        arrays = eqx.tree_deserialise_leaves(bytes_io.BytesIO(leaves), eqx.filter(skeleton, eqx.is_array))
    except (RuntimeError, ValueError):  # stored in another precision than this session computes in
        return None
    model = eqx.combine(arrays, skeleton)
    evaluate = method.evaluator(problem, recipe, model)
    return evaluate, "model" if evaluate is not None else "grid", model


def _interpolated(dataset: xr.Dataset) -> tuple[Callable[[Points], Values] | None, str, PyTree]:
    evaluate = _interpolant(dataset)
    return evaluate, "grid" if evaluate is None else "interpolant", None


def _interpolant(dataset: xr.Dataset) -> Callable[[Points], Values] | None:
    """Return a linear interpolant of the grid values, time last; None for an ensemble, and for points of a mesh."""
    if "points" in dataset or dataset.sizes.get("sample", 1) > 1:
        return None
    dataset = dataset.isel(sample=0, drop=True) if "sample" in dataset.dims else dataset
    space = [str(dim) for dim in dataset.dims if dim != "time"]
    order = space + (["time"] if dataset.sizes.get("time", 1) > 1 else [])
    dataset = dataset.isel(time=0, drop=True) if "time" in dataset.dims and "time" not in order else dataset
    axes = [np.asarray(dataset[dim]) for dim in order]
    tables = {
        str(name): RegularGridInterpolator(axes, np.asarray(field.transpose(*order)))
        for name, field in dataset.items()
        if set(field.dims) == set(order) and field.dtype.kind == "f"
    }
    return lambda points: {name: table(points) for name, table in tables.items()}
