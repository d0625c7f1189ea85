"""LSM: a U-Net whose features pass through a few latent tokens of every patch on every grid."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pdesolve.errors import PdesolveError

from .convolution import convolution
from .operator import AbstractOperator, check_sample, check_sizes, grid_positions
from .pointwise import PointwiseAffine, PointwiseMLP
from .unet import DoubleConvolution, _coarser, _finer

__all__ = ["LSM", "NeuralSpectralBlock"]


class NeuralSpectralBlock(eqx.Module):
    r"""Each patch of the grid: attention to a few latent tokens, a trigonometric map of these, attention back.

    With a patch's points x, keys K, values V and queries Q (affine maps of x) and trained tokens $T_0$, for each head

    $$T = T_0 + \mathrm{softmax}(T_0 K^\top) V, \quad
    T'_c = T_c + \sum_{i<B} w_{ci} \sin(\pi i T_c/B) + w'_{ci} \cos(\pi i T_c/B), \quad
    x' = x + \mathrm{softmax}(Q\,T'^\top)\,T',$$

    where c is a channel of a token. Scores are not divided by the root of the number of channels, as in the authors'
    program. Within a patch no point knows where it is; costs are linear in the number of points.
    """

    patch: int = eqx.field(static=True)
    tokens: Float[Array, "heads tokens size"]
    weights: Float[Array, "channels basis"]
    """w beside w'."""
    key: PointwiseAffine
    value: PointwiseAffine
    query: PointwiseAffine

    def __init__(self, channels, heads, tokens, basis, patch, *, key, dtype):
        keys = jax.random.split(key, 5)
        self.patch = patch
        self.tokens = jax.random.uniform(keys[0], (heads, tokens, channels // heads), dtype) / channels
        self.weights = jax.random.uniform(keys[1], (channels, 2 * basis), dtype) / channels
        self.key, self.value, self.query = (PointwiseAffine(channels, channels, key=k, dtype=dtype) for k in keys[2:])

    def __call__(self, v: Float[Array, " channels *grid"]) -> Float[Array, " channels *grid"]:
        """Return the next functions; the points along every axis must be a multiple of the patch."""
        dims, channels = v.ndim - 1, v.shape[0]
        counts = [n // self.patch for n in v.shape[1:]]
        cut = v.reshape(channels, *(size for count in counts for size in (count, self.patch)))
        order = (*range(1, 2 * dims, 2), 0, *range(2, 2 * dims + 1, 2))
        ordered = cut.transpose(order)
        changed = jax.vmap(self.of_patch)(ordered.reshape(-1, channels, self.patch**dims))
        inverse = sorted(range(2 * dims + 1), key=order.__getitem__)
        return changed.reshape(ordered.shape).transpose(inverse).reshape(v.shape)

    def of_patch(self, x: Float[Array, "channels points"]) -> Float[Array, "channels points"]:
        """Return the next functions of one patch."""
        heads, _, size = self.tokens.shape
        key, value, query = (m(x).reshape(heads, size, -1) for m in (self.key, self.value, self.query))
        scores = jnp.einsum("htd,hdp->htp", self.tokens, key)
        tokens = self.tokens + jnp.einsum("htp,hdp->htd", jax.nn.softmax(scores, axis=2), value)
        tokens = self.step(tokens)
        scores = jnp.einsum("hdp,htd->hpt", query, tokens)
        return x + jnp.einsum("hpt,htd->hdp", jax.nn.softmax(scores, axis=2), tokens).reshape(x.shape)

    def step(self, tokens: Float[Array, "heads tokens size"]) -> Float[Array, "heads tokens size"]:
        """Return T'."""
        heads, _, size = tokens.shape
        count = self.weights.shape[1] // 2
        frequencies = (math.pi / count) * jnp.arange(count, dtype=tokens.dtype)
        angles = frequencies[None, None, None] * tokens[..., None]
        basis = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=3)
        return tokens + jnp.einsum("htdi,hdi->htd", basis, self.weights.reshape(heads, size, -1))


class LSM(AbstractOperator):
    """Latent spectral model: a U-Net with a block of latent tokens (`NeuralSpectralBlock`) on every grid.

    The U-Net is that of `UNet`, with its normalisation and interpolation; what the way down leaves on a grid passes
    through the block before the way up takes it. Grids whose points are no multiple of patch times 2 to the depth are
    filled up with zeros behind each axis, which are cut off at the end. Stencils and patches have sizes in points.

    Args:
        in_channels: Input functions.
        out_channels: Output functions.
        num_dims: Axes of the grid.
        width: Functions on the finest grid; published: 32 to 64.
        depth: Number of coarser grids; published: 4.
        activation: Of the convolutions; published: ReLU.
        heads: Of attention; must divide `width`. Published: 8.
        tokens: Latent tokens of a patch.
        basis: B, the frequencies of the trigonometric map.
        patch: Points of a patch along every axis; published: 3 to 6.
        kernel: Points of a convolution along an axis.
        groups: Of normalisation; must divide `width`.
        projection: Hidden channels of the last perceptron; a single affine map if 0.
        positions: Whether the coordinates i/n of each axis are further inputs.
        periodic: Whether the grid is; else zeros are beyond its ends.
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.

    Raises:
        UnknownNameError: If there is no such activation.
        PdesolveError: If a size is out of range, or does not divide another.

    References:
        Wu, Hu, Luo, Wang, Long, Solving high-dimensional PDEs with latent spectral models, ICML (2023), and their
        program.
    """

    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    patch: int = eqx.field(static=True)
    positions: bool = eqx.field(static=True)
    periodic: bool = eqx.field(static=True)
    lifting: PointwiseAffine
    down: tuple[DoubleConvolution, ...]
    spectral: tuple[NeuralSpectralBlock, ...]
    """One for every grid, the finest first."""
    up: tuple[DoubleConvolution, ...]
    last: eqx.nn.Conv
    projection: PointwiseMLP

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_dims: int = 1,
        width: int = 32,
        depth: int = 4,
        activation: str = "gelu",
        heads: int = 4,
        tokens: int = 4,
        basis: int = 12,
        patch: int = 4,
        kernel: int = 3,
        groups: int = 4,
        projection: int = 128,
        positions: bool = True,
        periodic: bool = True,
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        check_sizes(1, in_channels=in_channels, out_channels=out_channels, num_dims=num_dims)
        check_sizes(1, width=width, depth=depth, kernel=kernel, groups=groups)
        check_sizes(1, heads=heads, tokens=tokens, basis=basis, patch=patch)
        check_sizes(0, projection=projection)
        for name, divisor in {"groups": groups, "heads": heads}.items():
            if width % divisor:
                raise PdesolveError(f"`{name}` must divide `width`; got {divisor} and {width}.")
        dtype = jax.dtypes.canonicalize_dtype(float if dtype is None else dtype)
        keys = iter(jax.random.split(key, 3 * depth + 5))
        sizes = {"num_dims": num_dims, "kernel": kernel, "periodic": periodic, "dtype": dtype}
        widths = [width * 2 ** min(level, depth - 1) for level in range(depth + 1)]
        inputs = in_channels + (num_dims if positions else 0)
        self.in_channels, self.out_channels, self.num_dims = in_channels, out_channels, num_dims
        self.patch, self.positions, self.periodic = patch, positions, periodic
        self.lifting = PointwiseAffine(inputs, width, key=next(keys), dtype=dtype)
        steps = [(width, width), *((widths[i], widths[i + 1]) for i in range(depth))]
        self.down = tuple(DoubleConvolution(a, b, groups, activation, key=next(keys), sizes=sizes) for a, b in steps)
        self.spectral = tuple(
            NeuralSpectralBlock(w, heads, tokens, basis, patch, key=next(keys), dtype=dtype) for w in widths
        )
        backward = [(widths[i + 1] + widths[i], widths[i]) for i in reversed(range(depth))]
        self.up = tuple(DoubleConvolution(a, b, groups, activation, key=next(keys), sizes=sizes) for a, b in backward)
        self.last = convolution(width, width, key=next(keys), **{**sizes, "kernel": 1})
        self.projection = PointwiseMLP(
            width, out_channels, projection, activation=activation, key=next(keys), dtype=dtype
        )

    def __call__(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output functions on the grid of the input."""
        check_sample(sample, self.in_channels, self.num_dims)
        grid, multiple = sample.shape[1:], self.patch * 2 ** len(self.up)
        v = jnp.concatenate([sample, grid_positions(grid, sample.dtype)]) if self.positions else sample
        v = jnp.pad(self.lifting(v), [(0, 0), *((0, -n % multiple) for n in grid)])
        v = self.down[0](v)
        scales = [v]
        for block in self.down[1:]:
            scales.append(block(_coarser(scales[-1])))
        scales = [spectral(v) for spectral, v in zip(self.spectral, scales, strict=True)]
        v = scales.pop()
        for block in self.up:
            v = block(jnp.concatenate([_finer(v, self.periodic), scales.pop()]))
        return self.projection(self.last(v)[(slice(None), *(slice(n) for n in grid))])
