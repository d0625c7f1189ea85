"""Domains: signed distances, named boundary parts with normals, and points inside and on the boundary."""

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .ball import Ball as Ball
    from .box import Box as Box
    from .csg import Difference as Difference
    from .csg import Intersection as Intersection
    from .csg import Union as Union
    from .domain import AbstractDomain as AbstractDomain
    from .exact import distance as distance
    from .exact import transfinite as transfinite
    from .extrusion import Extrusion as Extrusion
    from .extrusion import cylinder as cylinder
    from .mesh import MeshDomain as MeshDomain
    from .polygon import Polygon as Polygon
    from .space_time import SpaceTime as SpaceTime
    from .surface import SurfaceDomain as SurfaceDomain

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AbstractDomain": ".domain",
        "Ball": ".ball",
        "Box": ".box",
        "Difference": ".csg",
        "Extrusion": ".extrusion",
        "Intersection": ".csg",
        "MeshDomain": ".mesh",
        "Polygon": ".polygon",
        "SpaceTime": ".space_time",
        "SurfaceDomain": ".surface",
        "Union": ".csg",
        "cylinder": ".extrusion",
        "distance": ".exact",
        "transfinite": ".exact",
    },
)
