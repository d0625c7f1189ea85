"""Training methods, one per file."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .build import build_optimiser as build_optimiser
    from .first_order import FirstOrder as FirstOrder
    from .lbfgs import LBFGS as LBFGS
    from .levenberg_marquardt import LevenbergMarquardt as LevenbergMarquardt
    from .optimiser import AbstractOptimiser as AbstractOptimiser

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AbstractOptimiser": ".optimiser",
        "FirstOrder": ".first_order",
        "LBFGS": ".lbfgs",
        "LevenbergMarquardt": ".levenberg_marquardt",
        "build_optimiser": ".build",
    },
)
