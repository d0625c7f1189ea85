"""An optimiser from its name and options, as a configuration states them."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import optax
import optax.contrib

from .. import registry
from ..config import DECAY_STEPS, StageConfig
from ..errors import PdesolveError, UnknownNameError
from .first_order import FirstOrder
from .optimiser import AbstractOptimiser

__all__ = ["build_optimiser", "build_stage_optimiser", "learning_rate_schedule", "optax_names"]

SCHEDULES = ("constant", "cosine", "exponential")


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
        return optimiser
    if not isinstance(optimiser, FirstOrder):
        raise PdesolveError(
            f"`combine` makes one gradient of several, but {stage.optimiser!r} follows more than a gradient. Use a "
            "first-order optimiser such as adam."
        )
    if optimiser.combine is not None:
        raise PdesolveError(f"{stage.optimiser!r} has a rule of its own; leave out `combine`.")
    rule = registry.load("combinations", stage.combine)
    _check(f"combination {stage.combine!r}", stage.combine_options, inspect.signature(rule).parameters)
    return FirstOrder(optimiser.transformation, rule(**stage.combine_options))


def build_optimiser(name: str, options: Mapping[str, Any], *, steps: int | None = None) -> AbstractOptimiser:
    """Build a registered optimiser, or any optax one by name.

    Args:
        name: Name of either.
        options: Keyword arguments. For optax: `learning_rate` (default 1e-3), `schedule`, `warmup`, `final`,
            `decay_steps`, `clip` (global norm), and the transformation's own.
        steps: Planned steps, over which a schedule falls unless `decay_steps` is given.

    Raises:
        UnknownNameError: For an unknown optimiser or option; the message gives the nearest name.
        PdesolveError: If an option has a value its optimiser refuses.
    """
    if name in registry.names("optimisers"):
        constructor = registry.load("optimisers", name)
        _check(f"optimiser {name!r}", options, inspect.signature(constructor).parameters)
        return constructor(**options)
    known = optax_names()
    if name not in known:
        raise UnknownNameError("optimiser", name, {*registry.names("optimisers"), *known})
    own = inspect.signature(known[name]).parameters
    scheduled = {"learning_rate", "schedule", "warmup", "final", "decay_steps", "clip"}
    _check(f"optimiser {name!r}", options, {*own, *scheduled})
    options = dict(options)
    rate = learning_rate_schedule(
        options.pop("learning_rate", 1e-3),
        options.pop("schedule", "constant"),
        steps=options.pop("decay_steps", steps or DECAY_STEPS),
        warmup=options.pop("warmup", 0),
        final=options.pop("final", 1e-2),
    )
    clip = options.pop("clip", None)
    try:
        transformation = known[name](learning_rate=rate, **options)
    except (TypeError, ValueError) as error:
        raise PdesolveError(f"optimiser {name!r} refuses its options {options}: {error}") from error
    if clip is not None:
        transformation = optax.chain(optax.clip_by_global_norm(clip), transformation)
    return FirstOrder(transformation)


def _check(owner: str, options: Mapping[str, Any], known: Any) -> None:
    for option in options:
        if option not in known:
            raise UnknownNameError(f"option of {owner}", option, known)
