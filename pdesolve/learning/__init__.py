"""What operator learning is made of: samples, losses, steps in time, physics, errors."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .errors import error_by_frame as error_by_frame
    from .errors import mean_relative_l2 as mean_relative_l2
    from .errors import median_relative_l1 as median_relative_l1
    from .errors import relative_mse as relative_mse
    from .errors import spectra as spectra
    from .losses import LOSSES as LOSSES
    from .model import LearnedOperator as LearnedOperator
    from .model import build_operator as build_operator
    from .model import predict as predict
    from .samples import draw_splits as draw_splits
    from .stream import StreamedBatches as StreamedBatches
    from .trajectories import Steps as Steps

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "LOSSES": ".losses",
        "LearnedOperator": ".model",
        "Steps": ".trajectories",
        "StreamedBatches": ".stream",
        "build_operator": ".model",
        "draw_splits": ".samples",
        "error_by_frame": ".errors",
        "mean_relative_l2": ".errors",
        "median_relative_l1": ".errors",
        "predict": ".model",
        "relative_mse": ".errors",
        "spectra": ".errors",
    },
)
