"""Options of `solve` that change a recipe: what they are called, what they set, and how."""

import argparse
import dataclasses
from typing import Any

from .. import registry, toml
from .._attribute_docs import attribute_docs
from ..config import DataConfig, NetworkConfig, PointsConfig, Recipe, StageConfig
from ..errors import PdesolveError
from ._parser import integer, number

__all__ = ["FLAGS", "add_flags", "apply_flags"]

FLAGS: dict[str, tuple[str, type, str, Any]] = {
    "method": ("method", Recipe, "METHOD", str),
    "micro": ("method_options.micro", Recipe, "MODEL", str),
    "network": ("network.name", NetworkConfig, "NETWORK", str),
    "width": ("network.width", NetworkConfig, "N", integer),
    "depth": ("network.depth", NetworkConfig, "N", integer),
    "activation": ("network.activation", NetworkConfig, "NAME", str),
    "points": ("points.interior", PointsConfig, "N", integer),
    "data": ("data.file", DataConfig, "FILE", str),
    "test-data": ("data.test_file", DataConfig, "FILE", str),
    "windows": ("windows", Recipe, "N", integer),
    "optimiser": ("stages.optimiser", StageConfig, "OPTIMISER", str),
    "combine": ("stages.combine", StageConfig, "RULE", str),
    "learning-rate": ("stages.options.learning_rate", StageConfig, "RATE", number),
    "steps": ("stages.steps", StageConfig, "N", integer),
    "seconds": ("stages.seconds", StageConfig, "SECONDS", number),
    "target": ("stages.target", StageConfig, "ERROR", number),
    "precision": ("precision", Recipe, "TYPE", str),
    "seed": ("seed", Recipe, "N", integer),
}
"""Option to the key it sets, the dataclass that documents the key, placeholder and type."""

OWN_WORDS = {
    "method": "Registered method, or an operator to be learned (`pdesolve list methods`, `pdesolve list operators`).",
    "micro": "Material of a structure: linear, nonlinear, fe:RVE, equino:FILE.",
    "optimiser": "Registered optimiser, or any optax one; leaves one stage (`pdesolve list optimisers`).",
    "combine": "Rule that makes one gradient of those of the loss terms (`pdesolve list combinations`); last stage.",
    "learning-rate": "Learning rate of an optimiser that has one (last stage).",
    "steps": "Number of steps of the last stage, in place of its limits.",
    "seconds": "Wall-clock limit of the last stage, in place of its limits.",
    "target": "Stop when the relative L2 error falls to this (all stages); a larger one is exit code 1.",
}
"""Help where the option says more, or less, than the key's own documentation."""


def add_flags(group: Any, recipe: Recipe | None) -> None:
    """Add the options to an argparse group; with a recipe, their help tells its values."""
    for option, (key, cls, metavar, kind) in FLAGS.items():
        text = OWN_WORDS.get(option) or attribute_docs(cls)[key.rpartition(".")[2]]
        default = None if recipe is None else _value(recipe, key)
        note = "" if default is None else f" Default: {default}"
        group.add_argument(f"--{option}", type=kind, metavar=metavar, help=(text + note).replace("%", "%%"))
    group.add_argument(
        "--soft",
        action="store_true",
        help="Conditions as terms of the loss, also where the problem can meet them exactly.",
    )


def _value(recipe: Recipe, key: str) -> Any:
    """The recipe's value of a dotted key; of the last stage for stages."""
    value: Any = recipe
    for name in key.split("."):
        value = value[-1] if isinstance(value, tuple) and value else value
        value = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
    return value


def apply_flags(recipe: Recipe, arguments: argparse.Namespace) -> Recipe:
    """Return the recipe with the options given on the command line.

    Raises:
        PdesolveError: If a value is out of range; the message names the option.
    """
    stage: dict[str, Any] = {}
    for option, (key, *_) in FLAGS.items():
        value = getattr(arguments, option.replace("-", "_"))
        table, _, name = key.rpartition(".")
        if value is None:
            continue
        if table.startswith("stages"):
            stage[name] = value
            continue
        try:
            # A table of options would be replaced as a whole.
            entry = {**recipe.method_options, name: value} if table == "method_options" else {name: value}
            entry = {table: entry} if table else _learned(value) if option == "method" else entry
            recipe = toml.merge(recipe, entry, f"--{option}")
        except PdesolveError as error:
            # The option says where; the table in which the key stands would only distract.
            raise PdesolveError(str(error).replace(f"in {table}: ", "")) from error
    stages = with_stage(recipe.stages, **stage) if stage else recipe.stages
    return dataclasses.replace(recipe, stages=stages, exact=recipe.exact and not arguments.soft)


def _learned(method: str) -> dict[str, Any]:
    """Return what `--method` sets: the name of an operator means that it is learned."""
    if method in registry.names("operators") and method not in registry.names("methods"):
        return {"method": "operator", "network": {"name": method}}
    return {"method": method}


def with_stage(
    stages: tuple[StageConfig, ...],
    *,
    optimiser: str | None = None,
    combine: str | None = None,
    learning_rate: float | None = None,
    steps: int | None = None,
    seconds: float | None = None,
    target: float | None = None,
) -> tuple[StageConfig, ...]:
    """Return stages as the options say.

    A target is one of all stages. An optimiser leaves one stage, with the last one's limits; another optimiser has no
    use for the former's options. Steps and seconds replace the last stage's limits, so that asking for more than the
    recipe's does give more.
    """
    last = stages[-1] if stages else StageConfig()
    if optimiser is not None:
        options = last.options if optimiser == last.optimiser else {}
        last = dataclasses.replace(last, optimiser=optimiser, options=options, window=None)
    if combine is not None:
        options = last.combine_options if combine == last.combine else {}
        last = dataclasses.replace(last, combine=combine, combine_options=options)
    if learning_rate is not None:
        last = dataclasses.replace(last, options={**last.options, "learning_rate": learning_rate})
    if steps is not None or seconds is not None:
        last = dataclasses.replace(last, steps=steps, seconds=seconds)
    if target is not None:  # wherever it is reached, the run ends
        last = dataclasses.replace(last, target=target)
        stages = tuple(dataclasses.replace(stage, target=target) for stage in stages)
    return (last,) if optimiser is not None else (*stages[:-1], last)
