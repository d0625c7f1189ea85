"""Random functions and scalings for data of families of problems."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .normaliser import ChannelNormaliser as ChannelNormaliser
    from .random_fields import fourier_values as fourier_values
    from .random_fields import periodic_gaussian_field as periodic_gaussian_field

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "ChannelNormaliser": ".normaliser",
        "fourier_values": ".random_fields",
        "periodic_gaussian_field": ".random_fields",
    },
)
