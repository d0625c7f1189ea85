"""Training under constraints, and constrained minimisation of any function."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .augmented_lagrangian import AugmentedLagrangian as AugmentedLagrangian
    from .constrained_method import AbstractConstrainedMethod as AbstractConstrainedMethod
    from .hard_constraint import HardConstraint as HardConstraint
    from .minimise import ConstrainedResult as ConstrainedResult
    from .minimise import minimise_constrained as minimise_constrained
    from .pointwise_least_squares import PointwiseLeastSquares as PointwiseLeastSquares
    from .pointwise_least_squares import stationarity as stationarity
    from .pointwise_least_squares import weights_of_least_squares as weights_of_least_squares
    from .saddle import ConditionalPenalty as ConditionalPenalty
    from .saddle import DualAscent as DualAscent
    from .saddle import PrimalDual as PrimalDual
    from .sketched_newton import SketchedNewton as SketchedNewton
    from .trust_region_sqp import TrustRegionSQP as TrustRegionSQP

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AbstractConstrainedMethod": ".constrained_method",
        "AugmentedLagrangian": ".augmented_lagrangian",
        "ConditionalPenalty": ".saddle",
        "ConstrainedResult": ".minimise",
        "DualAscent": ".saddle",
        "HardConstraint": ".hard_constraint",
        "PointwiseLeastSquares": ".pointwise_least_squares",
        "PrimalDual": ".saddle",
        "SketchedNewton": ".sketched_newton",
        "TrustRegionSQP": ".trust_region_sqp",
        "minimise_constrained": ".minimise",
        "stationarity": ".pointwise_least_squares",
        "weights_of_least_squares": ".pointwise_least_squares",
    },
)
