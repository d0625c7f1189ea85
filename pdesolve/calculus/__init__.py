"""Differential operators on functions, grids and linear bases, from equations that are written once."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .jets import Laplacian as Laplacian
    from .jets import derivatives as derivatives

__getattr__, __dir__, __all__ = attach(__name__, {"Laplacian": ".jets", "derivatives": ".jets"})
