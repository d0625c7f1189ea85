"""What holds for every registered network, and the initial state of each."""

import importlib
import io
import tomllib
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.nets import MLP, AbstractNetwork, FourierFeatures, ModifiedMLP, PirateNet, Separable

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
NETWORKS = PROJECT["project"]["entry-points"]["pdesolve.networks"]

# One size in most tests, so that JAX compiles the initialisation of each shape once.
SMALL = {"width": 6, "depth": 2}

# What Taylor-mode rules are written for; nothing that hides a function (jit, custom_jvp, cond, ...).
PLAIN = set(
    "add sub mul neg dot_general tanh sin cos exp concatenate broadcast_in_dim stop_gradient slice squeeze "
    "reshape transpose convert_element_type integer_pow div reduce_sum".split()
)


@pytest.fixture(params=NETWORKS)
def network(request):
    """The class, imported as its entry point says."""
    module, name = NETWORKS[request.param].split(":")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("activation, factorised", [("tanh", False), ("adaptive_sin", True)])
def test_one_point_in_values_out(network, activation, factorised, key):
    """(in,) -> (out,), in the default type; jit and vmap change nothing but round-off; derivatives are finite."""
    net = network(2, 2, **SMALL, activation=activation, factorised=factorised, key=key)
    assert isinstance(net, AbstractNetwork) and (net.in_size, net.out_size) == (2, 2)
    points = jax.random.normal(key, (4, 2))
    values = jax.jit(jax.vmap(net))(points)
    assert values.shape == (4, 2) and values.dtype == jnp.float64
    np.testing.assert_allclose(values[1], net(points[1]), rtol=1e-12, atol=1e-14)
    assert jnp.isfinite(jax.jit(jax.hessian(net))(points[0])).all()


def test_derivatives(network, key):
    """Gradient, Hessian and derivatives by the parameters agree with central differences.

    Of step h = 1e-5 in float64: the error is some h^2 and 1e-16 / h, below 1e-8 for numbers of order one.
    """
    # Away from the start, where some parameters (biases, alpha) are zero and hide terms.
    start = network(2, 1, activation="adaptive_tanh", factorised=True, key=key, **SMALL)
    net = jax.tree.map(lambda leaf: leaf + 0.1, start)
    point, h = jnp.array([0.3, -0.2]), 1e-5

    jet = jax.jit(lambda at: (net(at)[0], jax.grad(lambda p: net(p)[0])(at), jax.hessian(lambda p: net(p)[0])(at)))
    _, gradient, hessian = jet(point)
    for axis in range(2):
        (up, up_gradient, _), (down, down_gradient, _) = (jet(point.at[axis].add(s * h)) for s in (1, -1))
        np.testing.assert_allclose((up - down) / (2 * h), gradient[axis], atol=1e-7)
        np.testing.assert_allclose((up_gradient - down_gradient) / (2 * h), hessian[axis], atol=1e-7)

    # Frequencies are not trained: their derivative is zero by intention, so they stay.
    direction = jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf * 0 if "frequencies" in str(path) else jnp.cos(7 * leaf), net
    )
    along = jax.jit(lambda step: jax.tree.map(lambda leaf, d: leaf + step * d, net, direction)(point)[0])
    by_parameters = jax.jit(jax.grad(lambda n: n(point)[0]))(net)
    products = jax.tree.map(lambda a, b: jnp.sum(a * b), by_parameters, direction)
    np.testing.assert_allclose((along(h) - along(-h)) / (2 * h), sum(jax.tree.leaves(products)), atol=1e-7)


def test_plain_primitives_only(network, key):
    """The jaxpr holds only primitives with a Taylor rule, and no function inside a function."""
    for activation in ("tanh", "sin", "swish", "gelu", "adaptive_tanh"):
        net = network(2, 1, **SMALL, activation=activation, factorised=True, key=key)
        equations = jax.make_jaxpr(net)(jnp.zeros(2)).eqns
        assert {equation.primitive.name for equation in equations} <= PLAIN


def test_same_key_same_parameters_and_file(network, key):
    """A network is restored bit for bit from its leaves and the arguments of its constructor; keys matter."""
    net = network(2, 1, activation="adaptive_tanh", factorised=True, key=key, **SMALL)
    other = network(2, 1, activation="adaptive_tanh", factorised=True, key=jax.random.fold_in(key, 1), **SMALL)
    assert eqx.tree_equal(net, network(2, 1, activation="adaptive_tanh", factorised=True, key=key, **SMALL))
    assert not eqx.tree_equal(net, other)
    file = io.BytesIO()
    eqx.tree_serialise_leaves(file, net)
    file.seek(0)
    assert eqx.tree_equal(net, eqx.tree_deserialise_leaves(file, other))


@pytest.mark.parametrize("dtype", [jnp.float32, "float64"])
def test_dtype(network, dtype, key):
    """All parameters have the type asked for, and so do values at points of it."""

    def make():
        net = network(2, 1, activation="adaptive_gelu", factorised=True, dtype=dtype, key=key, **SMALL)
        return net, net(jnp.zeros(2, dtype))

    leaves = jax.tree.leaves(eqx.filter_eval_shape(make))
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype(dtype)}


def test_wrong_arguments_are_errors(network, key):
    """Each says what was given and what is accepted."""
    with pytest.raises(UnknownNameError, match=r"unknown activation 'tahn'. Did you mean 'tanh'"):
        network(2, 1, activation="tahn", key=key)
    with pytest.raises(UnknownNameError, match="Did you mean 'adaptive_gelu'"):
        network(2, 1, activation="adaptive_gelo", key=key)
    with pytest.raises(PdesolveError, match="`depth` must be at least 1, got 0"):
        network(2, 1, depth=0, key=key)
    # A square batch would otherwise be taken for a matrix, without a word.
    with pytest.raises(PdesolveError, match=r"one point of shape \(2,\), got \(2, 2\). For a batch use jax.vmap"):
        network(2, 1, key=key, **SMALL)(jnp.zeros((2, 2)))


def test_mlp_is_the_formula(key):
    """W2 tanh(W1 tanh(W0 x + b0) + b1) + b2, in NumPy."""
    net = jax.tree.map(lambda leaf: leaf + 0.1, MLP(2, 1, key=key, **SMALL))
    h = np.array([0.4, -0.7])
    first, second, last = net.layers
    for layer in (first, second):
        h = np.tanh(np.asarray(layer.weight) @ h + np.asarray(layer.bias))
    np.testing.assert_allclose(net(jnp.array([0.4, -0.7])), last.weight @ h + last.bias, rtol=1e-14)


def test_modified_mlp_mixes_its_two_encodings(key):
    """With z = tanh(W x + b): z = 0 gives u, large z gives v; the last layer is affine."""
    net = ModifiedMLP(2, 1, width=6, depth=1, key=key)
    point = jnp.array([0.4, -0.7])
    u, v = (jnp.tanh(gate(point)) for gate in net.gates)
    zero = eqx.tree_at(lambda n: n.layers[0].weight, net, jnp.zeros((6, 2)))
    np.testing.assert_allclose(zero(point), net.layers[-1](u), rtol=1e-14)
    one = eqx.tree_at(lambda n: n.layers[0].bias, zero, jnp.full(6, 100.0))
    np.testing.assert_allclose(one(point), net.layers[-1](v), rtol=1e-14)
    z = jnp.tanh(net.layers[0](point))
    np.testing.assert_allclose(net(point), net.layers[-1]((1 - z) * u + z * v), rtol=1e-13)


def test_fourier_frequencies(key):
    """Frequencies have the standard deviation `scale` (5 sigma of 4000) and a zero gradient; the trunk has none."""
    net = FourierFeatures(2, 1, num_features=2000, scale=7.0, key=key, **SMALL)
    np.testing.assert_allclose(jnp.std(net.embedding.frequencies.value), 7.0, rtol=5 / np.sqrt(2 * 4000))
    gradient = eqx.filter_jit(eqx.filter_grad(lambda n: n(jnp.array([0.3, 0.4]))[0]))(net)
    assert jnp.all(gradient.embedding.frequencies.value == 0)
    assert all(jnp.any(layer.weight != 0) for layer in gradient.trunk.layers)
    features = net.embedding(jnp.array([0.3, 0.4]))
    # cos^2 + sin^2 = 1 for each frequency.
    np.testing.assert_allclose(features[:2000] ** 2 + features[2000:] ** 2, 1, rtol=1e-14)


def test_fourier_scale_of_each_entry(key):
    """The frequencies of one scale, each entry times its own; an entry with a tiny scale is left out."""
    one, two = (FourierFeatures(2, 1, num_features=50, scale=scale, key=key, **SMALL) for scale in (1.0, (3.0, 1e-9)))
    np.testing.assert_allclose(
        two.embedding.frequencies.value, one.embedding.frequencies.value * np.array([[3.0, 1e-9]]), rtol=1e-14
    )


def test_separable_is_the_formula(key):
    """The sum over j of f_1j(x_1) f_2j(x_2), over sqrt(r), for each of two values; its matrix on a grid has rank r."""
    net = jax.tree.map(lambda leaf: leaf + 0.1, Separable(2, 2, rank=3, key=key, **SMALL))
    x, y = jnp.linspace(-1, 1, 8), jnp.linspace(0, 2, 9)
    first, second = (jax.vmap(f)(at[:, None]).reshape(-1, 3, 2) for f, at in zip(net.factors, (x, y), strict=True))
    values = jax.vmap(lambda a: jax.vmap(lambda b: net(jnp.stack([a, b])))(y))(x)
    np.testing.assert_allclose(values, np.einsum("ajk,bjk->abk", first, second) / np.sqrt(3), rtol=1e-12, atol=1e-14)
    singular = jnp.linalg.svd(values[..., 0], compute_uv=False)
    assert singular[3] < 1e-13 * singular[0] < singular[2]


def test_pirate_net_begins_as_a_linear_combination_of_its_embedding(key):
    """alpha = 0: the output is W Phi(x) + b whatever the depth; with alpha = 1 the skip connection is closed."""
    net = PirateNet(2, 1, width=6, depth=4, key=key)
    points = jax.random.normal(key, (50, 2))
    features = jax.vmap(net.embedding)(points)
    np.testing.assert_allclose(jax.jit(jax.vmap(net))(points), features @ net.output.weight.T, rtol=1e-12, atol=1e-13)
    # The gradient of alpha is not zero, so that blocks do grow.
    gradient = eqx.filter_jit(eqx.filter_grad(lambda n: n(points[0])[0]))(net)
    assert all(block.alpha != 0 for block in gradient.blocks)


def test_pirate_block_is_the_formula(key):
    """x <- alpha h + (1 - alpha) x with f, g, h and the gated z1, z2, in NumPy."""
    block = eqx.tree_at(lambda b: b.alpha, PirateNet(2, 1, key=key, **SMALL).blocks[0], jnp.array(0.3))
    x, u, v = np.random.default_rng(0).normal(size=(3, 6))
    w1, w2, w3 = (np.asarray(layer.weight) for layer in block.layers)
    f = np.tanh(w1 @ x)
    g = np.tanh(w2 @ (f * u + (1 - f) * v))
    h = np.tanh(w3 @ (g * u + (1 - g) * v))
    np.testing.assert_allclose(block(jnp.array(x), jnp.array(u), jnp.array(v)), 0.3 * h + 0.7 * x, rtol=1e-13)


def test_particular_errors(key):
    """Options that only one network has."""
    with pytest.raises(PdesolveError, match=r"must be even .* got 7"):
        PirateNet(2, 1, width=7, key=key)
    with pytest.raises(PdesolveError, match="`scale` must be positive, one number or 2, got 0"):
        FourierFeatures(2, 1, scale=0.0, key=key)
    with pytest.raises(PdesolveError, match=r"one number or 2, got \(1.0, 2.0, 3.0\)"):
        FourierFeatures(2, 1, scale=(1.0, 2.0, 3.0), key=key)
    with pytest.raises(PdesolveError, match="`rank` must be at least 1, got 0"):
        Separable(2, 1, rank=0, key=key)
    with pytest.raises(PdesolveError, match="`num_features` must be at least 1, got 0"):
        FourierFeatures(2, 1, num_features=0, key=key)
