"""What tests of architectures share: models with given parameters, and one sample learned."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax


def filled(constructor, *args, scale=0.4, **options):
    """Return a model all of whose parameters are random, also those that are zero or one at the start."""
    model = eqx.filter_eval_shape(constructor, *args, key=jax.random.key(0), **options)
    generator = np.random.default_rng(0)

    def fill(leaf):
        abstract = isinstance(leaf, jax.ShapeDtypeStruct)
        return jnp.asarray(scale * generator.normal(size=leaf.shape), leaf.dtype) if abstract else leaf

    return jax.tree.map(fill, model)


def normal(*shape, seed=1):
    """Return a random array."""
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def relative_error_after_training(model, key, *, rate=1e-2, steps=500):
    """Check the gradient against central differences, then return the relative L2 error on one sample after Adam."""
    x = jnp.arange(32) / 32
    given, wanted = jnp.sin(2 * jnp.pi * x)[None], (jnp.cos(2 * jnp.pi * x) + 0.3 * jnp.sin(6 * jnp.pi * x))[None]
    params, static = eqx.partition(model, eqx.is_inexact_array)

    @jax.jit
    def loss(params):
        return jnp.mean((eqx.combine(params, static)(given) - wanted) ** 2)

    gradient = jax.grad(loss)(params)
    direction = jax.tree.map(lambda leaf: jax.random.normal(key, leaf.shape, leaf.dtype), params)
    slope = sum(jnp.vdot(g, d) for g, d in zip(*map(jax.tree.leaves, (gradient, direction)), strict=True))
    ends = [loss(jax.tree.map(lambda p, d, s=s: p + s * 1e-6 * d, params, direction)) for s in (1, -1)]
    np.testing.assert_allclose((ends[0] - ends[1]) / 2e-6, slope, rtol=1e-4)
    optimiser = optax.adam(optax.cosine_decay_schedule(rate, steps))

    @jax.jit
    def train(carry):
        def step(carry, _):
            params, state = carry
            updates, state = optimiser.update(jax.grad(loss)(params), state)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, carry, length=steps)[0]

    params, _ = train((params, optimiser.init(params)))
    return float(jnp.sqrt(loss(params) / jnp.mean(wanted**2)))
