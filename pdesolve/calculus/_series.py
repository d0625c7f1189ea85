r"""Taylor coefficients $f^{(k)}(x) / k!$, $k = 0, …, K$, of elementary functions, elementwise.

Most satisfy a differential equation whose Taylor coefficients give a recurrence, e.g. $y' = 1 - y^2$ for the hyperbolic
tangent: $(k + 1) y_{k+1} = -\sum_i y_i y_{k-i}$ for $k \ge 1$.

References:
    Griewank and Walther, Evaluating Derivatives, 2nd ed., SIAM (2008), table 13.2.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

__all__ = ["SERIES", "nested_series", "power_series"]


def _tanh(x: Any, order: int) -> list[Any]:
    y = lax.tanh(x)
    coefficients = [y, (1 - y) * (1 + y)]  # the factored form keeps its relative accuracy where tanh saturates
    for k in range(1, order):
        coefficients.append(_square_coefficient(coefficients, k) * (-1 / (k + 1)))
    return coefficients


def _tan(x: Any, order: int) -> list[Any]:
    y = lax.tan(x)
    coefficients = [y, 1 + y * y]
    for k in range(1, order):
        coefficients.append(_square_coefficient(coefficients, k) * (1 / (k + 1)))
    return coefficients


def _logistic(x: Any, order: int) -> list[Any]:
    y = lax.logistic(x)
    coefficients = [y, y * (1 - y)]
    for k in range(1, order):
        coefficients.append((coefficients[k] - _square_coefficient(coefficients, k)) * (1 / (k + 1)))
    return coefficients


def _exp(x: Any, order: int) -> list[Any]:
    y = lax.exp(x)
    return [y, *(y * (1 / math.factorial(k)) for k in range(1, order + 1))]


def _expm1(x: Any, order: int) -> list[Any]:
    return [lax.expm1(x), *_exp(x, order)[1:]]


def _exp2(x: Any, order: int) -> list[Any]:
    y = lax.exp2(x)
    return [y * (math.log(2) ** k / math.factorial(k)) for k in range(order + 1)]


def _cycle(signs: tuple[int, int, int, int], functions: tuple[Callable, Callable]) -> Callable[[Any, int], list[Any]]:
    def series(x: Any, order: int) -> list[Any]:
        values = [f(x) for f in functions]
        return [values[k % 2] * (signs[k % 4] / math.factorial(k)) for k in range(order + 1)]

    return series


def _log(x: Any, order: int) -> list[Any]:
    return [lax.log(x), *_log_tail(x, order)]


def _log1p(x: Any, order: int) -> list[Any]:
    return [lax.log1p(x), *_log_tail(1 + x, order)]


def _log_tail(x: Any, order: int) -> list[Any]:
    return [(-((-1 / x) ** k)) * (1 / k) for k in range(1, order + 1)]


def _erf(x: Any, order: int) -> list[Any]:
    # erf' = 2/sqrt(pi) g with g = exp(-x^2), g' = -2 x g, so (k + 1) g_{k+1} = -2 (x g_k + g_{k-1}).
    gaussian = [(2 / math.sqrt(math.pi)) * lax.exp(-x * x)]
    for k in range(order - 1):
        previous = gaussian[k - 1] if k else 0
        gaussian.append((x * gaussian[k] + previous) * (-2 / (k + 1)))
    return [lax.erf(x), *(g * (1 / (k + 1)) for k, g in enumerate(gaussian))]


def _erfc(x: Any, order: int) -> list[Any]:
    return [lax.erfc(x), *(-c for c in _erf(x, order)[1:])]


def _real_power(exponent: float, power: Callable[[Any], Any]) -> Callable[[Any, int], list[Any]]:
    def series(x: Any, order: int) -> list[Any]:
        coefficients = [power(x)]
        for k in range(order):
            coefficients.append(coefficients[k] / x * ((exponent - k) / (k + 1)))
        return coefficients

    return series


def power_series(x: Any, exponent: float, order: int) -> list[Any]:
    """Coefficients of $x^r$ for a constant $r$, without the powers whose coefficient is zero (they may be infinite)."""
    coefficients = []
    for k in range(order + 1):
        binomial = math.prod((exponent - i) / (i + 1) for i in range(k))
        if binomial == 0:
            break
        coefficients.append(binomial * _power(x, exponent - k))
    return coefficients


def _power(x: Any, exponent: float) -> Any:
    if exponent == int(exponent):
        return lax.integer_pow(x, int(exponent))
    return lax.pow(x, jnp.asarray(exponent, x.dtype))


def nested_series(function: Callable[[Any], Any], x: Any, order: int) -> list[Any]:
    """Coefficients of any elementwise function, by differentiating it `order` times in forward mode."""

    def extend(derivatives: Callable[[Any], tuple]) -> Callable[[Any], tuple]:
        def extended(x: Any) -> tuple:
            values, tangents = jax.jvp(derivatives, (x,), (jnp.ones_like(x),))
            return (*values, tangents[-1])

        return extended

    derivatives: Callable[[Any], tuple] = lambda x: (function(x),)  # noqa: E731
    for _ in range(order):
        derivatives = extend(derivatives)
    return [value * (1 / math.factorial(k)) if k > 1 else value for k, value in enumerate(derivatives(x))]


def _square_coefficient(y: list[Any], k: int) -> Any:
    """The coefficient $k$ of $y^2$, each unordered pair multiplied once."""
    crossed = [y[i] * y[k - i] for i in range((k + 1) // 2)]
    total = 2 * sum(crossed[1:], start=crossed[0]) if crossed else 0
    return total + y[k // 2] * y[k // 2] if k % 2 == 0 else total


SERIES: dict[str, Callable[[Any, int], list[Any]]] = {
    "cos": _cycle((1, -1, -1, 1), (lax.cos, lax.sin)),
    "cosh": _cycle((1, 1, 1, 1), (lax.cosh, lax.sinh)),
    "erf": _erf,
    "erfc": _erfc,
    "exp": _exp,
    "exp2": _exp2,
    "expm1": _expm1,
    "log": _log,
    "log1p": _log1p,
    "logistic": _logistic,
    "rsqrt": _real_power(-0.5, lax.rsqrt),
    "sin": _cycle((1, 1, -1, -1), (lax.sin, lax.cos)),
    "sinh": _cycle((1, 1, 1, 1), (lax.sinh, lax.cosh)),
    "sqrt": _real_power(0.5, lax.sqrt),
    "square": lambda x, order: power_series(x, 2, order),
    "tan": _tan,
    "tanh": _tanh,
}
"""From the name of an elementwise primitive to its coefficients up to an order of at least one."""
