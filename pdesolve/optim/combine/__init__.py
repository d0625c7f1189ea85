"""Rules that make one gradient of the gradients of several loss terms, one per file."""

from typing import TYPE_CHECKING

from ..._lazy import attach

if TYPE_CHECKING:
    from .annealing import GradientNormWeights as GradientNormWeights
    from .annealing import LearningRateAnnealing as LearningRateAnnealing
    from .config import ConFIG as ConFIG
    from .dcgd import DCGD as DCGD
    from .groups import group_terms as group_terms
    from .histories import DynamicWeightAverage as DynamicWeightAverage
    from .histories import ReLoBRaLo as ReLoBRaLo
    from .histories import SoftAdapt as SoftAdapt
    from .imtlg import IMTLG as IMTLG
    from .momentum import MomentumConFIG as MomentumConFIG
    from .multiadam import MultiAdam as MultiAdam
    from .pcgrad import PCGrad as PCGrad
    from .rule import AbstractRule as AbstractRule
    from .rule import AbstractSpanRule as AbstractSpanRule
    from .rule import count_terms as count_terms
    from .samgs import SAMGS as SAMGS
    from .sums import Mean as Mean
    from .sums import Sum as Sum
    from .tangent_kernel import NTKWeights as NTKWeights
    from .unit_rows import UnitRows as UnitRows
    from .upgrad import DualProj as DualProj
    from .upgrad import UPGrad as UPGrad
    from .weighing import AbstractWeighing as AbstractWeighing

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AbstractRule": ".rule",
        "ConFIG": ".config",
        "DCGD": ".dcgd",
        "DualProj": ".upgrad",
        "DynamicWeightAverage": ".histories",
        "GradientNormWeights": ".annealing",
        "IMTLG": ".imtlg",
        "LearningRateAnnealing": ".annealing",
        "Mean": ".sums",
        "MomentumConFIG": ".momentum",
        "MultiAdam": ".multiadam",
        "NTKWeights": ".tangent_kernel",
        "PCGrad": ".pcgrad",
        "AbstractSpanRule": ".rule",
        "AbstractWeighing": ".weighing",
        "ReLoBRaLo": ".histories",
        "SAMGS": ".samgs",
        "SoftAdapt": ".histories",
        "Sum": ".sums",
        "UPGrad": ".upgrad",
        "UnitRows": ".unit_rows",
        "count_terms": ".rule",
        "group_terms": ".groups",
    },
)
