"""A stand-alone script in a package's environment, and the JSON lines it writes."""

import json
from collections.abc import Mapping
from typing import Any

from .cell import Failed, Skipped
from .contenders import CONTENDERS, SCRIPTS
from .workspace import THREADS, Workspace

__all__ = ["run_script"]


def run_script(
    workspace: Workspace,
    contender: str,
    script: str,
    words: Mapping[str, Any],
    *,
    name: str,
    timeout: float = 1800.0,
    threads: int | None = None,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the lines a script wrote into `--records`, and what is known of its process.

    Args:
        workspace: Runs it.
        contender: The package, by its name in `CONTENDERS`.
        script: File in `peers/`.
        words: Options by name; a list becomes several words, None is left out.
        name: Of log and scratch directory.
        timeout: Seconds after which it has failed.
        threads: Of BLAS and OpenMP; the workspace's if None.

    Raises:
        Failed: If it ends with an error, or writes nothing.
        Skipped: If its environment is not built, in a smoke run.
    """
    package = CONTENDERS[contender]
    if workspace.smoke and not package.ready(workspace):
        raise Skipped("its environment has not been built; a run without --smoke does that")
    python, records = package.python(workspace), workspace.scratch(name) / "records.jsonl"
    command = [python, SCRIPTS / script, "--records", records]
    for key, value in words.items():
        if value is not None:
            command += [f"--{key}", *map(str, value if isinstance(value, list | tuple) else [value])]
    variables = dict.fromkeys(THREADS, str(threads or workspace.threads)) | package.settings()
    run = workspace.check(workspace.run(command, name=name, timeout=timeout, variables=variables))
    lines = [json.loads(line) for line in records.read_text(encoding="utf-8").splitlines()]
    if not lines:
        raise Failed("nothing was measured", str(run.log))
    facts = {"process_seconds": run.seconds, "cpu_seconds": run.cpu_seconds, "versions": package.versions(workspace)}
    return lines, facts
