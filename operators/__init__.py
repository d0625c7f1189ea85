"""Learned operators: maps between functions on a grid, one architecture in one file."""

from typing import TYPE_CHECKING

from pdesolve._lazy import attach

if TYPE_CHECKING:
    from .deeponet import DeepONet as DeepONet
    from .deeponet import PODDeepONet as PODDeepONet
    from .difference import FiniteDifference as FiniteDifference
    from .dymixop import DyMixOp as DyMixOp
    from .fno import FNO as FNO
    from .local import LocalNO as LocalNO
    from .operator import AbstractOperator as AbstractOperator
    from .pointwise import PointwiseMLP as PointwiseMLP
    from .residual import ResNet as ResNet
    from .spectral import SpectralConvolution as SpectralConvolution
    from .tucker import TFNO as TFNO
    from .unet import UNet as UNet
    from .uno import UNO as UNO

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AbstractOperator": ".operator",
        "DeepONet": ".deeponet",
        "DyMixOp": ".dymixop",
        "FNO": ".fno",
        "FiniteDifference": ".difference",
        "LocalNO": ".local",
        "PODDeepONet": ".deeponet",
        "PointwiseMLP": ".pointwise",
        "ResNet": ".residual",
        "SpectralConvolution": ".spectral",
        "TFNO": ".tucker",
        "UNO": ".uno",
        "UNet": ".unet",
    },
)
