"""Process-wide JAX settings. Only the command line makes them; the library leaves them to its caller."""

from typing import Any

from ..errors import PdesolveError, UnknownNameError

__all__ = ["emulate_devices", "mesh_of", "select_device", "set_precision"]


def set_precision(precision: str) -> None:
    """Make float64 or float32 the default type, and matrix products as exact as the type allows.

    Without the latter a GPU multiplies float32 matrices with the 10 bits of TF32.
    """
    import jax

    jax.config.update("jax_enable_x64", precision == "float64")
    jax.config.update("jax_default_matmul_precision", "highest")


def select_device(name: str | None) -> None:
    """Run on a device: `cpu`, `gpu`, `cuda`, `tpu`, or one of several as in `gpu:1`.

    Raises:
        PdesolveError: If there is no such device; the message names those there are.
    """
    if name is None:
        return
    import jax

    platform, _, index = name.partition(":")
    if platform == "cpu":
        # Before any backend starts: a GPU that is not wanted is left alone.
        jax.config.update("jax_platforms", "cpu")
    try:
        jax.config.update("jax_default_device", jax.local_devices(backend=platform)[int(index or 0)])
    except (RuntimeError, IndexError, ValueError) as error:
        devices = {f"{d.platform}:{d.id}" for d in [*jax.devices(), *jax.devices("cpu")]}
        raise PdesolveError(f"no device {name!r}. Available: {', '.join(sorted(devices))}.") from error


def emulate_devices(count: int | None) -> None:
    """Divide the CPU into several devices of JAX, to try a mesh on a small machine.

    Raises:
        PdesolveError: If the number is not positive, or JAX has started already.
    """
    if count is None:
        return
    if count < 1:
        raise PdesolveError(f"`--host-devices` must be at least 1, got {count}.")
    import jax

    try:
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError as error:
        raise PdesolveError(f"`--host-devices {count}` comes too late: JAX has started. ({error})") from error


def mesh_of(text: str | None, device: str | None) -> Any:
    """Return the mesh that `--mesh data=2,expert=4` asks for, on the platform of `--device`.

    Without it None, unless the run has several processes: then all their devices.

    Raises:
        PdesolveError: If the text is no list of axes and numbers, or there are fewer devices.
        UnknownNameError: If there is no such axis.
    """
    import jax

    from ..distributed import AXIS, EXPERT, data_mesh

    platform, _, index = (device or "").partition(":")
    several = jax.process_count() > 1
    if text is None:
        return data_mesh(platform=platform or None) if several else None
    found: dict[str, int] = {}
    for name, _, number in (part.strip().partition("=") for part in text.split(",")):
        if name not in (AXIS, EXPERT):
            raise UnknownNameError("axis in `--mesh`", name, (AXIS, EXPERT))
        if not number.isdecimal() or name in found:
            raise PdesolveError(
                f"`--mesh` takes each axis once with a number of devices, as in `--mesh {AXIS}=2` and "
                f"`--mesh {AXIS}=2,{EXPERT}=4`; got {text!r}."
            )
        found[name] = int(number)
    if index:
        raise PdesolveError(f"`--mesh` takes the first devices of a platform: `--device {platform}`, not {device!r}.")
    # What is not said is one device, but for several processes, which take all they have.
    return data_mesh(found.get(AXIS, None if several else 1), platform or None, experts=found.get(EXPERT))
