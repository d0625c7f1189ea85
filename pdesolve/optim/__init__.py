"""Training methods, one per file."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .averaging import Averaged as Averaged
    from .averaging import Averaging as Averaging
    from .build import build_optimiser as build_optimiser
    from .build import build_stage_optimiser as build_stage_optimiser
    from .combine import DCGD as DCGD
    from .combine import IMTLG as IMTLG
    from .combine import SAMGS as SAMGS
    from .combine import ConFIG as ConFIG
    from .combine import DualProj as DualProj
    from .combine import DynamicWeightAverage as DynamicWeightAverage
    from .combine import GradientNormWeights as GradientNormWeights
    from .combine import LearningRateAnnealing as LearningRateAnnealing
    from .combine import Mean as Mean
    from .combine import MomentumConFIG as MomentumConFIG
    from .combine import MultiAdam as MultiAdam
    from .combine import NTKWeights as NTKWeights
    from .combine import PCGrad as PCGrad
    from .combine import ReLoBRaLo as ReLoBRaLo
    from .combine import SoftAdapt as SoftAdapt
    from .combine import Sum as Sum
    from .combine import UPGrad as UPGrad
    from .eigenbasis import SOAP as SOAP
    from .eigenbasis import scale_by_soap as scale_by_soap
    from .eigenbasis import soap as soap
    from .energy_natural_gradient import EnergyNaturalGradient as EnergyNaturalGradient
    from .first_order import FirstOrder as FirstOrder
    from .gauss_newton import GaussNewton as GaussNewton
    from .hessian_free import HessianFree as HessianFree
    from .lbfgs import LBFGS as LBFGS
    from .levenberg_marquardt import LevenbergMarquardt as LevenbergMarquardt
    from .masks import cautious as cautious
    from .masks import grams as grams
    from .nncg import NNCG as NNCG
    from .optimiser import AbstractOptimiser as AbstractOptimiser
    from .polar import polar_grad as polar_grad
    from .polar import scale_by_polar as scale_by_polar
    from .preconditioning import hermitian_square as hermitian_square
    from .preconditioning import precondition_by_blocks as precondition_by_blocks
    from .preconditioning import precondition_by_diagonal as precondition_by_diagonal
    from .race import Race as Race
    from .shampoo import scale_by_shampoo as scale_by_shampoo
    from .spring import SPRING as SPRING
    from .ssbroyden import SSBroyden as SSBroyden

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AbstractOptimiser": ".optimiser",
        "Averaged": ".averaging",
        "Averaging": ".averaging",
        "ConFIG": ".combine",
        "DCGD": ".combine",
        "DualProj": ".combine",
        "DynamicWeightAverage": ".combine",
        "GradientNormWeights": ".combine",
        "HessianFree": ".hessian_free",
        "IMTLG": ".combine",
        "LearningRateAnnealing": ".combine",
        "Mean": ".combine",
        "MomentumConFIG": ".combine",
        "MultiAdam": ".combine",
        "NTKWeights": ".combine",
        "NNCG": ".nncg",
        "PCGrad": ".combine",
        "ReLoBRaLo": ".combine",
        "SAMGS": ".combine",
        "SoftAdapt": ".combine",
        "Sum": ".combine",
        "UPGrad": ".combine",
        "FirstOrder": ".first_order",
        "LBFGS": ".lbfgs",
        "Race": ".race",
        "SOAP": ".eigenbasis",
        "SPRING": ".spring",
        "SSBroyden": ".ssbroyden",
        "EnergyNaturalGradient": ".energy_natural_gradient",
        "GaussNewton": ".gauss_newton",
        "LevenbergMarquardt": ".levenberg_marquardt",
        "hermitian_square": ".preconditioning",
        "precondition_by_blocks": ".preconditioning",
        "precondition_by_diagonal": ".preconditioning",
        "scale_by_soap": ".eigenbasis",
        "soap": ".eigenbasis",
        "cautious": ".masks",
        "grams": ".masks",
        "polar_grad": ".polar",
        "scale_by_polar": ".polar",
        "scale_by_shampoo": ".shampoo",
        "build_optimiser": ".build",
        "build_stage_optimiser": ".build",
    },
)
