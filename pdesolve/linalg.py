"""Dense products where the compiler's own are slow."""

import jax
import numpy as np
from jaxtyping import Array, Float

__all__ = ["gram"]


def gram(*parts: Float[Array, "_ p"]) -> Float[Array, "p p"]:
    r"""Return $\sum_m R_m^\top R_m$.

    On a CPU by BLAS (one symmetric rank-k update, on all cores) through a host callback: inside a loop XLA's product of
    this shape takes two to four times as long. Elsewhere by XLA. Not differentiable.

    Args:
        *parts: $R_m$, of one type.
    """
    p = parts[0].shape[1]
    shape = jax.ShapeDtypeStruct((p, p), parts[0].dtype)
    return jax.lax.platform_dependent(
        *parts,
        cpu=lambda *parts: jax.pure_callback(_blas_gram, shape, *parts),
        default=lambda *parts: sum(part.T @ part for part in parts),
    )


def _blas_gram(*parts: Array) -> np.ndarray:
    # One product of all rows: each result is as large as the sum, and costs as much to copy.
    rows = np.asarray(parts[0]) if len(parts) == 1 else np.concatenate([np.asarray(part) for part in parts])
    return rows.T @ rows  # NumPy recognises the transpose of the same array and calls syrk
