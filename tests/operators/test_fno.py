"""The Fourier neural operator."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from operators import FNO
from pdesolve.errors import PdesolveError, UnknownNameError


def tiny(key, num_dims=1, **options):
    return FNO(1, 1, num_dims=num_dims, **{"modes": 4, "width": 6, "depth": 2, **options}, key=key)


def count(model):
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array)))


def test_definition(key):
    """u = Q(v_2), v_1 = f(K v_0 + W v_0 + b), v_2 = K v_1 + W v_1 + b, v_0 = P(a, x), written out in NumPy.

    With padding by half: 10 points are followed by 5 zeros between P and Q.
    """
    model = jax.tree.map(lambda leaf: leaf + 0.1 if eqx.is_array(leaf) else leaf, tiny(key, padding=0.5))
    a = np.asarray(jax.random.normal(key, (1, 10)))

    def affine(layer, v):
        return np.asarray(layer.weight) @ v + np.asarray(layer.bias)[:, None]

    def perceptron(mlp, v):
        return affine(mlp.layers[1], np.asarray(jax.nn.gelu(affine(mlp.layers[0], v))))

    def block(block, v):
        r = np.asarray(block.convolution.weight[..., 0] + 1j * block.convolution.weight[..., 1])
        w_hat = np.zeros((6, 8), complex)
        w_hat[:, :4] = np.einsum("iok,ik->ok", r, np.fft.rfft(v)[:, :4])
        return np.fft.irfft(w_hat, n=15) + affine(block.skip, v)

    v = np.pad(perceptron(model.lifting, np.concatenate([a, np.arange(10)[None] / 10])), ((0, 0), (0, 5)))
    v = block(model.blocks[1], np.asarray(jax.nn.gelu(block(model.blocks[0], v))))
    np.testing.assert_allclose(model(jnp.asarray(a)), perceptron(model.projection, v[:, :10]), atol=1e-11)


@pytest.mark.parametrize("sizes", [(16,), (16, 12), (8, 8, 8)])
def test_resolutions_agree_up_to_aliasing(sizes, key):
    """The activation makes frequencies beyond n/2; the difference to a grid of 4n points falls by 20 from n to 2n."""
    model = tiny(key, len(sizes), positions=False)

    def output(factor):
        axes = np.meshgrid(*(np.arange(factor * n) / (factor * n) for n in sizes), indexing="ij")
        given = sum(np.sin(2 * np.pi * x + i) for i, x in enumerate(axes))
        return eqx.filter_jit(model)(jnp.asarray(given)[None])[(0, *[slice(None, None, factor)] * len(sizes))]

    fine = output(4)
    coarse, middle = (float(jnp.abs(output(factor) - fine).max()) for factor in (1, 2))
    assert coarse < 1e-2 * float(jnp.abs(fine).max())
    assert middle < coarse / 20 or middle < 1e-12


@pytest.mark.parametrize("sizes", [(16,), (9, 12)])
def test_commutes_with_translations(sizes, key):
    """Without positions, a shifted input gives the output shifted by as many points, to round-off; with them not."""
    v, shift = jax.random.normal(key, (1, *sizes)), tuple(range(3, 3 + len(sizes)))
    axes = tuple(range(1, len(sizes) + 1))
    for positions, tolerance in ((False, 1e-12), (True, None)):
        model = eqx.filter_jit(tiny(key, len(sizes), positions=positions))
        difference = jnp.abs(model(jnp.roll(v, shift, axes)) - jnp.roll(model(v), shift, axes)).max()
        assert (difference < tolerance) if tolerance else difference > 1e-3


@pytest.mark.parametrize(("num_dims", "inputs", "published"), [(2, 12, 414_517), (3, 13, 6_558_537)])
def test_published_parameter_counts(num_dims, inputs, published, key):
    """The counts of FNO-2D and FNO-3D in Li et al. (2021), table 1, less four batch normalisations of 2 x 20.

    They are those of 4 layers with 20 channels and 8 modes, whose inputs are 10 frames and the coordinates (x, y) or
    (x, y, t). Ours has no batch normalisation.
    """
    sizes = {"modes": 8, "width": 20, "depth": 4, "lifting": 0, "projection": 128}
    model = eqx.filter_eval_shape(lambda: FNO(10, 1, num_dims=num_dims, **sizes, key=key))
    assert inputs == 10 + num_dims
    assert sum(leaf.size for leaf in jax.tree.leaves(model) if hasattr(leaf, "size")) == published - 4 * 2 * 20


def test_parameter_count(key):
    """Lifting, depth times (2 w^2 m + w^2 + w), projection."""
    model = FNO(2, 3, modes=5, width=7, depth=3, lifting=11, projection=13, key=key)
    assert count(model) == (3 * 11 + 11 + 11 * 7 + 7) + 3 * (2 * 7 * 7 * 5 + 7 * 7 + 7) + (7 * 13 + 13 + 13 * 3 + 3)


@pytest.mark.parametrize("sizes", [(16,), (8, 6)])
def test_gradient(sizes, key):
    """Directional derivative in parameters and input equals the central difference.

    Its truncation error is of order h^2 = 1e-10 and its round-off 1e-16 / h = 1e-11, both times second order sizes
    of the loss that are well below 100.
    """
    model = tiny(key, len(sizes), padding=0.25)
    v = jax.random.normal(key, (1, *sizes))
    params, static = eqx.partition((model, v), eqx.is_inexact_array)

    @jax.jit
    def loss(params):
        model, v = eqx.combine(params, static)
        return jnp.mean(model(v) ** 2)

    direction = jax.tree.map(lambda leaf: jax.random.normal(key, leaf.shape), params)
    moved = [loss(jax.tree.map(lambda p, d, h=h: p + h * d, params, direction)) for h in (1e-5, -1e-5)]
    exact = sum(jnp.vdot(g, d) for g, d in zip(*map(jax.tree.leaves, (jax.grad(loss)(params), direction)), strict=True))
    np.testing.assert_allclose((moved[0] - moved[1]) / 2e-5, exact, rtol=1e-6, atol=1e-8)


def test_learns_the_heat_kernel(key):
    """A single block without activation is a multiplier; Adam finds exp(-nu k^2 t) on the data's modes, to 1 %."""
    k, decay = np.arange(4), np.exp(-0.2 * np.arange(4) ** 2)
    c = np.random.default_rng(0).standard_normal((64, 4, 2)) @ np.array([1, 1j])
    inputs, outputs = (jnp.asarray(np.fft.irfft(a, n=16, norm="forward")) for a in (c, decay * c))
    model = FNO(1, 1, modes=4, width=1, depth=1, lifting=0, projection=0, positions=False, key=key)
    transformation = optax.adam(optax.cosine_decay_schedule(3e-2, 600))

    @eqx.filter_jit
    def train(model):
        def step(carry, _):
            model, state = carry
            grad = jax.grad(lambda m: jnp.mean((jax.vmap(m)(inputs[:, None])[:, 0] - outputs) ** 2))(model)
            updates, state = transformation.update(grad, state)
            return (optax.apply_updates(model, updates), state), None

        return jax.lax.scan(step, (model, transformation.init(model)), length=600)[0][0]

    model = train(model)
    for order in k:
        wave = jnp.cos(2 * jnp.pi * order * jnp.arange(16) / 16)
        answer = model(wave[None])[0] - model(jnp.zeros((1, 16)))[0]
        np.testing.assert_allclose(answer, decay[order] * wave, atol=1e-2)


def test_errors(key):
    with pytest.raises(PdesolveError, match=r"expected one sample of shape \(1, n1\).*got \(3, 1, 16\).*vmap"):
        tiny(key)(jnp.ones((3, 1, 16)))
    with pytest.raises(PdesolveError, match="`modes` must be one number or 2"):
        FNO(1, 1, num_dims=2, modes=(4, 4, 4), key=key)
    with pytest.raises(PdesolveError, match="`depth` must be at least 1, got 0"):
        tiny(key, depth=0)
    with pytest.raises(PdesolveError, match=r"`padding` must be at least 0, got -0\.1"):
        tiny(key, padding=-0.1)
    with pytest.raises(UnknownNameError, match="Did you mean 'gelu'"):
        tiny(key, activation="gelo")
