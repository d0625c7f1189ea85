"""What a run is made of, as plain frozen data: read from TOML, overridden by the command line, saved with the run.

Nothing here imports JAX, so that `--help` stays quick. A problem's own `recipe()` is the default; a TOML
file or a flag states what differs.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from .errors import PdesolveError, UnknownNameError

__all__ = ["DECAY_STEPS", "DataConfig", "NetworkConfig", "PointsConfig", "Recipe", "StageConfig", "planned"]

PRECISIONS = ("float32", "float64")

DECAY_STEPS = 10_000
"""Steps over which a learning rate falls where no number of steps is planned."""


Options = dict[str, float | int | bool | str | tuple[float | int, ...]]
"""Keyword arguments that a configuration file can hold; arrays of numbers are tuples."""


def _at_least(config: Any, **limits: int) -> None:
    for name, limit in limits.items():
        if getattr(config, name) < limit:
            raise PdesolveError(f"`{name}` must be at least {limit}, got {getattr(config, name)}.")


@dataclass(frozen=True)
class NetworkConfig:
    """The approximating model."""

    name: str = "mlp"
    """Registered network or operator (`pdesolve list networks`, `pdesolve list operators`)."""
    width: int = 20
    """Units (or channels) of a hidden layer."""
    depth: int = 3
    """Number of hidden layers."""
    activation: str = "tanh"
    """tanh, sin, swish, gelu, or adaptive_ before one of them."""
    options: Options = field(default_factory=dict)
    """Further keyword arguments of the named architecture, e.g. `modes = 16` for an FNO."""

    def __post_init__(self):
        _at_least(self, width=1, depth=1)


@dataclass(frozen=True)
class PointsConfig:
    """Collocation points of a physics-informed training."""

    interior: int = 4096
    """Points inside the domain."""
    boundary: int = 512
    """Points for each condition on a boundary part, initial conditions included."""
    sampler: str = "sobol"
    """uniform, sobol, halton, latin_hypercube or grid."""
    adaptive: str = "rad"
    """rad (redraw by residual), rar_d (replace a quarter where the residual is large), redraw (new points at each step)
    or none (fixed points)."""
    refresh: int = 25
    """Steps between two adaptive refreshes; also the steps of one dispatch."""
    candidates: int = 4
    """Candidate points of a refresh, as a multiple of `interior`."""
    weighting: str = "none"
    """Weights of single points inside: causal, residual_attention, self_adaptive or none."""
    weighting_options: Options = field(default_factory=dict)
    """Keyword arguments of that weighting, e.g. `tolerance = 0.1` for causal."""
    chunk: int | None = None
    """Points evaluated at a time, which bounds memory and costs a second evaluation; all at once if not given."""

    def __post_init__(self):
        _at_least(self, interior=1, boundary=1, refresh=1, candidates=1)
        if self.chunk is not None:
            _at_least(self, chunk=1)


@dataclass(frozen=True)
class DataConfig:
    """Data of a family of problems, generated where it is needed, or read from a file."""

    train: int = 1000
    """Training samples."""
    test: int = 200
    """Held-out samples; never seen in training."""
    resolution: int = 256
    """Grid points of a sample in each direction."""
    batch: int = 20
    """Samples of one training step."""
    file: str | None = None
    """File or folder of samples, in place of generated ones; `resolution` is then the file's own."""
    test_file: str | None = None
    """Another file for the test samples, which are otherwise the last ones of `file`."""
    stride: int | None = None
    """Every so manieth point of a file's grid; all points if not given."""
    buffer: int | None = None
    """Training samples of a file in memory at a time; if not given all, or half a GiB of them if they exceed one."""

    def __post_init__(self):
        _at_least(self, train=1, test=1, resolution=1, batch=1)
        for name in ("stride", "buffer"):
            if getattr(self, name) is not None:
                _at_least(self, **{name: 1})


@dataclass(frozen=True)
class StageConfig:
    """One stage of training: an optimiser and its budget (the first limit reached ends it)."""

    optimiser: str = "levenberg_marquardt"
    """Registered optimiser, or the name of any optax one (`pdesolve list optimisers`)."""
    steps: int | None = None
    """Largest number of steps."""
    seconds: float | None = None
    """Limit on training time, compilation not counted; resolved to steps in the run's own `run.toml`."""
    target: float | None = None
    """Stop when the relative L2 error (against the reference) falls to this."""
    options: Options = field(default_factory=dict)
    """Further keyword arguments of the optimiser, e.g. `learning_rate = 1e-3`."""
    combine: str | None = None
    """Rule that makes one gradient of those of the terms (`pdesolve list combinations`); their sum if not given."""
    combine_options: Options = field(default_factory=dict)
    """Keyword arguments of that rule, e.g. `length = "geometric"` for config."""
    combine_groups: tuple[tuple[str, ...], ...] = ()
    """Names or patterns of terms that count as one loss to that rule, e.g. `[["momentum_*", "mass"]]`; the other terms
    form a last one. Each term is a loss of its own if not given."""
    interior: int | None = None
    """Points inside the domain in this stage, in place of `points.interior`: few are enough to begin with."""
    window: int | None = None
    """The time window (from 0) this stage belongs to; every one if not given."""

    def __post_init__(self):
        if self.steps is not None:
            _at_least(self, steps=0)
        if self.interior is not None:
            _at_least(self, interior=1)
        for name in ("seconds", "target"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise PdesolveError(f"`{name}` must be positive, got {value}.")


@dataclass(frozen=True)
class Recipe:
    """How a problem is solved: everything a run needs besides the problem and its parameters."""

    method: str = "pinn"
    """Registered method (`pdesolve list methods`)."""
    method_options: Options = field(default_factory=dict)
    """Keyword arguments of the method, e.g. `num_steps = 50` for flow matching."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """The approximating model."""
    points: PointsConfig = field(default_factory=PointsConfig)
    """Collocation points (physics-informed methods)."""
    data: DataConfig = field(default_factory=DataConfig)
    """Generated data (operators and flows)."""
    stages: tuple[StageConfig, ...] = (StageConfig(seconds=60.0),)
    """Training stages, run in order."""
    exact: bool = True
    """Meet conditions exactly by the problem's own transform where it has one; otherwise as loss terms."""
    weights: dict[str, float] = field(default_factory=dict)
    """Weights of loss terms by name; 1 where not named."""
    constraints: tuple[str, ...] = ()
    """Terms that constrained optimisers (`augmented_lagrangian`, say) meet as constraints; those of all conditions if
    none is named. To other optimisers they are losses."""
    windows: int = 1
    """Number of consecutive time windows, each with a network of its own."""
    precision: str = "float64"
    """float64 or float32."""
    seed: int = 0
    """Seed of everything random in the run."""
    grid: dict[str, int] = field(default_factory=dict)
    """Points by coordinate of the grid on which the solution is evaluated and stored."""

    def __post_init__(self):
        _at_least(self, windows=1, seed=0)
        if not self.stages:
            raise PdesolveError("`stages` needs at least one stage.")
        for stage in self.stages:
            if stage.window is not None and not 0 <= stage.window < self.windows:
                raise PdesolveError(f"`window` of a stage must be from 0 to {self.windows - 1}, got {stage.window}.")
        if self.precision not in PRECISIONS:
            raise UnknownNameError("precision", self.precision, PRECISIONS)


def planned(recipe: Recipe) -> Recipe:
    """Return the recipe with the steps over which learning rates fall written out: more steps later change no rate."""
    return replace(recipe, stages=tuple(map(_with_decay, recipe.stages)))


def _with_decay(stage: StageConfig) -> StageConfig:
    if "schedule" not in stage.options:
        return stage
    return replace(stage, options={"decay_steps": stage.steps or DECAY_STEPS, **stage.options})
