"""What tests of constrained solves share: equations on a line, and basis functions in closed form."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from operators import AbstractOperator
from pdesolve.calculus import Stencil
from pdesolve.system import AbstractSystem

POINTS = 24


class Line(AbstractSystem):
    """u'' - power-th power of u = f, u = g at both ends; f and g are given."""

    power: int = 1

    def coordinates(self, grid):
        return {"x": np.linspace(0.0, 1.0, grid[0])}

    def terms(self, given, answer, coordinates):
        u = answer[0]
        return {"u": u, "u_xx": Stencil(order=2).differentiate(u, jnp.asarray(coordinates["x"]), 2)}

    def data(self, given, coordinates):
        return {"f": given[0]}

    def balance(self, terms, data):
        return {"equation": terms["u_xx"] - terms["u"] ** self.power - data["f"]}

    def conditions(self, given, answer, coordinates):
        return {"ends": (answer[0] - given[1])[jnp.array([0, -1])]}


class LinearLine(AbstractSystem):
    """The same with the first power, which it says is linear."""

    linear: ClassVar[bool] = True

    def coordinates(self, grid):
        return Line().coordinates(grid)

    def terms(self, given, answer, coordinates):
        return Line().terms(given, answer, coordinates)

    def data(self, given, coordinates):
        return Line().data(given, coordinates)

    def balance(self, terms, data):
        return Line().balance(terms, data)

    def conditions(self, given, answer, coordinates):
        return Line().conditions(given, answer, coordinates)


class Family:
    """No more than what a constrained solve asks for."""

    def __init__(self, system):
        self._system = system

    def system(self):
        return self._system


class Waves(AbstractOperator):
    """cos(a_j x + b_j + c_j mean(f)): as many output functions as asked for."""

    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    numbers: jax.Array

    def __init__(self, in_channels, out_channels, *, num_dims, width, depth, activation, key, dtype=None):
        self.in_channels, self.out_channels, self.num_dims = in_channels, out_channels, num_dims
        self.numbers = jnp.array([[3.0], [2.0], [0.1]]) * jax.random.normal(key, (3, out_channels), dtype)

    def __call__(self, sample):
        a, b, c = self.numbers
        x = jnp.linspace(0.0, 1.0, sample.shape[1])
        return jnp.cos(a[:, None] * x[None] + (b + c * jnp.mean(sample[0]))[:, None])


def given(seed=1, points=POINTS):
    """Return smooth f and g."""
    x, (a, b) = np.linspace(0.0, 1.0, points), np.random.default_rng(seed).normal(size=2)
    return jnp.asarray(np.stack([np.sin(3 * x + a), np.cos(2 * x + b)]))


def solved_by(system, answer):
    """Return f and g of which a function is the solution on its grid."""
    coordinates = system.coordinates(answer.shape)
    nothing = jnp.zeros((2, *answer.shape))
    f = system.balance(system.terms(nothing, answer[None], coordinates), {"f": nothing[0]})["equation"]
    return jnp.stack([f, answer])
