"""The Laplacian of a network in more and more dimensions, and the gradient of its mean square. Uses pdesolve."""

import argparse
import json

import jax
import jax.numpy as jnp
from pace import repeated

from pdesolve.batching import map_samples
from pdesolve.calculus.jets import Laplacian, derivatives
from pdesolve.nets import MLP


def main():
    """Write a line for each dimension."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dimensions", type=int, nargs="+", required=True)
    for name in ("depth", "width", "points"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--records", required=True)
    given = parser.parse_args()
    with open(given.records, "w", encoding="utf-8") as file:
        for d in given.dimensions:
            network = MLP(d, 1, width=given.width, depth=given.depth, key=jax.random.key(0), dtype=jnp.float32)
            points = jax.random.uniform(jax.random.key(1), (given.points, d), jnp.float32)
            key = Laplacian(tuple(range(d)))

            def loss(network, points, key=key):
                residual = map_samples(lambda x: derivatives(network, x, [key])[key][0])(points)
                return jnp.mean(jnp.square(residual))

            arrays, rest = jax.tree.flatten(network)
            step = jax.jit(jax.grad(lambda arrays, points, rest=rest: loss(jax.tree.unflatten(rest, arrays), points)))
            seconds = repeated(lambda: jax.block_until_ready(step(arrays, points)), given.seconds)  # noqa: B023
            file.write(json.dumps({"dimension": d, "seconds": seconds}) + "\n")


if __name__ == "__main__":
    main()
