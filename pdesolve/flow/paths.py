"""Paths from noise to data, along which a velocity field is learned."""

import equinox as eqx
from jaxtyping import Array, Float

from ..errors import PdesolveError

__all__ = ["LinearPath"]


class LinearPath(eqx.Module):
    r"""Straight lines from noise $x_0$ (at $t = 0$) to data $x_1$ (at $t = 1$), the optimal-transport path.

    $$x_t = (1 - (1 - \sigma_{\min})\,t)\,x_0 + t\,x_1, \qquad \dot x_t = x_1 - (1 - \sigma_{\min})\,x_0.$$

    With $\sigma_{\min} = 0$ the law at $t = 1$ is that of the data; otherwise that of the data plus independent noise
    of standard deviation $\sigma_{\min}$.

    Args:
        sigma_min: Share of the noise left at $t = 1$, at least 0 and below 1.

    Raises:
        PdesolveError: If `sigma_min` is out of range.

    References:
        Lipman, Chen, Ben-Hamu, Nickel, Le, Flow matching for generative modeling, ICLR (2023), eqs. (20) to (23).
    """

    sigma_min: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        if not 0.0 <= self.sigma_min < 1.0:
            raise PdesolveError(f"`sigma_min` must be at least 0 and below 1, got {self.sigma_min}.")

    def position(
        self, noise: Float[Array, "*shape"], data: Float[Array, "*shape"], t: Float[Array, ""]
    ) -> Float[Array, "*shape"]:
        """Return $x_t$."""
        return (1.0 - (1.0 - self.sigma_min) * t) * noise + t * data

    def velocity(self, noise: Float[Array, "*shape"], data: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        r"""Return $\dot x_t$, the same at all times."""
        return data - (1.0 - self.sigma_min) * noise
