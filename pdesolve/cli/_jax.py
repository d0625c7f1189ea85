"""Process-wide JAX settings. Only the command line makes them; the library leaves them to its caller."""

from ..errors import PdesolveError

__all__ = ["select_device", "set_precision"]


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
        jax.config.update("jax_default_device", jax.devices(platform)[int(index or 0)])
    except (RuntimeError, IndexError, ValueError) as error:
        devices = {f"{d.platform}:{d.id}" for d in [*jax.devices(), *jax.devices("cpu")]}
        raise PdesolveError(f"no device {name!r}. Available: {', '.join(sorted(devices))}.") from error
