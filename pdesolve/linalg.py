"""Dense products where the compiler's own are slow."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float

from .distributed import num_shards, summed

__all__ = ["gram"]


def gram(*parts: Float[Array, "_ p"], mesh: Mesh | None = None) -> Float[Array, "p p"]:
    r"""Return $\sum_m R_m^\top R_m$.

    On a CPU by BLAS (one symmetric rank-k update, on all cores) through a host callback: inside a loop XLA's product of
    this shape takes two to four times as long. Elsewhere by XLA. Not differentiable. On a mesh each device takes its
    own rows, and the results are added up: one sum of p² numbers.

    Args:
        *parts: $R_m$, of one type.
        mesh: Devices over which the rows are divided.
    """
    if mesh is not None:
        return summed(lambda *parts: sum(part.T @ part for part in parts), mesh)(
            *(_evened(part, num_shards(mesh)) for part in parts)
        )
    p = parts[0].shape[1]
    shape = jax.ShapeDtypeStruct((p, p), parts[0].dtype)
    return jax.lax.platform_dependent(
        *parts,
        cpu=lambda *parts: jax.pure_callback(_blas_gram, shape, *parts),
        default=lambda *parts: sum(part.T @ part for part in parts),
    )


def _evened(part: Float[Array, "n p"], count: int) -> Float[Array, "m p"]:
    """Add rows of zeros, which change no product, up to a multiple of a number."""
    return jnp.pad(part, ((0, -part.shape[0] % count), (0, 0)))


def _blas_gram(*parts: Array) -> np.ndarray:
    # One product of all rows: each result is as large as the sum, and costs as much to copy.
    rows = np.asarray(parts[0]) if len(parts) == 1 else np.concatenate([np.asarray(part) for part in parts])
    return rows.T @ rows  # NumPy recognises the transpose of the same array and calls syrk
