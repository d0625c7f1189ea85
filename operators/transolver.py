"""Transolver: attention between a few slices of the domain instead of between all points."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pdesolve.errors import PdesolveError

from .convolution import convolution
from .normalisation import PointwiseNorm
from .operator import AbstractOperator, check_sample, check_sizes, grid_positions
from .pointwise import PointwiseAffine, PointwiseMLP

__all__ = ["PhysicsAttention", "Transolver"]


class PhysicsAttention(eqx.Module):
    r"""Attention between G slices: soft sets of points, learned, that lie anywhere in the domain.

    For each head, with $x = W_x v$ and $f = W_f v$,

    $$w_{ng} = \mathrm{softmax}_g\big((W_s x_n + b_s)/\tau\big), \quad
    t_g = \frac{\sum_n w_{ng} f_n}{\sum_n w_{ng}}, \quad
    t' = \mathrm{softmax}\big(Q t\,(K t)^\top/\sqrt{d}\big)\,V t, \quad
    v'_n = \sum_g w_{ng}\, t'_g,$$

    and an affine map of all heads together. Costs grow with the number of points N as N G. The means t are weighted
    by numbers of points: where points are dense there is more weight. $\tau$, one for each head, is kept in [0.1, 5].
    """

    places: PointwiseAffine | eqx.nn.Conv
    features: PointwiseAffine | eqx.nn.Conv
    slicing: PointwiseAffine
    temperature: Float[Array, " heads"]
    queries: Float[Array, "size size"]
    keys: Float[Array, "size size"]
    values: Float[Array, "size size"]
    last: PointwiseAffine

    def __init__(self, width, heads, slices, *, num_dims, kernel, periodic, key, dtype):
        keys = jax.random.split(key, 7)
        size = width // heads

        def local(key):
            # Without neighbours the same map serves a grid and scattered points.
            if kernel == 1:
                return PointwiseAffine(width, width, key=key, dtype=dtype)
            return convolution(width, width, num_dims=num_dims, kernel=kernel, periodic=periodic, key=key, dtype=dtype)

        self.places, self.features = local(keys[0]), local(keys[1])
        # Orthogonal, so that slices differ from the start.
        orthogonal = jax.nn.initializers.orthogonal()(keys[2], (slices, size), dtype)
        affine = PointwiseAffine(size, slices, key=keys[2], dtype=dtype)
        self.slicing = eqx.tree_at(lambda a: a.weight, affine, orthogonal)
        self.temperature = jnp.full(heads, 0.5, dtype)
        self.queries, self.keys, self.values = (
            jax.random.normal(k, (size, size), dtype) / jnp.asarray(math.sqrt(size), dtype) for k in keys[3:6]
        )
        self.last = PointwiseAffine(width, width, key=keys[6], dtype=dtype)

    def log_weights(self, v: Float[Array, " width *grid"]) -> Float[Array, "heads slices points"]:
        """Return log w: at every point the weights of the slices, whose sum is 1."""
        heads, size = self.temperature.shape[0], self.queries.shape[0]
        x = self.places(v).reshape(heads, size, -1)
        logits = jnp.einsum("gd,hdn->hgn", self.slicing.weight, x) + self.slicing.bias[None, :, None]
        return jax.nn.log_softmax(logits / jnp.clip(self.temperature, 0.1, 5.0)[:, None, None], axis=1)

    def tokens(
        self, v: Float[Array, " width *grid"], log_weights: Float[Array, "heads slices points"]
    ) -> Float[Array, "heads slices size"]:
        """Return t: the mean of every slice."""
        f = self.features(v).reshape(self.temperature.shape[0], self.queries.shape[0], -1)
        # w over its sum, of logarithms: a slice that no point belongs to is no 0 / 0.
        return jnp.einsum("hgn,hdn->hgd", jax.nn.softmax(log_weights, axis=2), f)

    def __call__(self, v: Float[Array, " width *grid"]) -> Float[Array, " width *grid"]:
        """Return what slices tell their points."""
        log_weights = self.log_weights(v)
        t = self.tokens(v, log_weights)
        query, key, value = (jnp.einsum("ed,hgd->hge", w, t) for w in (self.queries, self.keys, self.values))
        scores = jnp.einsum("hgd,hkd->hgk", query, key) / math.sqrt(t.shape[-1])
        t = jnp.einsum("hgk,hkd->hgd", jax.nn.softmax(scores, axis=2), value)
        return self.last(jnp.einsum("hgn,hgd->hdn", jnp.exp(log_weights), t).reshape(v.shape))


class TransolverBlock(eqx.Module):
    """v <- v + A(N v), v <- v + M(N v): attention and a perceptron, each after a normalisation N."""

    norms: tuple[PointwiseNorm, PointwiseNorm]
    attention: PhysicsAttention
    perceptron: PointwiseMLP

    def __call__(self, v: Float[Array, " width *grid"]) -> Float[Array, " width *grid"]:
        """Return the next functions."""
        v = v + self.attention(self.norms[0](v))
        return v + self.perceptron(self.norms[1](v))


class Transolver(AbstractOperator):
    """Transolver: a transformer whose attention is between slices of the domain (`PhysicsAttention`).

    Of points it knows values and coordinates only, not which are neighbours: `at` takes any set of points, such as the
    nodes of a mesh, in any order. Points that are all taken twice change nothing. A grid's `kernel` above 1 adds
    neighbours; published, for grids: 3.

    Args:
        in_channels: Input functions.
        out_channels: Output functions.
        num_dims: Axes of the grid, or coordinates of a point.
        width: Functions in a block; published: 128 to 256.
        depth: Number of blocks; published: 8.
        activation: Of the perceptrons.
        heads: Of attention; must divide `width`. Published: 8.
        slices: G; published: 32 to 64.
        expansion: Hidden channels of a block's perceptron, over `width`.
        kernel: Points along an axis of the convolutions before attention; pointwise maps if 1.
        periodic: Whether the grid is; else zeros are beyond its ends. Nothing else depends on it than a `kernel` above
            1.
        positions: Whether places are further inputs.
        lattice: If above 0, a place is told by its distances to the points of a lattice on the unit cube, so many
            along every axis, instead of by its coordinates; published, for grids: 8.
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.

    Raises:
        UnknownNameError: If there is no such activation.
        PdesolveError: If a size is out of range, or does not divide another.

    References:
        Wu, Luo, Wang, Wang, Long, Transolver: a fast transformer solver for PDEs on general geometries, ICML (2024),
        and their program. There $10^{-5}$ is added to the sum of a slice's weights, and a later initialisation
        undoes the orthogonal one of $W_s$.
    """

    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    kernel: int = eqx.field(static=True)
    positions: bool = eqx.field(static=True)
    lattice: int = eqx.field(static=True)
    lifting: PointwiseMLP
    blocks: tuple[TransolverBlock, ...]
    norm: PointwiseNorm
    projection: PointwiseAffine

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_dims: int = 1,
        width: int = 64,
        depth: int = 4,
        activation: str = "gelu",
        heads: int = 4,
        slices: int = 32,
        expansion: int = 1,
        kernel: int = 1,
        periodic: bool = True,
        positions: bool = True,
        lattice: int = 0,
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        check_sizes(1, in_channels=in_channels, out_channels=out_channels, num_dims=num_dims)
        check_sizes(1, width=width, depth=depth, heads=heads, slices=slices, expansion=expansion, kernel=kernel)
        check_sizes(0, lattice=lattice)
        if width % heads:
            raise PdesolveError(f"`heads` must divide `width`; got {heads} and {width}.")
        dtype = jax.dtypes.canonicalize_dtype(float if dtype is None else dtype)
        keys = jax.random.split(key, 2 * depth + 2)
        places = (lattice**num_dims if lattice else num_dims) if positions else 0
        sizes = {"num_dims": num_dims, "kernel": kernel, "periodic": periodic, "dtype": dtype}
        common = {"activation": activation, "dtype": dtype}
        self.in_channels, self.out_channels, self.num_dims = in_channels, out_channels, num_dims
        self.kernel, self.positions, self.lattice = kernel, positions, lattice
        self.lifting = PointwiseMLP(in_channels + places, width, 2 * width, key=keys[0], **common)
        self.blocks = tuple(
            TransolverBlock(
                (PointwiseNorm(width, dtype=dtype), PointwiseNorm(width, dtype=dtype)),
                PhysicsAttention(width, heads, slices, key=keys[2 * i + 2], **sizes),
                PointwiseMLP(width, width, expansion * width, key=keys[2 * i + 3], **common),
            )
            for i in range(depth)
        )
        self.norm = PointwiseNorm(width, dtype=dtype)
        self.projection = PointwiseAffine(width, out_channels, key=keys[1], dtype=dtype)

    def __call__(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output functions on the grid of the input."""
        check_sample(sample, self.in_channels, self.num_dims)
        return self._apply(sample, grid_positions(sample.shape[1:], sample.dtype))

    def at(self, values: Float[Array, "in n"], points: Float[Array, "n dims"]) -> Float[Array, " out n"]:
        """Return the output functions at scattered points, from the input functions there.

        Args:
            values: Input functions at the points.
            points: In units of the domain's lengths, as the i/n of a grid are.

        Raises:
            PdesolveError: If the operator has convolutions, or shapes do not fit.
        """
        if self.kernel != 1:
            raise PdesolveError(
                f"scattered points have no stencils: make the operator with kernel=1, not {self.kernel}."
            )
        if values.ndim != 2 or values.shape[0] != self.in_channels or points.shape != (values.shape[1], self.num_dims):
            raise PdesolveError(
                f"expected values ({self.in_channels}, n) and points (n, {self.num_dims}); "
                f"got {values.shape} and {points.shape}."
            )
        return self._apply(values, points.T)

    def _apply(
        self, values: Float[Array, "in *grid"], places: Float[Array, " dims *grid"]
    ) -> Float[Array, " out *grid"]:
        if self.positions:
            told = _distances(places, self.lattice) if self.lattice else places
            values = jnp.concatenate([values, told])
        v = self.lifting(values)
        for block in self.blocks:
            v = block(v)
        return self.projection(self.norm(v))


def _distances(places: Float[Array, " dims *grid"], lattice: int) -> Float[Array, " lattice *grid"]:
    """Return the distance of every place to every point of a lattice on the unit cube, its faces included."""
    dims = places.shape[0]
    axes = [jnp.linspace(0.0, 1.0, lattice, dtype=places.dtype)] * dims
    knots = jnp.stack(jnp.meshgrid(*axes, indexing="ij")).reshape(dims, -1)
    squares = sum((p[None] - q.reshape(-1, *[1] * p.ndim)) ** 2 for p, q in zip(places, knots, strict=True))
    # The derivative of a distance at zero is taken to be zero.
    return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1.0)), 0.0)
