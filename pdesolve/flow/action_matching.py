"""Action matching: the potential whose gradient carries given laws, learned from samples at each time alone."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..errors import PdesolveError
from ..objective import Context, Density, PointwiseBlock, Term
from ..samplers import FreshSamples
from .diffusion import integrate_sde
from .objective import VelocityField
from .sampling import integrate

__all__ = ["ActionMatching", "ActionResidual", "QuadraticAction", "Transported"]

Action = Callable[[Float[Array, " *shape"], Float[Array, ""]], Float[Array, ""]]
"""`action(x, t)`: a number."""


class QuadraticAction(eqx.Module):
    r"""The action $s(x, t) = |x - h(x, t)|^2 / 2$ of a network h that returns what has the shape of x."""

    network: VelocityField

    def __call__(self, x: Float[Array, " *shape"], t: Float[Array, ""]) -> Float[Array, ""]:
        """Return s."""
        return 0.5 * jnp.sum((x - self.network(x, t)) ** 2)


class Transported(NamedTuple):
    """Where a sample goes, and what it counts there."""

    value: Float[Array, " *shape"]
    log_weight: Float[Array, ""]


class ActionResidual(eqx.Module):
    r"""One sample `{"first", "last", "inside", "time"}` to $z = (\ell, \sqrt{w}\,\nabla s[, \sqrt{w}\,s])$.

    $$\ell = w(0)\,s(x_0, 0) - w(1)\,s(x_1, 1) + w\,(\partial_t s + \tfrac12 \sigma^2 \Delta s) + \dot w\,s$$

    at $(x_t, t)$ where nothing else is said. The loss is the mean of $z_0 + (z_1^2 + z_2^2 + \dots) / 2$.
    """

    matching: "ActionMatching"

    def __call__(self, model: Action, sample: dict[str, Array], key: PRNGKeyArray, context: Context | None):
        """Return `{"action": z}`."""
        x, t = sample["inside"], sample["time"]
        zero, one = jnp.zeros_like(t), jnp.ones_like(t)
        s, (slope, rate) = jax.value_and_grad(model, (0, 1))(x, t)
        weight, change = self._weight(t)
        if self.matching.noise:
            rate = rate + 0.5 * self.matching.noise**2 * _laplacian(model, x, t)
        ends = self._weight(zero)[0] * model(sample["first"], zero) - self._weight(one)[0] * model(sample["last"], one)
        parts = [(ends + weight * rate + change * s)[None], jnp.sqrt(weight) * slope.reshape(-1)]
        if self.matching.unbalanced:
            parts.append((jnp.sqrt(weight) * s)[None])
        return {"action": jnp.concatenate(parts)}

    def _weight(self, t: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        if self.matching.weight is None:
            return jnp.ones_like(t), jnp.zeros_like(t)
        return jax.value_and_grad(self.matching.weight)(t)


class ActionMatching(eqx.Module):
    r"""Action matching: the laws $q_t$, $0 \le t \le 1$, known by samples that belong to no paths, moved by $\nabla s$.

    $$L(s) = \mathrm{E}_{q_0} s_0 - \mathrm{E}_{q_1} s_1 + \int_0^1 \mathrm{E}_{q_t}\Big[\tfrac12 |\nabla s_t|^2 +
    \partial_t s_t\Big]\,dt$$

    exceeds its least value, minus the kinetic energy, by half the squared error of $\nabla s$. With `noise` $\sigma$
    there is $\tfrac12 \sigma^2 \Delta s$ in the integral and $dx = \nabla s\,dt + \sigma\,dW$; `unbalanced` laws have
    mass that changes: $\tfrac12 s^2$ is added, and the logarithm of a sample's weight grows at the rate s.

    Args:
        noise: $\sigma$.
        unbalanced: Whether mass changes.
        weight: Weight w of times, positive; boundary terms and $s\,\dot w$ in the integral follow from it. 1 if None.

    Raises:
        PdesolveError: If the noise is negative.

    References:
        Neklyudov, Brekelmans, Severo, Makhzani, Action matching, ICML (2023), arXiv:2210.06662.
    """

    noise: float = eqx.field(static=True, default=0.0)
    unbalanced: bool = eqx.field(static=True, default=False)
    weight: Callable[[Float[Array, ""]], Float[Array, ""]] | None = None

    def __check_init__(self):
        if not self.noise >= 0:
            raise PdesolveError(f"`noise` must not be negative, got {self.noise}.")

    def block(
        self, draw: Callable[[PRNGKeyArray, Float[Array, ""]], Array], batch_size: int, **options: Any
    ) -> PointwiseBlock:
        """Return the block of one term, `action`; the trainables are the action.

        Args:
            draw: `draw(key, t)` returns one sample of the law at time t.
            batch_size: Samples of a step, each at a time of its own.
            **options: Of `PointwiseBlock`.
        """
        return self._block(_Continuous(draw, batch_size), batch_size, options)

    def snapshot_block(
        self,
        times: Float[np.ndarray, " time"],
        snapshots: Float[Array, "time sample ..."],
        batch_size: int,
        **options: Any,
    ) -> PointwiseBlock:
        """Return the block of samples known at some times only: the integral becomes the trapezoidal rule.

        Args:
            times: From 0 to 1, growing.
            snapshots: As many samples at each of them.
            batch_size: Samples of a step.
            **options: Of `PointwiseBlock`.

        Raises:
            PdesolveError: If times do not grow from 0 to 1, or there are not as many snapshots.
        """
        times = np.asarray(times, dtype=float)
        if times.ndim != 1 or len(times) < 2 or times[0] != 0 or times[-1] != 1 or (np.diff(times) <= 0).any():
            raise PdesolveError(f"`times` must grow from 0 to 1; got {times}.")
        if len(snapshots) != len(times):
            raise PdesolveError(f"each time needs its snapshot; got {len(times)} times and {len(snapshots)} snapshots.")
        shares = 0.5 * (np.diff(times, prepend=0.0) + np.diff(times, append=1.0))
        like = snapshots.dtype
        draw = _Snapshots(jnp.asarray(times, like), jnp.asarray(shares, like), snapshots, batch_size)
        return self._block(draw, batch_size, options)

    def velocity(self, action: Action) -> VelocityField:
        r"""Return $\nabla s$."""
        return jax.grad(action)

    def transport(
        self, action: Action, x: Float[Array, " *shape"], *, key: PRNGKeyArray | None = None, **options: Any
    ) -> Transported:
        """Return where a sample of the law at time 0 is at time 1, and the logarithm of its weight.

        Args:
            action: s.
            x: The sample.
            key: Random key of the noise, where there is some.
            **options: Of `integrate`, or with noise of `integrate_sde`.

        Raises:
            PdesolveError: If there is noise and no key.
        """
        if self.noise and key is None:
            raise PdesolveError("with `noise` a path is random: give `key`.")
        state = jnp.append(x.reshape(-1), 0.0)

        def field(state, t):
            s, slope = jax.value_and_grad(action)(state[:-1].reshape(x.shape), t)
            growth = s if self.unbalanced else jnp.zeros_like(s)
            return jnp.append(slope.reshape(-1), growth)

        if key is not None and self.noise:
            noise = jnp.full_like(state, self.noise).at[-1].set(0.0)
            end = integrate_sde(field, state, key, noise=lambda t: noise, **options).value
        else:
            end = integrate(field, state, **options).value
        return Transported(end[:-1].reshape(x.shape), end[-1])

    def _block(self, draw: Callable, batch_size: int, options: dict[str, Any]) -> PointwiseBlock:
        term = Term("action", outer=Density(_density, _density_root))
        sampler = FreshSamples(draw, batch_size)
        return PointwiseBlock(residual=ActionResidual(self), sampler=sampler, terms=(term,), **options)


class _Continuous(eqx.Module):
    """`key` to samples of laws known at all times."""

    draw: Callable[[PRNGKeyArray, Float[Array, ""]], Array]
    batch_size: int = eqx.field(static=True)

    def __call__(self, key: PRNGKeyArray) -> dict[str, Array]:
        time_key, *keys = jax.random.split(key, 4)
        time = jax.random.uniform(time_key, (self.batch_size,))
        at = {"first": jnp.zeros_like(time), "last": jnp.ones_like(time), "inside": time}
        samples = {
            name: jax.vmap(self.draw)(jax.random.split(k, self.batch_size), t)
            for (name, t), k in zip(at.items(), keys, strict=True)
        }
        return samples | {"time": time}


class _Snapshots(eqx.Module):
    """`key` to samples of laws known at some times, each with its share in the integral."""

    times: Float[Array, " time"]
    shares: Float[Array, " time"]
    snapshots: Float[Array, "time sample ..."]
    batch_size: int = eqx.field(static=True)

    def __call__(self, key: PRNGKeyArray) -> dict[str, Array]:
        time_key, *keys = jax.random.split(key, 4)
        index = jax.random.choice(time_key, len(self.times), (self.batch_size,), p=self.shares)
        at = {"first": jnp.zeros_like(index), "last": jnp.full_like(index, len(self.times) - 1), "inside": index}
        count = self.snapshots.shape[1]
        samples = {
            name: self.snapshots[k_time, jax.random.randint(k, (self.batch_size,), 0, count)]
            for (name, k_time), k in zip(at.items(), keys, strict=True)
        }
        return samples | {"time": self.times[index]}


def _laplacian(action: Action, x: Float[Array, " *shape"], t: Float[Array, ""]) -> Float[Array, ""]:
    """Return the trace of the Hessian in x: one derivative of the gradient for each entry, so for few of them."""
    slope = jax.grad(lambda flat: action(flat.reshape(x.shape), t))
    flat = x.reshape(-1)
    rows = jax.vmap(lambda unit: jnp.vdot(unit, jax.jvp(slope, (flat,), (unit,))[1]))
    return jnp.sum(rows(jnp.eye(flat.size, dtype=x.dtype)))


def _density(z: Float[Array, " c"]) -> Float[Array, ""]:
    return z[0] + 0.5 * jnp.sum(z[1:] ** 2)


def _density_root(z: Float[Array, " c"]) -> Float[Array, "k c"]:
    """Return the identity without its first row: the first entry is linear in the loss."""
    return jnp.eye(z.shape[0], dtype=z.dtype)[1:]
