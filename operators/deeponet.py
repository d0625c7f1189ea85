"""DeepONet: a branch network for the input functions, a trunk network for the place."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pdesolve.errors import PdesolveError
from pdesolve.nets import MLP, Fixed, ModifiedMLP

from .operator import AbstractOperator, check_sample, check_sizes, grid_positions

__all__ = ["DeepONet", "PODDeepONet"]


class DeepONet(AbstractOperator):
    r"""Deep operator network, unstacked: $G(a)_o(y) = \sum_k b_{ok}(a)\, t_k(y) + c_o$.

    The branch sees the input functions at sensors, the places k/m along every axis (linear interpolation between grid
    points, around the end); the trunk sees a place. On a grid the trunk is evaluated once at every point, whatever the
    number of samples: `jax.vmap` over samples leaves it alone, and one matrix product does the rest. Derivatives by y
    are those of the trunk: see `basis`.

    Args:
        in_channels: Input functions.
        out_channels: Output functions; they share the trunk.
        num_dims: Axes of the grid.
        sensors: m, along every axis.
        num_basis: Functions t of the trunk.
        width: Units of a hidden layer of both networks.
        depth: Hidden layers of both networks.
        activation: Of both networks.
        modified: Whether both are gated (`ModifiedMLP`).
        periodic: Whether the trunk sees cosine and sine of each coordinate in its place: exactly periodic outputs.
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.

    References:
        Lu, Jin, Pang, Zhang, Karniadakis, Nature Machine Intelligence 3 (2021) 218-229; Wang, Wang, Perdikaris,
        Science Advances 7 (2021) eabi8605, for the gated form and derivatives.
    """

    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    sensors: int = eqx.field(static=True)
    periodic: bool = eqx.field(static=True)
    branch: MLP | ModifiedMLP
    trunk: MLP | ModifiedMLP
    bias: Float[Array, " out"]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_dims: int = 1,
        sensors: int = 32,
        num_basis: int = 64,
        width: int = 64,
        depth: int = 3,
        activation: str = "gelu",
        modified: bool = False,
        periodic: bool = False,
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        check_sizes(1, in_channels=in_channels, out_channels=out_channels, num_dims=num_dims)
        check_sizes(1, sensors=sensors, num_basis=num_basis, width=width, depth=depth)
        dtype = jax.dtypes.canonicalize_dtype(float if dtype is None else dtype)
        network = ModifiedMLP if modified else MLP
        branch_key, trunk_key = jax.random.split(key)
        common = {"width": width, "depth": depth, "activation": activation, "dtype": dtype}
        places = 2 * num_dims if periodic else num_dims
        self.in_channels, self.out_channels, self.num_dims = in_channels, out_channels, num_dims
        self.sensors, self.periodic = sensors, periodic
        self.branch = network(in_channels * sensors**num_dims, out_channels * num_basis, key=branch_key, **common)
        self.trunk = network(places, num_basis, key=trunk_key, **common)
        self.bias = jnp.zeros(out_channels, dtype)

    def __call__(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output functions on the grid of the input."""
        check_sample(sample, self.in_channels, self.num_dims)
        grid = sample.shape[1:]
        points = grid_positions(grid, sample.dtype).reshape(self.num_dims, -1).T
        return self.at(sample, points).reshape(self.out_channels, *grid)

    def at(self, sample: Float[Array, "in *grid"], points: Float[Array, "n dims"]) -> Float[Array, " out n"]:
        """Return the output functions at any places, in units of the domain's lengths."""
        return self.coefficients(sample) @ self.basis(points).T + self.bias[:, None]

    def coefficients(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out basis"]:
        """Return b: what the branch makes of the input functions."""
        values = _at_sensors(sample, self.sensors)
        return self.branch(jnp.ravel(values)).reshape(self.out_channels, -1) / math.sqrt(self.trunk.out_size)

    def basis(self, points: Float[Array, "n dims"]) -> Float[Array, "n basis"]:
        """Return t at places; its derivatives by them serve every sample."""
        return jax.vmap(self.trunk_at)(points)

    def trunk_at(self, point: Float[Array, " dims"]) -> Float[Array, " basis"]:
        """Return t at one place."""
        if self.periodic:
            angle = 2 * jnp.pi * point
            point = jnp.concatenate([jnp.cos(angle), jnp.sin(angle)])
        return self.trunk(point)


class PODDeepONet(AbstractOperator):
    r"""DeepONet whose trunk is fixed: $G(a) = \phi_0 + \sum_k b_k(a)\, \phi_k$ with mean and modes of given solutions.

    It lives on the grid of the modes.

    Args:
        in_channels: Input functions.
        snapshots: Solutions `(n, out, *grid)`, whose mean and first modes become the trunk.
        num_basis: Number of modes, at most n.
        sensors: As for `DeepONet`.
        width: Units of a hidden layer.
        depth: Hidden layers.
        activation: Of the branch.
        key: Random key of the parameters.

    References:
        Lu et al., A comprehensive and fair comparison of two neural operators, Comput. Methods Appl. Mech. Engrg. 393
        (2022) 114778.
    """

    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    sensors: int = eqx.field(static=True)
    branch: MLP
    mean: Fixed
    modes: Fixed
    """`(basis, out, *grid)`, orthonormal over channels and points; not trained."""
    scales: Fixed
    """Standard deviation of the coefficient of each mode, by which the branch is multiplied."""

    def __init__(
        self,
        in_channels: int,
        snapshots: Any,
        *,
        num_basis: int = 32,
        sensors: int = 32,
        width: int = 64,
        depth: int = 3,
        activation: str = "gelu",
        key: PRNGKeyArray,
    ):
        snapshots = np.asarray(snapshots)
        if snapshots.ndim < 3:
            raise PdesolveError(f"`snapshots` must have shape (n, channels, *grid), got {snapshots.shape}.")
        check_sizes(1, in_channels=in_channels, num_basis=num_basis, sensors=sensors)
        if num_basis > len(snapshots):
            raise PdesolveError(f"{len(snapshots)} snapshots have no more modes than that; `num_basis` is {num_basis}.")
        mean = snapshots.mean(axis=0)
        _, values, right = np.linalg.svd((snapshots - mean[None]).reshape(len(snapshots), -1), full_matrices=False)
        self.in_channels, self.out_channels, self.num_dims = in_channels, snapshots.shape[1], snapshots.ndim - 2
        self.sensors, self.mean = sensors, Fixed(jnp.asarray(mean))
        self.modes = Fixed(jnp.asarray(right[:num_basis].reshape(num_basis, *snapshots.shape[1:])))
        self.scales = Fixed(jnp.asarray(values[:num_basis] / math.sqrt(len(snapshots))))
        self.branch = MLP(
            in_channels * sensors**self.num_dims,
            num_basis,
            width=width,
            depth=depth,
            activation=activation,
            key=key,
            dtype=snapshots.dtype,
        )

    def __call__(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output functions on the grid of the modes."""
        check_sample(sample, self.in_channels, self.num_dims)
        return self.assemble(_value(self.scales) * self.branch(jnp.ravel(_at_sensors(sample, self.sensors))))

    def assemble(self, coefficients: Float[Array, " basis"]) -> Float[Array, " out *grid"]:
        """Return mean plus modes times coefficients."""
        return _value(self.mean) + jnp.tensordot(coefficients, _value(self.modes), 1)

    def project(self, solution: Float[Array, " out *grid"]) -> Float[Array, " basis"]:
        """Return the coefficients of a solution."""
        return jnp.tensordot(_value(self.modes), solution - _value(self.mean), solution.ndim)


def _value(fixed: Fixed) -> Array:
    return jax.lax.stop_gradient(fixed.value)


def _at_sensors(sample: Float[Array, "in *grid"], sensors: int) -> Float[Array, "in *sensors"]:
    """Interpolate at the places k/m of every axis, around the end."""
    axes = [jnp.arange(sensors, dtype=sample.dtype) * (n / sensors) for n in sample.shape[1:]]
    places = jnp.meshgrid(*axes, indexing="ij")
    return jax.vmap(lambda v: jax.scipy.ndimage.map_coordinates(v, places, order=1, mode="wrap"))(sample)
