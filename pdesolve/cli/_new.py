"""`pdesolve new`: a file to begin a problem of one's own with."""

import keyword
import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import PdesolveError
from ._exit import OK
from ._parser import Parser

__all__ = ["new"]

TEMPLATE = '''"""{title}: what it is about, in a line or two.

    pdesolve solve {file}
"""

import jax.numpy as jnp

from pdesolve import AbstractProblem, Recipe, StageConfig, dirichlet, initial, parameter
from pdesolve.calculus import partial
from pdesolve.geometry import Box, SpaceTime


class {name}(AbstractProblem):
    """Heat in a rod that a current warms and both ends cool."""

    field_names = ("u",)
    diffusivity: float = parameter(0.1, "thermal diffusivity", above=0)  # the option --diffusivity

    def domain(self):
        return SpaceTime(Box({{"x": (0.0, 1.0)}}), 0.0, 1.0)  # without time: Box({{"x": (0.0, 1.0), "y": (0.0, 1.0)}})

    def equations(self, fields, at):  # at one point: each is to be zero
        u = fields.u
        return {{"heat": partial(u, "t") - self.diffusivity * partial(u, "x", 2) - jnp.sin(jnp.pi * at.x)}}

    def conditions(self):  # also neumann, robin, periodic, observations
        return (initial({{"u": 0.0}}), dirichlet("x_min", {{"u": 0.0}}), dirichlet("x_max", {{"u": 0.0}}))

    def recipe(self):
        return Recipe(stages=(StageConfig("levenberg_marquardt", seconds=20.0),), grid={{"x": 65, "t": 33}})

    # Better answers: `transform` and `exact_conditions` meet conditions by construction.
    # Better checks: `reference` returns a solution to compare with.
'''


def new(words: Sequence[str]) -> int:
    """Write a problem to begin with, and say what to do with it."""
    parser = Parser(
        prog="pdesolve new",
        description="Write a file with a problem of your own, complete and solvable, to be changed as you need.",
    )
    parser.add_argument("file", metavar="FILE.py", help="file to write; it must not exist")
    path = Path(parser.parse_args(list(words)).file)
    if path.suffix != ".py":
        raise PdesolveError(f"a problem is a Python file: {path.name!r} should end in .py.")
    name = "".join(part[:1].upper() + part[1:] for part in re.split(r"\W|_", path.stem))
    if not name.isidentifier() or keyword.iskeyword(name):
        raise PdesolveError(f"{path.stem!r} gives no name of a class; begin with a letter.")
    text = TEMPLATE.format(title=path.stem.replace("_", " "), file=path.name, name=name)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise PdesolveError(f"{path} exists; choose another name, or remove it.") from None
    print(f"{path}: a problem to change. Solve it by\n  pdesolve solve {path}")
    return OK
