"""Data of families of problems: random functions, scalings, files made in parallel, read, converted, looked through."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .check import Findings as Findings
    from .check import check_data as check_data
    from .convert import convert_data as convert_data
    from .make import make_data as make_data
    from .normaliser import ChannelNormaliser as ChannelNormaliser
    from .random_fields import fourier_values as fourier_values
    from .random_fields import periodic_gaussian_field as periodic_gaussian_field
    from .reading import read_data as read_data
    from .reading import read_splits as read_splits
    from .source import DataFile as DataFile

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "ChannelNormaliser": ".normaliser",
        "DataFile": ".source",
        "Findings": ".check",
        "check_data": ".check",
        "convert_data": ".convert",
        "fourier_values": ".random_fields",
        "make_data": ".make",
        "periodic_gaussian_field": ".random_fields",
        "read_data": ".reading",
        "read_splits": ".reading",
    },
)
