"""Files: one HDF5 file that The Well, PDEBench, xarray and ParaView read, and exports to other formats."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from ._atomic import atomic as atomic
    from .exports import KINDS as KINDS
    from .exports import export as export
    from .hdf5 import read as read
    from .hdf5 import read_model as read_model
    from .hdf5 import write as write
    from .info import describe as describe
    from .info import to_lines as to_lines
    from .points import write_points as write_points
    from .points import write_points_dataset as write_points_dataset
    from .xdmf import write_xdmf as write_xdmf

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "KINDS": ".exports",
        "atomic": "._atomic",
        "describe": ".info",
        "export": ".exports",
        "read": ".hdf5",
        "read_model": ".hdf5",
        "to_lines": ".info",
        "write": ".hdf5",
        "write_points": ".points",
        "write_points_dataset": ".points",
        "write_xdmf": ".xdmf",
    },
)
