"""Facts about the machine, and how busy it was with something else while a cell was measured."""

import json
import os
import platform
import resource
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .cell import Failed
from .workspace import ROOT, Workspace

__all__ = ["BUSY", "Watch", "commit", "cores", "machine", "versions"]

PACKAGES = ("pdesolve", "jax", "jaxlib", "equinox", "optax", "optimistix", "lineax", "numpy", "scipy")

BUSY = 0.25
"""Cores taken by others above which a cell is marked."""

LOAD = 1.5
"""Load average before the start above which a cell is marked where processor time cannot be read."""


def machine(workspace: Workspace) -> dict[str, Any]:
    """Return processor, cores, system, thread setting, and measured rates."""
    words = ["--smoke"] if workspace.smoke else []
    rates = workspace.check(
        workspace.ours(str(Path(__file__).with_name("rates.py")), *words, name="rates", timeout=300)
    )
    try:
        measured = json.loads(rates.log.read_text().splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise Failed("the rates cannot be read", str(rates.log)) from error
    return {
        "processor": _processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": workspace.threads,
        "device": workspace.device,
        "rates": measured,
    }


def versions() -> dict[str, str | None]:
    """Return versions of Python and of the packages that decide how fast this one is."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def commit() -> str | None:
    """Return the checkout's commit, marked `-dirty` if files differ from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Watch:
    """How busy the machine is with others, while the block runs.

    The load average cannot tell: for a minute after a cell it still counts the cell's own processes. Processor time
    that is not ours, divided by wall time, is the number of cores that others took.
    """

    def __enter__(self) -> "Watch":
        self.load_before, self.wall = os.getloadavg()[0], time.perf_counter()
        self.used, self.own = _used(), _own()
        return self

    def __exit__(self, *_: Any) -> None:
        wall, own, used = time.perf_counter() - self.wall, _own() - self.own, _used()
        self.load_after = os.getloadavg()[0]
        known = used is not None and self.used is not None and wall > 0
        self.others = max(0.0, (used - self.used - own) / wall) if known else None

    def record(self) -> dict[str, Any]:
        """Return what was seen, and whether it spoils the measurement."""
        busy = self.load_before > LOAD if self.others is None else self.others > BUSY
        return {
            "load_before": round(self.load_before, 2),
            "load_after": round(self.load_after, 2),
            "cores_of_others": None if self.others is None else round(self.others, 2),
            "noisy": busy,
        }


def _used() -> float | None:
    """Return the processor time that all processes have used, and what a host took from this machine, in seconds."""
    try:
        fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    user, nice, system, _, _, interrupt, soft, steal = fields
    return (user + nice + system + interrupt + soft + steal) / os.sysconf("SC_CLK_TCK")


def _own() -> float:
    """Return our own processor time, that of ended children included."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
