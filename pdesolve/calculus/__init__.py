"""Differential operators on functions, grids and linear bases, from equations that are written once."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .basis import BasisTerms as BasisTerms
    from .basis import basis_fields as basis_fields
    from .basis import basis_terms as basis_terms
    from .basis import on_basis as on_basis
    from .fields import AbstractRepresentation as AbstractRepresentation
    from .fields import At as At
    from .fields import Field as Field
    from .fields import Fields as Fields
    from .fields import apply as apply
    from .fields import partial as partial
    from .grid import grid_fields as grid_fields
    from .grid import on_grid as on_grid
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
    from .rules import AbstractRule as AbstractRule
    from .rules import Chebyshev as Chebyshev
    from .rules import Spectral as Spectral
    from .rules import Stencil as Stencil
    from .rules import finite_difference_weights as finite_difference_weights

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AbstractRepresentation": ".fields",
        "AbstractRule": ".rules",
        "At": ".fields",
        "BasisTerms": ".basis",
        "Chebyshev": ".rules",
        "Field": ".fields",
        "Fields": ".fields",
        "Laplacian": ".jets",
        "Spectral": ".rules",
        "Stencil": ".rules",
        "apply": ".fields",
        "basis_fields": ".basis",
        "basis_terms": ".basis",
        "curl": ".operators",
        "derivatives": ".jets",
        "directional_derivative": ".operators",
        "divergence": ".operators",
        "field_at": ".point",
        "finite_difference_weights": ".rules",
        "gradient": ".operators",
        "grid_fields": ".grid",
        "hessian": ".operators",
        "laplacian": ".operators",
        "material_derivative": ".operators",
        "on_basis": ".basis",
        "on_grid": ".grid",
        "partial": ".fields",
        "pointwise": ".point",
        "requested": ".record",
    },
)
