"""`pdesolve info`, `export` and `plot`: what can be done with a solution file."""

from collections.abc import Sequence
from pathlib import Path

from ..errors import PdesolveError
from ._exit import EXIT_CODES, OK
from ._parser import Parser, integer

__all__ = ["export", "info", "plot"]

SUFFIXES = {"csv": ".csv", "hdf5": ".h5", "netcdf": ".nc", "vtu": ".vtu", "xdmf": ".xdmf"}


def info(words: Sequence[str]) -> int:
    """Print what a file holds."""
    parser = _parser("info", "Show what a solution file holds: fields, grid, errors, provenance.", "info runs/burgers")
    file = _solution_file(parser.parse(words).file)
    from .. import io

    print("\n".join(io.to_lines(io.describe(file))))
    return OK


def export(words: Sequence[str]) -> int:
    """Convert a file."""
    parser = _parser("export", "Convert a solution for other tools.", "export runs/burgers --to vtu")
    parser.add_argument("--to", metavar="KIND", required=True, help=f"one of {', '.join(SUFFIXES)}")
    parser.add_argument("--out", metavar="FILE", help="file to write; default: beside FILE, with the kind's suffix")
    parser.add_argument("--layout", default="pdesolve", help="of hdf5: pdesolve, well or pdebench-h5")
    parser.add_argument("--step", type=integer, default=-1, metavar="N", help="of vtu: which time; default: the last")
    parser.add_argument("--sample", type=integer, default=0, metavar="N", help="of vtu and xdmf: which sample")
    arguments = parser.parse(words)
    file = _solution_file(arguments.file)
    from .. import io

    out = Path(arguments.out) if arguments.out else file.with_suffix(SUFFIXES.get(arguments.to, ""))
    if out.resolve() == file.resolve() and arguments.to == "hdf5":
        raise PdesolveError(f"{file} is HDF5 already; give another file to write by --out.")
    options = {"layout": arguments.layout, "step": arguments.step, "sample": arguments.sample}
    print(io.export(file, arguments.to, out, **options))
    return OK


def plot(words: Sequence[str]) -> int:
    """Draw a file."""
    parser = _parser("plot", "Draw a solution, its reference and its error into a PNG file.", "plot runs/burgers")
    parser.add_argument("--out", metavar="FILE", help="file to write; default: beside FILE, with suffix .png")
    arguments = parser.parse(words)
    file = _solution_file(arguments.file)
    from .. import io
    from ..plots import plot_solution

    dataset, header = io.read(file)
    status = str(header.get("provenance", {}).get("status", ""))
    out = arguments.out or file.with_suffix(".png")
    print(plot_solution(dataset, path=out, title=header.get("name", file.stem), status=status))
    return OK


def _parser(command: str, description: str, example: str) -> Parser:
    parser = Parser(
        prog=f"pdesolve {command}",
        description=description,
        epilog=f"example:\n  pdesolve {example}\n\n{EXIT_CODES}",
    )
    parser.add_argument("file", metavar="FILE", help="a solution (.h5), or a run directory that holds one")
    return parser


def _solution_file(given: str) -> Path:
    """Return the file, or the one solution in the run directory."""
    path = Path(given)
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.h5"))
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise PdesolveError(f"{path} is a directory; expected one solution (.h5) in it, found: {names}.")
    return found[0]
