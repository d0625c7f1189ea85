"""Processes that are measured: the same cores and threads for all, output into logs, wall and processor time."""

import dataclasses
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .cell import Failed

__all__ = ["ROOT", "Run", "Workspace", "cache_directory", "private"]

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

NOT_INHERITED = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "JAX_ENABLE_X64", "DDE_BACKEND")


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished process."""

    code: int
    seconds: float
    """Wall time from its start to its end."""
    cpu_seconds: float
    """Processor time, all threads and children."""
    log: Path
    """What it wrote, output and errors."""


@dataclasses.dataclass(frozen=True)
class Workspace:
    """Where processes run and leave their logs, outside the repository.

    Args:
        cache: Directory for environments, logs and run directories.
        threads: Threads of BLAS and OpenMP; XLA takes the cores that the process may use.
        device: `cpu`, or `any` for what each program chooses itself.
        smoke: Kept apart from what counts.
    """

    cache: Path
    threads: int
    device: str = "cpu"
    smoke: bool = False

    @property
    def work(self) -> Path:
        """Directory for logs and run directories."""
        return self.cache / ("smoke" if self.smoke else "work")

    def scratch(self, name: str) -> Path:
        """Return an empty directory."""
        path = self.work / "runs" / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def ours(self, *words: str, name: str, timeout: float = 3600.0) -> Run:
        """Run this interpreter in the checkout."""
        return self.run([sys.executable, *words], name=name, timeout=timeout, variables={"PYTHONPATH": str(ROOT)})

    def run(
        self, command: Sequence[str | Path], *, name: str, timeout: float, variables: Mapping[str, str] | None = None
    ) -> Run:
        """Run a command to its end.

        Raises:
            Failed: If it does not end in time, or does not start.
        """
        log = self.work / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = self._environment(dict(variables or {}))
        before, start = _children(), time.perf_counter()
        with open(log, "wb") as file:
            options = {"stdout": file, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
            try:
                # A session of its own, so that its children end with it.
                process = subprocess.Popen(
                    [str(word) for word in command], cwd=ROOT, env=environment, start_new_session=True, **options
                )
            except OSError as error:
                raise Failed(f"does not start: {error.strerror}", str(log)) from error
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired as error:
                raise Failed(f"not done after {timeout:g} s", str(log)) from error
            finally:
                _end(process)
        return Run(code, time.perf_counter() - start, _children() - before, log)

    def check(self, run: Run) -> Run:
        """Return a run that went well.

        Raises:
            Failed: If its exit code is not 0, with the last line it wrote.
        """
        if run.code != 0:
            lines = [line.strip() for line in run.log.read_text(errors="replace").splitlines() if line.strip()]
            raise Failed(f"exit code {run.code}: {lines[-1] if lines else 'no output'}", str(run.log))
        return run

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if key not in NOT_INHERITED}
        chosen = dict.fromkeys(THREADS, str(self.threads))
        if self.device == "cpu":
            chosen |= {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
        return inherited | chosen | variables


def cache_directory() -> Path:
    """Return the user's cache directory for benchmarks."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pdesolve" / "benchmarks"


def private(text: str) -> str:
    """Return a text without what it says about this machine: its directories, and the servers it installs from."""
    for path, name in ((cache_directory(), "CACHE"), (ROOT, "."), (Path(sys.prefix), "VENV"), (Path.home(), "~")):
        text = text.replace(str(path), name)
    text = re.sub(r"\b(https?|file)://\S+", "URL", text)
    return re.sub(r"(?<![\w.~/])/(?:[\w.+@-]+/)+", ".../", text)


def _children() -> float:
    """Processor time of the children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _end(process: subprocess.Popen) -> None:
    """End a process and its children, if they have not ended."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
