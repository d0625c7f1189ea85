"""Coordinate networks: one point in, the values of all fields out."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .activation import ACTIVATIONS as ACTIVATIONS
    from .activation import make_activation as make_activation
    from .dense import Dense as Dense
    from .dense import FactorisedDense as FactorisedDense
    from .dense import make_dense as make_dense
    from .fixed import Fixed as Fixed
    from .fourier_features import FourierFeatures as FourierFeatures
    from .mlp import MLP as MLP
    from .modified_mlp import ModifiedMLP as ModifiedMLP
    from .network import AbstractNetwork as AbstractNetwork
    from .periodic import PeriodicEmbedding as PeriodicEmbedding
    from .pirate_net import PirateNet as PirateNet
    from .scaled import ScaledNetwork as ScaledNetwork
    from .separable import Separable as Separable

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "ACTIVATIONS": ".activation",
        "AbstractNetwork": ".network",
        "Dense": ".dense",
        "FactorisedDense": ".dense",
        "Fixed": ".fixed",
        "FourierFeatures": ".fourier_features",
        "MLP": ".mlp",
        "ModifiedMLP": ".modified_mlp",
        "PeriodicEmbedding": ".periodic",
        "PirateNet": ".pirate_net",
        "ScaledNetwork": ".scaled",
        "Separable": ".separable",
        "make_activation": ".activation",
        "make_dense": ".dense",
    },
)
