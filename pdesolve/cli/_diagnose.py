"""`pdesolve diagnose`: how hard a problem and a network are for gradient descent, and what would help."""

from collections.abc import Sequence
from typing import Any

from ..errors import PdesolveError
from ._console import show
from ._exit import EXIT_CODES, OK
from ._jax import set_precision
from ._parser import Parser, integer
from ._problem import find_problem, user_errors
from ._recipe import add_flags, apply_flags

__all__ = ["diagnose"]

STEPS = (1e3, 1e5)

ABOUT = """Spectrum of the Hermitian square of the operator at the untrained network: its condition number, how many
directions gradient descent has learned after 1e3 and 1e5 steps, and the share of the residual that it would leave if
the problem were linear. The first line is the recipe, with the options given; each other line changes one thing. A
second-order method, the default, does not see these numbers: they tell when it is needed, and what helps a first-order
one."""


def diagnose(words: Sequence[str]) -> int:
    """Print a table of spectra."""
    parser = Parser(prog="pdesolve diagnose", description=ABOUT, epilog=EXIT_CODES)
    parser.add_argument("problem", metavar="PROBLEM", help="a registered problem, or FILE.py")
    parser.add_argument(
        "--spectrum-points",
        type=integer,
        default=1024,
        metavar="N",
        help="Points inside for the spectrum. Default: 1024",
    )
    add_flags(parser.add_argument_group("as in `pdesolve solve`"), None)
    given = parser.parse(words)
    if given.spectrum_points < 4:
        raise PdesolveError(f"`--spectrum-points` must be at least 4, got {given.spectrum_points}.")
    set_precision("float64")
    name, cls, path = find_problem(given.problem)
    with user_errors(path):
        from ..problem import AbstractProblem, with_parameters

        problem: Any = with_parameters(cls, {})
        if not isinstance(problem, AbstractProblem):
            raise PdesolveError(f"{name} is a family of problems; only single problems have a residual to linearise.")
        recipe = apply_flags(problem.recipe(), given)
        from ..conditioning import diagnose as engine

        found = engine(problem, recipe, given.spectrum_points)
    show(_table(name, found))
    return OK


def _table(name: str, found: Any) -> Any:
    from rich.table import Table

    table = Table(title=name)
    table.add_column("what", no_wrap=True)
    for title in ("weights", "condition", *(f"{word} {k:.0e}" for k in STEPS for word in ("learned", "left"))):
        table.add_column(title, justify="right")
    for what, spectrum in found.items():
        cells = [cell for k in STEPS for cell in (str(spectrum.directions(k)), f"{spectrum.left(k):.1e}")]
        table.add_row(what, str(len(spectrum.eigenvalues)), f"{spectrum.condition_number:.1e}", *cells)
    return table
