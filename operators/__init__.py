"""Learned operators: maps between functions on a grid, one architecture in one file."""

from typing import TYPE_CHECKING

from pdesolve._lazy import attach

if TYPE_CHECKING:
    from .cno import CNO as CNO
    from .deeponet import DeepONet as DeepONet
    from .deeponet import PODDeepONet as PODDeepONet
    from .difference import FiniteDifference as FiniteDifference
    from .dymixop import DyMixOp as DyMixOp
    from .equino import EquiNO as EquiNO
    from .equino_modes import Modes as Modes
    from .equino_modes import magic_points as magic_points
    from .equino_modes import pod_modes as pod_modes
    from .equino_oracle import equino_solve as equino_solve
    from .equino_training import draw_strains as draw_strains
    from .equino_training import train_equino as train_equino
    from .equino_trend import OddTrend as OddTrend
    from .equino_trend import fit_trend as fit_trend
    from .fno import FNO as FNO
    from .gnot import GNOT as GNOT
    from .graph import Graph as Graph
    from .graph import edge_graph as edge_graph
    from .graph import nearest_neighbours as nearest_neighbours
    from .local import LocalNO as LocalNO
    from .lsm import LSM as LSM
    from .moe import PIHCMoE as PIHCMoE
    from .mppde import MPPDE as MPPDE
    from .neural_stagger import NeuralStagger as NeuralStagger
    from .operator import AbstractOperator as AbstractOperator
    from .pde_cl import PDECL as PDECL
    from .pointwise import PointwiseMLP as PointwiseMLP
    from .residual import ResNet as ResNet
    from .spectral import SpectralConvolution as SpectralConvolution
    from .stepping import feed_back as feed_back
    from .stepping import pushforward as pushforward
    from .stepping import rollout as rollout
    from .stress_network import StressNetwork as StressNetwork
    from .stress_network import stress_objective as stress_objective
    from .transolver import Transolver as Transolver
    from .tucker import TFNO as TFNO
    from .unet import UNet as UNet
    from .uno import UNO as UNO
    from .vpionet import VPIONet as VPIONet
    from .vpionet import energy_objective as energy_objective

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AbstractOperator": ".operator",
        "CNO": ".cno",
        "DeepONet": ".deeponet",
        "DyMixOp": ".dymixop",
        "EquiNO": ".equino",
        "FNO": ".fno",
        "FiniteDifference": ".difference",
        "GNOT": ".gnot",
        "Graph": ".graph",
        "LSM": ".lsm",
        "LocalNO": ".local",
        "MPPDE": ".mppde",
        "Modes": ".equino_modes",
        "NeuralStagger": ".neural_stagger",
        "OddTrend": ".equino_trend",
        "PDECL": ".pde_cl",
        "PIHCMoE": ".moe",
        "PODDeepONet": ".deeponet",
        "PointwiseMLP": ".pointwise",
        "ResNet": ".residual",
        "SpectralConvolution": ".spectral",
        "StressNetwork": ".stress_network",
        "TFNO": ".tucker",
        "Transolver": ".transolver",
        "UNO": ".uno",
        "UNet": ".unet",
        "VPIONet": ".vpionet",
        "draw_strains": ".equino_training",
        "edge_graph": ".graph",
        "energy_objective": ".vpionet",
        "equino_solve": ".equino_oracle",
        "feed_back": ".stepping",
        "fit_trend": ".equino_trend",
        "magic_points": ".equino_modes",
        "nearest_neighbours": ".graph",
        "pod_modes": ".equino_modes",
        "pushforward": ".stepping",
        "rollout": ".stepping",
        "stress_objective": ".stress_network",
        "train_equino": ".equino_training",
    },
)
