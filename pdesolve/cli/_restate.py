"""A configuration that teaches: every key of a problem's recipe with what it means."""

from typing import Any

from .. import toml
from .._attribute_docs import attribute_docs
from ..config import DataConfig, PointsConfig, Recipe, StageConfig

__all__ = ["parameter_line", "restate"]


def parameter_line(problem: Any, name: str) -> str:
    """Return description, unit and range of a parameter, e.g. `kinematic viscosity [m^2/s], positive`."""
    from ..problem import parameters_of

    declared = parameters_of(problem)[name]
    unit = "" if declared.unit == "1" else f" [{declared.unit}]"
    return declared.description + unit + (f", {declared.range}" if declared.range else "")


def restate(name: str, problem: Any, recipe: Recipe) -> str:
    """Return a commented TOML file with the parameters of `problem` and all of `recipe`.

    Tables that the recipe leaves at their defaults because its method has no use for them are left out.
    """
    from ..problem import parameters_of

    parameters = {key: getattr(problem, key) for key in parameters_of(problem)}
    first = (type(problem).__doc__ or "").strip().partition("\n")[0]
    comments = {
        "": f"{first}\n\n    pdesolve solve {name} --config FILE\n\nStates all that can be set; keep what differs."
    }
    comments |= {f"parameters.{key}": parameter_line(problem, key) for key in parameters}
    comments |= attribute_docs(Recipe) | {f"stages.{key}": text for key, text in attribute_docs(StageConfig).items()}
    for table in ("network", "points", "data"):
        documented = attribute_docs(type(getattr(recipe, table)))
        comments |= {f"{table}.{key}": text for key, text in documented.items()}
    unused = {"data": DataConfig()} if recipe.method == "pinn" else {"points": PointsConfig()}
    omit = [key for key, default in unused.items() if getattr(recipe, key) == default]
    return toml.dumps(name, parameters, recipe, comments=comments, omit=omit)
