"""Readers of The Well's and PDEBench's files, written from the two specifications and using nothing of ours."""

import json

import h5py
import numpy as np

BOUNDARY_CODES = {"WALL": 0, "OPEN": 1, "PERIODIC": 2}


def load_well(path):
    """The Well: fields tiled to (sample, time, *space, component), grids, boundary codes per axis and side."""
    with h5py.File(path, "r") as file:
        space = [str(d) for d in file["dimensions"].attrs["spatial_dims"]]
        assert file.attrs["grid_type"] in ("cartesian", "spherical")
        assert len(space) == file.attrs["n_spatial_dims"]
        sizes = [file["dimensions"][d].shape[-1] for d in space]
        samples, steps = int(file.attrs["n_trajectories"]), file["dimensions/time"].shape[-1]
        for d in space:
            assert not file["dimensions"][d].attrs["sample_varying"]
            assert not file["dimensions"][d].attrs["time_varying"]
        assert not file["dimensions/time"].attrs["sample_varying"]
        fields = {}
        for order in range(3):
            group = file[f"t{order}_fields"]
            for name in group.attrs["field_names"]:
                stored = group[name]
                shape = [samples if stored.attrs["sample_varying"] else 1]
                shape += [steps if stored.attrs["time_varying"] else 1]
                varying = zip(sizes, stored.attrs["dim_varying"], strict=True)
                shape += [n if present else 1 for n, present in varying] + [len(space)] * order
                full = (samples, steps, *sizes, *[len(space)] * order)
                fields[name] = np.broadcast_to(stored[()].reshape(shape), full)
        scalars = {}
        for name in file["scalars"].attrs["field_names"]:
            flags = file["scalars"][name].attrs
            scalars[name] = file["scalars"][name][()], bool(flags["sample_varying"]), bool(flags["time_varying"])
        codes = np.ones((len(space), 2))
        for condition in file["boundary_conditions"].values():
            (dim,) = condition.attrs["associated_dims"]
            assert condition["mask"].dtype == bool
            for side in (0, -1):
                if condition["mask"][side]:
                    codes[space.index(dim), side] = BOUNDARY_CODES[condition.attrs["bc_type"].upper()]
        return {
            "name": file.attrs["dataset_name"],
            "parameters": {str(p): file.attrs[p] for p in file.attrs["simulation_parameters"]},
            "grid": [file["dimensions"][d][()] for d in space],
            "time": file["dimensions/time"][()],
            "fields": fields,
            "scalars": scalars,
            "boundary": codes,
        }


def load_pdebench_single(path):
    """PDEBench layout A, scalar 1-D: values (B, X, T, 1), x, and t cut to T entries."""
    with h5py.File(path, "r") as file:
        tensor = file["tensor"][()]
        assert tensor.ndim == 3, "a 4-D tensor would be Darcy flow"
        values = np.transpose(tensor, (0, 2, 1))[..., None]
        return values, file["x-coordinate"][()], file["t-coordinate"][: tensor.shape[1]]


def load_pdebench_groups(path):
    """PDEBench layout B: every group's values (X[, Y], T, C), the grid of group "0023", the configurations."""
    with h5py.File(path, "r") as file:
        grid = {axis: item[()] for axis, item in file["0023/grid"].items()}
        values = [np.moveaxis(file[name]["data"][()], 0, -2) for name in sorted(file)]
        return values, grid, [json.loads(file[name].attrs["config"]) for name in sorted(file)]
