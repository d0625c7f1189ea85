"""Two scales: a structure whose material is a micro model, solved by finite elements."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .body import Body as Body
    from .body import Support as Support
    from .body import Traction as Traction
    from .discretisation import Discretisation as Discretisation
    from .fe2 import InProcesses as InProcesses
    from .macro import ExtrapolationWarning as ExtrapolationWarning
    from .macro import MacroAnswer as MacroAnswer
    from .macro import solve_macro as solve_macro
    from .micro import LinearElastic as LinearElastic
    from .micro import MicroModel as MicroModel
    from .micro import SaturatingElastic as SaturatingElastic
    from .micro_names import micro_model as micro_model
    from .rve import RVE as RVE
    from .rve import RVEState as RVEState
    from .structure import AbstractStructure as AbstractStructure
    from .two_scale import TwoScale as TwoScale

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AbstractStructure": ".structure",
        "Body": ".body",
        "Discretisation": ".discretisation",
        "ExtrapolationWarning": ".macro",
        "InProcesses": ".fe2",
        "LinearElastic": ".micro",
        "MacroAnswer": ".macro",
        "MicroModel": ".micro",
        "RVE": ".rve",
        "RVEState": ".rve",
        "SaturatingElastic": ".micro",
        "Support": ".body",
        "Traction": ".body",
        "TwoScale": ".two_scale",
        "micro_model": ".micro_names",
        "solve_macro": ".macro",
    },
)
