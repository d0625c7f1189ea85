"""Datasets with different random numbers at every point, so that no permutation of axes goes unseen."""

import numpy as np
import xarray as xr

SIZES = {"sample": 3, "time": 4, "x": 7, "y": 5, "z": 6}
PROVENANCE = {"config": {"problem": "p", "stages": [{"steps": 3}]}, "seed": 7, "commit": "abc", "date": "2026-01-01"}


def dataset(*dims, components=False, dtype=np.float64):
    """Field `u` over `dims`, on grids without equal spacing; with `components` a vector `v` too."""
    rng = np.random.default_rng(0)
    coords = {d: np.sort(rng.random(SIZES[d])).astype(dtype) for d in dims if d != "sample"}
    shape = tuple(SIZES[d] for d in dims)
    variables = {"u": (dims, rng.standard_normal(shape).astype(dtype), {"units": "m/s"})}
    space = [d for d in dims if d not in ("sample", "time")]
    if components:
        variables["v"] = ((*dims, "component"), rng.standard_normal((*shape, len(space))).astype(dtype))
    return xr.Dataset(variables, coords)
