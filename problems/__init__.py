"""Named problems: one equation with its domain, data and reference in one file each."""

from typing import TYPE_CHECKING

from pdesolve._lazy import attach

if TYPE_CHECKING:
    from .advection import Advection as Advection
    from .allen_cahn import AllenCahn as AllenCahn
    from .burgers import Burgers as Burgers
    from .burgers_2d import Burgers2D as Burgers2D
    from .burgers_family import BurgersFamily as BurgersFamily
    from .darcy_2d import Darcy2D as Darcy2D
    from .darcy_2d import Darcy2DLognormal as Darcy2DLognormal
    from .heat_1d import Heat1D as Heat1D
    from .helmholtz_2d import Helmholtz2D as Helmholtz2D
    from .kdv import KdV as KdV
    from .kovasznay import Kovasznay as Kovasznay
    from .kuramoto_sivashinsky import KuramotoSivashinsky as KuramotoSivashinsky
    from .lid_driven_cavity import LidDrivenCavity as LidDrivenCavity
    from .navier_stokes_2d import NavierStokes2D as NavierStokes2D
    from .poisson_1d import Poisson1D as Poisson1D
    from .poisson_2d import Poisson2D as Poisson2D
    from .poisson_2d_c import Poisson2DC as Poisson2DC
    from .poisson_nd import Poisson5D as Poisson5D
    from .poisson_nd import Poisson10D as Poisson10D
    from .random_field_1d import RandomField1D as RandomField1D
    from .reaction import Reaction as Reaction
    from .schrodinger import Schrodinger as Schrodinger
    from .wave_1d import Wave1D as Wave1D

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Advection": ".advection",
        "AllenCahn": ".allen_cahn",
        "Burgers": ".burgers",
        "Burgers2D": ".burgers_2d",
        "BurgersFamily": ".burgers_family",
        "Darcy2D": ".darcy_2d",
        "Darcy2DLognormal": ".darcy_2d",
        "Heat1D": ".heat_1d",
        "Helmholtz2D": ".helmholtz_2d",
        "KdV": ".kdv",
        "Kovasznay": ".kovasznay",
        "KuramotoSivashinsky": ".kuramoto_sivashinsky",
        "LidDrivenCavity": ".lid_driven_cavity",
        "NavierStokes2D": ".navier_stokes_2d",
        "Poisson1D": ".poisson_1d",
        "Poisson2D": ".poisson_2d",
        "Poisson2DC": ".poisson_2d_c",
        "Poisson5D": ".poisson_nd",
        "Poisson10D": ".poisson_nd",
        "RandomField1D": ".random_field_1d",
        "Reaction": ".reaction",
        "Schrodinger": ".schrodinger",
        "Wave1D": ".wave_1d",
    },
)
