"""Count what a training step sends between devices: `python scripts/communication.py burgers --devices 8`."""

import argparse

import jax

from pdesolve import registry
from pdesolve.cli._recipe import add_flags, apply_flags
from pdesolve.communication import traffic
from pdesolve.distributed import data_mesh
from pdesolve.fit import lowered_chunk
from pdesolve.pinn import build_stages, initial_ansatz


def main() -> None:
    """Compile a step of the last stage of a problem's recipe on emulated devices, and print its collectives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problem", help="a registered problem that method `pinn` solves")
    parser.add_argument("--devices", type=int, default=8, help="devices of the mesh")
    add_flags(parser.add_argument_group("recipe"), None)
    arguments = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", arguments.devices)
    problem = registry.load("problems", arguments.problem)()
    recipe = apply_flags(problem.recipe(), arguments)
    jax.config.update("jax_enable_x64", recipe.precision == "float64")
    ansatz, stage = initial_ansatz(problem, recipe), build_stages(problem, recipe)[-1]
    text = lowered_chunk(stage, ansatz, mesh=data_mesh(arguments.devices)).compile().compiled.as_text()
    parameters = sum(leaf.size for leaf in jax.tree.leaves(stage.partition(ansatz)[0]))
    print(f"{arguments.problem}, {stage.name}: {parameters} parameters, {recipe.precision}")
    for each in traffic(text):
        print(f"{each.kind:<20} {each.count:>4} operations {each.size:>12} bytes")


if __name__ == "__main__":
    main()
