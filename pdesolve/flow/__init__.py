"""Flow matching: generative models of fields, trained by the same `fit` and sampled by diffrax."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .flow_map import FlowMap as FlowMap
    from .method import FlowMatchingMethod as FlowMatchingMethod
    from .objective import FlowResidual as FlowResidual
    from .objective import flow_matching_block as flow_matching_block
    from .paths import LinearPath as LinearPath
    from .sampling import SOLVERS as SOLVERS
    from .sampling import Integral as Integral
    from .sampling import integrate as integrate
    from .statistics import distribution_errors as distribution_errors
    from .velocity import SpectralVelocity as SpectralVelocity

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "FlowMap": ".flow_map",
        "FlowMatchingMethod": ".method",
        "FlowResidual": ".objective",
        "Integral": ".sampling",
        "LinearPath": ".paths",
        "SOLVERS": ".sampling",
        "SpectralVelocity": ".velocity",
        "distribution_errors": ".statistics",
        "flow_matching_block": ".objective",
        "integrate": ".sampling",
    },
)
