"""Many devices: a mesh with the axis `data`, over which samples are divided, and what its processes agree on.

Trainables, optimiser and samplers are the same on every device; a step's samples are divided. So a gradient costs one
sum over the devices, whatever the number of samples, and every process holds all that a checkpoint needs.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from .errors import PdesolveError

__all__ = [
    "AXIS",
    "agreed",
    "copied",
    "data_mesh",
    "divided",
    "is_writer",
    "local",
    "num_shards",
    "padded_to",
    "placed",
    "summed",
]

AXIS = "data"
"""The axis over which samples are divided."""


def data_mesh(count: int | None = None, platform: str | None = None) -> Mesh:
    """Return a mesh of devices along the axis `data`.

    Args:
        count: How many: all if None. A run of several processes takes all.
        platform: `cpu`, `gpu` or `tpu`; JAX's default if None.

    Raises:
        PdesolveError: If there are fewer devices, or those of some process would be left out.
    """
    devices = jax.devices(platform)
    count = len(devices) if count is None else count
    if count < 1:
        raise PdesolveError(f"the mesh axis {AXIS!r} needs at least 1 device, got {count}.")
    if count > len(devices):
        raise PdesolveError(
            f"a mesh of {AXIS}={count} needs {count} devices, and there are {len(devices)} of the platform "
            f"{devices[0].platform!r}. On a CPU `--host-devices {count}` emulates them."
        )
    if jax.process_count() > 1 and count != len(devices):
        raise PdesolveError(
            f"a mesh of {AXIS}={count} leaves out some of the {len(devices)} devices of {jax.process_count()} "
            "processes: leave out `--mesh`."
        )
    return Mesh(np.array(devices[:count]), (AXIS,))


def num_shards(mesh: Mesh | None) -> int:
    """Return into how many parts samples are divided."""
    return 1 if mesh is None else mesh.shape[AXIS]


def divided(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """Divide traced arrays along their first axis; one whose length the devices do not divide is on all of them."""

    def spec(leaf: Array) -> PartitionSpec:
        even = leaf.ndim > 0 and leaf.shape[0] % num_shards(mesh) == 0
        return PartitionSpec(AXIS) if even else PartitionSpec()

    return tree if mesh is None else _constrained(tree, mesh, spec)


def copied(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """Have traced arrays whole on every device."""
    return tree if mesh is None else _constrained(tree, mesh, lambda leaf: PartitionSpec())


def _constrained(tree: PyTree, mesh: Mesh, spec: Callable[[Array], PartitionSpec]) -> PyTree:
    def constrain(leaf: Any) -> Any:
        if not eqx.is_array(leaf):
            return leaf
        return jax.lax.with_sharding_constraint(leaf, NamedSharding(mesh, spec(leaf)))

    return jax.tree.map(constrain, tree)


def placed(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """Put arrays of the host, which are the same in every process, whole on every device."""
    if mesh is None:
        return tree
    sharding = NamedSharding(mesh, PartitionSpec())

    def put(leaf: Any) -> Any:
        if not eqx.is_array(leaf) or leaf.sharding.is_equivalent_to(sharding, leaf.ndim):
            return leaf
        if not mesh.is_multi_process:
            return jax.device_put(leaf, sharding)
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(put(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        values = np.asarray(leaf)
        return jax.make_array_from_callback(values.shape, sharding, lambda index: values[index])

    return jax.tree.map(put, tree)


def local(tree: PyTree) -> PyTree:
    """Return arrays that are whole on every device as arrays of this process's first one; others as they are."""

    def first(leaf: Any) -> Any:
        shared = isinstance(leaf, jax.Array) and len(leaf.sharding.device_set) > 1
        return leaf.addressable_data(0) if shared else leaf

    return jax.tree.map(first, tree)


def summed(function: Callable[..., PyTree], mesh: Mesh) -> Callable[..., PyTree]:
    """Return the function that each device applies to its part of the arguments, and whose results are added up.

    The arguments are divided along their first axes; what the function closes over is whole on every device.
    """

    def part(*arguments: PyTree) -> PyTree:
        return jax.lax.psum(function(*arguments), AXIS)

    divide, whole = PartitionSpec(AXIS), PartitionSpec()
    # Without the check a gradient inside is that of the device's own samples, and the one sum is the one above.
    return jax.shard_map(part, mesh=mesh, in_specs=divide, out_specs=whole, check_vma=False)


def padded_to(leaf: Array, length: int) -> Array:
    """Return rows up to a length: the last one again and again."""
    return jnp.concatenate([leaf, jnp.repeat(leaf[-1:], length - leaf.shape[0], axis=0)])


def agreed(values: PyTree, mesh: Mesh | None) -> PyTree:
    """Return numbers as process 0 has them, so that what is decided by clocks and signals is decided once."""
    if mesh is None or not mesh.is_multi_process:
        return values
    numbers, structure = jax.tree.flatten(values)
    if not numbers:
        return values
    told = np.asarray(multihost_utils.broadcast_one_to_all(np.asarray(numbers, dtype=float)))
    return jax.tree.unflatten(structure, [type(old)(new) for old, new in zip(numbers, told, strict=True)])


def is_writer() -> bool:
    """Say whether this is the process that writes files and talks: the first one, or the only one."""
    return jax.process_index() == 0
