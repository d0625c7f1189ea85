"""GNOT: attention of points to input functions, at a cost that is linear in their numbers."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pdesolve.errors import PdesolveError
from pdesolve.nets import MLP

from .normalisation import PointwiseNorm
from .operator import AbstractOperator, check_sample, check_sizes, grid_positions
from .pointwise import PointwiseAffine, PointwiseMLP

__all__ = ["GNOT", "ExpertMixture", "LinearAttention"]


class LinearAttention(eqx.Module):
    r"""Normalised linear attention of points to the points of any number of functions.

    For each head, with q, k the softmax over features of affine maps of x and y, v an affine map of y,

    $$a_n = q_n + \sum_f \frac{\sum_m (q_n\cdot k^f_m)\, v^f_m}{\sum_m q_n\cdot k^f_m},$$

    and an affine map of all heads together. A quotient is a weighted mean of v, with positive weights. Sums over the
    points m of a function f come first, $\sum_m v_m k_m^\top$ and $\sum_m k_m$, so that costs add and do not multiply.
    """

    heads: int = eqx.field(static=True)
    query: PointwiseAffine
    keys: tuple[PointwiseAffine, ...]
    """One for every function."""
    values: tuple[PointwiseAffine, ...]
    last: PointwiseAffine

    def __init__(self, width, heads, functions, *, key, dtype):
        keys = iter(jax.random.split(key, 2 * functions + 2))

        def affine():
            return PointwiseAffine(width, width, key=next(keys), dtype=dtype)

        self.heads, self.query, self.last = heads, affine(), affine()
        self.keys = tuple(affine() for _ in range(functions))
        self.values = tuple(affine() for _ in range(functions))

    def __call__(
        self, x: Float[Array, "width n"], functions: Sequence[Float[Array, "width _"]]
    ) -> Float[Array, "width n"]:
        """Return what the points of x take from all functions."""
        q = jax.nn.softmax(self._split(self.query(x)), axis=1)
        taken = q
        for key, value, y in zip(self.keys, self.values, functions, strict=True):
            k, v = jax.nn.softmax(self._split(key(y)), axis=1), self._split(value(y))
            sums = jnp.einsum("hdm,hem->hde", k, v)
            taken = taken + jnp.einsum("hde,hdn->hen", sums, q) / jnp.einsum("hd,hdn->hn", k.sum(2), q)[:, None]
        return self.last(taken.reshape(x.shape))

    def _split(self, v: Float[Array, "width n"]) -> Float[Array, "heads size n"]:
        return v.reshape(self.heads, -1, v.shape[1])


class ExpertMixture(eqx.Module):
    """A sum of perceptrons, weighted at every point by a gate that depends on the place."""

    experts: tuple[PointwiseMLP, ...]

    def __call__(self, x: Float[Array, "width n"], gate: Float[Array, "experts n"]) -> Float[Array, "width n"]:
        """Return the weighted sum."""
        weighted = [weight[None] * expert(x) for weight, expert in zip(gate, self.experts, strict=True)]
        return jnp.sum(jnp.stack(weighted), axis=0)


class GNOTBlock(eqx.Module):
    """Attention to the input functions, perceptrons, attention of points to each other, perceptrons."""

    norms: tuple[PointwiseNorm, ...]
    function_norms: tuple[PointwiseNorm, ...]
    gate: MLP
    cross: LinearAttention
    own: LinearAttention
    mixtures: tuple[ExpertMixture, ExpertMixture]

    def __init__(self, width, heads, functions, num_dims, experts, expansion, activation, *, key, dtype):
        keys = jax.random.split(key, 3 + 2 * experts)
        hidden, common = expansion * width, {"activation": activation, "dtype": dtype}
        self.norms = tuple(PointwiseNorm(width, dtype=dtype) for _ in range(4))
        self.function_norms = tuple(PointwiseNorm(width, dtype=dtype) for _ in range(functions))
        self.gate = MLP(num_dims, experts, width=hidden, depth=2, key=keys[0], **common)
        self.cross = LinearAttention(width, heads, functions, key=keys[1], dtype=dtype)
        self.own = LinearAttention(width, heads, 1, key=keys[2], dtype=dtype)
        self.mixtures = tuple(  # type: ignore[assignment]
            ExpertMixture(tuple(PointwiseMLP(width, width, hidden, key=k, **common) for k in part))
            for part in (keys[3 : 3 + experts], keys[3 + experts :])
        )

    def __call__(
        self, x: Float[Array, "width n"], functions: Sequence[Float[Array, "width _"]], points: Float[Array, "n dims"]
    ) -> Float[Array, "width n"]:
        """Return the next features of the points."""
        gate = jax.nn.softmax(jax.vmap(self.gate)(points), axis=1).T
        x = x + self.cross(self.norms[0](x), [norm(y) for norm, y in zip(self.function_norms, functions, strict=True)])
        x = x + self.norms[1](self.mixtures[0](x, gate))
        normalised = self.norms[2](x)
        x = x + self.own(normalised, [normalised])
        return x + self.norms[3](self.mixtures[1](x, gate))


class GNOT(AbstractOperator):
    """General neural operator transformer: points ask input functions by linear attention.

    Each input function has points of its own, in any order and number; a point of the output knows its coordinates
    and what it takes from the functions (`LinearAttention`). Perceptrons are mixed by a gate that depends on the
    place alone, a soft decomposition of the domain. On a grid (the call) all functions are given, and asked for, at
    the points of the grid; `at` takes scattered points.

    Args:
        in_channels: Input functions.
        out_channels: Output functions.
        num_dims: Axes of the grid, or coordinates of a point.
        functions: How many of the input functions share their points: numbers whose sum is `in_channels`, each a
            group with an embedding, keys and values of its own; one group of all where None.
        width: Features of a point.
        depth: Number of blocks.
        activation: Of the perceptrons.
        heads: Of attention; must divide `width`.
        experts: Perceptrons that are mixed; all are evaluated.
        expansion: Hidden units of a block's perceptrons, over `width`.
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.

    Raises:
        UnknownNameError: If there is no such activation.
        PdesolveError: If a size is out of range, does not divide another, or groups do not add up.

    References:
        Hao et al., GNOT: a general neural operator transformer for operator learning, ICML (2023), and their program.
    """

    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    functions: tuple[int, ...] = eqx.field(static=True)
    trunk: PointwiseMLP
    branches: tuple[PointwiseMLP, ...]
    blocks: tuple[GNOTBlock, ...]
    projection: PointwiseMLP

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_dims: int = 1,
        functions: Sequence[int] | None = None,
        width: int = 64,
        depth: int = 4,
        activation: str = "gelu",
        heads: int = 4,
        experts: int = 3,
        expansion: int = 2,
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        check_sizes(1, in_channels=in_channels, out_channels=out_channels, num_dims=num_dims)
        check_sizes(1, width=width, depth=depth, heads=heads, experts=experts, expansion=expansion)
        if width % heads:
            raise PdesolveError(f"`heads` must divide `width`; got {heads} and {width}.")
        groups = (in_channels,) if functions is None else tuple(functions)
        if sum(groups) != in_channels or min(groups) < 1:
            raise PdesolveError(f"`functions` must be positive, of sum {in_channels} (`in_channels`); got {groups}.")
        dtype = jax.dtypes.canonicalize_dtype(float if dtype is None else dtype)
        trunk_key, branch_key, last_key, *keys = jax.random.split(key, depth + 3)
        common = {"activation": activation, "dtype": dtype}
        self.in_channels, self.out_channels, self.num_dims = in_channels, out_channels, num_dims
        self.functions = groups
        self.trunk = PointwiseMLP(num_dims, width, width, key=trunk_key, **common)
        self.branches = tuple(
            PointwiseMLP(size + num_dims, width, width, key=k, **common)
            for size, k in zip(groups, jax.random.split(branch_key, len(groups)), strict=True)
        )
        self.blocks = tuple(
            GNOTBlock(width, heads, len(groups), num_dims, experts, expansion, activation, key=k, dtype=dtype)
            for k in keys
        )
        self.projection = PointwiseMLP(width, out_channels, width, key=last_key, **common)

    def __call__(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output functions on the grid of the input."""
        check_sample(sample, self.in_channels, self.num_dims)
        grid = sample.shape[1:]
        points = grid_positions(grid, sample.dtype).reshape(self.num_dims, -1).T
        ends = [sum(self.functions[:i]) for i in range(1, len(self.functions))]
        values = jnp.split(sample.reshape(self.in_channels, -1), ends)
        return self.at(values, [points] * len(values), points).reshape(self.out_channels, *grid)

    def at(
        self,
        values: Sequence[Float[Array, "_ _"]],
        places: Sequence[Float[Array, "_ dims"]],
        points: Float[Array, "n dims"],
    ) -> Float[Array, " out n"]:
        """Return the output functions at any points, from input functions at points of their own.

        Args:
            values: For every group of input functions, their values `(functions, m)`.
            places: For every group, where these are known, `(m, dims)`, in units of the domain's lengths.
            points: Where the output functions are asked for, in the same units.

        Raises:
            PdesolveError: If shapes do not fit.
        """
        given = [(v.shape, y.shape) for v, y in zip(values, places, strict=False)]
        if (
            not len(values) == len(places) == len(self.functions)
            or any(v != (size, *y[:1]) for size, (v, y) in zip(self.functions, given, strict=True))
            or any(y[1:] != (self.num_dims,) for _, y in given)
            or points.shape[1:] != (self.num_dims,)
        ):
            raise PdesolveError(
                f"expected, for each of {len(self.functions)} groups of functions, values of shapes "
                f"{', '.join(f'({size}, m)' for size in self.functions)} at places (m, {self.num_dims}), and points "
                f"(n, {self.num_dims}); got {len(values)} and {len(places)} groups, {given}, and {points.shape}."
            )
        x = self.trunk(points.T)
        pairs = zip(self.branches, values, places, strict=True)
        functions = [branch(jnp.concatenate([v, y.T])) for branch, v, y in pairs]
        for block in self.blocks:
            x = block(x, functions, points)
        return self.projection(x)
