"""Reference FE2: the micro model solved anew at every Gauss point, in parallel processes."""

import concurrent.futures.process
import contextlib
import multiprocessing
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float

from ..errors import PdesolveError
from .micro import MicroModel

__all__ = ["InProcesses"]

_ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_X64": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}

_model: Any = None
"""In a worker: the micro model, sent once and not with every call."""


class InProcesses:
    """A micro model whose strains are shared out among processes; a context manager.

    Answers are those of the model itself, in the same order, whatever the number of processes. Processes are started
    afresh (`spawn`), so that a script needs `if __name__ == "__main__":`, and have one thread each.

    Args:
        micro: The model; it must be picklable.
        processes: Number of processes, at least 1.
        chunk: Strains sent at a time: few, so that processes finish together.
    """

    def __init__(self, micro: MicroModel, processes: int, *, chunk: int = 4):
        for name, value in (("processes", processes), ("chunk", chunk)):
            if value < 1:
                raise PdesolveError(f"`{name}` must be at least 1, got {value}.")
        self.micro, self.processes, self.chunk = micro, processes, chunk
        self._pool: concurrent.futures.ProcessPoolExecutor | None = None

    @property
    def box(self) -> Any:
        """That of the model, if it has one."""
        return getattr(self.micro, "box", None)

    def __enter__(self) -> "InProcesses":
        context = multiprocessing.get_context("spawn")
        self._pool = concurrent.futures.ProcessPoolExecutor(
            self.processes, context, initializer=_begin, initargs=(self.micro,)
        )
        return self

    def __exit__(self, *_: Any) -> None:
        assert self._pool is not None
        self._pool.shutdown(cancel_futures=True)
        self._pool = None

    def respond(self, strains: Float[np.ndarray, "n 3"]) -> tuple[np.ndarray, np.ndarray]:
        """Return stresses and tangents; see `MicroModel`.

        Raises:
            PdesolveError: If used outside its `with` block, or a process ended.
        """
        if self._pool is None:
            raise PdesolveError("the processes are not running: use `with InProcesses(...) as micro:`.")
        if not len(strains):
            return np.zeros((0, 3)), np.zeros((0, 3, 3))
        parts = [strains[i : i + self.chunk] for i in range(0, len(strains), self.chunk)]
        try:
            # The pool starts its processes at the first call, and they read their environment then.
            with _environment():
                answers = list(self._pool.map(_respond, parts))
        except concurrent.futures.process.BrokenProcessPool as error:
            raise PdesolveError(
                "a process ended while it solved the micro model, most likely for want of memory, or because the model "
                "cannot be sent to another process; use fewer `processes`."
            ) from error
        stresses, tangents = zip(*answers, strict=True)
        return np.concatenate(stresses), np.concatenate(tangents)


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(_ONE_THREAD)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _begin(micro: MicroModel) -> None:
    global _model
    _model = micro


def _respond(strains: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    try:
        stresses, tangents = _model.respond(strains)
    except (PdesolveError, ArithmeticError, np.linalg.LinAlgError, RuntimeError) as error:
        # In words: not every error can be sent to another process.
        raise PdesolveError(str(error)) from None
    return np.asarray(stresses), np.asarray(tangents)
