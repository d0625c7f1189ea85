"""Sampling a trained flow, led towards its equation by gradients of the residual."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from ..errors import PdesolveError
from .sampling import Integral
from .samplings import AbstractSampling, check_steps, euler, steps_of

__all__ = ["CoCoGenSampling", "DFlowSampling", "DiffusionPDESampling"]


class DiffusionPDESampling(AbstractSampling):
    r"""Euler's method with a step down the norm of the residual of the predicted end.

    $$x_{t'} = x_t + (t' - t)\,v - \zeta\,\nabla_{x_t} \frac{|R(\hat x_1)|}{N}, \qquad \hat x_1 = x_t + (1 - t)\,v,$$

    with N the number of entries of R; the gradient goes through the network, and counts from `begin` on. The authors'
    method is for a diffusion model and is led by observations too; this is its equation part on a flow.

    Args:
        num_steps: Equal steps.
        strength: $\zeta$, in units of the normalised field.
        begin: Time from which the residual counts.

    References:
        Huang, Yang, Wang, Park, DiffusionPDE, arXiv:2406.17763 (2024).
    """

    num_steps: int = eqx.field(static=True, default=20)
    strength: float = eqx.field(static=True, default=1e-2)
    begin: float = eqx.field(static=True, default=0.8)

    def __check_init__(self):
        check_steps(num_steps=self.num_steps)
        if not self.strength >= 0 or not 0.0 <= self.begin <= 1.0:
            raise PdesolveError(
                f"`strength` must not be negative and `begin` be from 0 to 1; got {self.strength}, {self.begin}."
            )

    def __call__(self, network, noise, key, equations):
        """Integrate, then integrate under guidance."""
        times = steps_of(self.num_steps, noise.dtype)
        free = sum(i / self.num_steps < self.begin for i in range(self.num_steps))

        def size(x, t):
            v = network(x, t)
            residual = equations.residual(x + (1.0 - t) * v)
            # The root of zero has no gradient.
            return jnp.sqrt(jnp.sum(residual**2) + jnp.finfo(x.dtype).tiny) / residual.size, v

        def step(x, pair):
            t, after = pair
            slope, v = jax.grad(size, has_aux=True)(x, t)
            return x + (after - t) * v - self.strength * slope, None

        x = euler(network, noise, times[: free + 1])
        x, _ = jax.lax.scan(step, x, (times[free:-1], times[free + 1 :]))
        return Integral(x, jnp.asarray(self.num_steps))


class DFlowSampling(AbstractSampling):
    r"""The noise is changed until the flow ends where the residual is small.

    $\min_{x_0} \mathrm{mean}\,R(\Phi_1(x_0))^2$ with $\Phi_1$ the end of Euler's method, by L-BFGS without a line
    search, begun at the drawn noise. The network is evaluated `num_steps` times at each iteration, and as often
    once more at last; backward passes are not counted.

    Args:
        num_steps: Equal steps of the flow.
        iterations: Steps of L-BFGS.
        learning_rate: Its step length.

    References:
        Ben-Hamu et al., D-Flow, arXiv:2402.14017 (2024).
    """

    num_steps: int = eqx.field(static=True, default=20)
    iterations: int = eqx.field(static=True, default=20)
    learning_rate: float = eqx.field(static=True, default=0.1)

    def __check_init__(self):
        check_steps(num_steps=self.num_steps, iterations=self.iterations)
        if not self.learning_rate > 0:
            raise PdesolveError(f"`learning_rate` must be positive, got {self.learning_rate}.")

    def __call__(self, network, noise, key, equations):
        """Optimise, then integrate."""
        times = steps_of(self.num_steps, noise.dtype)
        optimiser = optax.lbfgs(self.learning_rate, linesearch=None)

        def loss(noise):
            return jnp.mean(equations.residual(euler(network, noise, times)) ** 2)

        def step(carry, _):
            noise, state = carry
            updates, state = optimiser.update(jax.grad(loss)(noise), state, noise)
            return (optax.apply_updates(noise, updates), state), None

        (noise, _), _ = jax.lax.scan(step, (noise, optimiser.init(noise)), None, length=self.iterations)
        return Integral(euler(network, noise, times), jnp.asarray((self.iterations + 1) * self.num_steps))


class CoCoGenSampling(AbstractSampling):
    r"""Euler's method; in the last steps and after them, the dependent fields go down the squared residual.

    $x \leftarrow x - \eta\,g / \max|g|$ with g the gradient of $|R(x)|^2$ by the dependent fields, $\eta$ the first of
    `lengths` along the way and the second of them after it.

    Args:
        num_steps: Equal steps.
        corrected_steps: How many of them, the last ones, are followed by a correction.
        further: Corrections after the last step.
        lengths: $\eta$ along the way and afterwards, in units of the normalised field.

    References:
        Jacobsen, Zhuang, Duraisamy, CoCoGen, arXiv:2312.10527 (2023).
    """

    num_steps: int = eqx.field(static=True, default=20)
    corrected_steps: int = eqx.field(static=True, default=10)
    further: int = eqx.field(static=True, default=25)
    lengths: tuple[float, float] = eqx.field(static=True, default=(2e-3, 2e-4))

    def __check_init__(self):
        check_steps(num_steps=self.num_steps)
        if not 0 <= self.corrected_steps <= self.num_steps or self.further < 0:
            raise PdesolveError(
                f"`corrected_steps` must be from 0 to `num_steps` and `further` at least 0; got "
                f"{self.corrected_steps}, {self.further}."
            )
        if len(self.lengths) != 2 or not all(length >= 0 for length in self.lengths):
            raise PdesolveError(f"`lengths` needs two numbers, not negative; got {self.lengths}.")

    def __call__(self, network, noise, key, equations):
        """Integrate, then correct."""
        times = steps_of(self.num_steps, noise.dtype)
        free = self.num_steps - self.corrected_steps
        moved = jnp.asarray(equations.dependent(), noise.dtype).reshape(-1, *[1] * (noise.ndim - 1))

        def correct(x: Float[Array, " channel *grid"], length: float) -> Float[Array, " channel *grid"]:
            slope = moved * jax.grad(lambda x: jnp.sum(equations.residual(x) ** 2))(x)
            return x - length * slope / jnp.maximum(jnp.max(jnp.abs(slope)), jnp.finfo(x.dtype).tiny)

        def step(x, pair):
            t, after = pair
            return correct(x + (after - t) * network(x, t), self.lengths[0]), None

        x = euler(network, noise, times[: free + 1])
        x, _ = jax.lax.scan(step, x, (times[free:-1], times[free + 1 :]))
        x = jax.lax.fori_loop(0, self.further, lambda _, x: correct(x, self.lengths[1]), x)
        return Integral(x, jnp.asarray(self.num_steps))
