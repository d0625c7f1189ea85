"""Methods that learn fields with an equation: flow matching without and with it, physics-informed diffusion."""

from typing import Any, ClassVar

import equinox as eqx

from ..errors import PdesolveError
from .denoising import AncestralSampling, DenoisingResidual, denoising_block
from .field_method import AbstractFieldMethod
from .objective import flow_matching_block
from .paths import LinearPath
from .physics_objective import PhysicsFlowResidual, physics_block
from .samplings import StochasticSampling

__all__ = ["AS_CODED", "AS_PUBLISHED", "PIDM", "FlowMatching", "PhysicsFlowMatching", "WeightedResidual"]

AS_PUBLISHED: dict[str, Any] = {"times": "logit_normal", "norm": "l2", "time_power": 1.0, "backtrack": 0.2}
"""Options of `PhysicsFlowMatching` as the paper describes the method."""
AS_CODED: dict[str, Any] = {"time_weight": "legacy", "norm": "l1", "time_power": 0.0, "backtrack": 0.2}
"""Options as the authors' program does it: the residual is weighted alike at all times, the flow loss by `legacy`."""


class FlowMatching(AbstractFieldMethod):
    """Flow matching of fields with an equation, which it is not told: what others are held against.

    Args:
        num_steps: Euler steps from noise to field.
        sigma_min: Share of the noise left at the end of the path.

    References:
        Lipman et al., Flow matching for generative modeling, ICLR (2023).
    """

    num_steps: int = eqx.field(static=True, default=20)
    sigma_min: float = eqx.field(static=True, default=0.0)
    combine: ClassVar[str | None] = None

    def __check_init__(self):
        self.sampling()
        LinearPath(self.sigma_min)

    def block(self, fields, equations, recipe):
        """The velocity error alone."""
        return flow_matching_block(fields, recipe.data.batch, LinearPath(self.sigma_min))

    def sampling(self):
        """Euler's method."""
        return StochasticSampling(self.num_steps)


class PhysicsFlowMatching(AbstractFieldMethod):
    r"""Physics-based flow matching: velocity error and residual, reconciled by ConFIG.

    One forward pass serves both terms, two pullbacks give their gradients, and `combine` of the stage, ConFIG where it
    is not given, makes one of them, so that no loss is raised to first order. Adam's scaling of coordinates comes
    after it and is not covered by that. See `PhysicsFlowResidual` and `StochasticSampling` for the options;
    `AS_PUBLISHED` and `AS_CODED` hold those of the paper and of its program, which differ. The weights that are
    sampled are those trained last, not their running mean.

    References:
        Baldan, Liu, Guardone, Thuerey, Flow matching meets PDEs, arXiv:2506.08604 (2025).
    """

    num_steps: int = eqx.field(static=True, default=20)
    """Steps from noise to field."""
    unroll: tuple[int, ...] = eqx.field(static=True, default=(1, 2, 3, 4))
    """Euler steps to the field whose residual is taken, over equal shares of the training."""
    time_power: float = eqx.field(static=True, default=1.0)
    """Power of the time by which the residual is weighted."""
    norm: str = eqx.field(static=True, default="l1")
    """`l1` or `l2`, of the residual."""
    times: str = eqx.field(static=True, default="uniform")
    """Law of the times of training: `uniform` or `logit_normal`."""
    time_weight: str = eqx.field(static=True, default="none")
    """Weight of the flow loss by time: `none` or `legacy`."""
    last_only: bool = eqx.field(static=True, default=False)
    """Whether gradients of the residual see the last Euler step only."""
    backtrack: float = eqx.field(static=True, default=0.0)
    """Time until which sampling renews its noise."""
    endpoint_steps: int = eqx.field(static=True, default=1)
    """Euler steps of a sample whose noise is renewed."""
    sigma_min: float = eqx.field(static=True, default=0.0)
    """Share of the noise left at the end of the path."""
    combine: ClassVar[str | None] = "config"

    def __check_init__(self):
        self.sampling()
        LinearPath(self.sigma_min)

    def block(self, fields, equations, recipe):
        """Velocity error and residual."""
        if len(self.unroll) > 1 and any(stage.steps is None for stage in recipe.stages):
            raise PdesolveError(
                f"`unroll` {self.unroll} divides the steps of a stage, and a stage is limited by seconds alone. Give "
                "`steps`, or one number of Euler steps."
            )
        residual = PhysicsFlowResidual(
            LinearPath(self.sigma_min), equations, self.unroll, self.time_power, self.time_weight, self.last_only
        )
        return physics_block(fields, recipe.data.batch, residual, times=self.times, norm=self.norm)

    def sampling(self):
        """Euler's method, with renewed noise if asked for."""
        return StochasticSampling(self.num_steps, self.backtrack, self.endpoint_steps)


class WeightedResidual(AbstractFieldMethod):
    """Flow matching with the residual as a further loss of fixed weight.

    Args:
        weight: Of the mean absolute (`l1`) or squared (`l2`) residual beside the mean squared velocity error.
        num_steps: Euler steps from noise to field.
        unroll: As for `PhysicsFlowMatching`, but one number of steps throughout.
        time_power: Power of the time by which the residual is weighted.
        norm: `l1` or `l2`.
    """

    weight: float = eqx.field(static=True, default=1e-3)
    num_steps: int = eqx.field(static=True, default=20)
    unroll: int = eqx.field(static=True, default=1)
    time_power: float = eqx.field(static=True, default=1.0)
    norm: str = eqx.field(static=True, default="l1")
    combine: ClassVar[str | None] = None

    def __check_init__(self):
        self.sampling()
        if not self.weight >= 0:
            raise PdesolveError(f"`weight` must not be negative, got {self.weight}.")

    def block(self, fields, equations, recipe):
        """Velocity error and weighted residual."""
        residual = PhysicsFlowResidual(LinearPath(), equations, (self.unroll,), self.time_power)
        return physics_block(fields, recipe.data.batch, residual, norm=self.norm, weight=self.weight)

    def sampling(self):
        """Euler's method."""
        return StochasticSampling(self.num_steps)


class PIDM(AbstractFieldMethod):
    """Physics-informed diffusion: the residual of the denoised field is a loss, large where there is little noise.

    Args:
        estimate: `mean` takes the residual of the network's estimate, `sample` that of a field made from it.
        weight: Of the residual; 1e-3 for `mean` and 1e-5 for `sample` where it is not given, as published.
        num_levels: Noise levels, and evaluations of the network for a field.

    References:
        Bastek, Sun, Kochmann, Physics-informed diffusion models, ICLR (2025).
    """

    estimate: str = eqx.field(static=True, default="mean")
    weight: float | None = eqx.field(static=True, default=None)
    num_levels: int = eqx.field(static=True, default=100)
    combine: ClassVar[str | None] = None

    def __check_init__(self):
        self.sampling()
        if self.weight is not None and not self.weight >= 0:
            raise PdesolveError(f"`weight` must not be negative, got {self.weight}.")

    def block(self, fields, equations, recipe):
        """Denoising error and residual."""
        usual = 1e-3 if self.estimate == "mean" else 1e-5
        residual = DenoisingResidual(equations, self.num_levels, self.estimate)
        weight = usual if self.weight is None else self.weight
        return denoising_block(fields, recipe.data.batch, residual, weight=weight)

    def sampling(self):
        """Ancestral."""
        return AncestralSampling(self.num_levels)
