"""Light Schroedinger bridge: entropic transport by a mixture of Gaussians, without a network."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import PdesolveError
from ..objective import Context, Density, PointwiseBlock, Term
from ..samplers import DataBatches
from .diffusion import integrate_sde
from .sampling import Integral

__all__ = ["LightBridgeResidual", "LightSchrodingerBridge", "Plan", "light_bridge_block"]


class Plan(eqx.Module):
    """The law of the end of a path given its start: a mixture of Gaussians."""

    log_weights: Float[Array, " k"]
    means: Float[Array, "k d"]
    variances: Float[Array, "k d"]


class LightSchrodingerBridge(eqx.Module):
    r"""The diffusion nearest to Brownian motion of variance $\epsilon$ that carries one law to another.

    The adjusted potential is a mixture, $v(y) = \sum_k a_k\,N(y \mid r_k, \epsilon S_k)$ with diagonal $S_k$, and the
    plan $\pi(y \mid x) \propto e^{x \cdot y / \epsilon}\,v(y)$ is one too: weights
    $a_k \exp((x^\top S_k x + 2 r_k^\top x) / (2 \epsilon))$, whose sum is $c(x)$, means $r_k + S_k x$, covariances
    $\epsilon S_k$. Trained on $\mathrm{E}_{p_0} \log c - \mathrm{E}_{p_1} \log v$, which differs by a constant from
    the divergence of the true bridge from this one. The process is

    $$dX = g(X, t)\,dt + \sqrt{\epsilon}\,dW, \qquad
    g = \sum_k w_k\,\frac{r_k + (S_k - 1)\,x}{t S_k + 1 - t},$$
    $$w_k \propto a_k \prod_i D_{ki}^{-1/2}
    \exp\frac{(S_{ki} - 1)\,x_i^2 + 2 r_{ki} x_i - t\,r_{ki}^2}{2 \epsilon D_{ki}}, \qquad D = t S + 1 - t,$$

    in which nothing is singular at $t = 1$.

    Args:
        targets: Samples of $p_1$, from which the centres r begin; at least K.
        components: K.
        epsilon: $\epsilon$.
        scale: First value of S. Published: 0.1, and 1 for $\epsilon = 10$.
        key: Random key of the choice of centres.

    Raises:
        PdesolveError: If a number is out of range, or samples are not vectors.

    References:
        Korotin, Gushchin, Burnaev, Light Schroedinger bridge, ICLR (2024), arXiv:2310.01174; the drift is theirs with
        common factors taken out.
    """

    logits: Float[Array, " k"]
    r"""$\epsilon \log a$."""
    centres: Float[Array, "k d"]
    log_diagonal: Float[Array, "k d"]
    """log S."""
    epsilon: float = eqx.field(static=True)

    def __init__(
        self,
        targets: Float[Array, "sample d"],
        components: int,
        epsilon: float,
        *,
        scale: float = 0.1,
        key: PRNGKeyArray,
    ):
        if targets.ndim != 2 or not 1 <= components <= len(targets):
            raise PdesolveError(
                f"`targets` must be vectors `(n, d)` and `components` from 1 to n; got {targets.shape}, {components}."
            )
        if not (epsilon > 0 and scale > 0):
            raise PdesolveError(f"`epsilon` and `scale` must be positive, got {epsilon} and {scale}.")
        chosen = jax.random.choice(key, len(targets), (components,), replace=False)
        self.logits = jnp.full(components, -epsilon * math.log(components), targets.dtype)
        self.centres = targets[chosen]
        self.log_diagonal = jnp.full(self.centres.shape, math.log(scale), targets.dtype)
        self.epsilon = float(epsilon)

    def plan(self, x: Float[Array, " d"]) -> Plan:
        r"""Return $\pi(y \mid x)$, with weights whose sum is 1."""
        scales = jnp.exp(self.log_diagonal)
        logits = self._log_weights(x)
        return Plan(logits - jax.nn.logsumexp(logits), self.centres + scales * x[None], self.epsilon * scales)

    def log_normaliser(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        r"""Return $\log c(x)$."""
        return jax.nn.logsumexp(self._log_weights(x))

    def log_potential(self, y: Float[Array, " d"]) -> Float[Array, ""]:
        r"""Return $\log v(y)$."""
        variances = self.epsilon * jnp.exp(self.log_diagonal)
        exponents = (y[None] - self.centres) ** 2 / variances + jnp.log(2.0 * math.pi * variances)
        return jax.nn.logsumexp(self.logits / self.epsilon - 0.5 * jnp.sum(exponents, axis=1))

    def sample_end(self, x: Float[Array, " d"], key: PRNGKeyArray) -> Float[Array, " d"]:
        """Draw an end from the plan."""
        component_key, noise_key = jax.random.split(key)
        plan = self.plan(x)
        k = jax.random.categorical(component_key, plan.log_weights)
        return plan.means[k] + jnp.sqrt(plan.variances[k]) * jax.random.normal(noise_key, x.shape, x.dtype)

    def bridge(
        self, x: Float[Array, " d"], y: Float[Array, " d"], t: Float[Array, ""], z: Float[Array, " d"]
    ) -> Float[Array, " d"]:
        r"""Return $(1 - t) x + t y + \sqrt{\epsilon t (1 - t)}\,z$: a path at one time, given start, end and noise."""
        return (1.0 - t) * x + t * y + jnp.sqrt(self.epsilon * t * (1.0 - t)) * z

    def drift(self, x: Float[Array, " d"], t: Float[Array, ""]) -> Float[Array, " d"]:
        """Return g."""
        scales = jnp.exp(self.log_diagonal)
        denominators = t * scales + (1.0 - t)
        squares = (scales - 1.0) * x[None] ** 2 + 2.0 * self.centres * x[None] - t * self.centres**2
        exponents = squares / (self.epsilon * denominators) - jnp.log(denominators)
        weights = jax.nn.softmax(self.logits / self.epsilon + 0.5 * jnp.sum(exponents, axis=1))
        return weights @ ((self.centres + (scales - 1.0) * x[None]) / denominators)

    def simulate(self, x: Float[Array, " d"], key: PRNGKeyArray, **options: Any) -> Integral:
        """Integrate the process from a start; `options` are those of `integrate_sde`."""
        return integrate_sde(self.drift, x, key, noise=math.sqrt(self.epsilon), **options)

    def _log_weights(self, x: Float[Array, " d"]) -> Float[Array, " k"]:
        exponents = jnp.exp(self.log_diagonal) * x[None] ** 2 + 2.0 * self.centres * x[None]
        return self.logits / self.epsilon + jnp.sum(exponents, axis=1) / (2.0 * self.epsilon)


class LightBridgeResidual(eqx.Module):
    r"""$\log c(x) - \log v(y)$ of one sample `{"start", "end"}`."""

    def __call__(
        self, model: LightSchrodingerBridge, sample: dict[str, Array], key: PRNGKeyArray, context: Context | None
    ):
        """Return `{"bridge": z}`, one number."""
        return {"bridge": model.log_normaliser(sample["start"]) - model.log_potential(sample["end"])}


def light_bridge_block(
    start: Float[Array, "sample d"], end: Float[Array, "sample d"], batch_size: int, **options: Any
) -> PointwiseBlock:
    r"""Return the block whose loss is the mean of $\log c(x) - \log v(y)$; the trainables are the bridge.

    Args:
        start: Samples of $p_0$.
        end: As many samples of $p_1$; who stands beside whom does not matter.
        batch_size: Samples of a step.
        **options: Of `PointwiseBlock`.

    Raises:
        PdesolveError: If shapes differ.
    """
    if start.shape != end.shape or start.ndim != 2:
        raise PdesolveError(f"`start` and `end` must be of one shape `(n, d)`; got {start.shape} and {end.shape}.")
    sampler = DataBatches({"start": start, "end": end}, batch_size)
    term = Term("bridge", outer=Density(jnp.sum))
    return PointwiseBlock(residual=LightBridgeResidual(), sampler=sampler, terms=(term,), **options)
