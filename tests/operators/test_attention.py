"""Transolver, GNOT and LSM: definitions by hand, and what they know of their points."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from operators import GNOT, LSM, Transolver
from operators.gnot import LinearAttention
from operators.lsm import NeuralSpectralBlock
from operators.transolver import PhysicsAttention
from pdesolve.errors import PdesolveError

from .common import filled, normal, relative_error_after_training


def softmax(z, axis):
    e = np.exp(z - z.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def affine(layer, v):
    return np.asarray(layer.weight) @ v + np.asarray(layer.bias)[:, None]


def perceptron(mlp, v):
    return affine(mlp.layers[1], gelu(affine(mlp.layers[0], v)))


def normalise(layer, v):
    v = (v - v.mean(0)[None]) / np.sqrt(v.var(0)[None] + 1e-5)
    return v * np.asarray(layer.norm.weight)[:, None] + np.asarray(layer.norm.bias)[:, None]


def mixture(layer, x, gate):
    return sum(g[None] * perceptron(e, x) for g, e in zip(gate, layer.experts, strict=True))


def physics_attention(layer, v):
    """Point by point and slice by slice, one head after the other."""
    size, heads = layer.queries.shape[0], layer.temperature.shape[0]
    x, f = affine(layer.places, v), affine(layer.features, v)
    parts = []
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        w = softmax(affine(layer.slicing, x[part]) / np.clip(float(layer.temperature[h]), 0.1, 5), 0)
        t = np.stack([sum(w[g, n] * f[part, n] for n in range(v.shape[1])) / w[g].sum() for g in range(len(w))])
        q, k, u = (t @ np.asarray(m).T for m in (layer.queries, layer.keys, layer.values))
        parts.append((softmax(q @ k.T / np.sqrt(size), 1) @ u).T @ w)
    return affine(layer.last, np.concatenate(parts))


def linear_attention(layer, x, functions):
    """As a double sum over points, one head after the other."""
    size = x.shape[0] // layer.heads
    q = affine(layer.query, x)
    parts = []
    for h in range(layer.heads):
        part = slice(h * size, (h + 1) * size)
        q_h = softmax(q[part], 0)
        taken = q_h.copy()
        for key, value, y in zip(layer.keys, layer.values, functions, strict=True):
            k, v = softmax(affine(key, y)[part], 0), affine(value, y)[part]
            taken += v @ softmax(np.log(q_h.T @ k), 1).T
        parts.append(taken)
    return affine(layer.last, np.concatenate(parts))


@pytest.mark.parametrize("lattice", [0, 3])
def test_transolver_by_hand(lattice):
    """Two blocks on seven scattered points of the plane in NumPy, with a temperature beyond its bounds."""
    model = filled(Transolver, 2, 3, num_dims=2, width=6, depth=2, heads=2, slices=5, lattice=lattice)
    model = eqx.tree_at(lambda m: m.blocks[1].attention.temperature, model, jnp.array([0.01, 7.0]))
    a, points = np.asarray(normal(2, 7)), np.asarray(normal(7, 2, seed=2))
    told = points.T
    if lattice:
        knots = [(i / 2, j / 2) for i in range(3) for j in range(3)]
        told = np.array([[np.hypot(x - i, y - j) for x, y in points] for i, j in knots])
    v = perceptron(model.lifting, np.concatenate([a, told]))
    for block in model.blocks:
        v = v + physics_attention(block.attention, normalise(block.norms[0], v))
        v = v + perceptron(block.perceptron, normalise(block.norms[1], v))
    by_hand = affine(model.projection, normalise(model.norm, v))
    np.testing.assert_allclose(eqx.filter_jit(model.at)(jnp.asarray(a), jnp.asarray(points)), by_hand, atol=1e-11)


def test_slices_are_weighted_means(key):
    """Weights of a point sum to one; slices of a constant are it; a slice that no point belongs to harms nothing."""
    sizes = {"num_dims": 1, "kernel": 1, "periodic": True, "dtype": jnp.float64}
    attention = filled(PhysicsAttention, 6, 2, 4, **sizes)
    empty = eqx.tree_at(lambda a: a.slicing.bias, attention, jnp.array([0.0, -2000.0, 0.1, 0.0]))
    v = normal(6, 9)
    slope = eqx.filter_jit(eqx.filter_grad(lambda layer: jnp.sum(layer(v) ** 2)))
    weigh, mean = eqx.filter_jit(lambda a: a.log_weights(v)), eqx.filter_jit(lambda a, w: a.tokens(v, w))
    for layer in (attention, empty):
        log_weights = weigh(layer)
        np.testing.assert_allclose(jnp.exp(log_weights).sum(1), 1.0, atol=1e-14)
        # Points with other places but the same features: W_f is made blind.
        blind = eqx.tree_at(lambda a: a.features.weight, layer, jnp.zeros((6, 6)))
        tokens = mean(blind, log_weights)
        expected = np.broadcast_to(np.asarray(layer.features.bias).reshape(2, 1, 3), (2, 4, 3))
        np.testing.assert_allclose(tokens, expected, atol=1e-14)
        gradient = slope(layer)
        assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(gradient))
    start = eqx.filter_jit(PhysicsAttention)(6, 2, 4, key=key, **sizes).slicing.weight
    np.testing.assert_allclose(start.T @ start, np.eye(3), atol=1e-12)


def test_transolver_knows_no_order_of_points():
    """Permuted points give permuted outputs; all points twice change nothing; a grid is a set of points."""
    model = filled(Transolver, 2, 3, num_dims=2, width=8, depth=2, heads=2, slices=5)
    at, a, points = eqx.filter_jit(model.at), normal(2, 12), normal(12, 2)
    output, order = at(a, points), np.random.default_rng(0).permutation(12)
    np.testing.assert_allclose(at(a[:, order], points[order]), output[:, order], atol=1e-12)
    twice = at(jnp.tile(a, (1, 2)), jnp.tile(points, (2, 1)))
    np.testing.assert_allclose(twice, jnp.tile(output, (1, 2)), atol=1e-12)
    sample = normal(2, 4, 3)
    x, y = np.meshgrid(np.arange(4) / 4, np.arange(3) / 3, indexing="ij")
    nodes = jnp.asarray(np.stack([x.ravel(), y.ravel()], 1))
    expected = at(sample.reshape(2, -1), nodes).reshape(3, 4, 3)
    np.testing.assert_allclose(eqx.filter_jit(model)(sample), expected, atol=1e-12)


def test_distances_have_a_derivative_everywhere():
    """Also at a point of the lattice, where the distance has none: zero is taken."""
    model = filled(Transolver, 1, 1, num_dims=2, width=4, depth=1, heads=1, slices=2, lattice=2)
    slope = jax.jit(jax.grad(lambda p: jnp.sum(model.at(jnp.ones((1, 2)), p))))
    slopes = slope(jnp.array([[0.0, 1.0], [0.3, 0.2]]))
    assert bool(jnp.isfinite(slopes).all())


@pytest.mark.parametrize("kernel", [1, 3])
def test_transolver_commutes_with_translations(kernel):
    """Without coordinates; with convolutions, those around the ends."""
    model = filled(Transolver, 1, 2, num_dims=2, width=4, depth=1, heads=2, slices=3, kernel=kernel, positions=False)
    v = normal(1, 6, 5)
    apply = eqx.filter_jit(model)
    np.testing.assert_allclose(apply(jnp.roll(v, (1, 2), (1, 2))), jnp.roll(apply(v), (1, 2), (1, 2)), atol=1e-12)


def test_convolutions_see_neighbours():
    """A convolution that only has a centre is the pointwise map; zeros are beyond ends that are not periodic."""
    options = {"width": 4, "depth": 1, "heads": 2, "slices": 3}
    plain, grids = (filled(Transolver, 1, 1, kernel=kernel, **options) for kernel in (1, 3))

    def centred(layer):
        weight = jnp.zeros((4, 4, 3)).at[:, :, 1].set(layer.weight)
        return eqx.tree_at(
            lambda c: (c.weight, c.bias), grids.blocks[0].attention.places, (weight, layer.bias[:, None])
        )

    def maps(m):
        return m.blocks[0].attention.places, m.blocks[0].attention.features

    same = eqx.tree_at(maps, plain, tuple(map(centred, maps(plain))))
    v, apply = normal(1, 8), eqx.filter_jit(lambda model, v: model(v))
    np.testing.assert_allclose(apply(same, v), apply(plain, v), atol=1e-12)
    assert not np.allclose(apply(grids, v), apply(plain, v))
    walls = filled(Transolver, 1, 1, kernel=3, periodic=False, **options)
    assert walls.blocks[0].attention.places.padding_mode == "ZEROS"


def test_transolver_refuses(key):
    """Heads that do not divide, points for convolutions, shapes that do not fit."""
    with pytest.raises(PdesolveError, match="`heads` must divide `width`; got 3 and 8"):
        Transolver(1, 1, width=8, heads=3, key=key)
    with pytest.raises(PdesolveError, match="kernel=1, not 3"):
        filled(Transolver, 1, 1, width=4, depth=1, kernel=3).at(jnp.ones((1, 5)), jnp.ones((5, 1)))
    model = filled(Transolver, 1, 1, num_dims=2, width=4, depth=1)
    with pytest.raises(PdesolveError, match=r"values \(1, n\) and points \(n, 2\)"):
        model.at(jnp.ones((1, 5)), jnp.ones((4, 2)))


def test_linear_attention_is_the_double_sum():
    """Two functions with five and eight points, seen from three."""
    layer = filled(LinearAttention, 6, 2, 2, dtype=jnp.float64)
    x, *functions = (normal(6, n, seed=n) for n in (3, 5, 8))
    by_hand = linear_attention(layer, np.asarray(x), [np.asarray(y) for y in functions])
    np.testing.assert_allclose(eqx.filter_jit(layer)(x, functions), by_hand, atol=1e-12)


def test_gnot_by_hand():
    """Two blocks in NumPy: two groups of functions on points of their own, three experts, scattered outputs."""
    model = filled(GNOT, 3, 2, num_dims=2, functions=(1, 2), width=4, depth=2, heads=2, experts=3, expansion=2)
    values = [np.asarray(normal(1, 5)), np.asarray(normal(2, 7))]
    places = [np.asarray(normal(5, 2)), np.asarray(normal(7, 2, seed=2))]
    points = np.asarray(normal(6, 2, seed=3))
    x = perceptron(model.trunk, points.T)
    branches = zip(model.branches, values, places, strict=True)
    functions = [perceptron(branch, np.concatenate([v, y.T])) for branch, v, y in branches]
    for block in model.blocks:
        hidden = points.T
        for i, layer in enumerate(block.gate.layers):
            hidden = affine(layer, hidden)
            hidden = gelu(hidden) if i < 2 else hidden
        gate = softmax(hidden, 0)
        assert gate.shape == (3, 6)
        seen = [normalise(norm, y) for norm, y in zip(block.function_norms, functions, strict=True)]
        x = x + linear_attention(block.cross, normalise(block.norms[0], x), seen)
        x = x + normalise(block.norms[1], mixture(block.mixtures[0], x, gate))
        own = normalise(block.norms[2], x)
        x = x + linear_attention(block.own, own, [own])
        x = x + normalise(block.norms[3], mixture(block.mixtures[1], x, gate))
    output = eqx.filter_jit(model.at)(
        [jnp.asarray(v) for v in values], [jnp.asarray(y) for y in places], jnp.asarray(points)
    )
    np.testing.assert_allclose(output, perceptron(model.projection, x), atol=1e-11)


def test_gnot_knows_no_order_of_points():
    """Neither of the points asked for nor of those of a function; all points of either twice change nothing."""
    model = filled(GNOT, 2, 3, num_dims=2, width=4, depth=1, heads=2)
    at, a, places, points = eqx.filter_jit(model.at), normal(2, 9), normal(9, 2), normal(5, 2, seed=2)
    output, order = at([a], [places], points), np.array([3, 0, 4, 1, 2])
    np.testing.assert_allclose(at([a], [places], points[order]), output[:, order], atol=1e-12)
    np.testing.assert_allclose(at([a[:, ::-1]], [places[::-1]], points), output, atol=1e-12)
    np.testing.assert_allclose(at([jnp.tile(a, (1, 2))], [jnp.tile(places, (2, 1))], points), output, atol=1e-12)
    np.testing.assert_allclose(at([a], [places], jnp.tile(points, (2, 1))), jnp.tile(output, (1, 2)), atol=1e-12)


def test_gnot_on_a_grid_is_gnot_at_its_points():
    """The call gives every group the points of the grid."""
    model = filled(GNOT, 3, 2, num_dims=2, functions=(2, 1), width=4, depth=1, heads=2)
    sample = normal(3, 4, 3)
    x, y = np.meshgrid(np.arange(4) / 4, np.arange(3) / 3, indexing="ij")
    nodes = jnp.asarray(np.stack([x.ravel(), y.ravel()], 1))
    flat = sample.reshape(3, -1)
    expected = eqx.filter_jit(model.at)([flat[:2], flat[2:]], [nodes, nodes], nodes).reshape(2, 4, 3)
    np.testing.assert_allclose(eqx.filter_jit(model)(sample), expected, atol=1e-12)


def test_gnot_refuses(key):
    """Groups that do not add up, heads that do not divide, shapes that do not fit."""
    with pytest.raises(PdesolveError, match=r"of sum 3 \(`in_channels`\); got \(1, 1\)"):
        GNOT(3, 1, functions=(1, 1), key=key)
    with pytest.raises(PdesolveError, match="`heads` must divide `width`"):
        GNOT(1, 1, width=6, key=key)
    model = filled(GNOT, 2, 1, num_dims=1, functions=(1, 1), width=4, depth=1)
    v, y = jnp.ones((1, 5)), jnp.ones((5, 1))
    assert jax.eval_shape(model.at, [v, v], [y, y], y[:3]).shape == (1, 3)
    for values, places, points in (([v], [y], y), ([v, v], [y, y[:4]], y), ([v, v], [y, y], jnp.ones((3, 2)))):
        with pytest.raises(PdesolveError, match=r"each of 2 groups of functions, values of shapes \(1, m\), \(1, m\)"):
            model.at(values, places, points)


def test_spectral_block_by_hand():
    """One patch in NumPy, one head after the other; without spectral weights tokens stay as they are."""
    block = filled(NeuralSpectralBlock, 6, 2, 4, 3, 5, dtype=jnp.float64)
    x = np.asarray(normal(6, 5))
    key, value, query = (affine(m, x) for m in (block.key, block.value, block.query))
    parts = []
    for h in range(2):
        part, tokens = slice(3 * h, 3 * h + 3), np.asarray(block.tokens)[h]
        t = tokens + softmax(tokens @ key[part], 1) @ value[part].T
        w = np.asarray(block.weights)[part]
        angles = np.pi * np.arange(3) * t[..., None] / 3
        t = t + np.sum(np.sin(angles) * w[:, :3] + np.cos(angles) * w[:, 3:], axis=2)
        parts.append(x[part] + (softmax(query[part].T @ t.T, 1) @ t).T)
    np.testing.assert_allclose(eqx.filter_jit(block)(jnp.asarray(x)), np.concatenate(parts), atol=1e-12)
    silent = eqx.tree_at(lambda b: b.weights, block, jnp.zeros((6, 6)))
    np.testing.assert_array_equal(silent.step(block.tokens), block.tokens)


def test_patches_are_apart_and_know_no_order():
    """Every patch of a grid passes alone; its points, permuted, give permuted outputs."""
    block = filled(NeuralSpectralBlock, 4, 2, 3, 5, 3, dtype=jnp.float64)
    v, apply, of_patch = normal(4, 6, 9), eqx.filter_jit(block), eqx.filter_jit(block.of_patch)
    output = np.asarray(apply(v))
    for i in range(2):
        for j in range(3):
            part = (slice(None), slice(3 * i, 3 * i + 3), slice(3 * j, 3 * j + 3))
            alone = of_patch(v[part].reshape(4, -1)).reshape(4, 3, 3)
            np.testing.assert_allclose(output[part], alone, atol=1e-12)
    order = np.random.default_rng(0).permutation(9)
    part = np.asarray(v[:, :3, 3:6]).reshape(4, 9)[:, order].reshape(4, 3, 3)
    permuted = np.asarray(apply(v.at[:, :3, 3:6].set(part)))
    expected = output.copy()
    expected[:, :3, 3:6] = output[:, :3, 3:6].reshape(4, 9)[:, order].reshape(4, 3, 3)
    np.testing.assert_allclose(permuted, expected, atol=1e-12)


def test_lsm_levels_shifts_and_padding(key):
    """Blocks for widths w, 2w, 2w; shifts by a patch of the coarsest grid; zeros behind other grids."""
    model = filled(LSM, 1, 2, width=4, depth=2, heads=2, groups=2, patch=2, positions=False)
    assert [block.weights.shape[0] for block in model.spectral] == [4, 8, 8]
    v, apply = normal(1, 24), eqx.filter_jit(model)
    np.testing.assert_allclose(apply(jnp.roll(v, 8, 1)), jnp.roll(apply(v), 8, 1), atol=1e-10)
    assert not np.allclose(apply(jnp.roll(v, 4, 1)), jnp.roll(apply(v), 4, 1), atol=1e-6)
    wide = filled(LSM, 4, 1, width=4, depth=2, heads=2, groups=2, patch=2, positions=False)
    wide = eqx.tree_at(lambda m: m.lifting.weight, wide, jnp.eye(4))
    wide = eqx.filter_jit(eqx.tree_at(lambda m: m.lifting.bias, wide, jnp.zeros(4)))
    short = normal(4, 21)
    np.testing.assert_allclose(wide(short), wide(jnp.pad(short, [(0, 0), (0, 3)]))[:, :21], atol=1e-12)
    for options in ({"heads": 3}, {"groups": 3}):
        with pytest.raises(PdesolveError, match="must divide `width`; got 3 and 4"):
            LSM(1, 1, width=4, key=key, **options)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "rate", "error"),
    [
        (lambda key: Transolver(1, 1, width=32, depth=1, heads=2, slices=8, key=key), 3e-3, 0.15),
        (lambda key: GNOT(1, 1, width=16, depth=1, heads=2, experts=2, key=key), 3e-3, 0.1),
        (lambda key: LSM(1, 1, width=8, depth=1, key=key), 1e-2, 1e-2),
    ],
    ids=["transolver", "gnot", "lsm"],
)
def test_one_sample_can_be_learned(model, rate, error, key):
    """In 500 steps, where the mean has a relative error of 1; the gradient is that of differences."""
    assert relative_error_after_training(model(key), key, rate=rate) < error
