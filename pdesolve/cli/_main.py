"""The entry point: finds the command, and turns what goes wrong into a message and an exit code."""

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from ..errors import PdesolveError, UnknownNameError
from ._exit import BAD_INPUT, EXIT_CODES, INTERRUPTED, OK

__all__ = ["main", "shown"]

COMMANDS = {
    "solve": ("._solve", "solve a named problem, or one in a file of your own"),
    "new": ("._new", "a file to begin a problem of your own with"),
    "launch": ("._launch", "one solve in several processes, of this machine or of a cluster"),
    "diagnose": ("._diagnose", "how hard a problem is for gradient descent, and what would help"),
    "list": ("._list", "what is registered: problems, operators, networks, optimisers, methods"),
    "data": ("._data", "make data sets of families in parallel; look through files of data"),
    "info": ("._files", "what a solution file holds: fields, errors, provenance"),
    "export": ("._files", "convert a solution to HDF5, XDMF, VTU, netCDF or CSV"),
    "plot": ("._files", "draw a solution"),
    "sample": ("._sample", "draw an ensemble of fields from a trained generative model"),
    "doctor": ("._doctor", "versions, devices, precision, and whether this installation works"),
}
"""Command to its module, which has a function of the command's name, and what it does."""


def _help() -> str:
    commands = "\n".join(f"  {name:<8} {summary}" for name, (_, summary) in COMMANDS.items())
    return f"""usage: pdesolve COMMAND ...

Solve a partial differential equation by name, and get a checked solution in a file that other tools open.

commands:
{commands}

examples:
  pdesolve list problems
  pdesolve solve burgers
  pdesolve solve burgers --help          its parameters, and how it is solved
  pdesolve info runs/burgers/burgers.h5

{EXIT_CODES}

`pdesolve COMMAND --help` explains a command. PDESOLVE_DEBUG=1 shows the traceback of an error.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Args:
        argv: Words after `pdesolve`; by default those of the process.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    # OpenBLAS keeps its threads spinning for some 30 ms after each call, on the cores that XLA needs next: steps of
    # Levenberg-Marquardt then take twice as long. Two to this power is the number of cycles to spin; it is read when
    # NumPy is first imported.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "16")
    return shown(lambda: _run(words))


def shown(action: Callable[[], int]) -> int:
    """Return an exit code: that of the action, or of the error of which the message is printed."""
    try:
        code = action()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has gone (`pdesolve list | head`). Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except (PdesolveError, OSError) as error:
        if os.environ.get("PDESOLVE_DEBUG"):
            traceback.print_exc()
        print(f"error: {_message(error)}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_help(), end="")
        return OK if words else BAD_INPUT
    if words[0] == "--version":
        from .._version import __version__

        print(f"pdesolve {__version__}")
        return OK
    name, *rest = words
    if name not in COMMANDS:
        raise _unknown(name)
    module = importlib.import_module(COMMANDS[name][0], __package__)
    try:
        return getattr(module, name)(rest)
    except SystemExit as finished:
        # argparse has printed the help.
        return OK if finished.code is None else int(finished.code)


def _unknown(name: str) -> PdesolveError:
    """A problem in the place of a command is meant to be solved."""
    from .. import registry
    from ._problem import is_file

    if is_file(name) or name in {*registry.names("problems"), *registry.aliases("problems")}:
        return PdesolveError(f"unknown command {name!r}. Did you mean `pdesolve solve {name}`?")
    known = ("--help", "--version") if name.startswith("-") else COMMANDS
    return UnknownNameError("option" if name.startswith("-") else "command", name, known)


def _message(error: Exception) -> str:
    """An OSError as `FILE: reason`, anything else in its own words."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fspath(error.filename)}: {error.strerror}."
    return str(error) or type(error).__name__
