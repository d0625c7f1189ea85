import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.flow import DiT
from pdesolve.flow.dit import _attend


def small(key, **options):
    sizes = {"num_dims": 2, "width": 16, "depth": 2, "heads": 2, "patch": 2}
    return DiT(2, key=key, **(sizes | options))


def alive(key, **options):
    """A small network with random weights everywhere, those that begin at zero too."""
    model = eqx.filter_eval_shape(lambda: small(key, **options))
    generator = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.asarray(0.3 * generator.standard_normal(leaf.shape)), model)


LARGE = {"width": 256, "depth": 8, "heads": 8}
PUBLISHED = {
    "darcy": (2, LARGE, 9_747_744),
    "kolmogorov": (2, LARGE | {"attention": "linear", "condition_size": 1}, 9_814_048),
    "dynamic_stall": (
        6,
        {"width": 128, "depth": 4, "heads": 4, "condition_size": 4, "conditioning": "tile"},
        1_294_560,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_numbers_of_parameters(name):
    """Trainable parameters of the three published networks."""
    channels, options, number = PUBLISHED[name]
    model = eqx.filter_eval_shape(lambda key: DiT(channels, key=key, **options), jax.random.key(0))
    leaves = jax.tree.leaves(eqx.filter(model, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct)))
    assert sum(leaf.size for leaf in leaves) == number


def test_begins_at_zero(key):
    """Before training v is exactly zero, whatever x, t and condition."""
    call = eqx.filter_jit(lambda x, t, numbers: small(key, condition_size=4, depth=1)(x, t, numbers))
    assert jnp.all(call(jax.random.normal(key, (2, 4, 6)), jnp.asarray(0.3), jnp.ones(4)) == 0)


@pytest.mark.parametrize("num_dims", [1, 2, 3])
def test_patches(key, num_dims):
    """A token holds one patch, all channels of a point together, and patches go back to where they were."""
    model = alive(key, num_dims=num_dims, width=24, depth=1)
    x = jax.random.normal(key, (2, 4, 6, 2)[: num_dims + 1])
    tokens = jax.jit(lambda x: model._tokens(x))(x)
    np.testing.assert_array_equal(jax.jit(lambda tokens: model._field(tokens, x.shape))(tokens), x)
    patch = x[(slice(None), *[slice(0, 2)] * num_dims)]
    np.testing.assert_array_equal(tokens[0], jnp.moveaxis(patch, 0, -1).ravel())


@pytest.mark.parametrize("attention", ["softmax", "linear"])
def test_attention_is_the_written_one(key, attention):
    """Against loops over heads in NumPy, to round-off."""
    qkv = jax.random.normal(key, (5, 24))
    found = jax.jit(lambda qkv: _attend(qkv, 2, attention))(qkv)
    q, k, v = np.split(np.asarray(qkv), 3, axis=1)

    def softmax(z, axis):
        return np.exp(z) / np.exp(z).sum(axis, keepdims=True)

    for head in range(2):
        columns = slice(4 * head, 4 * head + 4)
        a, b, c = q[:, columns], k[:, columns], v[:, columns]
        expected = softmax(a @ b.T / 2.0, 1) @ c if attention == "softmax" else softmax(a, 1) @ (softmax(b, 0).T @ c)
        np.testing.assert_allclose(found[:, columns], expected, rtol=1e-12)


def test_block_is_the_written_one(key):
    """One block and the last layer in NumPy, from the tokens on, to round-off."""
    model, x = alive(key, depth=1), jax.random.normal(key, (2, 4, 4))
    t = 0.37

    def affine(layer, h):
        return h @ np.asarray(layer.weight).T + np.asarray(layer.bias)

    def swish(z):
        return z / (1 + np.exp(-z))

    def gelu(z):
        return 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))

    def modulated(h, shift, scale):
        h = (h - h.mean(1, keepdims=True)) / np.sqrt(h.var(1, keepdims=True) + 1e-6)
        return h * (1 + scale) + shift

    attend = jax.jit(lambda qkv: _attend(qkv, 2, "softmax"))  # tested on its own
    angles = 1000 * t * 10_000.0 ** (-np.arange(128) / 128)
    code = affine(model.time[1], swish(affine(model.time[0], np.concatenate([np.cos(angles), np.sin(angles)]))))
    rows, columns = np.divmod(np.arange(4), 2)
    frequencies = 10_000.0 ** (-np.arange(4) / 4)
    places = [f(p[:, None] * frequencies) for p in (rows, columns) for f in (np.sin, np.cos)]
    h = affine(model.embedding, np.asarray(model._tokens(x))) + np.concatenate(places, axis=1)
    block = model.blocks[0]
    shift, scale, gate, shift_2, scale_2, gate_2 = np.split(affine(block.modulation, swish(code)), 6)
    mixed = np.asarray(attend(jnp.asarray(affine(block.projections, modulated(h, shift, scale)))))
    h = h + gate * affine(block.out, mixed)
    h = h + gate_2 * affine(block.last, gelu(affine(block.hidden, modulated(h, shift_2, scale_2))))
    shift, scale = np.split(affine(model.modulation, swish(code)), 2)
    expected = affine(model.project, modulated(h, shift, scale))
    np.testing.assert_allclose(
        jax.jit(lambda x, t: model._tokens(model(x, t)))(x, jnp.asarray(t)), expected, rtol=1e-10, atol=1e-12
    )


def test_condition(key):
    """Tiled numbers are added to the time code as they are, others through a perceptron; both count."""
    numbers, t = jnp.asarray([0.5, -1.0, 2.0, 0.0]), jnp.asarray(0.3)
    tiled, plain = (alive(key, condition_size=n, conditioning="tile") for n in (4, 0))
    added = jax.jit(lambda: tiled._code(t, numbers) - plain._code(t, None))()
    np.testing.assert_allclose(added, np.tile(numbers, 4), atol=1e-12)
    model = alive(key, condition_size=4, depth=1)
    call = jax.jit(jax.vmap(model))
    x, both = jnp.ones((2, 2, 4, 4)), jnp.stack([numbers, -numbers])
    out = call(x, jnp.full(2, t), both)
    np.testing.assert_allclose(call(x, jnp.full(2, t), both[::-1]), out[::-1], atol=1e-12)
    assert jnp.abs(out[0] - out[1]).max() > 1e-3


def test_types(key):
    """A network of the type asked for answers in it."""
    model = eqx.filter_eval_shape(lambda: small(key, dtype="float32"))
    x, t = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((2, 4, 4), ()))
    out = eqx.filter_eval_shape(lambda model, x, t: model(x, t), model, x, t)
    assert out.dtype == "float32" and out.shape == (2, 4, 4)


def test_messages(key):
    with pytest.raises(PdesolveError, match=r"`width` must be a multiple of `heads` \(3\) and of 4; got 16"):
        small(key, heads=3)
    with pytest.raises(UnknownNameError, match=r"unknown attention 'liner'. Did you mean 'linear'"):
        small(key, attention="liner")
    with pytest.raises(UnknownNameError, match=r"unknown conditioning 'mpl'. Did you mean 'mlp'"):
        small(key, conditioning="mpl")
    with pytest.raises(PdesolveError, match=r"divide `width` if tiled; got 5 and 16"):
        small(key, condition_size=5, conditioning="tile")
    with pytest.raises(PdesolveError, match=r"no adaptive activations; got 'adaptive_gelu'"):
        small(key, activation="adaptive_gelu")
    with pytest.raises(PdesolveError, match=r"2 axes, each a multiple of 2 points; got \(2, 4, 5\)"):
        alive(key)(jnp.zeros((2, 4, 5)), jnp.asarray(0.0))
    with pytest.raises(PdesolveError, match=r"expected 4 numbers in `condition`, got 0"):
        alive(key, condition_size=4)(jnp.zeros((2, 4, 4)), jnp.asarray(0.0))
