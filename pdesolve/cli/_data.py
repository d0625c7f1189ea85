"""`pdesolve data`: data sets of families, made in parallel, and files of data looked through."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .. import registry
from ..errors import PdesolveError, UnknownNameError
from ._exit import BAD_INPUT, EXIT_CODES, FAILED, OK
from ._parser import Parser, integer
from ._problem import find_problem, user_errors
from ._solve import _add_parameters, _typed

__all__ = ["data"]

ABOUT = f"""usage: pdesolve data make FAMILY [OPTION ...]
       pdesolve data check FILE
       pdesolve data convert FILE --out FILE

Data sets of families of problems.

commands:
  make     generate samples in parallel, continue where an interrupted run stopped, write one HDF5 file
  check    say what a file holds and what is wrong with it
  convert  write samples of PDEBench, The Well, .npz or .mat in another layout

examples:
  pdesolve data make darcy_2d --samples 1000 --resolution 85 --out darcy.h5
  pdesolve data make darcy_2d --help            parameters of the family
  pdesolve data check darcy.h5
  pdesolve data convert 2D_DarcyFlow_beta1.0_Train.hdf5 --out darcy.h5

{EXIT_CODES}
"""

OPTIONS = ("help", "out", "processes", "quiet", "resolution", "samples", "seed")


def data(words: Sequence[str]) -> int:
    """Run `data make`, `data check` or `data convert`."""
    if not words or words[0] in ("-h", "--help"):
        print(ABOUT, end="")
        return OK if words else BAD_INPUT
    name, *rest = words
    commands: dict[str, Callable[[Sequence[str]], int]] = {"check": _check, "convert": _convert, "make": _make}
    if name not in commands:
        raise UnknownNameError("option" if name.startswith("-") else "command of `pdesolve data`", name, commands)
    return commands[name](rest)


def _check(words: Sequence[str]) -> int:
    parser = Parser(
        prog="pdesolve data check",
        description="Say what a data file holds, and what is wrong with it: samples that are not finite or occur\n"
        "twice, a grid that is not uniform, a file that is foreign, truncated or damaged.",
        epilog=f"example:\n  pdesolve data check darcy.h5\n\n{EXIT_CODES}",
    )
    parser.add_argument("file", metavar="FILE", help="HDF5 of this package, The Well or PDEBench; .npz or .mat")
    file = parser.parse(words).file
    from ..data.check import check_data

    found = check_data(file)
    print("\n".join([*found.lines, *(f"WRONG: {fault}" for fault in found.faults)]))
    if not found.faults:
        print(f"{file}: nothing wrong")
    return FAILED if found.faults else OK


def _convert(words: Sequence[str]) -> int:
    parser = Parser(
        prog="pdesolve data convert",
        description="Write samples in another layout: from The Well, PDEBench (its layouts), this package's own,\n"
        "and pairs of arrays in .npz or .mat.",
        epilog=f"example:\n  pdesolve data convert burgers.hdf5 --out burgers.h5\n\n{EXIT_CODES}",
    )
    parser.add_argument("file", metavar="FILE", help="the file to convert")
    parser.add_argument("--out", metavar="FILE", required=True, help="the file to write")
    parser.add_argument("--layout", default="pdesolve", help="pdesolve (the default), well, pdebench-h5 or npz")
    given = parser.parse(words)
    from ..data.convert import convert_data

    print(convert_data(given.file, given.out, layout=given.layout))
    return OK


def _make(words: Sequence[str]) -> int:
    if not words or words[0].startswith("-"):
        _make_parser("pdesolve data make", "", {}, None).parse(words)  # --help ends here
        raise PdesolveError(f"no family given: `pdesolve data make NAME`. Known: {', '.join(_families())}.")
    word, *rest = words
    name, cls, path = find_problem(word)
    with user_errors(path):
        from ..family import AbstractFamily
        from ..problem import parameters_of, with_parameters

        if not issubclass(cls, AbstractFamily):
            known = ", ".join(_families())
            raise PdesolveError(f"{name} is a single problem; data are made of families of problems: {known}.")
        declared = parameters_of(cls)
        options = {_option(parameter): parameter for parameter in declared}
        title = (cls.__doc__ or "").strip().partition("\n")[0]
        default = with_parameters(cls, {})
        given = _make_parser(f"pdesolve data make {word}", title, options, default).parse(rest)
        stated = {p: v for o, p in options.items() if (v := getattr(given, o.replace("-", "_"))) is not None}
        family = with_parameters(cls, {p: _typed(p, v, getattr(default, p)) for p, v in stated.items()})
        return _run(name, family, given)


def _run(name: str, family: Any, given: Any) -> int:
    from ..data.make import make_data
    from ..problem import parameters_of
    from ..provenance import provenance

    config = family.recipe().data
    out = Path(given.out or f"data/{name}.h5")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _bar(name, given.quiet) as progress:
            make_data(
                family,
                out,
                name=name,
                samples=config.train if given.samples is None else given.samples,
                resolution=config.resolution if given.resolution is None else given.resolution,
                seed=given.seed,
                processes=_cores() if given.processes is None else given.processes,
                parameters={key: getattr(family, key) for key in parameters_of(family)},
                provenance=provenance(),
                progress=progress,
            )
    except KeyboardInterrupt:
        print("finished blocks are kept; the same command continues", file=sys.stderr)
        raise
    if not given.quiet:
        print(f"{out}: {out.stat().st_size / 1e6:.3g} MB; see `pdesolve data check {out}`")
    return OK


def _make_parser(prog: str, title: str, options: dict[str, str], family: Any) -> Parser:
    parser = Parser(
        prog=prog,
        usage=f"{prog}{'' if family else ' FAMILY|FILE.py'} [--PARAMETER VALUE ...] [OPTION ...]",
        description=(title + "\n\n" if title else "")
        + "Generate samples in parallel processes, and write them to one HDF5 file in The Well's layout.\n"
        "Finished blocks of 64 samples are kept beside the file until it is complete: after an interruption the\n"
        "same command continues. Numbers do not depend on the number of processes.",
        epilog=f"example:\n  pdesolve data make darcy_2d --samples 1000 --out darcy.h5\n\n{EXIT_CODES}",
    )
    hint = None if options else ("none" if family else "`pdesolve data make FAMILY --help` shows them")
    _add_parameters(parser.add_argument_group("parameters of the family", hint), options, family)
    config = None if family is None else family.recipe().data
    samples, resolution = (
        ("", "") if config is None else (f"; default: {config.train}", f"; default: {config.resolution}")
    )
    group = parser.add_argument_group("data")
    group.add_argument("--samples", type=integer, metavar="N", help=f"number of samples{samples}")
    group.add_argument("--resolution", type=integer, metavar="N", help=f"grid points in each direction{resolution}")
    group.add_argument(
        "--seed", type=integer, metavar="N", default=0, help="equal seeds give equal samples; default: 0"
    )
    group.add_argument("--processes", type=integer, metavar="N", help="at a time; default: one for each core")
    group.add_argument("--out", metavar="FILE", help="file to write; default: data/FAMILY.h5")
    group.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def _option(parameter: str) -> str:
    """The option of a parameter; one that would hide an option of ours is written `--problem-seed`."""
    option = parameter.replace("_", "-")
    return f"problem-{option}" if option in OPTIONS else option


def _families() -> list[str]:
    """Names of registered families; one that does not load must not hide the others."""
    from ..family import AbstractFamily

    found = []
    for name in registry.names("problems"):
        try:
            cls = registry.load("problems", name)
        except (PdesolveError, SyntaxError):
            continue
        if isinstance(cls, type) and issubclass(cls, AbstractFamily):
            found.append(name)
    return found


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _bar(name: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on standard error, fed with the number of samples done and of all."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True), disable=quiet)
    task = bar.add_task(name, total=None)

    def show(done: int, total: int) -> None:
        bar.start()  # not sooner: what was asked for may be refused
        bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        if bar.live.is_started:
            bar.stop()
