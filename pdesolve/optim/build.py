"""An optimiser from its name and options, as a configuration states them."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import optax
import optax.contrib

from .. import registry
from ..config import DECAY_STEPS, StageConfig
from ..errors import PdesolveError, UnknownNameError
from .combine import AbstractRule
from .first_order import FirstOrder
from .masks import masked
from .optimiser import AbstractOptimiser

__all__ = ["build_optimiser", "build_stage_optimiser", "learning_rate_schedule", "optax_names"]

SCHEDULES = ("constant", "cosine", "exponential")
SCHEDULED = ("learning_rate", "schedule", "warmup", "final", "decay_steps")
"""Options that describe a learning rate."""
AROUND = ("clip", "mask")
"""Options of what is put around an optimiser."""


def optax_names() -> dict[str, Callable[..., optax.GradientTransformation]]:
    """Return the optax optimisers that can be built from a learning rate, by name."""
    found = {}
    for module in (optax.contrib, optax):
        for name, function in vars(module).items():
            # The parameters of schedule-free methods are not those to evaluate with.
            if name.startswith(("_", "scale_by_", "schedule_free")) or not inspect.isfunction(function):
                continue
            if "learning_rate" in inspect.signature(function).parameters:
                found[name] = function
    return found


def learning_rate_schedule(
    rate: float, schedule: str = "constant", *, steps: int = DECAY_STEPS, warmup: int = 0, final: float = 1e-2
) -> optax.Schedule | float:
    """Return a learning rate over steps.

    Args:
        rate: Largest learning rate.
        schedule: `constant`, `cosine` or `exponential`.
        steps: Steps over which it falls.
        warmup: Steps of linear rise before.
        final: Last rate as a share of `rate`.
    """
    if schedule not in SCHEDULES:
        raise UnknownNameError("schedule", schedule, SCHEDULES)
    if schedule == "constant":
        falling: Any = optax.constant_schedule(rate)
    elif schedule == "cosine":
        falling = optax.cosine_decay_schedule(rate, max(steps - warmup, 1), alpha=final)
    else:
        falling = optax.exponential_decay(rate, max(steps - warmup, 1), final)
    return optax.join_schedules([optax.linear_schedule(0.0, rate, warmup), falling], [warmup]) if warmup else falling


def build_stage_optimiser(stage: StageConfig) -> AbstractOptimiser:
    """Return the optimiser of a stage, with its combination rule if it names one.

    Raises:
        UnknownNameError: For an unknown optimiser, rule or option.
        PdesolveError: If the optimiser does not follow a gradient that could be combined.
    """
    optimiser = build_optimiser(stage.optimiser, stage.options, steps=stage.steps)
    if stage.combine is None:
        if stage.combine_options:
            raise PdesolveError("`combine_options` belong to `combine`, which is not given.")
        return _grouped(optimiser, stage)
    if not isinstance(optimiser, FirstOrder):
        raise PdesolveError(
            f"`combine` makes one gradient of several, but {stage.optimiser!r} follows more than a gradient. Use a "
            "first-order optimiser such as adam."
        )
    if optimiser.combine is not None:
        raise PdesolveError(f"{stage.optimiser!r} has a rule of its own; leave out `combine`.")
    rule = registry.load("combinations", stage.combine)
    _check(f"combination {stage.combine!r}", stage.combine_options, inspect.signature(rule).parameters)
    return _grouped(FirstOrder(optimiser.transformation, rule(**stage.combine_options)), stage)


def _grouped(optimiser: AbstractOptimiser, stage: StageConfig) -> AbstractOptimiser:
    if not stage.combine_groups:
        return optimiser
    if not isinstance(optimiser, FirstOrder) or optimiser.combine is None:
        raise PdesolveError("`combine_groups` say what counts as one loss to a rule; give one by `combine`.")
    return FirstOrder(optimiser.transformation, optimiser.combine, stage.combine_groups)


def build_optimiser(name: str, options: Mapping[str, Any], *, steps: int | None = None) -> AbstractOptimiser:
    """Build a registered optimiser, or any optax one by name.

    A combination rule that is registered as an optimiser is followed by plain descent.

    Args:
        name: Name of either.
        options: Keyword arguments. For optax and for rules: `learning_rate` (default 1e-3), `schedule`, `warmup`,
            `final`, `decay_steps`, `clip` (global norm), `mask` (`cautious` or `grams`), and their own.
        steps: Planned steps, over which a schedule falls unless `decay_steps` is given.

    Raises:
        UnknownNameError: For an unknown optimiser or option; the message gives the nearest name.
        PdesolveError: If an option has a value its optimiser refuses.
    """
    known = optax_names()
    if name in registry.names("optimisers"):
        constructor = registry.load("optimisers", name)
        if _is_optimiser(constructor):
            _check(f"optimiser {name!r}", options, inspect.signature(constructor).parameters)
            return constructor(**options)
    elif name in known:
        constructor = known[name]
    else:
        raise UnknownNameError("optimiser", name, {*registry.names("optimisers"), *known})
    _check(f"optimiser {name!r}", options, {*inspect.signature(constructor).parameters, *SCHEDULED, *AROUND})
    own = {key: value for key, value in options.items() if key not in {*SCHEDULED, *AROUND}}
    rate = _rate({key: value for key, value in options.items() if key in SCHEDULED}, steps)
    try:
        if inspect.isclass(constructor):
            rule, transformation = constructor(**own), optax.sgd(rate)
        else:
            rule, transformation = None, constructor(learning_rate=rate, **own)
    except (TypeError, ValueError) as error:
        raise PdesolveError(f"optimiser {name!r} refuses its options {own}: {error}") from error
    if "mask" in options:
        transformation = masked(options["mask"], transformation)
    if "clip" in options:
        transformation = optax.chain(optax.clip_by_global_norm(options["clip"]), transformation)
    return FirstOrder(transformation, rule)


def _is_optimiser(constructor: Any) -> bool:
    """Say whether it makes an optimiser as it is, and is no rule or maker of a transformation."""
    return inspect.isclass(constructor) and not issubclass(constructor, AbstractRule)


def _rate(options: Mapping[str, Any], steps: int | None) -> optax.Schedule | float:
    """Return the learning rate that the options among `SCHEDULED` describe."""
    return learning_rate_schedule(
        options.get("learning_rate", 1e-3),
        options.get("schedule", "constant"),
        steps=options.get("decay_steps", steps or DECAY_STEPS),
        warmup=options.get("warmup", 0),
        final=options.get("final", 1e-2),
    )


def _check(owner: str, options: Mapping[str, Any], known: Any) -> None:
    for option in options:
        if option not in known:
            raise UnknownNameError(f"option of {owner}", option, known)
