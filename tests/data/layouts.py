"""Files in the published layouts of The Well and PDEBench, and of MATLAB, written by h5py alone.

Every array has random numbers of its own, so that no exchange of axes or fields goes unseen; sizes differ on all axes.
"""

import h5py
import numpy as np

B, T, X, Y = 6, 5, 8, 10
STRINGS = h5py.string_dtype()


def numbers(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def cells(n):
    return ((np.arange(n) + 0.5) / n).astype(np.float32)


def strings(*values):
    return np.array(values, dtype=STRINGS)


def pdebench_scalar(path, samples=B):
    """Advection, Burgers, reaction-diffusion: `tensor` (B, T, X), one time more than there are frames."""
    with h5py.File(path, "w") as file:
        file["tensor"] = numbers(samples, T, X)
        file["x-coordinate"] = cells(X)
        file["t-coordinate"] = np.linspace(0, 1, T + 1, dtype=np.float32)
        file.attrs["Nu"] = 0.01
    return path


def pdebench_darcy(path, samples=B):
    """`tensor` (B, 1, X, Y) and `nu` (B, X, Y)."""
    with h5py.File(path, "w") as file:
        file["tensor"] = numbers(samples, 1, X, Y)
        file["nu"] = np.exp(numbers(samples, X, Y))
        file["x-coordinate"], file["y-coordinate"] = cells(X), cells(Y)
        file.attrs["beta"] = 1.0
    return path


def pdebench_flow(path):
    """Compressible flow in two dimensions: four fields (B, T, X, Y)."""
    with h5py.File(path, "w") as file:
        for seed, name in enumerate(("Vx", "Vy", "density", "pressure")):
            file[name] = numbers(B, T, X, Y, seed=seed)
        file["x-coordinate"], file["y-coordinate"] = cells(X), cells(Y)
        file["t-coordinate"] = np.linspace(0, 1, T + 1, dtype=np.float32)
        file.attrs["M"], file.attrs["eta"], file.attrs["zeta"] = 0.1, 0.01, 0.01
    return path


def pdebench_groups(path, channels=2, dims=2):
    """A group for each seed: `data` (T, X[, Y], C), `grid/x`, ..., a configuration as text."""
    with h5py.File(path, "w") as file:
        for sample in range(B):
            group = file.create_group(f"{sample:04d}")
            shape = (T, *(X, Y)[:dims], channels)
            group.create_dataset("data", data=numbers(*shape, seed=sample), compression="lzf")
            for axis, n in zip("xy"[:dims], (X, Y), strict=False):
                group[f"grid/{axis}"] = cells(n)
            group["grid/t"] = np.linspace(0, 5, T, dtype=np.float32)
            group.attrs["config"] = "name: 2d_diff-react\nsim:\n  x_left: -1.0\n"
    return path


def pdebench_incompressible(path):
    """`velocity` (B, T, X, Y, 2), `particles` (B, T, X, Y, 1), `force` (B, X, Y, 2), `t` (B, T)."""
    with h5py.File(path, "w") as file:
        file["velocity"] = numbers(B, T, X, Y, 2)
        file["particles"] = numbers(B, T, X, Y, 1)
        file["force"] = numbers(B, X, Y, 2)
        file["t"] = np.tile(np.linspace(0, 5, T, dtype=np.float32), (B, 1))
        file.attrs["config"], file.attrs["latestIndex"] = "n_steps: 5", B
    return path


def well(path, samples=B, periodic=True, seed=0):
    """A scalar and a vector field, a constant one that varies in x alone, all five groups of The Well's description."""
    with h5py.File(path, "w") as file:
        file.attrs["dataset_name"], file.attrs["grid_type"] = "dummy", "cartesian"
        file.attrs["n_spatial_dims"], file.attrs["n_trajectories"] = 2, samples
        file.attrs["simulation_parameters"] = strings("Re")
        file.attrs["Re"] = 100.0
        dimensions = file.create_group("dimensions")
        dimensions.attrs["spatial_dims"] = strings("x", "y")
        for axis, points in (("time", np.linspace(0, 1, T)), ("x", np.arange(X) / X), ("y", np.arange(Y) / Y)):
            dimensions[axis] = points.astype(np.float32)
            dimensions[axis].attrs["sample_varying"] = dimensions[axis].attrs["time_varying"] = False
        conditions = file.create_group("boundary_conditions")
        for axis, n in (("x", X), ("y", Y)):
            group = conditions.create_group(f"{axis}_ends")
            group.attrs["associated_dims"], group.attrs["associated_fields"] = strings(axis), strings()
            group.attrs["bc_type"] = "PERIODIC" if periodic else "WALL"
            group.attrs["sample_varying"] = group.attrs["time_varying"] = False
            mask = np.zeros(n, bool)
            mask[[0, -1]] = True
            group["mask"] = mask
        file.create_group("scalars").attrs["field_names"] = strings("Re")
        file["scalars/Re"] = 100.0
        file["scalars/Re"].attrs["sample_varying"] = file["scalars/Re"].attrs["time_varying"] = False
        for order, fields in enumerate(
            (
                {"density": ((samples, T, X, Y), True, True), "depth": ((X,), False, False)},
                {"velocity": ((samples, T, X, Y, 2), True, True)},
                {},
            )
        ):
            group = file.create_group(f"t{order}_fields")
            group.attrs["field_names"] = strings(*fields)
            for name, (shape, in_sample, in_time) in fields.items():
                group[name] = numbers(*shape, seed=seed + order)
                group[name].attrs["sample_varying"], group[name].attrs["time_varying"] = in_sample, in_time
                group[name].attrs["dim_varying"] = np.array([True, name != "depth"])
    return path


def matlab73(path, **arrays):
    """What MATLAB's version 7.3 writes: HDF5 behind 512 bytes of its own, axes in the opposite order."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file[name] = np.ascontiguousarray(array.T)
            file[name].attrs["MATLAB_class"] = np.bytes_("double")
    with open(path, "r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(512, b" "))
    return path
