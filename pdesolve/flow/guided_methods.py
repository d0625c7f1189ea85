"""Methods that train flow matching without an equation, and use it when they draw fields."""

from typing import ClassVar

import equinox as eqx

from .field_method import AbstractFieldMethod
from .guidance import CoCoGenSampling, DFlowSampling, DiffusionPDESampling
from .hard_constraints import ECISampling, PCFMSampling
from .objective import flow_matching_block
from .paths import LinearPath

__all__ = ["ECI", "PCFM", "AbstractGuidedFlow", "CoCoGen", "DFlow", "DiffusionPDE"]


class AbstractGuidedFlow(AbstractFieldMethod):
    """Trained as `FlowMatching`, so that methods differ in how they draw fields only."""

    combine: ClassVar[str | None] = None

    def __check_init__(self):
        self.sampling()

    def block(self, fields, equations, recipe):
        """The velocity error alone."""
        return flow_matching_block(fields, recipe.data.batch, LinearPath())


class PCFM(AbstractGuidedFlow):
    """Physics-constrained flow matching; see `PCFMSampling` for the options."""

    num_steps: int = eqx.field(static=True, default=20)
    projections: int = eqx.field(static=True, default=1)
    final_projections: int = eqx.field(static=True, default=10)
    ridge: float = eqx.field(static=True, default=1e-6)

    def sampling(self):
        """Projections."""
        return PCFMSampling(self.num_steps, self.projections, self.final_projections, self.ridge)


class ECI(AbstractGuidedFlow):
    """Extrapolate, correct, interpolate; see `ECISampling` for the options."""

    num_steps: int = eqx.field(static=True, default=20)
    mixes: int = eqx.field(static=True, default=1)

    def sampling(self):
        """Corrections."""
        return ECISampling(self.num_steps, self.mixes)


class DiffusionPDE(AbstractGuidedFlow):
    """Guidance by the gradient of the residual; see `DiffusionPDESampling` for the options."""

    num_steps: int = eqx.field(static=True, default=20)
    strength: float = eqx.field(static=True, default=1e-2)
    begin: float = eqx.field(static=True, default=0.8)

    def sampling(self):
        """Guidance."""
        return DiffusionPDESampling(self.num_steps, self.strength, self.begin)


class DFlow(AbstractGuidedFlow):
    """The noise is optimised; see `DFlowSampling` for the options."""

    num_steps: int = eqx.field(static=True, default=20)
    iterations: int = eqx.field(static=True, default=20)
    learning_rate: float = eqx.field(static=True, default=0.1)

    def sampling(self):
        """Optimisation."""
        return DFlowSampling(self.num_steps, self.iterations, self.learning_rate)


class CoCoGen(AbstractGuidedFlow):
    """Corrections of the dependent fields at last; see `CoCoGenSampling` for the options."""

    num_steps: int = eqx.field(static=True, default=20)
    corrected_steps: int = eqx.field(static=True, default=10)
    further: int = eqx.field(static=True, default=25)
    lengths: tuple[float, float] = eqx.field(static=True, default=(2e-3, 2e-4))

    def sampling(self):
        """Corrections."""
        return CoCoGenSampling(self.num_steps, self.corrected_steps, self.further, self.lengths)
