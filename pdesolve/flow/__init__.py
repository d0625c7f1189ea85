"""Flow matching: generative models of fields, trained by the same `fit` and sampled by diffrax."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .action_matching import ActionMatching as ActionMatching
    from .adams_bashforth import AdamsBashforth as AdamsBashforth
    from .diffusion import diffuse as diffuse
    from .diffusion import integrate_sde as integrate_sde
    from .dit import DiT as DiT
    from .field_generator import FieldGenerator as FieldGenerator
    from .field_methods import PIDM as PIDM
    from .field_methods import FlowMatching as FlowMatching
    from .field_methods import PhysicsFlowMatching as PhysicsFlowMatching
    from .field_methods import WeightedResidual as WeightedResidual
    from .flow_map import FlowMap as FlowMap
    from .guided_methods import ECI as ECI
    from .guided_methods import PCFM as PCFM
    from .guided_methods import CoCoGen as CoCoGen
    from .guided_methods import DFlow as DFlow
    from .guided_methods import DiffusionPDE as DiffusionPDE
    from .interpolant_objective import interpolant_block as interpolant_block
    from .interpolants import StochasticInterpolant as StochasticInterpolant
    from .light_bridge import LightSchrodingerBridge as LightSchrodingerBridge
    from .light_bridge import light_bridge_block as light_bridge_block
    from .method import FlowMatchingMethod as FlowMatchingMethod
    from .mlp_velocity import MLPVelocity as MLPVelocity
    from .multimarginal import MultimarginalInterpolant as MultimarginalInterpolant
    from .objective import FlowResidual as FlowResidual
    from .objective import flow_matching_block as flow_matching_block
    from .operator_velocity import OperatorVelocity as OperatorVelocity
    from .paths import LinearPath as LinearPath
    from .physics import AbstractPhysicalFamily as AbstractPhysicalFamily
    from .rectified import RectifiedFlow as RectifiedFlow
    from .sampling import SOLVERS as SOLVERS
    from .sampling import Integral as Integral
    from .sampling import integrate as integrate
    from .samplings import StochasticSampling as StochasticSampling
    from .statistics import distribution_errors as distribution_errors
    from .velocity import SpectralVelocity as SpectralVelocity

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AbstractPhysicalFamily": ".physics",
        "ActionMatching": ".action_matching",
        "AdamsBashforth": ".adams_bashforth",
        "CoCoGen": ".guided_methods",
        "DFlow": ".guided_methods",
        "diffuse": ".diffusion",
        "DiffusionPDE": ".guided_methods",
        "distribution_errors": ".statistics",
        "DiT": ".dit",
        "ECI": ".guided_methods",
        "FieldGenerator": ".field_generator",
        "flow_matching_block": ".objective",
        "FlowMap": ".flow_map",
        "FlowMatching": ".field_methods",
        "FlowMatchingMethod": ".method",
        "FlowResidual": ".objective",
        "Integral": ".sampling",
        "integrate": ".sampling",
        "integrate_sde": ".diffusion",
        "interpolant_block": ".interpolant_objective",
        "light_bridge_block": ".light_bridge",
        "LightSchrodingerBridge": ".light_bridge",
        "LinearPath": ".paths",
        "MLPVelocity": ".mlp_velocity",
        "MultimarginalInterpolant": ".multimarginal",
        "OperatorVelocity": ".operator_velocity",
        "PCFM": ".guided_methods",
        "PhysicsFlowMatching": ".field_methods",
        "PIDM": ".field_methods",
        "RectifiedFlow": ".rectified",
        "SOLVERS": ".sampling",
        "SpectralVelocity": ".velocity",
        "StochasticInterpolant": ".interpolants",
        "StochasticSampling": ".samplings",
        "WeightedResidual": ".field_methods",
    },
)
