"""Sampling a trained flow given observations of the field: an ensemble of the posterior."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.scipy.linalg
from jaxtyping import Array, Float

from ..errors import PdesolveError, UnknownNameError
from .field_generator import FieldGenerator
from .hard_constraints import PCFMSampling, anchored, projected
from .observations import Observations
from .physics import Equations
from .sampling import Integral
from .samplings import AbstractSampling, check_steps, steps_of

__all__ = ["CONDITIONINGS", "MisfitGuidance", "MomentGuidance", "ObservationProjection", "conditioned"]

CONDITIONINGS = ("misfit", "moments", "projection")
"""Down the gradient of the misfit; by the moments of the predicted end; by projection onto what is observed."""
_RIDGE = 1e-8
_SMALLEST = 1e-2
"""Of the variances of predictions, over the largest, which are used."""


class MomentGuidance(AbstractSampling):
    r"""Euler's method with the velocity of the posterior, where the field on the way is taken for Gaussian.

    On the linear path from noise, $x_t = (1 - t)\,x_0 + t\,x_1$, a velocity tells mean and covariance of the end,

    $$\hat x = x + (1 - t)\,v, \qquad C = \frac{(1 - t)^2}{t}\,J, \quad J = \frac{\partial \hat x}{\partial x},$$

    and the velocity given $y = H x_1 + \sigma \epsilon$ is

    $$v_y = v + \frac{1 - t}{t}\,\nabla_x \log p(y \mid x_t) \approx
    v + \frac{1 - t}{t}\,J^\top H^\top (H C H^\top + \sigma^2)^{-1} (y - H \hat x).$$

    This is the posterior itself if the data are Gaussian and the velocity exact, as steps become small. The price is as
    many pullbacks through the network at every step as there are observations. The first step, at t = 0, is not led.

    Args:
        observations: y, H, and $\sigma$.
        num_steps: Equal steps.

    References:
        Boys et al., Tweedie moment projected diffusions for inverse problems, arXiv:2310.06721 (2023).
        Rozet et al., Learning diffusion priors from observations by expectation maximization, arXiv:2405.13712 (2024).
    """

    observations: Observations
    num_steps: int = eqx.field(static=True, default=100)

    def __check_init__(self):
        check_steps(num_steps=self.num_steps)

    def __call__(self, network, noise, key, equations):
        """Integrate the velocity of the posterior."""
        times = steps_of(self.num_steps, noise.dtype)

        def observe(x):
            return self.observations.predicted(equations.denormalise(x))

        unit = _deviations(self.observations, equations, noise)

        def slope(x, t):
            """Return the gradient of log p(y | x_t), and the velocity."""

            def predict(x):
                v = network(x, t)
                return observe(x + (1.0 - t) * v), v

            predicted, pullback, v = jax.vjp(predict, x, has_aux=True)
            (back,) = jax.vmap(pullback)(jnp.eye(predicted.size, dtype=x.dtype))
            covariance = (1.0 - t) ** 2 / t * (jax.vmap(observe)(back) - observe(0.0 * x)[None])
            covariance = covariance / (unit[:, None] * unit[None])
            weights = _solved(covariance, self.observations.noise / unit, (self.observations.values - predicted) / unit)
            return jnp.tensordot(weights / unit, back, axes=1), v

        def step(x, pair):
            t, after = pair
            gradient, v = slope(x, t)
            return x + (after - t) * (v + (1.0 - t) / t * gradient), None

        x = noise + times[1] * network(noise, times[0])
        x, _ = jax.lax.scan(step, x, (times[1:-1], times[2:]))
        return Integral(x, jnp.asarray(self.num_steps))


class MisfitGuidance(AbstractSampling):
    r"""Euler's method with a step down the misfit of the predicted end.

    $$x_{t'} = x_t + (t' - t)\,v - \zeta\,\nabla_{x_t} |W (y - H \hat x_1)|, \qquad \hat x_1 = x_t + (1 - t)\,v,$$

    W divides by the standard deviation of the data. Nothing here knows how large errors are, so that the spread of
    the ensemble is none of the posterior's: it depends on $\zeta$. The published sampler is for a diffusion model.

    Args:
        observations: y and H.
        num_steps: Equal steps.
        strength: $\zeta$, in units of the normalised field.

    References:
        Huang, Yang, Wang, Park, DiffusionPDE, arXiv:2406.17763 (2024).
    """

    observations: Observations
    num_steps: int = eqx.field(static=True, default=100)
    strength: float = eqx.field(static=True, default=0.1)

    def __check_init__(self):
        check_steps(num_steps=self.num_steps)
        if not self.strength >= 0:
            raise PdesolveError(f"`strength` must not be negative, got {self.strength}.")

    def __call__(self, network, noise, key, equations):
        """Integrate under guidance."""
        times = steps_of(self.num_steps, noise.dtype)
        unit = _deviations(self.observations, equations, noise)

        def size(x, t):
            v = network(x, t)
            predicted = self.observations.predicted(equations.denormalise(x + (1.0 - t) * v))
            # The root of zero has no gradient.
            squares = jnp.sum(((self.observations.values - predicted) / unit) ** 2)
            return jnp.sqrt(squares + jnp.finfo(x.dtype).tiny), v

        def step(x, pair):
            t, after = pair
            gradient, v = jax.grad(size, has_aux=True)(x, t)
            return x + (after - t) * v - self.strength * gradient, None

        x, _ = jax.lax.scan(step, noise, (times[:-1], times[1:]))
        return Integral(x, jnp.asarray(self.num_steps))


class ObservationProjection(AbstractSampling):
    r"""Observations met exactly: the predicted end is projected onto $H x = y$ at every step.

    As `PCFMSampling`, with $H x - y$ for the constraint, to which that of the equation is added if asked for. What is
    observed is linear in the field, so that one projection is the nearest field; without the equation this is also
    ECI sampling, whose correction is a projection. Errors of observations are not thought of.

    Args:
        observations: y and H.
        num_steps: Equal steps.
        equation: Whether the family's constraint is met too.
    """

    observations: Observations
    num_steps: int = eqx.field(static=True, default=100)
    equation: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        check_steps(num_steps=self.num_steps)

    def __call__(self, network, noise, key, equations):
        """Shoot, project, go back; solve at last."""

        def misfit(x: Float[Array, " channel *grid"]) -> Float[Array, " m"]:
            left = self.observations.predicted(equations.denormalise(x)) - self.observations.values
            return jnp.concatenate([left, equations.constraint(x)]) if self.equation else left

        def project(num_steps: int) -> Callable[[Array], Array]:
            return lambda x: projected(misfit, x, num_steps=num_steps, ridge=_RIDGE)

        x = anchored(network, noise, project(1), steps_of(self.num_steps, noise.dtype))
        return Integral(project(10 if self.equation else 3)(x), jnp.asarray(self.num_steps))


def conditioned(
    model: FieldGenerator, observations: Observations, conditioning: str = "moments", *, num_steps: int = 100
) -> FieldGenerator:
    """Return a generator of fields given observations, with the network of a trained one.

    Args:
        model: The trained generator.
        observations: What is known of the field.
        conditioning: `moments`, `misfit` or `projection`; the last keeps to the equation too if the model does (PCFM).
        num_steps: Equal steps from noise to field.

    Raises:
        UnknownNameError: If there is no such conditioning.
        PdesolveError: If observations with errors are to be met exactly.
    """
    if conditioning not in CONDITIONINGS:
        raise UnknownNameError("conditioning", conditioning, CONDITIONINGS)
    if conditioning == "projection":
        if float(jnp.max(observations.noise)) > 0:
            raise PdesolveError(
                "conditioning 'projection' meets observations exactly: give no noise, or take 'moments'."
            )
        sampling = ObservationProjection(observations, num_steps, isinstance(model.sampling, PCFMSampling))
    elif conditioning == "misfit":
        sampling = MisfitGuidance(observations, num_steps)
    else:
        sampling = MomentGuidance(observations, num_steps)
    return FieldGenerator(model.network, model.equations, sampling)


def _deviations(
    observations: Observations, equations: Equations, like: Float[Array, " channel *grid"]
) -> Float[Array, " m"]:
    """Return the standard deviation of the data for every observation: what a normalised field of ones adds."""
    ones = jnp.ones_like(like)
    return observations.predicted(equations.denormalise(ones) - equations.denormalise(0.0 * ones))


def _solved(
    covariance: Float[Array, "m m"], noise: Float[Array, " m"], misfit: Float[Array, " m"]
) -> Float[Array, " m"]:
    """Solve with the covariance of the observations, in the directions in which that of the prediction is positive.

    An inexact network makes it negative in others, where its gradient means nothing; observations at the same place
    make it zero.
    """
    values, vectors = jnp.linalg.eigh(0.5 * (covariance + covariance.T))
    kept = values > _SMALLEST * values[-1]
    positive = (vectors * jnp.where(kept, values, 0.0)[None]) @ vectors.T
    onto = (vectors * kept[None]) @ vectors.T
    # The rest is of any size: it is cut off on both sides.
    ridge = jnp.finfo(misfit.dtype).eps * jnp.abs(values[-1]) + jnp.finfo(misfit.dtype).tiny
    return onto @ jax.scipy.linalg.solve(positive + jnp.diag(noise**2 + ridge), onto @ misfit, assume_a="pos")
