import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.flow import LinearPath, flow_matching_block
from pdesolve.flow.objective import with_noise_and_time
from pdesolve.objective import Context, Evaluation, Objective

from .gaussian import GaussianFlow

CONTEXT = Context(jnp.asarray(0), jnp.asarray(0.0))


class Affine(eqx.Module):
    """v(x, t) = a x + b at the one time that is looked at."""

    a: jax.Array
    b: jax.Array

    def __call__(self, x, t):
        return self.a * x + self.b


@pytest.mark.parametrize("sigma_min", [0.0, 0.2])
@pytest.mark.parametrize("t", [0.2, 0.8])
def test_minimiser_is_the_closed_form(key, t, sigma_min):
    """Least squares of the residual over affine v, at one time, gives slope A(t) and value m at x = t m.

    Both within five standard errors, (Var(target | x_t) / (n S_t))^(1/2) and (Var / n)^(1/2), n = 20000.
    """
    n, flow = 20_000, GaussianFlow(1.5, 0.3, sigma_min)
    data = flow.mean + flow.deviation * jax.random.normal(key, (n, 1, 1))
    block = flow_matching_block(data, n, LinearPath(sigma_min))
    samples = block.sampler.draw(block.sampler.init(0), key, jnp.asarray(0)).samples
    samples["time"] = jnp.full(n, t)
    zero = Affine(jnp.zeros(()), jnp.zeros(()))
    z, jacobian = block.jacobian(zero, lambda params: params, samples, key, CONTEXT)
    matrix = jnp.stack([jacobian["flow"].a.ravel(), jacobian["flow"].b.ravel()], axis=1)
    slope, intercept = jnp.linalg.lstsq(matrix, -z["flow"].ravel())[0]
    left = flow.rest**2 + flow.deviation**2 - flow.slope(t) ** 2 * flow.variance(t)
    assert abs(slope - flow.slope(t)) < 5 * jnp.sqrt(left / n / flow.variance(t))
    assert abs(slope * t * flow.mean + intercept - flow.mean) < 5 * jnp.sqrt(left / n)


def test_loss_is_the_mean_square(key):
    """With v = 0 the loss is the mean over samples, channels and grid of (x_1 - x_0)^2, to round-off."""
    fields = jax.random.normal(key, (12, 2, 8))
    block = flow_matching_block(fields, 5, LinearPath())
    batch = block.sampler.draw(block.sampler.init(3), key, jnp.asarray(0))
    params, frozen = eqx.partition(Affine(jnp.zeros(()), jnp.zeros(())), eqx.is_array)
    loss, _ = Evaluation(Objective((block,)), (batch,), {}, key, CONTEXT, frozen).loss(params)
    expected = jnp.mean((batch.samples["field"] - batch.samples["noise"]) ** 2)
    np.testing.assert_allclose(loss, expected, rtol=1e-14)


def test_samples_by_key(key):
    """Equal keys give equal noise and times, other keys others; the field is left as it is, times lie in [0, 1)."""
    field = jnp.ones((1, 4))
    first, again, other = (with_noise_and_time(k, field) for k in (key, key, jax.random.fold_in(key, 1)))
    for name in ("noise", "field", "time"):
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.any(first["noise"] == other["noise"]) and first["time"] != other["time"]
    np.testing.assert_array_equal(first["field"], field)
    assert 0 <= first["time"] < 1
