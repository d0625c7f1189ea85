"""`pdesolve list`: names with one line each, read without importing what they name."""

from collections.abc import Sequence

from .. import registry
from ..errors import UnknownNameError
from ._console import show
from ._exit import EXIT_CODES, OK
from ._parser import Parser

__all__ = ["list"]

NOTES = {
    "optimisers": "Any optax optimiser is accepted by its name too, as in --optimiser adam.",
    "problems": "`pdesolve solve NAME --help` shows the parameters of a problem.",
}


def list(words: Sequence[str]) -> int:
    """Print the registered names of one group, or of all."""
    parser = Parser(
        prog="pdesolve list",
        description="Show what is registered, with one line about each.",
        epilog=f"examples:\n  pdesolve list problems\n  pdesolve list optimisers\n\n{EXIT_CODES}",
    )
    parser.add_argument("group", nargs="?", metavar="GROUP", help=f"one of {', '.join(registry.GROUPS)}; default: all")
    group = parser.parse(words).group
    if group is not None and group not in registry.GROUPS:
        raise UnknownNameError("group", group, registry.GROUPS)
    for one in registry.GROUPS if group is None else [group]:
        _show(one)
    return OK


def _show(group: str) -> None:
    from rich.table import Table

    table = Table(title=group, title_justify="left", title_style="bold", box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, style="cyan")
    table.add_column()
    for name in registry.names(group):
        table.add_row(name, _line(group, name))
    for alias, name in registry.aliases(group).items():
        table.add_row(alias, f"The same as {name}.")
    show(table if registry.names(group) else f"{group}: none", NOTES[group] + "\n" if group in NOTES else "")


def _line(group: str, name: str) -> str:
    """One third party's broken entry must not hide the others."""
    try:
        return registry.describe(group, name)
    except (ImportError, SyntaxError, OSError, ValueError) as error:
        return f"(does not load: {error})"
