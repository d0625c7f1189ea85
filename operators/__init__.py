"""Learned operators: maps between functions on a grid, one architecture in one file."""

from typing import TYPE_CHECKING

from pdesolve._lazy import attach

if TYPE_CHECKING:
    from .cno import CNO as CNO
    from .deeponet import DeepONet as DeepONet
    from .deeponet import PODDeepONet as PODDeepONet
    from .difference import FiniteDifference as FiniteDifference
    from .dymixop import DyMixOp as DyMixOp
    from .fno import FNO as FNO
    from .gnot import GNOT as GNOT
    from .graph import Graph as Graph
    from .graph import edge_graph as edge_graph
    from .graph import nearest_neighbours as nearest_neighbours
    from .local import LocalNO as LocalNO
    from .lsm import LSM as LSM
    from .mppde import MPPDE as MPPDE
    from .neural_stagger import NeuralStagger as NeuralStagger
    from .operator import AbstractOperator as AbstractOperator
    from .pointwise import PointwiseMLP as PointwiseMLP
    from .residual import ResNet as ResNet
    from .spectral import SpectralConvolution as SpectralConvolution
    from .stepping import feed_back as feed_back
    from .stepping import pushforward as pushforward
    from .stepping import rollout as rollout
    from .transolver import Transolver as Transolver
    from .tucker import TFNO as TFNO
    from .unet import UNet as UNet
    from .uno import UNO as UNO

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AbstractOperator": ".operator",
        "CNO": ".cno",
        "DeepONet": ".deeponet",
        "DyMixOp": ".dymixop",
        "FNO": ".fno",
        "FiniteDifference": ".difference",
        "GNOT": ".gnot",
        "Graph": ".graph",
        "LSM": ".lsm",
        "LocalNO": ".local",
        "MPPDE": ".mppde",
        "NeuralStagger": ".neural_stagger",
        "PODDeepONet": ".deeponet",
        "PointwiseMLP": ".pointwise",
        "ResNet": ".residual",
        "SpectralConvolution": ".spectral",
        "TFNO": ".tucker",
        "Transolver": ".transolver",
        "UNO": ".uno",
        "UNet": ".unet",
        "edge_graph": ".graph",
        "feed_back": ".stepping",
        "nearest_neighbours": ".graph",
        "pushforward": ".stepping",
        "rollout": ".stepping",
    },
)
