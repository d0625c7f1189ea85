"""Dense products where the compiler's own are slow."""

import jax
import numpy as np
from jaxtyping import Array, Float

__all__ = ["gram"]


def gram(rows: Float[Array, "n p"]) -> Float[Array, "p p"]:
    r"""Return $R^\top R$.

    On a CPU by BLAS (a symmetric rank-k update, on all cores) through a host callback: inside a loop XLA's product of
    this shape takes two to four times as long. Elsewhere by XLA. Not differentiable.
    """
    shape = jax.ShapeDtypeStruct((rows.shape[1], rows.shape[1]), rows.dtype)
    return jax.lax.platform_dependent(
        rows, cpu=lambda r: jax.pure_callback(_blas_gram, shape, r), default=lambda r: r.T @ r
    )


def _blas_gram(rows: Array) -> np.ndarray:
    host = np.asarray(rows)
    return host.T @ host  # NumPy recognises the transpose of the same array and calls syrk
