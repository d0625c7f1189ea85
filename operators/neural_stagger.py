"""NeuralStagger: operators on interleaved coarse grids instead of one on the fine grid."""

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from pdesolve import registry
from pdesolve.errors import PdesolveError, UnknownNameError

from .operator import AbstractOperator, check_sample, check_sizes, per_axis

__all__ = ["NeuralStagger", "merge", "split"]


class NeuralStagger(AbstractOperator):
    r"""NeuralStagger: one small operator for each of the staggered coarse grids that make up a fine one.

    With factors s, the fine grid is made of $\prod_a s_a$ coarse ones with every s-th point,

    $$u^{(a)}(i) = u(s\,i + a), \qquad a \in \{0 \ldots s-1\}^d.$$

    Each is advanced by an operator that sees no other, and the outputs are interleaved again. In time, one operator
    for each of the `times` following frames finds it directly from the input. None waits for another: arrays of
    `operators` have leading axes `(times, parts)`, or `(times,)` where weights are shared, the ones to spread over
    devices.

    A coarse grid holds less than the fine one. Of functions with frequencies beyond its own it sees aliases, and the
    error this leaves no training removes; it grows with s. Shifts of a periodic grid commute with it where they do
    with the operators: by multiples of s, and by any number of points where weights are shared. Operators with
    coordinates among their inputs see the i/n of a coarse grid as if it began at 0.

    Training needs no data: the equation's residual on the interleaved output couples all operators.

    Args:
        in_channels: Input functions.
        out_channels: Output functions; frame after frame, a multiple of `times`.
        num_dims: Axes of the grid.
        operator: Registered name (`pdesolve list operators`), or a constructor with the same arguments.
        factor: s: one number for all axes, or one for each; the points along an axis must be a multiple.
        times: Frames that are found at once.
        shared: Whether all coarse grids have the same weights.
        width: Of an operator.
        depth: Of an operator.
        activation: Of an operator.
        key: Random key of the parameters.
        dtype: Type of the parameters; JAX's default floating-point type where None.
        **options: Further arguments of the operator.

    Raises:
        UnknownNameError: If there is no such operator, or it has no such option.
        PdesolveError: If a size is out of range, or does not divide another.

    References:
        Huang et al., NeuralStagger, ICML (2023), arXiv 2302.10255.
    """

    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    factors: tuple[int, ...] = eqx.field(static=True)
    shared: bool = eqx.field(static=True)
    operators: AbstractOperator
    """All operators, stacked."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_dims: int = 1,
        operator: str | Callable[..., AbstractOperator] = "fno",
        factor: int | Sequence[int] = 2,
        times: int = 1,
        shared: bool = False,
        width: int = 64,
        depth: int = 4,
        activation: str = "gelu",
        key: PRNGKeyArray,
        dtype: Any = None,
        **options: Any,
    ):
        factors = per_axis("factor", factor, num_dims)
        check_sizes(1, in_channels=in_channels, out_channels=out_channels, num_dims=num_dims)
        check_sizes(1, factor=min(factors), times=times)
        if out_channels % times:
            raise PdesolveError(f"`times` must divide `out_channels`; got {times} and {out_channels}.")
        constructor = registry.load("operators", operator) if isinstance(operator, str) else operator
        _check_options(constructor, operator, options)

        def build(key: PRNGKeyArray) -> AbstractOperator:
            sizes = {"num_dims": num_dims, "width": width, "depth": depth, "activation": activation}
            return constructor(in_channels, out_channels // times, **sizes, **options, key=key, dtype=dtype)

        self.in_channels, self.out_channels, self.num_dims = in_channels, out_channels, num_dims
        self.factors, self.shared = factors, shared
        if shared:
            self.operators = eqx.filter_vmap(build)(jax.random.split(key, times))
        else:
            keys = jax.random.split(key, (times, math.prod(factors)))
            self.operators = eqx.filter_vmap(eqx.filter_vmap(build))(keys)

    def __call__(self, sample: Float[Array, "in *grid"]) -> Float[Array, " out *grid"]:
        """Return the output functions on the grid of the input."""
        check_sample(sample, self.in_channels, self.num_dims)
        parts = split(sample, self.factors)

        def frame(operators: AbstractOperator) -> Array:
            axes = (None if self.shared else eqx.if_array(0), 0)
            return merge(eqx.filter_vmap(_apply, in_axes=axes)(operators, parts), self.factors)

        return eqx.filter_vmap(frame)(self.operators).reshape(self.out_channels, *sample.shape[1:])

    def on_part(self, sample: Float[Array, "in *grid"], part: int | Sequence[int] = 0) -> Float[Array, " out *coarse"]:
        """Return the output functions on one of the coarse grids, at the cost of its operators alone.

        Args:
            sample: On the fine grid.
            part: a: the first point along every axis; one number for all, or one for each.

        Raises:
            PdesolveError: If there is no such coarse grid.
        """
        check_sample(sample, self.in_channels, self.num_dims)
        _check_multiples(sample.shape[1:], self.factors)
        part = per_axis("part", part, self.num_dims)
        if not all(0 <= a < s for a, s in zip(part, self.factors, strict=True)):
            raise PdesolveError(f"`part` must be at least 0 and less than {self.factors}; got {part}.")
        coarse = sample[(slice(None), *(slice(a, None, s) for a, s in zip(part, self.factors, strict=True)))]
        operators = self.operators
        if not self.shared:
            index = int(np.ravel_multi_index(part, self.factors))
            operators = jax.tree.map(lambda leaf: leaf[:, index] if eqx.is_array(leaf) else leaf, operators)
        outputs = eqx.filter_vmap(_apply, in_axes=(eqx.if_array(0), None))(operators, coarse)
        return outputs.reshape(self.out_channels, *coarse.shape[1:])


def split(v: Float[Array, " channels *grid"], factors: Sequence[int]) -> Float[Array, "parts channels *coarse"]:
    """Return the staggered coarse grids: those beginning at (0, ..., 0), (0, ..., 1), and so on.

    Raises:
        PdesolveError: If the points along an axis are no multiple of its factor.
    """
    grid, dims = v.shape[1:], v.ndim - 1
    _check_multiples(grid, factors)
    coarse = [n // s for n, s in zip(grid, factors, strict=True)]
    v = v.reshape(v.shape[0], *(size for pair in zip(coarse, factors, strict=True) for size in pair))
    starts, points = range(2, 2 * dims + 1, 2), range(1, 2 * dims, 2)
    return v.transpose(*starts, 0, *points).reshape(-1, v.shape[0], *coarse)


def merge(parts: Float[Array, "parts channels *coarse"], factors: Sequence[int]) -> Float[Array, " channels *grid"]:
    """Return the fine grid of which `split` makes these coarse ones."""
    dims, (channels, *coarse) = len(factors), parts.shape[1:]
    v = parts.reshape(*factors, channels, *coarse)
    v = v.transpose(dims, *(axis for i in range(dims) for axis in (dims + 1 + i, i)))
    return v.reshape(channels, *(n * s for n, s in zip(coarse, factors, strict=True)))


def _apply(operator: AbstractOperator, sample: Array) -> Array:
    return operator(sample)


def _check_multiples(grid: tuple[int, ...], factors: Sequence[int]) -> None:
    if len(grid) != len(factors) or any(n % s for n, s in zip(grid, factors, strict=True)):
        raise PdesolveError(f"staggered grids need points that are multiples of {tuple(factors)}; got {grid}.")


def _check_options(constructor: Callable[..., AbstractOperator], operator: Any, options: dict[str, Any]) -> None:
    parameters = inspect.signature(constructor).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    own = {"in_channels", "out_channels", "num_dims", "width", "depth", "activation", "key", "dtype"}
    accepted = {parameter.name for parameter in parameters} - own
    for option in options:
        if option not in accepted:
            name = operator if isinstance(operator, str) else getattr(operator, "__name__", "given")
            known = accepted | {"operator", "factor", "times", "shared"}
            raise UnknownNameError(f"option of staggered operator {name!r}", option, known)
