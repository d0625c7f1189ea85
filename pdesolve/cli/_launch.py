"""`pdesolve launch`: one run in several processes, started here or by a cluster."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import PdesolveError
from ._exit import BAD_INPUT, EXIT_CODES, FAILED, OK
from ._parser import Parser, integer

__all__ = ["launch"]

COUNT, INDEX = "PDESOLVE_PROCESSES", "PDESOLVE_PROCESS"
ADDRESS, GPUS = "JAX_COORDINATOR_ADDRESS", "JAX_LOCAL_DEVICE_IDS"
"""How a process that was started here finds the others and its own GPU; the last two are JAX's own."""

GRACE = 10.0
"""Seconds that the others have to end by themselves when one has ended by an error."""

EPILOG = f"""examples:
  pdesolve launch -n 2 -- solve burgers --optimiser adam      two processes on this machine
  pdesolve launch -n 2 -- solve burgers --resume              continue, on any number of processes and devices
  srun -n 16 pdesolve launch -- solve burgers                 processes that Slurm has started; so with mpirun

The samples of a step are divided over the devices of all processes; with -n, each process takes one
GPU. Only the first process writes files and prints; all must be able to read the run directory.

{EXIT_CODES}"""


def launch(words: Sequence[str]) -> int:
    """Run `solve` in several processes, and return the exit code of the first."""
    parser = Parser(
        prog="pdesolve launch",
        usage="pdesolve launch [-n N] -- solve ...",
        description="Run `pdesolve solve` in several processes, each with its own devices. Without -n this process "
        "joins those\nwhich a cluster has started (Slurm, Open MPI, Cloud TPU, Kubernetes: as JAX finds them).",
        epilog=EPILOG,
    )
    parser.add_argument("-n", type=integer, metavar="N", dest="count", help="processes to start on this machine")
    split = list(words).index("--") if "--" in words else len(words)
    given, command = parser.parse(words[:split]), list(words[split + 1 :])
    if command[:1] != ["solve"]:
        raise PdesolveError("give the command after two dashes: `pdesolve launch -n 2 -- solve NAME`.")
    if given.count is None:
        return _join(command[1:])
    if given.count < 1:
        raise PdesolveError(f"`-n` must be at least 1, got {given.count}.")
    return _Processes(given.count, command).wait()


def _join(words: Sequence[str]) -> int:
    """Be one process of a run."""
    import jax

    from ._main import shown
    from ._solve import solve

    count, index, address = (os.environ.get(name) for name in (COUNT, INDEX, ADDRESS))
    known: dict[str, Any] = {}
    if count is not None and index is not None and address is not None:
        known = {"num_processes": int(count), "process_id": int(index), "cluster_detection_method": "deactivate"}
        known |= {"coordinator_address": address, "coordinator_bind_address": address}
    try:
        # The first process writes the files while the others wait for it to end.
        jax.distributed.initialize(**known, shutdown_timeout_seconds=24 * 3600)
    except (ValueError, RuntimeError) as error:
        raise PdesolveError(f"no run of several processes was found ({error}). To start one here give `-n`.") from error
    code = shown(lambda: solve(words))
    if code == BAD_INPUT:
        # Ending as usual would wait for the others, which may wait for this one.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    jax.distributed.shutdown()
    return code if known.get("process_id", jax.process_index()) == 0 else OK


class _Processes:
    """Processes on this machine, which end together."""

    def __init__(self, count: int, command: Sequence[str]):
        self.asked: list[int] = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        words = [sys.executable, "-m", "pdesolve", "launch", "--", *command]
        self.errors = [None if index == 0 else tempfile.TemporaryFile("w+") for index in range(count)]
        self.processes = [
            subprocess.Popen(
                words,
                env=_environment(address, count, index),
                stdout=None if index == 0 else subprocess.DEVNULL,
                stderr=self.errors[index],
                start_new_session=True,  # Ctrl-C is passed on below, once
            )
            for index in range(count)
        ]

    def wait(self) -> int:
        """Wait for the end of all, or of the first that fails: then end the others."""
        former = {number: signal.signal(number, self._pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            while True:
                codes = [process.poll() for process in self.processes]
                failed = [index for index, code in enumerate(codes) if code not in (None, OK)]
                if failed or None not in codes:
                    break
                time.sleep(0.05)
            # The loss of one process makes errors in the others.
            return self._failure(min(failed, key=lambda index: (codes[index] or 0) > 0)) if failed else OK
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
            self._end(0.0)

    def _pass_on(self, number: int, frame: Any) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    def _failure(self, index: int) -> int:
        """End the others, and say why; the exit code of the first process is that of the run, if it has one."""
        code = self.processes[index].returncode
        self._end(GRACE if code > 0 else 0.0)
        own = self.processes[0].returncode
        if (index == 0 and code > 0) or own == code == BAD_INPUT:
            return code  # the first process has said why itself
        if errors := self.errors[index]:
            errors.seek(0)
            sys.stderr.writelines(errors.readlines()[-20:])
        cause = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"failed with exit code {code}"
        print(
            f"error: process {index} of {len(self.processes)} {cause}; the run has ended. `--resume` continues it from "
            "its last checkpoint, on any number of processes and devices.",
            file=sys.stderr,
        )
        return own if own is not None and own > 0 else FAILED

    def _end(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline - time.monotonic(), 0.0))
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()


def _environment(address: str, count: int, index: int) -> Mapping[str, str]:
    return os.environ | {ADDRESS: address, COUNT: str(count), INDEX: str(index), GPUS: str(index)}
