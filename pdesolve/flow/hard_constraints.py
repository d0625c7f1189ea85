"""Sampling a trained flow under constraints that the samples meet exactly."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.linalg
from jaxtyping import Array, Float

from ..errors import PdesolveError
from .objective import VelocityField
from .sampling import Integral
from .samplings import AbstractSampling, check_steps, steps_of

__all__ = ["ECISampling", "PCFMSampling", "anchored", "projected"]


def projected(
    constraint: Callable[[Float[Array, "*shape"]], Float[Array, " m"]],
    x: Float[Array, "*shape"],
    *,
    num_steps: int = 1,
    ridge: float = 1e-6,
) -> Float[Array, "*shape"]:
    r"""Return x moved towards $h(x) = 0$ by Gauss-Newton steps $x - J^\top (J J^\top + \epsilon I)^{-1} h(x)$.

    One step is exact for affine h up to the ridge, and then the nearest point; more steps solve any h that is smooth
    and has independent gradients.

    Args:
        constraint: h.
        x: The point.
        num_steps: Number of steps.
        ridge: $\epsilon$, which keeps the matrix regular.
    """

    def step(x, _):
        value, pullback = jax.vjp(constraint, x)
        rows = jax.vmap(lambda unit: pullback(unit)[0].reshape(-1))(jnp.eye(value.size, dtype=value.dtype))
        matrix = rows @ rows.T + ridge * jnp.eye(value.size, dtype=value.dtype)
        move = jax.scipy.linalg.solve(matrix, value, assume_a="pos") @ rows
        return x - move.reshape(x.shape), None

    return jax.lax.scan(step, x, None, length=num_steps)[0]


def anchored(
    network: VelocityField,
    noise: Float[Array, "*shape"],
    correct: Callable[[Float[Array, "*shape"]], Float[Array, "*shape"]],
    times: Float[Array, " times"],
) -> Float[Array, "*shape"]:
    """Return the end of steps which shoot to the end, correct it, and go back to the line from the first noise."""

    def step(x, pair):
        t, after = pair
        return (1.0 - after) * noise + after * correct(x + (1.0 - t) * network(x, t)), None

    return jax.lax.scan(step, noise, (times[:-1], times[1:]))[0]


class PCFMSampling(AbstractSampling):
    r"""Physics-constrained flow matching: project the predicted end at every step, and the result at last.

    $$\hat x_1 = x_t + (1 - t)\,v, \qquad x_{t'} = (1 - t')\,x_0 + t'\,\Pi(\hat x_1),$$

    with $x_0$ the noise of the beginning and $\Pi$ one Gauss-Newton step towards the family's constraint, any smooth
    equations. Without constraint this is Euler's method for straight flows only. The relaxed correction between steps
    that the authors describe as optional is left out.

    Args:
        num_steps: Equal steps.
        projections: Gauss-Newton steps of $\Pi$.
        final_projections: Gauss-Newton steps at the end.
        ridge: Added to the matrix of the projection.

    References:
        Utkarsh et al., Physics-constrained flow matching, arXiv:2506.04171 (2025).
    """

    num_steps: int = eqx.field(static=True, default=20)
    projections: int = eqx.field(static=True, default=1)
    final_projections: int = eqx.field(static=True, default=10)
    ridge: float = eqx.field(static=True, default=1e-6)

    def __check_init__(self):
        check_steps(num_steps=self.num_steps, final_projections=self.final_projections)
        if not isinstance(self.projections, int) or self.projections < 0 or not self.ridge > 0:
            raise PdesolveError(
                f"`projections` must be an integer, at least 0, and `ridge` positive; got {self.projections}, "
                f"{self.ridge}."
            )

    def __call__(self, network, noise, key, equations):
        """Shoot, project, go back to the line from the first noise; solve at last."""

        def project(x):
            return projected(equations.constraint, x, num_steps=self.projections, ridge=self.ridge)

        x = anchored(network, noise, project, steps_of(self.num_steps, noise.dtype))
        x = projected(equations.constraint, x, num_steps=self.final_projections, ridge=self.ridge)
        return Integral(x, jnp.asarray(self.num_steps))


class ECISampling(AbstractSampling):
    r"""Extrapolate, correct, interpolate: linear constraints that do not overlap, met exactly.

    $$\hat x_1 = C(x_t + (1 - t)\,v), \qquad x_t \leftarrow t\,\hat x_1 + (1 - t)\,x_0,$$

    `mixes` times at each time, the last of them to the next time instead. C overwrites what is known or shifts what is
    conserved; what is not linear in the field it cannot enforce. The noise $x_0$ is that of the beginning.

    Args:
        num_steps: Equal steps.
        mixes: Rounds at each time.

    References:
        Cheng et al., ECI sampling, arXiv:2412.01786 (2024).
    """

    num_steps: int = eqx.field(static=True, default=20)
    mixes: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        check_steps(num_steps=self.num_steps, mixes=self.mixes)

    def __call__(self, network, noise, key, equations):
        """Alternate."""
        times = steps_of(self.num_steps, noise.dtype)

        def step(x, pair):
            t, after = pair

            def end(x):
                return equations.corrected(x + (1.0 - t) * network(x, t))

            x = jax.lax.fori_loop(0, self.mixes - 1, lambda _, x: t * end(x) + (1.0 - t) * noise, x)
            return after * end(x) + (1.0 - after) * noise, None

        x, _ = jax.lax.scan(step, noise, (times[:-1], times[1:]))
        return Integral(x, jnp.asarray(self.num_steps * self.mixes))
