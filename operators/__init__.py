"""Learned operators: maps between functions on a grid, one architecture in one file."""

from typing import TYPE_CHECKING

from pdesolve._lazy import attach

if TYPE_CHECKING:
    from .fno import FNO as FNO
    from .operator import AbstractOperator as AbstractOperator
    from .pointwise import PointwiseMLP as PointwiseMLP
    from .spectral import SpectralConvolution as SpectralConvolution

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "FNO": ".fno",
        "AbstractOperator": ".operator",
        "PointwiseMLP": ".pointwise",
        "SpectralConvolution": ".spectral",
    },
)
