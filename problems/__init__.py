"""Named problems: one equation with its domain, data and reference in one file each."""

from typing import TYPE_CHECKING

from pdesolve._lazy import attach

if TYPE_CHECKING:
    from .advection import Advection as Advection
    from .allen_cahn import AllenCahn as AllenCahn
    from .allen_cahn_2d import AllenCahn2D as AllenCahn2D
    from .beltrami import Beltrami as Beltrami
    from .burgers import Burgers as Burgers
    from .burgers_2d import Burgers2D as Burgers2D
    from .burgers_2d_c import Burgers2DC as Burgers2DC
    from .burgers_family import BurgersFamily as BurgersFamily
    from .burgers_space_time import BurgersSpaceTime as BurgersSpaceTime
    from .burgers_trajectories import BurgersTrajectories as BurgersTrajectories
    from .cook_membrane import CookMembrane as CookMembrane
    from .darcy_1d import Darcy1D as Darcy1D
    from .darcy_2d import Darcy2D as Darcy2D
    from .darcy_2d import Darcy2DLognormal as Darcy2DLognormal
    from .darcy_flow_2d import DarcyFlow2D as DarcyFlow2D
    from .diffusion_sorption import DiffusionSorption as DiffusionSorption
    from .forced_burgers import ForcedBurgers as ForcedBurgers
    from .forced_burgers import ForcedKdVBurgers as ForcedKdVBurgers
    from .forced_burgers import ForcedViscousBurgers as ForcedViscousBurgers
    from .gray_scott import GrayScott as GrayScott
    from .heat_1d import Heat1D as Heat1D
    from .heat_2d_cg import Heat2DCG as Heat2DCG
    from .heat_2d_lt import Heat2DLT as Heat2DLT
    from .heat_2d_ms import Heat2DMS as Heat2DMS
    from .heat_2d_vc import Heat2DVC as Heat2DVC
    from .heat_inverse import HeatInverse as HeatInverse
    from .heat_nd import HeatND as HeatND
    from .heat_space_time import HeatSpaceTime as HeatSpaceTime
    from .helmholtz_2d import Helmholtz2D as Helmholtz2D
    from .kdv import KdV as KdV
    from .klein_gordon import KleinGordon as KleinGordon
    from .kovasznay import Kovasznay as Kovasznay
    from .kuramoto_sivashinsky import KuramotoSivashinsky as KuramotoSivashinsky
    from .kuramoto_sivashinsky_wave import KuramotoSivashinskyWave as KuramotoSivashinskyWave
    from .l_profile import LProfile as LProfile
    from .lid_driven_cavity import LidDrivenCavity as LidDrivenCavity
    from .navier_stokes_2d import NavierStokes2D as NavierStokes2D
    from .navier_stokes_trajectories import NavierStokesTrajectories as NavierStokesTrajectories
    from .ns_2d_cg import NS2DCG as NS2DCG
    from .ns_2d_lt import NS2DLT as NS2DLT
    from .plate_with_hole import PlateWithHole as PlateWithHole
    from .poisson_1d import Poisson1D as Poisson1D
    from .poisson_2d import Poisson2D as Poisson2D
    from .poisson_2d_c import Poisson2DC as Poisson2DC
    from .poisson_2d_cg import Poisson2DCG as Poisson2DCG
    from .poisson_2d_ms import Poisson2DMS as Poisson2DMS
    from .poisson_3d_cg import Poisson3DCG as Poisson3DCG
    from .poisson_inverse import PoissonInverse as PoissonInverse
    from .poisson_nd import Poisson5D as Poisson5D
    from .poisson_nd import Poisson10D as Poisson10D
    from .poisson_nd import PoissonND as PoissonND
    from .random_field_1d import RandomField1D as RandomField1D
    from .reaction import Reaction as Reaction
    from .schrodinger import Schrodinger as Schrodinger
    from .shallow_water import ShallowWater as ShallowWater
    from .single_element import SingleElement as SingleElement
    from .wave_1d import Wave1D as Wave1D
    from .wave_2d import Wave2D as Wave2D
    from .wave_2d_cg import Wave2DCG as Wave2DCG
    from .wave_2d_ms import Wave2DMS as Wave2DMS

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Advection": ".advection",
        "AllenCahn": ".allen_cahn",
        "AllenCahn2D": ".allen_cahn_2d",
        "Beltrami": ".beltrami",
        "Burgers": ".burgers",
        "Burgers2D": ".burgers_2d",
        "Burgers2DC": ".burgers_2d_c",
        "BurgersFamily": ".burgers_family",
        "BurgersSpaceTime": ".burgers_space_time",
        "BurgersTrajectories": ".burgers_trajectories",
        "CookMembrane": ".cook_membrane",
        "Darcy1D": ".darcy_1d",
        "Darcy2D": ".darcy_2d",
        "Darcy2DLognormal": ".darcy_2d",
        "DarcyFlow2D": ".darcy_flow_2d",
        "DiffusionSorption": ".diffusion_sorption",
        "ForcedBurgers": ".forced_burgers",
        "ForcedKdVBurgers": ".forced_burgers",
        "ForcedViscousBurgers": ".forced_burgers",
        "GrayScott": ".gray_scott",
        "Heat1D": ".heat_1d",
        "Heat2DCG": ".heat_2d_cg",
        "Heat2DLT": ".heat_2d_lt",
        "Heat2DMS": ".heat_2d_ms",
        "Heat2DVC": ".heat_2d_vc",
        "HeatInverse": ".heat_inverse",
        "HeatND": ".heat_nd",
        "HeatSpaceTime": ".heat_space_time",
        "Helmholtz2D": ".helmholtz_2d",
        "KdV": ".kdv",
        "KleinGordon": ".klein_gordon",
        "Kovasznay": ".kovasznay",
        "KuramotoSivashinsky": ".kuramoto_sivashinsky",
        "KuramotoSivashinskyWave": ".kuramoto_sivashinsky_wave",
        "LProfile": ".l_profile",
        "LidDrivenCavity": ".lid_driven_cavity",
        "NS2DCG": ".ns_2d_cg",
        "NS2DLT": ".ns_2d_lt",
        "NavierStokes2D": ".navier_stokes_2d",
        "NavierStokesTrajectories": ".navier_stokes_trajectories",
        "PlateWithHole": ".plate_with_hole",
        "Poisson10D": ".poisson_nd",
        "Poisson1D": ".poisson_1d",
        "Poisson2D": ".poisson_2d",
        "Poisson2DC": ".poisson_2d_c",
        "Poisson2DCG": ".poisson_2d_cg",
        "Poisson2DMS": ".poisson_2d_ms",
        "Poisson5D": ".poisson_nd",
        "Poisson3DCG": ".poisson_3d_cg",
        "PoissonInverse": ".poisson_inverse",
        "PoissonND": ".poisson_nd",
        "RandomField1D": ".random_field_1d",
        "Reaction": ".reaction",
        "Schrodinger": ".schrodinger",
        "ShallowWater": ".shallow_water",
        "SingleElement": ".single_element",
        "Wave1D": ".wave_1d",
        "Wave2D": ".wave_2d",
        "Wave2DCG": ".wave_2d_cg",
        "Wave2DMS": ".wave_2d_ms",
    },
)
