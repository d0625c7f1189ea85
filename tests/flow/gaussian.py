"""The flow from standard noise to a Gaussian law, in closed form."""

import jax.numpy as jnp


class GaussianFlow:
    r"""Noise N(0, 1) to data N(m, d^2) along the linear path, entry by entry.

    $S_t = (1 - (1 - s) t)^2 + t^2 d^2$ is the variance of $x_t$; the velocity is affine,
    $v(x, t) = m + A(t) (x - t m)$ with $A = S_t' / (2 S_t)$, and the flow is $x_0 \mapsto t m + S_t^{1/2} x_0$.
    """

    def __init__(self, mean, deviation, sigma_min=0.0):
        self.mean, self.deviation, self.rest = mean, deviation, 1.0 - sigma_min

    def variance(self, t):
        return (1 - self.rest * t) ** 2 + (t * self.deviation) ** 2

    def slope(self, t):
        return (t * self.deviation**2 - self.rest * (1 - self.rest * t)) / self.variance(t)

    def velocity(self, x, t):
        return self.mean + self.slope(t) * (x - t * self.mean)

    def end(self, x0):
        return self.mean + jnp.sqrt(self.variance(1.0)) * x0
