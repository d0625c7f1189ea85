"""Checkpoints: one file, a JSON header line and the leaves of a pytree, replaced atomically."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import equinox as eqx
from jaxtyping import PyTree

from .errors import PdesolveError

__all__ = ["atomic_write", "read_header", "restore", "save"]

_FORMAT = "pdesolve checkpoint 1"


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that replaces `path` when the block ends well, and leaves no trace when it does not.

    Raises:
        PdesolveError: If the target cannot be written (read-only, full disk); names the path and the reason.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise PdesolveError(f"cannot write {path}: {error.strerror or error}.") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def save(path: Path, header: dict[str, Any], tree: PyTree) -> None:
    """Write `header` (JSON) and the arrays of `tree`, atomically."""
    with atomic_write(path) as file:
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
