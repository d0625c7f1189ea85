"""Whole files or none: written beside the target under another name, then put in its place in one step."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from ..errors import PdesolveError

__all__ = ["atomic"]


@contextlib.contextmanager
def atomic(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path to write; on leaving, flush it to disk and rename it to `path`.

    Whatever happens inside the block, `path` holds either what it held before or the whole new file, and no
    temporary file is left.

    Raises:
        PdesolveError: If the file cannot be written (no such directory, no permission, disk full), with the
            path and the reason.
    """
    # A link is followed, so that the file it points to is replaced and not the link.
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise PdesolveError(f"cannot write {path}: it exists and is not a regular file.")
    if not target.parent.is_dir():
        raise PdesolveError(f"cannot write {path}: {target.parent} is not an existing directory.")
    temporary = target.with_name(f".{target.name[:200]}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, target)
        _flush(target.parent)
    # HDF5 reports a disk that fills up while a file is being closed as a RuntimeError.
    except (OSError, RuntimeError) as error:
        kept = " The file that was there is unchanged." if target.exists() else ""
        raise PdesolveError(f"cannot write {path}: {_reason(error)}.{kept}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Ask the system to put a file, or a directory's entries, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: BaseException) -> str:
    """The system's words for an error, also when a library has wrapped them in its own."""
    text = getattr(error, "strerror", None) or str(error)
    _, found, rest = text.partition("error message = '")
    return rest.partition("'")[0] if found else text.rstrip(".")
