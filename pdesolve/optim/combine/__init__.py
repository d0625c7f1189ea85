"""Rules that make one gradient of the gradients of several loss terms, one per file."""

from typing import TYPE_CHECKING

from ..._lazy import attach

if TYPE_CHECKING:
    from .config import ConFIG as ConFIG
    from .imtlg import IMTLG as IMTLG
    from .momentum import MomentumConFIG as MomentumConFIG
    from .multiadam import MultiAdam as MultiAdam
    from .pcgrad import PCGrad as PCGrad
    from .rule import AbstractRule as AbstractRule
    from .rule import AbstractSpanRule as AbstractSpanRule
    from .rule import count_terms as count_terms
    from .sums import Mean as Mean
    from .sums import Sum as Sum
    from .unit_rows import UnitRows as UnitRows
    from .upgrad import DualProj as DualProj
    from .upgrad import UPGrad as UPGrad

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AbstractRule": ".rule",
        "ConFIG": ".config",
        "DualProj": ".upgrad",
        "IMTLG": ".imtlg",
        "Mean": ".sums",
        "MomentumConFIG": ".momentum",
        "MultiAdam": ".multiadam",
        "PCGrad": ".pcgrad",
        "AbstractSpanRule": ".rule",
        "Sum": ".sums",
        "UPGrad": ".upgrad",
        "UnitRows": ".unit_rows",
        "count_terms": ".rule",
    },
)
