r"""Truncated Taylor polynomials of several variables, as an algebra with named coefficients.

A quantity $f$ near a point $x$ is carried as $f(x + s) = \sum_\alpha f_\alpha s^\alpha$ with
$f_\alpha = D^\alpha f(x) / \alpha!$, for the multi-indices $\alpha$ of a lower set (with $\alpha$, every
$\beta \le \alpha$), so that products never need a coefficient that is not carried. One further basis element,
`Laplacian(axes)`, carries the sum $f_\lambda = \sum_{i \in axes} f_{2 e_i} = \tfrac12 \Delta f$ in place of its
summands (the "forward Laplacian").

References:
    Griewank and Walther, Evaluating Derivatives, 2nd ed., SIAM (2008), chapter 13.
    Li, Ye, Jiang et al., Nature Machine Intelligence 6 (2024) 209-219, for the Laplacian.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..errors import PdesolveError

__all__ = ["Algebra", "Jet", "Key", "Laplacian", "MultiIndex", "compose", "multiply", "square"]

MultiIndex = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Laplacian:
    """The sum of the second derivatives along `axes`, as the name of one coefficient."""

    axes: tuple[int, ...]

    # Results are dictionaries that JAX sorts by key: Laplacians stand after all multi-indices.
    def __lt__(self, other: object) -> bool:
        return isinstance(other, Laplacian) and self.axes < other.axes

    def __gt__(self, other: object) -> bool:
        return isinstance(other, tuple) or (isinstance(other, Laplacian) and self.axes > other.axes)


Key = MultiIndex | Laplacian


@dataclasses.dataclass(frozen=True, eq=False)
class Jet:
    """The Taylor coefficients of a value that varies with the point; a coefficient that is absent is zero.

    Args:
        streams: From key to coefficient, each of the shape of the value itself, which stands under the zero key.
        zero: The zero key.
    """

    streams: dict[Key, Any]
    zero: MultiIndex

    @property
    def primal(self) -> Any:
        """The value itself."""
        return self.streams[self.zero]

    def map(self, linear: Callable[[Any], Any]) -> "Jet":
        """Apply a linear function to every coefficient."""
        return Jet({key: linear(stream) for key, stream in self.streams.items()}, self.zero)


class Algebra:
    """The coefficients that are carried and how they multiply.

    Args:
        keys: The coefficients asked for.
        num_axes: Number of variables $d$.

    Raises:
        PdesolveError: If a key is neither a multi-index of length $d$ nor a `Laplacian` of axes below $d$.
    """

    keys: tuple[Key, ...]
    num_axes: int
    order: int
    """The highest total order carried: products of more than this many increments vanish."""

    def __init__(self, keys: Iterable[Key], num_axes: int):
        keys = tuple(dict.fromkeys(keys))
        for key in keys:
            _check_key(key, num_axes)
        laplacians = tuple(key for key in keys if isinstance(key, Laplacian))
        indices = set().union(*map(_lower_set, itertools.chain([(0,) * num_axes], _multi_indices(keys, num_axes))))
        self.keys = (*sorted(indices, key=lambda index: (sum(index), index)), *laplacians)
        self.num_axes = num_axes
        self.order = max(map(_total_order, self.keys))
        self._factors = {key: tuple(self._split(key)) for key in self.keys}

    @property
    def zero(self) -> MultiIndex:
        """The key of the value itself."""
        return (0,) * self.num_axes

    def factors(self, key: Key) -> tuple[tuple[Key, Key], ...]:
        """The ordered pairs of keys whose product contributes to `key`, each with coefficient one."""
        return self._factors[key]

    def factorial(self, key: Key) -> int:
        r"""The number $\alpha!$ that turns a Taylor coefficient into a derivative (2 for a Laplacian)."""
        return 2 if isinstance(key, Laplacian) else math.prod(map(math.factorial, key))

    def _split(self, key: Key) -> Iterable[tuple[Key, Key]]:
        if not isinstance(key, Laplacian):
            for part in _lower_set(key):
                yield part, tuple(a - b for a, b in zip(key, part, strict=True))
            return
        yield self.zero, key
        yield key, self.zero
        for axis in key.axes:
            yield unit(axis, self.num_axes), unit(axis, self.num_axes)


def unit(axis: int, num_axes: int) -> MultiIndex:
    """Return the multi-index of the first derivative along `axis`."""
    return tuple(int(i == axis) for i in range(num_axes))


def multiply(a: Jet, b: Jet, algebra: Algebra, product: Callable[[Any, Any], Any]) -> Jet:
    r"""Leibniz' rule: $(ab)_\alpha = \sum_{\beta + \gamma = \alpha} a_\beta b_\gamma$ for a bilinear `product`."""
    streams = {}
    for key in algebra.keys:
        pairs = [p for p in algebra.factors(key) if p[0] in a.streams and p[1] in b.streams]
        if pairs:
            streams[key] = _sum(product(a.streams[left], b.streams[right]) for left, right in pairs)
    return Jet(streams, algebra.zero)


def square(a: Jet, algebra: Algebra) -> Jet:
    """The product of a jet with itself, each unordered pair of coefficients multiplied once."""
    return Jet(_square(a.streams, algebra), algebra.zero)


def compose(series: list[Any], inner: Jet, algebra: Algebra) -> Jet:
    r"""The chain rule: $f(u) = \sum_k \frac{f^{(k)}(u_0)}{k!} (u - u_0)^k$.

    Args:
        series: $f^{(k)}(u_0) / k!$ for $k = 0, 1, …$; entries beyond the last are zero.
        inner: The coefficients of $u$.
        algebra: The coefficients that are carried.
    """
    increment = {key: stream for key, stream in inner.streams.items() if key != algebra.zero}
    streams: dict[Key, Any] = {algebra.zero: series[0]}
    power = increment
    for order, derivative in enumerate(series[1:], start=1):
        if order == 2:
            power = _square(increment, algebra)
        elif order > 2:
            power = multiply(Jet(power, algebra.zero), Jet(increment, algebra.zero), algebra, _times).streams
        for key, stream in power.items():
            term = derivative * stream
            streams[key] = streams[key] + term if key in streams else term
    return Jet(streams, algebra.zero)


def _square(streams: Mapping[Key, Any], algebra: Algebra) -> dict[Key, Any]:
    position = {key: i for i, key in enumerate(algebra.keys)}
    result = {}
    for key in algebra.keys:
        pairs = [p for p in algebra.factors(key) if p[0] in streams and p[1] in streams]
        crossed = [streams[a] * streams[b] for a, b in pairs if position[a] < position[b]]
        equal = [streams[a] * streams[a] for a, b in pairs if a == b]
        terms = ([2 * _sum(crossed)] if crossed else []) + equal
        if terms:
            result[key] = _sum(terms)
    return result


def _times(a: Any, b: Any) -> Any:
    return a * b


def _sum(terms: Iterable[Any]) -> Any:
    first, *rest = terms
    return sum(rest, start=first)


def _lower_set(index: MultiIndex) -> Iterable[MultiIndex]:
    return itertools.product(*(range(order + 1) for order in index))


def _multi_indices(keys: Iterable[Key], num_axes: int) -> Iterable[MultiIndex]:
    for key in keys:
        yield from (unit(axis, num_axes) for axis in key.axes) if isinstance(key, Laplacian) else [key]


def _total_order(key: Key) -> int:
    return 2 if isinstance(key, Laplacian) else sum(key)


def _check_key(key: Key, num_axes: int) -> None:
    if isinstance(key, Laplacian):
        valid = bool(key.axes) and all(0 <= axis < num_axes for axis in key.axes)
    else:
        valid = isinstance(key, tuple) and len(key) == num_axes and all(isinstance(n, int) and n >= 0 for n in key)
    if not valid:
        raise PdesolveError(
            f"a derivative of a function of {num_axes} variables is named by a tuple of {num_axes} orders, "
            f"e.g. {(2, *(0,) * (num_axes - 1))} for the second along the first, or by Laplacian(axes); got {key!r}."
        )
