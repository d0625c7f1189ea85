"""Measure what the residual of an equation costs, in evaluations of the plain network.

    python scripts/bench_residual.py            # the table
    python scripts/bench_residual.py --smoke    # small sizes, seconds

Each row compares one forward sweep (`pdesolve.calculus`) with nested `jax.grad`, for the residual alone and for the
gradient of its mean square with respect to the weights; medians of repeats, compilation apart.
"""

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pdesolve.calculus import divergence, gradient, laplacian, material_derivative, partial, pointwise

Network = Callable[[Float[Array, " d"]], Float[Array, " fields"]]


@dataclasses.dataclass(frozen=True)
class Case:
    """An equation, and the same written with nested derivatives of the network."""

    coordinates: tuple[str, ...]
    fields: tuple[str, ...]
    equation: Callable[[Any, Any], dict[str, Any]]
    nested: Callable[[Network, Array], tuple[Array, ...]]


def derivative(function: Callable, *axes: int) -> Callable:
    """Return a partial derivative of a scalar function by nested `jax.grad`."""
    for axis in axes:
        function = _partial(function, axis)
    return function


def _partial(function: Callable, axis: int) -> Callable:
    return lambda point: jax.grad(function)(point)[axis]


def component(network: Network, index: int) -> Callable:
    """Return one output of the network as a scalar function."""
    return lambda point: network(point)[index]


def burgers(fields, at):
    """One-dimensional Burgers equation."""
    u = fields.u
    return {"burgers": partial(u, "t") + u * partial(u, "x") - 0.01 * partial(u, "x", 2)}


def nested_burgers(network, point):
    """The same by nested `jax.grad`."""
    u = component(network, 0)
    u_x, u_t, u_xx = (derivative(u, *axes)(point) for axes in ((0,), (1,), (0, 0)))
    return (u_t + u(point) * u_x - 0.01 * u_xx,)


def navier_stokes(fields, at):
    """Incompressible Navier-Stokes equations in space and time, velocity and pressure."""
    v = (fields.u, fields.v, fields.w)
    terms = zip(material_derivative(v, v), gradient(fields.p), laplacian(v), strict=True)
    momentum = {f"momentum_{i}": a + b - 0.01 * c for i, (a, b, c) in enumerate(terms)}
    return momentum | {"continuity": divergence(v)}


def nested_navier_stokes(network, point):
    """The same by nested `jax.grad`."""
    v = [component(network, i)(point) for i in range(3)]
    jacobian = jax.jacrev(network)(point)
    diffusion = [sum(derivative(component(network, i), j, j)(point) for j in range(3)) for i in range(3)]
    momentum = [
        jacobian[i, 3] + sum(v[j] * jacobian[i, j] for j in range(3)) + jacobian[3, i] - 0.01 * diffusion[i]
        for i in range(3)
    ]
    return (*momentum, jacobian[0, 0] + jacobian[1, 1] + jacobian[2, 2])


def poisson(fields, at):
    """Poisson equation."""
    return {"poisson": laplacian(fields.u) + 1.0}


def nested_poisson(network, point):
    """The same from the trace of `jax.hessian`, cheaper than ten nested gradients."""
    return (jnp.trace(jax.hessian(component(network, 0))(point)) + 1.0,)


def biharmonic(fields, at):
    """Bending of a plate."""
    return {"plate": laplacian(laplacian(fields.u)) - 1.0}


def nested_biharmonic(network, point):
    """The same by nested `jax.grad`."""
    u = component(network, 0)
    terms = [derivative(u, i, i, j, j)(point) for i, j in ((0, 0), (0, 1), (1, 1))]
    return (terms[0] + 2 * terms[1] + terms[2] - 1.0,)


TEN = tuple(f"x{i}" for i in range(10))
CASES = {
    "Burgers, 1-D": Case(("x", "t"), ("u",), burgers, nested_burgers),
    "Navier-Stokes, 3-D": Case(("x", "y", "z", "t"), ("u", "v", "w", "p"), navier_stokes, nested_navier_stokes),
    "Poisson, 10-D": Case(TEN, ("u",), poisson, nested_poisson),
    "biharmonic, 2-D": Case(("x", "y"), ("u",), biharmonic, nested_biharmonic),
}


def measure(
    *, num_points: int = 4096, width: int = 64, depth: int = 4, repeats: int = 15, dtype: Any = jnp.float32
) -> list[dict[str, Any]]:
    """Return one row for each equation: costs as multiples of the plain network, seconds, compile seconds.

    Args:
        num_points: Collocation points in a batch.
        width: Units of a hidden layer.
        depth: Number of hidden layers, of tanh.
        repeats: Timed calls, of which the median counts.
        dtype: Type of weights and points.
    """
    return [_row(name, case, num_points, width, depth, repeats, dtype) for name, case in CASES.items()]


def _row(name, case, num_points, width, depth, repeats, dtype) -> dict[str, Any]:
    key = jax.random.key(0)
    size, outputs = len(case.coordinates), len(case.fields)
    model = eqx.nn.MLP(size, outputs, width, depth, activation=jnp.tanh, dtype=dtype, key=key)
    weights, static = eqx.partition(model, eqx.is_inexact_array)
    points = jax.random.uniform(key, (num_points, size), dtype)

    def sweep(network, point):
        return tuple(pointwise(case.equation, network, case.coordinates, case.fields)(point).values())

    methods = {"network": lambda network, point: (network(point),), "sweep": sweep, "nested": case.nested}
    row: dict[str, Any] = {"equation": name}
    for method, residual in methods.items():

        def values(weights, points, residual=residual):
            network = eqx.combine(weights, static)
            return jax.vmap(lambda point: residual(network, point))(points)

        def loss(weights, points, values=values):
            return sum(jnp.mean(value**2) for value in values(weights, points))

        row[f"{method}_s"], row[f"{method}_compile_s"] = _seconds(values, weights, points, repeats)
        row[f"{method}_gradient_s"], _ = _seconds(jax.value_and_grad(loss), weights, points, repeats)
    for method in ("sweep", "nested"):
        row[method] = row[f"{method}_s"] / row["network_s"]
        row[f"{method}_gradient"] = row[f"{method}_gradient_s"] / row["network_gradient_s"]
    return row


def _seconds(function: Callable, weights: Any, points: Array, repeats: int) -> tuple[float, float]:
    """Return the median time of a call, and the time to trace and compile."""
    start = time.perf_counter()
    compiled = jax.jit(function).lower(weights, points).compile()
    compile_seconds = time.perf_counter() - start
    jax.block_until_ready(compiled(weights, points))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(compiled(weights, points))
        times.append(time.perf_counter() - start)
    return statistics.median(times), compile_seconds


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as text."""
    lines = [
        f"{'':<20}{'residual / network':^24}{'with weight gradient':^24}{'compile [s]':^20}",
        f"{'equation':<20}{'sweep':>12}{'nested':>12}{'sweep':>12}{'nested':>12}{'sweep':>10}{'nested':>10}",
    ]
    for row in rows:
        ratios = "".join(f"{row[c]:>12.1f}" for c in ("sweep", "nested", "sweep_gradient", "nested_gradient"))
        lines.append(f"{row['equation']:<20}{ratios}{row['sweep_compile_s']:>10.2f}{row['nested_compile_s']:>10.2f}")
    return "\n".join(lines)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--num-points", type=int, default=4096)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--float64", action="store_true")
    options = parser.parse_args()
    if options.float64:
        jax.config.update("jax_enable_x64", True)
    dtype = jnp.float64 if options.float64 else jnp.float32
    sizes = {"num_points": options.num_points, "width": options.width, "depth": options.depth}
    if options.smoke:
        sizes = {"num_points": 16, "width": 8, "depth": 2, "repeats": 2}
    print(f"{jax.devices()[0].device_kind}, {dtype.__name__}, {sizes}")
    print(table(measure(dtype=dtype, **sizes)))


if __name__ == "__main__":
    main()
