"""Environments of peers: built once by venv and pip, outside the repository, with every version pinned."""

import dataclasses
import hashlib
import json
import shutil
import sys
from pathlib import Path

from .cell import Failed
from .workspace import Workspace

__all__ = ["Environment"]

READY = "ready.json"
"""Written when everything is installed; an environment without it is built again."""


@dataclasses.dataclass(frozen=True)
class Environment:
    """A name, and exact requirements as pip reads them."""

    name: str
    requirements: tuple[str, ...]

    def directory(self, workspace: Workspace) -> Path:
        """Return where it is; other requirements or another Python are another directory."""
        identity = json.dumps([sys.version_info[:2], self.requirements])
        return workspace.cache / "envs" / f"{self.name}-{hashlib.sha256(identity.encode()).hexdigest()[:10]}"

    def ready(self, workspace: Workspace) -> bool:
        """Return whether it has been built."""
        return (self.directory(workspace) / READY).is_file()

    def versions(self, workspace: Workspace) -> list[str]:
        """Return what is installed in it, as `name==version`."""
        return json.loads((self.directory(workspace) / READY).read_text())

    def python(self, workspace: Workspace) -> Path:
        """Return its interpreter, after building it if need be.

        Raises:
            Failed: If it cannot be built.
        """
        directory = self.directory(workspace)
        if not self.ready(workspace):
            self._build(workspace, directory)
        return directory / "bin" / "python"

    def _build(self, workspace: Workspace, directory: Path) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        directory.parent.mkdir(parents=True, exist_ok=True)
        log, python = f"envs/{self.name}", directory / "bin" / "python"
        pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input"]
        steps = {
            "create": [sys.executable, "-m", "venv", directory],
            "install": [*pip, "install", *self.requirements],
            "freeze": [*pip, "freeze", "--quiet"],
        }
        for step, command in steps.items():
            try:
                run = workspace.check(workspace.run(command, name=f"{log}-{step}", timeout=1800))
            except Failed as error:
                raise Failed(f"{step} of environment {self.name}: {error}", error.log) from error
        lines = [line for line in run.log.read_text().splitlines() if "==" in line]
        (directory / READY).write_text(json.dumps(lines, indent=1), encoding="utf-8")
