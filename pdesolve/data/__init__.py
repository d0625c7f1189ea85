"""Data of families of problems: random functions, scalings, files made in parallel and looked through."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .check import Findings as Findings
    from .check import check_data as check_data
    from .make import make_data as make_data
    from .normaliser import ChannelNormaliser as ChannelNormaliser
    from .random_fields import fourier_values as fourier_values
    from .random_fields import periodic_gaussian_field as periodic_gaussian_field

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "ChannelNormaliser": ".normaliser",
        "Findings": ".check",
        "check_data": ".check",
        "fourier_values": ".random_fields",
        "make_data": ".make",
        "periodic_gaussian_field": ".random_fields",
    },
)
