"""Test problems of Hock and Schittkowski (Lecture Notes in Economics and Mathematical Systems 187, 1981).

Functions, constraints (c = 0, h <= 0), starting points and values of the solution as published there. Some bounds that
are nowhere near active are left out.
"""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp

__all__ = ["PROBLEMS", "Problem"]


@dataclasses.dataclass(frozen=True)
class Problem:
    """min f(x) subject to c(x) = 0 and h(x) <= 0."""

    x0: tuple[float, ...]
    optimum: float
    """Published value of f at the solution."""
    f: Callable
    c: Callable | None = None
    h: Callable | None = None


def stacked(function):
    """Let a function of the components return an array."""
    return lambda x: jnp.stack([jnp.asarray(value, x.dtype) for value in function(*x)])


def scalar(function):
    """Let a function of the components take an array."""
    return lambda x: function(*x)


ROOT2, ROOT3, ROOT7 = 2**0.5, 3**0.5, 7**0.5


def hs100(a, b, c, d, e, f, g):
    return (
        (a - 10) ** 2 + 5 * (b - 12) ** 2 + c**4 + 3 * (d - 11) ** 2 + 10 * e**6 + 7 * f**2 + g**4
        - 4 * f * g - 10 * f - 8 * g
    )  # fmt: skip


def hs113(x):
    a, b, c, d, e, f, g, h, i, j = x
    return (
        a**2 + b**2 + a * b - 14 * a - 16 * b + (c - 10) ** 2 + 4 * (d - 5) ** 2 + (e - 3) ** 2 + 2 * (f - 1) ** 2
        + 5 * g**2 + 7 * (h - 11) ** 2 + 2 * (i - 10) ** 2 + (j - 7) ** 2 + 45
    )  # fmt: skip


def hs113_h(x):
    a, b, c, d, e, f, g, h, i, j = x
    return jnp.stack(
        [
            4 * a + 5 * b - 3 * g + 9 * h - 105,
            10 * a - 8 * b - 17 * g + 2 * h,
            -8 * a + 2 * b + 5 * i - 2 * j - 12,
            3 * (a - 2) ** 2 + 4 * (b - 3) ** 2 + 2 * c**2 - 7 * d - 120,
            5 * a**2 + 8 * b + (c - 6) ** 2 - 2 * d - 40,
            0.5 * (a - 8) ** 2 + 2 * (b - 4) ** 2 + 3 * e**2 - f - 30,
            a**2 + 2 * (b - 2) ** 2 - 2 * a * b + 14 * e - 6 * f,
            -3 * a + 6 * b + 12 * (i - 8) ** 2 - 7 * j,
        ]
    )


PROBLEMS = {
    "hs6": Problem((-1.2, 1), 0, scalar(lambda a, b: (1 - a) ** 2), stacked(lambda a, b: [10 * (b - a**2)])),
    "hs7": Problem(
        (2, 2), -ROOT3, scalar(lambda a, b: jnp.log(1 + a**2) - b), stacked(lambda a, b: [(1 + a**2) ** 2 + b**2 - 4])
    ),
    "hs9": Problem(
        (0, 0),
        -0.5,
        scalar(lambda a, b: jnp.sin(jnp.pi * a / 12) * jnp.cos(jnp.pi * b / 16)),
        stacked(lambda a, b: [4 * a - 3 * b]),
    ),
    "hs10": Problem(
        (-10, 10), -1, scalar(lambda a, b: a - b), h=stacked(lambda a, b: [3 * a**2 - 2 * a * b + b**2 - 1])
    ),
    "hs11": Problem(
        (4.9, 0.1),
        -8.498464223,
        scalar(lambda a, b: (a - 5) ** 2 + b**2 - 25),
        h=stacked(lambda a, b: [a**2 - b]),
    ),
    "hs12": Problem(
        (0, 0),
        -30,
        scalar(lambda a, b: 0.5 * a**2 + b**2 - a * b - 7 * a - 7 * b),
        h=stacked(lambda a, b: [4 * a**2 + b**2 - 25]),
    ),
    "hs14": Problem(
        (2, 2),
        9 - 2.875 * ROOT7,
        scalar(lambda a, b: (a - 2) ** 2 + (b - 1) ** 2),
        stacked(lambda a, b: [a - 2 * b + 1]),
        stacked(lambda a, b: [0.25 * a**2 + b**2 - 1]),
    ),
    "hs21": Problem(
        (-1, -1),
        -99.96,
        scalar(lambda a, b: 0.01 * a**2 + b**2 - 100),
        h=stacked(lambda a, b: [10 - 10 * a + b, 2 - a, a - 50, -50 - b, b - 50]),
    ),
    "hs22": Problem(
        (2, 2),
        1,
        scalar(lambda a, b: (a - 2) ** 2 + (b - 1) ** 2),
        h=stacked(lambda a, b: [a + b - 2, a**2 - b]),
    ),
    "hs27": Problem(
        (2, 2, 2),
        0.04,
        scalar(lambda a, b, c: 0.01 * (a - 1) ** 2 + (b - a**2) ** 2),
        stacked(lambda a, b, c: [a + c**2 + 1]),
    ),
    "hs28": Problem(
        (-4, 1, 1),
        0,
        scalar(lambda a, b, c: (a + b) ** 2 + (b + c) ** 2),
        stacked(lambda a, b, c: [a + 2 * b + 3 * c - 1]),
    ),
    "hs29": Problem(
        (1, 1, 1),
        -16 * ROOT2,
        scalar(lambda a, b, c: -a * b * c),
        h=stacked(lambda a, b, c: [a**2 + 2 * b**2 + 4 * c**2 - 48]),
    ),
    "hs31": Problem(
        (1, 1, 1),
        6,
        scalar(lambda a, b, c: 9 * a**2 + b**2 + 9 * c**2),
        h=stacked(lambda a, b, c: [1 - a * b, 1 - b, b - 10, c - 1]),
    ),
    "hs32": Problem(
        (0.1, 0.7, 0.2),
        1,
        scalar(lambda a, b, c: (a + 3 * b + c) ** 2 + 4 * (a - b) ** 2),
        stacked(lambda a, b, c: [1 - a - b - c]),
        stacked(lambda a, b, c: [a**3 + 3 - 6 * b - 4 * c, -a, -b, -c]),
    ),
    "hs34": Problem(
        (0, 1.05, 2.9),
        -0.83403244524796,
        scalar(lambda a, b, c: -a),
        h=stacked(lambda a, b, c: [jnp.exp(a) - b, jnp.exp(b) - c, -a, -b, -c, a - 100, b - 100, c - 10]),
    ),
    "hs35": Problem(
        (0.5, 0.5, 0.5),
        1 / 9,
        scalar(lambda a, b, c: 9 - 8 * a - 6 * b - 4 * c + 2 * a**2 + 2 * b**2 + c**2 + 2 * a * b + 2 * a * c),
        h=stacked(lambda a, b, c: [a + b + 2 * c - 3, -a, -b, -c]),
    ),
    "hs36": Problem(
        (10, 10, 10),
        -3300,
        scalar(lambda a, b, c: -a * b * c),
        h=stacked(lambda a, b, c: [a + 2 * b + 2 * c - 72, a - 20, b - 11, c - 42, -a, -b, -c]),
    ),
    "hs37": Problem(
        (10, 10, 10),
        -3456,
        scalar(lambda a, b, c: -a * b * c),
        h=stacked(lambda a, b, c: [a + 2 * b + 2 * c - 72, -a - 2 * b - 2 * c, a - 42, b - 42, c - 42, -a, -b, -c]),
    ),
    "hs39": Problem(
        (2, 2, 2, 2),
        -1,
        scalar(lambda a, b, c, d: -a),
        stacked(lambda a, b, c, d: [b - a**3 - c**2, a**2 - b - d**2]),
    ),
    "hs40": Problem(
        (0.8, 0.8, 0.8, 0.8),
        -0.25,
        scalar(lambda a, b, c, d: -a * b * c * d),
        stacked(lambda a, b, c, d: [a**3 + b**2 - 1, a**2 * d - c, d**2 - b]),
    ),
    "hs42": Problem(
        (1, 1, 1, 1),
        28 - 10 * ROOT2,
        scalar(lambda a, b, c, d: (a - 1) ** 2 + (b - 2) ** 2 + (c - 3) ** 2 + (d - 4) ** 2),
        stacked(lambda a, b, c, d: [a - 2, c**2 + d**2 - 2]),
    ),
    "hs43": Problem(
        (0, 0, 0, 0),
        -44,
        scalar(lambda a, b, c, d: a**2 + b**2 + 2 * c**2 + d**2 - 5 * a - 5 * b - 21 * c + 7 * d),
        h=stacked(
            lambda a, b, c, d: [
                a**2 + b**2 + c**2 + d**2 + a - b + c - d - 8,
                a**2 + 2 * b**2 + c**2 + 2 * d**2 - a - d - 10,
                2 * a**2 + b**2 + c**2 + 2 * a - b - d - 5,
            ]
        ),
    ),
    "hs48": Problem(
        (3, 5, -3, 2, -2),
        0,
        scalar(lambda a, b, c, d, e: (a - 1) ** 2 + (b - c) ** 2 + (d - e) ** 2),
        stacked(lambda a, b, c, d, e: [a + b + c + d + e - 5, c - 2 * (d + e) + 3]),
    ),
    "hs51": Problem(
        (2.5, 0.5, 2, -1, 0.5),
        0,
        scalar(lambda a, b, c, d, e: (a - b) ** 2 + (b + c - 2) ** 2 + (d - 1) ** 2 + (e - 1) ** 2),
        stacked(lambda a, b, c, d, e: [a + 3 * b - 4, c + d - 2 * e, b - e]),
    ),
    "hs52": Problem(
        (2, 2, 2, 2, 2),
        1859 / 349,
        scalar(lambda a, b, c, d, e: (4 * a - b) ** 2 + (b + c - 2) ** 2 + (d - 1) ** 2 + (e - 1) ** 2),
        stacked(lambda a, b, c, d, e: [a + 3 * b, c + d - 2 * e, b - e]),
    ),
    "hs53": Problem(
        (2, 2, 2, 2, 2),
        176 / 43,
        scalar(lambda a, b, c, d, e: (a - b) ** 2 + (b + c - 2) ** 2 + (d - 1) ** 2 + (e - 1) ** 2),
        stacked(lambda a, b, c, d, e: [a + 3 * b, c + d - 2 * e, b - e]),
        lambda x: jnp.concatenate([x - 10, -10 - x]),
    ),
    "hs60": Problem(
        (2, 2, 2),
        0.03256820025,
        scalar(lambda a, b, c: (a - 1) ** 2 + (a - b) ** 2 + (b - c) ** 4),
        stacked(lambda a, b, c: [a * (1 + b**2) + c**4 - 4 - 3 * ROOT2]),
        lambda x: jnp.concatenate([x - 10, -10 - x]),
    ),
    "hs61": Problem(
        (0, 0, 0),
        -143.6461422,
        scalar(lambda a, b, c: 4 * a**2 + 2 * b**2 + 2 * c**2 - 33 * a + 16 * b - 24 * c),
        stacked(lambda a, b, c: [3 * a - 2 * b**2 - 7, 4 * a - c**2 - 11]),
    ),
    "hs63": Problem(
        (2, 2, 2),
        961.7151721,
        scalar(lambda a, b, c: 1000 - a**2 - 2 * b**2 - c**2 - a * b - a * c),
        stacked(lambda a, b, c: [8 * a + 14 * b + 7 * c - 56, a**2 + b**2 + c**2 - 25]),
        lambda x: -x,
    ),
    "hs65": Problem(
        (-5, 5, 0),
        0.9535288567,
        scalar(lambda a, b, c: (a - b) ** 2 + (a + b - 10) ** 2 / 9 + (c - 5) ** 2),
        h=stacked(lambda a, b, c: [a**2 + b**2 + c**2 - 48, a - 4.5, -4.5 - a, b - 4.5, -4.5 - b, c - 5, -5 - c]),
    ),
    "hs71": Problem(
        (1, 5, 5, 1),
        17.0140173,
        scalar(lambda a, b, c, d: a * d * (a + b + c) + c),
        stacked(lambda a, b, c, d: [a**2 + b**2 + c**2 + d**2 - 40]),
        lambda x: jnp.concatenate([25 - jnp.prod(x)[None], 1 - x, x - 5]),
    ),
    "hs76": Problem(
        (0.5, 0.5, 0.5, 0.5),
        -4.681818182,
        scalar(lambda a, b, c, d: a**2 + 0.5 * b**2 + c**2 + 0.5 * d**2 - a * c + c * d - a - 3 * b + c - d),
        h=stacked(
            lambda a, b, c, d: [a + 2 * b + c + d - 5, 3 * a + b + 2 * c - d - 4, 1.5 - b - 4 * c, -a, -b, -c, -d]
        ),
    ),
    "hs77": Problem(
        (2, 2, 2, 2, 2),
        0.24150513,
        scalar(lambda a, b, c, d, e: (a - 1) ** 2 + (a - b) ** 2 + (c - 1) ** 2 + (d - 1) ** 4 + (e - 1) ** 6),
        stacked(lambda a, b, c, d, e: [a**2 * d + jnp.sin(d - e) - 2 * ROOT2, b + c**4 * d**2 - 8 - ROOT2]),
    ),
    "hs78": Problem(
        (-2, 1.5, 2, -1, -1),
        -2.91970041,
        scalar(lambda a, b, c, d, e: a * b * c * d * e),
        stacked(lambda a, b, c, d, e: [a**2 + b**2 + c**2 + d**2 + e**2 - 10, b * c - 5 * d * e, a**3 + b**3 + 1]),
    ),
    "hs79": Problem(
        (2, 2, 2, 2, 2),
        0.0787768209,
        scalar(lambda a, b, c, d, e: (a - 1) ** 2 + (a - b) ** 2 + (b - c) ** 2 + (c - d) ** 4 + (d - e) ** 4),
        stacked(lambda a, b, c, d, e: [a + b**2 + c**3 - 2 - 3 * ROOT2, b - c**2 + d + 2 - 2 * ROOT2, a * e - 2]),
    ),
    "hs100": Problem(
        (1, 2, 0, 4, 0, 1, 1),
        680.6300573,
        scalar(hs100),
        h=stacked(
            lambda a, b, c, d, e, f, g: [
                2 * a**2 + 3 * b**4 + c + 4 * d**2 + 5 * e - 127,
                7 * a + 3 * b + 10 * c**2 + d - e - 282,
                23 * a + b**2 + 6 * f**2 - 8 * g - 196,
                4 * a**2 + b**2 - 3 * a * b + 2 * c**2 + 5 * f - 11 * g,
            ]
        ),
    ),
    "hs113": Problem((2, 3, 5, 5, 1, 2, 7, 3, 6, 10), 24.3062091, hs113, h=hs113_h),
}
