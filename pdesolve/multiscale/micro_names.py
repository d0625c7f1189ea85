"""Micro models by name: `linear`, `nonlinear`, `fe:PROBLEM`, `OPERATOR:FILE`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import registry
from ..errors import PdesolveError, UnknownNameError
from ..problem import with_parameters
from .micro import LinearElastic, MicroModel, SaturatingElastic

__all__ = ["CLOSED_FORMS", "micro_model", "unit_cell"]

CLOSED_FORMS: dict[str, Callable[[], MicroModel]] = {
    "linear": LinearElastic,
    "nonlinear": SaturatingElastic,
    "nonlinear_released": lambda: SaturatingElastic(out_of_plane=False),
}
"""Homogeneous materials; `linear` is the other two at small strain."""


def micro_model(name: str) -> MicroModel:
    """Return the micro model of that name.

    | name | micro model |
    |---|---|
    | `linear` | linear elastic |
    | `nonlinear`, `nonlinear_released` | a law whose deviatoric stress saturates; with stored energy, as released |
    | `fe:PROBLEM` | a registered RVE, solved by finite elements for every strain; `fe:rve1,cells=24` sets parameters |
    | `OPERATOR:FILE` | a trained model of a registered operator, e.g. `equino:FILE` |

    Raises:
        UnknownNameError: If there is no such material, problem or operator.
        PdesolveError: If the problem or operator is no micro model, or the file cannot be read.
    """
    kind, colon, rest = name.partition(":")
    if not colon:
        if name not in CLOSED_FORMS:
            raise UnknownNameError("micro model", name, [*CLOSED_FORMS, "fe:PROBLEM", "OPERATOR:FILE"])
        return CLOSED_FORMS[name]()
    if not rest:
        raise PdesolveError(f"micro model {name!r}: what stands after the colon is missing, as in `fe:rve1`.")
    if kind == "fe":
        problem = unit_cell(rest)
        # What is solved anew has no box of training, though its samples have one.
        return _answering(problem.rve() if hasattr(problem, "rve") else problem, f"problem {rest!r}")
    operators = registry.names("micro_models")
    if kind not in operators:
        raise UnknownNameError("kind of micro model", kind, ["fe", *operators])
    operator = registry.load("micro_models", kind)
    if not hasattr(operator, "load"):
        raise PdesolveError(f"operator {kind!r} is no micro model: it has no `load(file)`.")
    if not Path(rest).is_file():
        raise PdesolveError(f"micro model {name!r}: no file {rest!r}.")
    return _answering(operator.load(rest), f"operator {kind!r}")


def unit_cell(words: str) -> Any:
    """Return a registered problem with parameters set, as in `rve1` or `rve1,cells=24,out_of_plane=1`.

    Raises:
        UnknownNameError: If there is no such problem, or it has no such parameter.
        PdesolveError: If a value is no number or out of its range.
    """
    name, *settings = words.split(",")
    cls, values = registry.load("problems", name), {}
    for setting in settings:
        key, _, value = setting.partition("=")
        try:
            values[key] = int(value) if value.lstrip("-").isdigit() else float(value)
        except ValueError:
            raise PdesolveError(f"problem {words!r}: expected PARAMETER=NUMBER, got {setting!r}.") from None
    return with_parameters(cls, values)


def _answering(model: object, words: str) -> MicroModel:
    if not isinstance(model, MicroModel):
        raise PdesolveError(f"{words} is no micro model: it has no `respond(strains)`.")
    return model
