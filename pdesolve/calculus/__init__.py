"""Differential operators on functions, grids and linear bases, from equations that are written once."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .fields import AbstractRepresentation as AbstractRepresentation
    from .fields import At as At
    from .fields import Field as Field
    from .fields import Fields as Fields
    from .fields import apply as apply
    from .fields import partial as partial
    from .jets import Laplacian as Laplacian
    from .jets import derivatives as derivatives
    from .operators import curl as curl
    from .operators import directional_derivative as directional_derivative
    from .operators import divergence as divergence
    from .operators import gradient as gradient
    from .operators import hessian as hessian
    from .operators import laplacian as laplacian
    from .operators import material_derivative as material_derivative
    from .point import field_at as field_at
    from .point import pointwise as pointwise
    from .record import requested as requested

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AbstractRepresentation": ".fields",
        "At": ".fields",
        "Field": ".fields",
        "Fields": ".fields",
        "Laplacian": ".jets",
        "apply": ".fields",
        "curl": ".operators",
        "derivatives": ".jets",
        "directional_derivative": ".operators",
        "divergence": ".operators",
        "field_at": ".point",
        "gradient": ".operators",
        "hessian": ".operators",
        "laplacian": ".operators",
        "material_derivative": ".operators",
        "partial": ".fields",
        "pointwise": ".point",
        "requested": ".record",
    },
)
