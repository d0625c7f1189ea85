"""Many devices: a mesh with the axis `data`, over which samples are divided, and what its processes agree on.

Trainables, optimiser and samplers are the same on every device; a step's samples are divided. So a gradient costs one
sum over the devices, whatever the number of samples, and every process holds all that a checkpoint needs. A second
axis, `expert`, divides the solves of a sample that know nothing of each other.
"""

import math
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
    "EXPERT",
    "agreed",
    "check_experts",
    "copied",
    "data_mesh",
    "divided",
    "is_writer",
    "local",
    "num_shards",
    "over_experts",
    "padded_to",
    "placed",
    "summed",
]

AXIS = "data"
"""The axis over which samples are divided."""
EXPERT = "expert"
"""The axis over which the experts of every sample are divided."""


def data_mesh(count: int | None = None, platform: str | None = None, *, experts: int | None = None) -> Mesh:
    """Return a mesh of devices along the axis `data` and, if asked for, the axis `expert`.

    Neighbours along `expert` follow each other among the devices, so that they share a host where they can.

    Args:
        count: How many along `data`: as many as there are if None. A run of several processes takes all devices.
        platform: `cpu`, `gpu` or `tpu`; JAX's default if None.
        experts: How many along `expert`; no such axis if None.

    Raises:
        PdesolveError: If there are fewer devices, or those of some process would be left out.
    """
    devices = jax.devices(platform)
    count = max(1, len(devices) // max(1, experts or 1)) if count is None else count
    shape = {AXIS: count} if experts is None else {AXIS: count, EXPERT: experts}
    for axis, number in shape.items():
        if number < 1:
            raise PdesolveError(f"the mesh axis {axis!r} needs at least 1 device, got {number}.")
    needed, asked = math.prod(shape.values()), ",".join(f"{axis}={number}" for axis, number in shape.items())
    if needed > len(devices):
        raise PdesolveError(
            f"a mesh of {asked} needs {needed} devices, and there are {len(devices)} of the platform "
            f"{devices[0].platform!r}. On a CPU `--host-devices {needed}` emulates them."
        )
    if jax.process_count() > 1 and needed != len(devices):
        raise PdesolveError(
            f"a mesh of {asked} leaves out some of the {len(devices)} devices of {jax.process_count()} "
            "processes: leave out `--mesh`."
        )
    return Mesh(np.array(devices[:needed]).reshape(*shape.values()), tuple(shape))


def check_experts(mesh: Mesh | None, model: PyTree) -> None:
    """Refuse a mesh with the axis `expert` that what is trained does not know, or that does not divide its experts.

    A module with experts says so by an attribute `num_experts`.

    Raises:
        PdesolveError: If it is so.
    """
    if mesh is None or EXPERT not in mesh.axis_names:
        return
    nodes = jax.tree.leaves(model, is_leaf=lambda node: hasattr(node, "num_experts"))
    counts = [node.num_experts for node in nodes if hasattr(node, "num_experts")]
    if not counts:
        raise PdesolveError(
            f"the mesh has an axis {EXPERT!r}, and what is trained has no experts. Its samples are divided by "
            f"{AXIS!r}; experts are those of `--method pihcmoe`."
        )
    for count in counts:
        if count % mesh.shape[EXPERT]:
            raise PdesolveError(
                f"the mesh axis {EXPERT!r} must divide the number of experts, {count}; got {mesh.shape[EXPERT]}."
            )


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
        if not eqx.is_array(leaf):
            return leaf
        if isinstance(leaf, jax.Array) and leaf.sharding.is_equivalent_to(sharding, leaf.ndim):
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

    The arguments are divided along their first axes; what the function closes over is whole on every device. Along the
    axis `expert` devices have the same part: their results are equal but for gradients, of which each has those that
    have come by its own experts and, of what all do, a share.
    """
    replicas = mesh.shape.get(EXPERT, 1)

    def part(*arguments: PyTree) -> PyTree:
        total = jax.lax.psum(function(*arguments), tuple(mesh.axis_names))
        return total if replicas == 1 else jax.tree.map(lambda leaf: leaf / replicas, total)

    divide, whole = PartitionSpec(AXIS), PartitionSpec()
    # Without the check a gradient inside is that of the device's own samples, and the one sum is the one above.
    return jax.shard_map(part, mesh=mesh, in_specs=divide, out_specs=whole, check_vma=False)


def over_experts(function: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """Return a function of experts, the first axis of its arguments and results, that devices share among them.

    Within `summed`, on a mesh with the axis `expert`, each device applies the function to its own experts, and is then
    sent what the others have found. Elsewhere it is the function as it is.
    """

    def everything(*arguments: PyTree) -> PyTree:
        try:
            jax.lax.axis_index(EXPERT)
        except NameError:
            return function(*arguments)
        return jax.tree.map(_gathered, function(*jax.tree.map(_own, arguments)))

    return everything


def _own(leaf: Array) -> Array:
    """Return the rows of an array that are this device's experts."""
    size = leaf.shape[0] // jax.lax.axis_size(EXPERT)
    return jax.lax.dynamic_slice_in_dim(leaf, size * jax.lax.axis_index(EXPERT), size)


@jax.custom_vjp
def _gathered(own: Array) -> Array:
    return jax.lax.all_gather(own, EXPERT, tiled=True)


def _scattered(_: None, cotangent: Array) -> tuple[Array]:
    # The transpose of a gather sums over the devices. But what follows is the same on all of them, and so is its
    # cotangent: the sum needs no exchange.
    return (jax.lax.axis_size(EXPERT) * _own(cotangent),)


_gathered.defvjp(lambda own: (_gathered(own), None), _scattered)


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
