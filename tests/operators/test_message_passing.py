"""MPPDE: messages by hand on grids and graphs, symmetries, bundles of frames, and the pushforward trick."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from operators import MPPDE, Graph, edge_graph, feed_back, nearest_neighbours, pushforward, rollout
from pdesolve.errors import PdesolveError, UnknownNameError

from .common import filled, normal, relative_error_after_training


def swish(v):
    return v / (1 + np.exp(-v))


def perceptron(two, v):
    """Both layers on one vector."""
    for layer in two.layers:
        v = swish(np.asarray(layer.weight) @ v + np.asarray(layer.bias))
    return v


def convolve(layer, v, stride):
    """A convolution of (channels, length) from its definition."""
    weight, bias = np.asarray(layer.weight), np.asarray(layer.bias)[:, 0]
    size = weight.shape[2]
    places = range(0, v.shape[1] - size + 1, stride)
    return np.array([[np.sum(w * v[:, p : p + size]) + b for p in places] for w, b in zip(weight, bias, strict=True)])


def by_hand(model, values, places, neighbours):
    """Node by node and edge by edge: values and places of shape (n, ...), for each node a list of (j, x_i - x_j)."""
    states = model.in_channels - model.parameters
    n = len(values)
    f = [perceptron(model.encoder, np.concatenate([v, x])) for v, x in zip(values, places, strict=True)]
    for block in model.blocks:
        following = []
        for i in range(n):
            theta = values[i][states:]
            messages = [
                perceptron(
                    block.message,
                    np.concatenate([f[i], f[j], values[i][:states] - values[j][:states], relative, theta]),
                )
                for j, relative in neighbours[i]
            ]
            mean = sum(messages) / len(messages) if messages else 0 * f[i]
            following.append(f[i] + perceptron(block.update, np.concatenate([f[i], mean, theta])))
        f = np.array(following)
        f = (f - f.mean(0)[None]) / np.sqrt(f.var(0)[None] + 1e-5)
    stride = model.decoder.first.stride[0]
    outputs = []
    for i in range(n):
        d = convolve(model.decoder.second, swish(convolve(model.decoder.first, f[i][None], stride)), 1)
        if model.frames is None:
            outputs.append(d[:, 0])
        else:
            fields = len(d)
            bundle = [values[i][states - fields : states] + (k + 1) * model.step * d[:, k] for k in range(model.frames)]
            outputs.append(np.concatenate(bundle))
    return np.array(outputs).T


def on_grid_by_hand(model, sample):
    grid = sample.shape[1:]
    cells = list(np.ndindex(*grid))
    offsets = [o for o in np.ndindex(*(2 * model.reach + 1,) * len(grid))]
    offsets = [tuple(a - model.reach for a in o) for o in offsets]
    offsets = [o for o in offsets if 0 < sum(a * a for a in o) <= model.reach**2]
    neighbours = []
    for cell in cells:
        found = []
        for offset in offsets:
            other = tuple(c + o for c, o in zip(cell, offset, strict=True))
            if model.periodic or all(0 <= c < n for c, n in zip(other, grid, strict=True)):
                wrapped = tuple(c % n for c, n in zip(other, grid, strict=True))
                found.append((cells.index(wrapped), [-o / n for o, n in zip(offset, grid, strict=True)]))
        neighbours.append(found)
    places = [[c / n for c, n in zip(cell, grid, strict=True)] for cell in cells]
    values = np.asarray(sample).reshape(len(sample), -1).T
    return by_hand(model, values, places, neighbours).reshape(-1, *grid)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize(("grid", "reach"), [((9,), 2), ((3, 4), 1)])
def test_messages_by_hand(grid, reach, periodic):
    """Two frames of one field and a parameter that varies in, three frames out."""
    model = filled(
        MPPDE,
        3,
        3,
        num_dims=len(grid),
        frames=3,
        step=0.1,
        parameters=1,
        width=16,
        depth=2,
        reach=reach,
        periodic=periodic,
    )
    sample = normal(3, *grid)
    np.testing.assert_allclose(eqx.filter_jit(model)(sample), on_grid_by_hand(model, sample), atol=1e-11)


def test_two_fields_and_maps_that_are_no_step():
    """Frame after frame, each with its fields; without frames the decoder's value is the output."""
    model = filled(MPPDE, 4, 6, frames=3, step=0.1, width=9, depth=1, reach=1)
    sample = normal(4, 6)
    np.testing.assert_allclose(eqx.filter_jit(model)(sample), on_grid_by_hand(model, sample), atol=1e-11)
    model = filled(MPPDE, 4, 3, width=9, depth=1, reach=1)
    np.testing.assert_allclose(eqx.filter_jit(model)(sample), on_grid_by_hand(model, sample), atol=1e-11)


def test_messages_on_a_graph_by_hand():
    """Lists of 0, 1 and 3 neighbours: padding takes no part in the mean, and who hears nobody has mean 0."""
    points = np.random.default_rng(0).random((5, 2))
    edges = [(4, 1), (0, 1), (0, 3), (2, 0), (0, 2), (4, 3)]
    graph = edge_graph(points, edges)
    assert graph.neighbours.shape == (5, 3)
    np.testing.assert_array_equal(graph.mask.sum(1), [3, 0, 1, 0, 2])
    model = filled(MPPDE, 3, 2, num_dims=2, frames=2, parameters=1, width=8, depth=2)
    values = np.asarray(normal(3, 5))
    neighbours = [[(j, points[i] - points[j]) for k, j in edges if k == i] for i in range(5)]
    np.testing.assert_allclose(
        eqx.filter_jit(model.at)(jnp.asarray(values), graph), by_hand(model, values.T, points, neighbours), atol=1e-11
    )
    single = filled(MPPDE, 3, 2, num_dims=2, frames=2, parameters=1, width=8, depth=2, dtype=jnp.float32)
    output = eqx.filter_eval_shape(single.at, jnp.asarray(values, jnp.float32), graph)
    assert (output.shape, output.dtype) == ((2, 5), jnp.float32)


@pytest.mark.parametrize(("grid", "reach", "count"), [((10,), 3, 6), ((5, 5), 1, 4)])
def test_a_grid_is_a_graph(grid, reach, count):
    """The nearest neighbours of a periodic grid's points, in any order, are those within its reach."""
    model = filled(MPPDE, 2, 3, num_dims=len(grid), width=8, depth=2, reach=reach)
    sample = normal(2, *grid)
    points = np.stack(np.meshgrid(*(np.arange(n) / n for n in grid), indexing="ij")).reshape(len(grid), -1).T
    order = np.random.default_rng(0).permutation(len(points))
    graph = nearest_neighbours(points[order], count, periodic=True)
    expected = eqx.filter_jit(model)(sample).reshape(3, -1)[:, order]
    np.testing.assert_allclose(eqx.filter_jit(model.at)(sample.reshape(2, -1)[:, order], graph), expected, atol=1e-11)


def test_neighbours_are_the_nearest():
    """Against all distances, around one axis and not the other; a ring of degree 6 is symmetric."""
    points = np.random.default_rng(0).random((40, 2))
    graph = nearest_neighbours(points + np.array([[2.0, 0.0]]), 5, periodic=(True, False))
    difference = points[:, None] - points[None]
    difference[..., 0] -= np.round(difference[..., 0])
    distance = np.linalg.norm(difference, axis=-1) + 10 * np.eye(40)
    for i in range(40):
        assert set(np.asarray(graph.neighbours[i])) == set(np.argsort(distance[i])[:5])
        np.testing.assert_allclose(graph.relative[i], difference[i, graph.neighbours[i]], atol=1e-12)
    assert float(jnp.abs(graph.relative[..., 0]).max()) <= 0.5
    np.testing.assert_allclose(graph.points, points, atol=1e-12)
    plain = nearest_neighbours(points, 5)
    np.testing.assert_allclose(plain.relative, points[:, None] - points[np.asarray(plain.neighbours)], atol=1e-12)
    ring = nearest_neighbours(np.arange(12)[:, None] / 12, 6, periodic=True)
    pairs = {(i, int(j)) for i in range(12) for j in ring.neighbours[i]}
    assert len(pairs) == 72 and pairs == {(j, i) for i, j in pairs}
    assert all(0 < min((i - j) % 12, (j - i) % 12) <= 3 for i, j in pairs)


def test_places_that_are_shared_or_at_the_end():
    """Nobody is a neighbour of its own, even where many share a place; -1e-30 is 0, not 1."""
    graph = nearest_neighbours(np.zeros((6, 2)), 3, periodic=True)
    assert not (np.asarray(graph.neighbours) == np.arange(6)[:, None]).any()
    graph = nearest_neighbours(np.array([[-1e-30], [0.25], [0.75], [1.5]]), 2, periodic=True)
    np.testing.assert_allclose(graph.points[:, 0], [0.0, 0.25, 0.75, 0.5])
    assert set(np.asarray(graph.neighbours[0])) == {1, 2}


@pytest.mark.parametrize("grid", [(12,), (8, 7)])
def test_commutes_with_translations(grid):
    """Of a periodic grid, by any number of points; with walls or positions it does not."""
    options = {"num_dims": len(grid), "width": 4, "depth": 1, "reach": 2}
    shift, axes = (3, 2)[: len(grid)], tuple(range(1, len(grid) + 1))
    v = normal(2, *grid)

    def error(**changes):
        model = eqx.filter_jit(filled(MPPDE, 2, 2, frames=2, **options, **changes))
        return float(jnp.abs(model(jnp.roll(v, shift, axes)) - jnp.roll(model(v), shift, axes)).max())

    assert error(positions=False) < 1e-11
    assert error(positions=False, periodic=False) > 1e-4
    assert error() > 1e-4


def test_the_order_of_points_does_not_matter():
    """Points, values and edges in another order: outputs in that order."""
    generator = np.random.default_rng(0)
    points, values = generator.random((9, 2)), normal(2, 9)
    edges = generator.integers(0, 9, (25, 2))
    model = filled(MPPDE, 2, 2, num_dims=2, frames=1, width=8, depth=2)
    order = generator.permutation(9)
    new = np.argsort(order)
    at = eqx.filter_jit(model.at)
    moved = at(values[:, order], edge_graph(points[order], new[edges][::-1], periodic=True))
    np.testing.assert_allclose(moved, at(values, edge_graph(points, edges, periodic=True))[:, order], atol=1e-11)


def silent(model, rate):
    """A decoder that returns the same rate everywhere."""
    second = model.decoder.second
    return eqx.tree_at(
        lambda m: (m.decoder.second.weight, m.decoder.second.bias),
        model,
        (jnp.zeros_like(second.weight), jnp.full_like(second.bias, rate)),
    )


def test_bundles_continue_the_last_frame():
    """With rates 0 it stays; with rates 1 frame l is later by l steps; ten calls of 25 frames are 250 frames."""
    model = filled(MPPDE, 26, 25, frames=25, step=0.1, parameters=1, width=32, depth=1, reach=1)
    sample = normal(26, 4)
    np.testing.assert_array_equal(eqx.filter_jit(silent(model, 0.0))(sample), np.tile(sample[24], (25, 1)))
    calls = rollout(silent(model, 1.0), sample, 10, feed=partial(feed_back, parameters=1))
    assert calls.shape == (10, 25, 4)
    times = 0.1 * np.arange(1, 251)
    np.testing.assert_allclose(calls.reshape(250, 4), sample[24][None] + times[:, None], atol=1e-12)


def test_the_published_decoder(key):
    """128 features, 25 frames: kernels 16 and 14, stride 3; every width that holds the frames will do."""
    decoder = eqx.filter_eval_shape(MPPDE, 25, 25, frames=25, depth=1, key=key).decoder
    assert decoder.first.weight.shape == (8, 1, 16) and decoder.first.stride == (3,)
    assert decoder.second.weight.shape == (1, 8, 14)
    for width in range(5, 40, 3):
        model = eqx.filter_eval_shape(MPPDE, 5, 5, frames=5, width=width, depth=1, key=key)
        assert eqx.filter_eval_shape(model, jnp.ones((5, 7))).shape == (5, 7)
        first = model.decoder.first
        assert first.stride[0] <= first.weight.shape[2]  # else there were features that nobody sees


def test_rollout_is_a_loop():
    """The same as calls by hand with the latest frames, where more or fewer are given than returned."""
    for history, frames in ((3, 2), (1, 2)):
        model = filled(MPPDE, history + 1, frames, frames=frames, parameters=1, width=8, depth=1, reach=1)
        sample = normal(history + 1, 5)
        known, outputs, apply = list(sample[:history]), [], eqx.filter_jit(model)
        for _ in range(3):
            output = apply(jnp.stack([*known[-history:], sample[-1]]))
            known += list(output)
            outputs.append(output)
        calls = rollout(model, sample, 3, feed=partial(feed_back, parameters=1))
        np.testing.assert_allclose(calls, jnp.stack(outputs), atol=1e-12)


class Mixing(eqx.Module):
    """A small operator for two frames."""

    weight: jax.Array

    def __call__(self, sample):
        return jnp.sin(self.weight @ sample + jnp.roll(sample, 1, 1))


@pytest.mark.parametrize("unrolls", [0, 1, 2])
def test_pushforward_has_the_gradient_of_its_last_call(unrolls):
    """The value of a rollout; the gradient, by parameters, of one call from its input, and not that of the rollout."""
    model = Mixing(normal(2, 2))
    sample = normal(2, 6)
    params, static = eqx.partition(model, eqx.is_inexact_array)
    start = sample if unrolls == 0 else rollout(model, sample, unrolls)[-1]

    def loss(output):
        return jnp.sum(output**2)

    def pushed(params, sample, unrolls):
        return loss(pushforward(eqx.combine(params, static), sample, unrolls))

    def last(params):
        return loss(eqx.combine(params, static)(start))

    def whole(params):
        return loss(rollout(eqx.combine(params, static), sample, unrolls + 1)[-1])

    value, gradient = jax.jit(jax.value_and_grad(pushed), static_argnums=2)(params, sample, unrolls)
    wanted, through = jax.jit(jax.value_and_grad(whole))(params)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    expected = jax.jit(jax.grad(last))(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10), gradient, expected)
    # A traced number of unrolls: the same, in reverse mode too.
    traced, by_sample = jax.jit(jax.grad(pushed, (0, 1)))(params, sample, jnp.asarray(unrolls))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10), traced, expected)
    direction = jax.tree.map(lambda leaf: jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), params)
    last = jax.jit(last)
    ends = [last(jax.tree.map(lambda p, d, s=s: p + s * 1e-6 * d, params, direction)) for s in (1, -1)]
    slope = sum(jnp.vdot(g, d) for g, d in zip(*map(jax.tree.leaves, (gradient, direction)), strict=True))
    np.testing.assert_allclose((ends[0] - ends[1]) / 2e-6, slope, rtol=1e-5)
    assert float(jnp.abs(by_sample).max()) == 0.0
    if unrolls:
        through = sum(jnp.vdot(g, d) for g, d in zip(*map(jax.tree.leaves, (through, direction)), strict=True))
        assert abs(float(through / slope) - 1) > 1e-3


def test_pushforward_of_many_samples():
    """vmap with a number of unrolls for each."""
    model, samples = Mixing(normal(2, 2)), normal(3, 2, 6)
    outputs = jax.jit(jax.vmap(partial(pushforward, model)))(samples, jnp.arange(3))
    for i in range(3):
        np.testing.assert_allclose(outputs[i], rollout(model, samples[i], i + 1)[-1], atol=1e-12)


@pytest.mark.slow
def test_one_sample_can_be_learned(key):
    """To a relative error of 2e-2 in 500 steps; the gradient is that of differences."""
    error = relative_error_after_training(eqx.filter_jit(MPPDE)(1, 1, width=12, depth=1, reach=2, key=key), key)
    assert error < 2e-2


def test_refusals(key):
    """What was given and what is accepted."""
    with pytest.raises(PdesolveError, match="do not make whole frames"):
        MPPDE(2, 3, frames=2, key=key)
    with pytest.raises(PdesolveError, match="do not make whole frames"):
        MPPDE(3, 4, frames=2, key=key)
    with pytest.raises(PdesolveError, match="no more than 2 parameters"):
        MPPDE(2, 1, parameters=2, key=key)
    with pytest.raises(PdesolveError, match="`width` must be at least 25, got 16"):
        MPPDE(25, 25, frames=25, width=16, key=key)
    with pytest.raises(UnknownNameError, match="swish"):
        MPPDE(1, 1, activation="swich", key=key)
    model = filled(MPPDE, 1, 1, num_dims=2, width=4, depth=1)
    graph = nearest_neighbours(np.eye(4)[:, :2], 2)
    assert isinstance(graph, Graph)
    with pytest.raises(PdesolveError, match=r"values \(1, n\) and a graph of points \(n, 2\)"):
        model.at(jnp.ones((1, 5)), graph)
    with pytest.raises(PdesolveError, match="less than the number of points, 4; got 4"):
        nearest_neighbours(np.eye(4)[:, :2], 4)
    with pytest.raises(PdesolveError, match=r"of shape \(n, dims\); got shape \(4,\)"):
        nearest_neighbours(np.arange(4.0), 2)
    with pytest.raises(PdesolveError, match="between 0 and 3; got 0 to 4"):
        edge_graph(np.eye(4), [(0, 4)])
    with pytest.raises(PdesolveError, match=r"integers of shape \(m, 2\)"):
        edge_graph(np.eye(4), [(0.0, 1.0)])
