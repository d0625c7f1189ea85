"""Checkpoints: one file, a JSON header line and the leaves of a pytree, replaced atomically."""

import json
from pathlib import Path
from typing import Any

import equinox as eqx
from jaxtyping import PyTree

from .errors import PdesolveError
from .io import atomic

__all__ = ["read_header", "restore", "save"]

_FORMAT = "pdesolve checkpoint 1"


def save(path: Path, header: dict[str, Any], tree: PyTree) -> None:
    """Write `header` (JSON) and the arrays of `tree`, atomically."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        file.write(json.dumps({"format": _FORMAT, **header}).encode() + b"\n")
        eqx.tree_serialise_leaves(file, tree)


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of a checkpoint.

    Raises:
        PdesolveError: If the file is missing, or not a checkpoint.
    """
    try:
        with open(path, "rb") as file:
            header = json.loads(file.readline())
    except OSError as error:
        raise PdesolveError(f"cannot read checkpoint {path}: {error.strerror or error}.") from error
    except ValueError as error:
        raise PdesolveError(f"{path} is not a checkpoint: its first line is not JSON.") from error
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise PdesolveError(f"{path} is not a checkpoint of this version (expected {_FORMAT!r}).")
    return header


def restore(path: Path, like: PyTree) -> tuple[dict[str, Any], PyTree]:
    """Return header and tree; `like` has the structure, shapes and dtypes that were saved.

    Raises:
        PdesolveError: If the file does not hold that structure.
    """
    header = read_header(path)
    try:
        with open(path, "rb") as file:
            file.readline()
            return header, eqx.tree_deserialise_leaves(file, like)
    except Exception as error:  # numpy and equinox raise many kinds for a file cut short or of another shape
        raise PdesolveError(
            f"checkpoint {path} does not fit this run ({error}). "
            "Run without --resume, or with the configuration it was made by."
        ) from error
