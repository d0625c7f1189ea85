"""Partial differential equations by name: physics-informed networks, neural operators and flows, checked."""

from typing import TYPE_CHECKING

from ._lazy import attach

if TYPE_CHECKING:
    from ._version import __version__ as __version__
    from .config import DataConfig as DataConfig
    from .config import NetworkConfig as NetworkConfig
    from .config import PointsConfig as PointsConfig
    from .config import Recipe as Recipe
    from .config import StageConfig as StageConfig
    from .errors import PdesolveError as PdesolveError
    from .errors import UnknownNameError as UnknownNameError
    from .problem import AbstractProblem as AbstractProblem
    from .problem import Classical as Classical
    from .problem import Condition as Condition
    from .problem import Reference as Reference
    from .problem import dirichlet as dirichlet
    from .problem import initial as initial
    from .problem import neumann as neumann
    from .problem import observations as observations
    from .problem import parameter as parameter
    from .problem import periodic as periodic
    from .problem import robin as robin
    from .problem import switch as switch
    from .problem import with_parameters as with_parameters
    from .solution import Solution as Solution
    from .solving import solve as solve

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AbstractProblem": ".problem",
        "Classical": ".problem",
        "Condition": ".problem",
        "DataConfig": ".config",
        "NetworkConfig": ".config",
        "PdesolveError": ".errors",
        "PointsConfig": ".config",
        "Recipe": ".config",
        "Reference": ".problem",
        "Solution": ".solution",
        "StageConfig": ".config",
        "UnknownNameError": ".errors",
        "__version__": "._version",
        "dirichlet": ".problem",
        "initial": ".problem",
        "neumann": ".problem",
        "observations": ".problem",
        "parameter": ".problem",
        "periodic": ".problem",
        "robin": ".problem",
        "solve": ".solving",
        "switch": ".problem",
        "with_parameters": ".problem",
    },
)
