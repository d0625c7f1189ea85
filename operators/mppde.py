"""MPPDE: messages between neighbouring points, and a bundle of time steps from one evaluation."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pdesolve.errors import PdesolveError
from pdesolve.nets import make_activation

from .graph import Graph
from .operator import AbstractOperator, check_sample, check_sizes, grid_positions
from .pointwise import PointwiseAffine

__all__ = ["MPPDE"]


class Neighbourhood(NamedTuple):
    """The k neighbours of every point; a grid has the same pattern everywhere, and axes of length 1 where it can."""

    gather: Callable[[Float[Array, " width *grid"]], Float[Array, " width k *grid"]]
    """Values of the neighbours."""
    relative: Float[Array, " dims k *_"]
    """A point minus its neighbour."""
    weights: Float[Array, " k *_"]
    """Of a mean over neighbours: 1 over their number, 0 for those missing."""


class TwoLayers(eqx.Module):
    """f(W2 f(W1 v + b1) + b2) at every point."""

    layers: tuple[PointwiseAffine, PointwiseAffine]
    activations: tuple[eqx.Module, eqx.Module]

    def __init__(self, inputs, width, activation, *, key, dtype):
        first, second = jax.random.split(key)
        self.layers = (
            PointwiseAffine(inputs, width, key=first, dtype=dtype),
            PointwiseAffine(width, width, key=second, dtype=dtype),
        )
        self.activations = (make_activation(activation, dtype), make_activation(activation, dtype))

    def __call__(self, v: Float[Array, "in *grid"]) -> Float[Array, " width *grid"]:
        """Return the value."""
        return self.after_first(self.layers[0](v))

    def after_first(self, v: Float[Array, " width *grid"]) -> Float[Array, " width *grid"]:
        """Return the value, given W1 v + b1."""
        first, second = self.activations
        return second(self.layers[1](first(v)))  # type: ignore[operator]


class MessageBlock(eqx.Module):
    r"""Messages from neighbours, their mean, an update, and normalisation.

    $$m_{ij} = \phi(f_i, f_j, u_i - u_j, x_i - x_j, \theta_i), \qquad
    f_i \leftarrow N\big(f_i + \psi(f_i, \mathrm{mean}_j\, m_{ij}, \theta_i)\big)$$

    with N of mean 0 and variance 1 over all points, for every feature.
    """

    message: TwoLayers
    update: TwoLayers

    def __init__(self, width, states, num_dims, parameters, activation, *, key, dtype):
        first, second = jax.random.split(key)
        inputs = 2 * width + states + num_dims + parameters
        self.message = TwoLayers(inputs, width, activation, key=first, dtype=dtype)
        self.update = TwoLayers(2 * width + parameters, width, activation, key=second, dtype=dtype)

    def __call__(
        self,
        f: Float[Array, " width *grid"],
        u: Float[Array, " states *grid"],
        theta: Float[Array, " parameters *grid"],
        neighbourhood: Neighbourhood,
    ) -> Float[Array, " width *grid"]:
        """Return the next features."""
        messages = self.message.after_first(self._first(f, u, theta, neighbourhood))
        mean = jnp.sum(messages * neighbourhood.weights[None], axis=1)
        return _normalise(f + self.update(jnp.concatenate([f, mean, theta])))

    def _first(self, f, u, theta, neighbourhood):
        """Return the first affine map of a message, `(width, k, *grid)`.

        Its matrix is taken apart, so that all large products are formed once at a point, not once for each of its
        neighbours.
        """
        first, relative = self.message.layers[0], neighbourhood.relative
        ends = np.cumsum([len(f), len(f), len(u), len(relative)])
        own, other, change, place, parameter = jnp.split(first.weight, ends, axis=1)
        here = jnp.tensordot(jnp.concatenate([own, change, parameter], 1), jnp.concatenate([f, u, theta]), 1)
        here = here + first.bias.reshape(-1, *[1] * (f.ndim - 1))
        there = jnp.tensordot(jnp.concatenate([other, -change], 1), jnp.concatenate([f, u]), 1)
        return here[:, None] + neighbourhood.gather(there) + jnp.tensordot(place, relative, 1)


class BundleDecoder(eqx.Module):
    """Two convolutions along the features of a point, after which there are as many as frames.

    The first has 8 channels, an eighth of the features for a kernel, and stride 3 where that leaves enough of them; the
    second has the kernel that leaves as many as frames. For 128 features and 25 frames: kernels 16 and 14, stride 3.
    """

    first: eqx.nn.Conv1d
    second: eqx.nn.Conv1d
    activation: eqx.Module

    def __init__(self, width, frames, fields, activation, *, key, dtype):
        first, second = jax.random.split(key)
        kernel = min(max(1, width // 8), width - frames + 1)
        # A stride above the kernel would leave features unseen.
        stride = next(s for s in (3, 2, 1) if s <= kernel and (width - kernel) // s + 1 >= frames)
        left = (width - kernel) // stride + 1
        self.first = eqx.nn.Conv1d(1, 8, kernel, stride, key=first, dtype=dtype)
        self.second = eqx.nn.Conv1d(8, fields, left - frames + 1, key=second, dtype=dtype)
        self.activation = make_activation(activation, dtype)

    def __call__(self, f: Float[Array, " width *grid"]) -> Float[Array, "frames fields *grid"]:
        """Return a value for every frame and field."""

        def decode(features: Float[Array, " width"]) -> Float[Array, "fields frames"]:
            return self.second(self.activation(self.first(features[None])))  # type: ignore[operator]

        d = jax.vmap(decode, 1, 2)(f.reshape(len(f), -1))
        return jnp.swapaxes(d, 0, 1).reshape(d.shape[1], d.shape[0], *f.shape[1:])


class MPPDE(AbstractOperator):
    r"""Message passing neural PDE solver: an encoder, blocks of messages between neighbours, a decoder.

    Features of a point are $f_i = e(u_i, \theta_i, x_i)$, then `MessageBlock`s act on them, with messages from all
    points of the grid no farther than `reach` spacings (on n = 1, 2, 3 axes: 6, 28, 122 of them for 3; 2, 4, 6 for
    1). From the last features a `BundleDecoder` makes rates $d_l$ of a bundle of K frames, which follow the last one
    given:

    $$u^{k+l} = u^k + l\,\Delta t\; d_l, \qquad l = 1 \ldots K.$$

    Input channels are frames, the oldest first, each with all its fields, then parameters $\theta$: constants of the
    equation, or the time, as constant functions, if need be. Output channels are the K frames. `rollout` feeds them
    back, `pushforward` does so in training. Without frames the decoder's value is the output, for maps that are no
    step in time.

    Points know their neighbours by differences only. Without `positions` it commutes with translations of a periodic
    grid. `at` takes scattered points, in any order. Neighbours are counted in points, not by distance: a trained
    network belongs to one spacing.

    With `frames = 25` and all else as it is by default this is the published network, but for `periodic`.

    Args:
        in_channels: Input functions: frames times fields, and parameters.
        out_channels: Output functions: frames times fields.
        num_dims: Axes of the grid, or coordinates of a point.
        frames: K; None for a map that is no step in time.
        step: Time between two frames.
        parameters: How many of the input functions, the last ones, are parameters.
        width: Features of a point; at least K.
        depth: Number of blocks.
        activation: After every layer.
        reach: Radius of a grid's neighbourhoods, in spacings.
        positions: Whether the coordinates i/n of each axis are further inputs of the encoder.
        periodic: Whether the grid is, so that messages go around its ends. In the published program they do not.
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.

    Raises:
        UnknownNameError: If there is no such activation.
        PdesolveError: If a size is out of range, or numbers of channels are no multiples of fields or frames.

    References:
        Brandstetter, Worrall, Welling, Message passing neural PDE solvers, ICLR (2022), and their program, which takes
        means of messages where the paper has sums.
    """

    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    frames: int | None = eqx.field(static=True)
    step: float = eqx.field(static=True)
    parameters: int = eqx.field(static=True)
    reach: int = eqx.field(static=True)
    positions: bool = eqx.field(static=True)
    periodic: bool = eqx.field(static=True)
    encoder: TwoLayers
    blocks: tuple[MessageBlock, ...]
    decoder: BundleDecoder

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_dims: int = 1,
        frames: int | None = None,
        step: float = 1.0,
        parameters: int = 0,
        width: int = 128,
        depth: int = 6,
        activation: str = "swish",
        reach: int = 3,
        positions: bool = True,
        periodic: bool = True,
        key: PRNGKeyArray,
        dtype: Any = None,
    ):
        count = 1 if frames is None else frames
        check_sizes(1, in_channels=in_channels, out_channels=out_channels, num_dims=num_dims)
        check_sizes(1, frames=count, depth=depth, reach=reach)
        check_sizes(count, width=width)
        check_sizes(0, parameters=parameters)
        states = in_channels - parameters
        if states < 1:
            raise PdesolveError(f"{in_channels} input functions are no more than {parameters} parameters.")
        if out_channels % count or (frames is not None and states % (out_channels // count)):
            raise PdesolveError(
                f"frames have the same fields, given and returned: {states} input functions without parameters and "
                f"{out_channels} output functions do not make whole frames, of which {count} are returned."
            )
        dtype = jax.dtypes.canonicalize_dtype(float if dtype is None else dtype)
        keys = jax.random.split(key, depth + 2)
        common = {"activation": activation, "dtype": dtype}
        self.in_channels, self.out_channels, self.num_dims = in_channels, out_channels, num_dims
        self.frames, self.step, self.parameters = frames, float(step), parameters
        self.reach, self.positions, self.periodic = reach, positions, periodic
        self.encoder = TwoLayers(in_channels + (num_dims if positions else 0), width, key=keys[0], **common)
        self.blocks = tuple(MessageBlock(width, states, num_dims, parameters, key=k, **common) for k in keys[2:])
        self.decoder = BundleDecoder(width, count, out_channels // count, key=keys[1], **common)

    def __call__(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output functions on the grid of the input."""
        check_sample(sample, self.in_channels, self.num_dims)
        grid, dtype = sample.shape[1:], sample.dtype
        offsets = _ball(self.num_dims, self.reach)
        axes = tuple(range(1, sample.ndim))

        def gather(v: Array) -> Array:
            # Rolls, not an index: their gradients are rolls again, where an index would scatter.
            return jnp.stack([jnp.roll(v, tuple(-offset), axes) for offset in offsets], axis=1)

        shape = (len(offsets), *[1] * self.num_dims)
        present = np.ones(shape) if self.periodic else _inside(grid, offsets)
        relative = (-offsets / np.array(grid)[None]).T.reshape(self.num_dims, *shape)
        neighbourhood = Neighbourhood(gather, jnp.asarray(relative, dtype), _mean_weights(jnp.asarray(present, dtype)))
        return self._apply(sample, grid_positions(grid, dtype), neighbourhood)

    def at(self, values: Float[Array, "in n"], graph: Graph) -> Float[Array, " out n"]:
        """Return the output functions at scattered points, with messages along the edges of a graph.

        Args:
            values: Input functions at the points.
            graph: Points and their neighbours, of which `reach` and `periodic` say nothing here.

        Raises:
            PdesolveError: If shapes do not fit.
        """
        if (
            values.ndim != 2
            or values.shape[0] != self.in_channels
            or graph.points.shape != (values.shape[1], self.num_dims)
        ):
            raise PdesolveError(
                f"expected values ({self.in_channels}, n) and a graph of points (n, {self.num_dims}); "
                f"got {values.shape} and {graph.points.shape}."
            )
        dtype, lists = values.dtype, graph.neighbours.T
        relative, weights = graph.relative.T.astype(dtype), _mean_weights(graph.mask.T.astype(dtype))
        neighbourhood = Neighbourhood(lambda v: v[:, lists], relative, weights)
        return self._apply(values, graph.points.T.astype(dtype), neighbourhood)

    def _apply(
        self, values: Float[Array, "in *grid"], places: Float[Array, " dims *grid"], neighbourhood: Neighbourhood
    ) -> Float[Array, " out *grid"]:
        states = self.in_channels - self.parameters
        u, theta = values[:states], values[states:]
        f = self.encoder(jnp.concatenate([values, places]) if self.positions else values)
        for block in self.blocks:
            f = block(f, u, theta, neighbourhood)
        d = self.decoder(f)
        if self.frames is None:
            return d[0]
        times = self.step * jnp.arange(1, self.frames + 1, dtype=values.dtype)
        latest = u[states - d.shape[1] :]
        return (latest[None] + times.reshape(-1, *[1] * values.ndim) * d).reshape(self.out_channels, *values.shape[1:])


def _ball(num_dims: int, reach: int) -> np.ndarray:
    """Return the offsets `(k, dims)` of all points no farther than `reach` spacings but of the centre."""
    offsets = np.indices((2 * reach + 1,) * num_dims).reshape(num_dims, -1).T - reach
    squares = np.sum(offsets**2, axis=1)
    return offsets[(squares > 0) & (squares <= reach**2)]


def _inside(grid: tuple[int, ...], offsets: np.ndarray) -> np.ndarray:
    """Return `(k, *grid)`: whether there is a neighbour at an offset."""
    ones = [1] * len(grid)
    places = np.indices(grid)[:, None] + offsets.T.reshape(len(grid), -1, *ones)
    return np.all((places >= 0) & (places < np.reshape(grid, (-1, 1, *ones))), axis=0)


def _mean_weights(present: Float[Array, " k *_"]) -> Float[Array, " k *_"]:
    return present / jnp.maximum(jnp.sum(present, axis=0, keepdims=True), 1.0)


def _normalise(f: Float[Array, " width *grid"]) -> Float[Array, " width *grid"]:
    axes = tuple(range(1, f.ndim))
    f = f - jnp.mean(f, axes, keepdims=True)
    return f / jnp.sqrt(jnp.mean(f**2, axes, keepdims=True) + 1e-5)
