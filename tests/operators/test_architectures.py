"""What each architecture is said to be: definitions by hand, equivariances, resolutions, and what they refuse."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from operators import TFNO, UNO, DeepONet, DyMixOp, FiniteDifference, LocalNO, PODDeepONet, ResNet, UNet
from operators.unet import _finer
from operators.uno import resample
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.nets import MLP

GELU = jax.nn.gelu


def affine(layer, v):
    return np.asarray(layer.weight) @ np.asarray(v) + np.asarray(layer.bias)[:, None]


def shaken(model):
    """Parameters that are zero at the start are so no longer."""
    return jax.tree.map(lambda leaf: leaf + 0.1 if eqx.is_inexact_array(leaf) else leaf, model)


def test_finite_differences_tend_to_a_derivative(key):
    """Constants vanish; on a sine the error falls at first order with the spacing, at second for an odd stencil."""
    difference = FiniteDifference(1, 1, 1, key=key)
    assert float(jnp.abs(difference(jnp.full((1, 16), 3.0))).max()) < 1e-12

    def error(model, n):
        x = np.arange(n) / n
        slope = float(model.kernel[0, 0, 0, 1] - model.kernel[0, 0, 0, 0])
        exact = slope * 2 * np.pi * np.cos(2 * np.pi * x)
        return float(np.abs(np.asarray(model(jnp.asarray(np.sin(2 * np.pi * x))[None]))[0] - exact).max())

    assert 1.8 < error(difference, 64) / error(difference, 128) < 2.2
    odd = eqx.tree_at(lambda d: d.kernel, difference, jnp.array([[[[-0.5, 0.5]]]]))
    assert 3.6 < error(odd, 64) / error(odd, 128) < 4.4
    plain = FiniteDifference(1, 1, 1, scaled=False, key=key)
    v = jax.random.normal(key, (1, 16))
    np.testing.assert_allclose(16 * plain(v), difference(v), rtol=1e-12)


def test_dymixop_by_hand(key):
    """Two layers in NumPy: reduction, gate, sum of the dynamics, expansion."""
    model = shaken(DyMixOp(2, 3, modes=3, width=4, depth=2, change=0.3, key=key))
    a = np.asarray(jax.random.normal(key, (2, 10)))
    c = affine(model.reduction[1], affine(model.reduction[0], np.concatenate([a, np.arange(10)[None] / 10])))
    z = c + float(model.bias)
    for weight, layer in zip(np.asarray(model.weights), model.layers, strict=True):
        local = np.einsum("oi,in->on", np.asarray(layer.local.weight)[..., 0], c) + np.asarray(layer.local.bias)
        product = np.asarray(layer.spectral(jnp.asarray(c))) * local
        f = affine(layer.linear, c) + np.asarray(layer.difference(jnp.asarray(c)))
        f = np.asarray(GELU(f + affine(layer.mixing[1], affine(layer.mixing[0], product))))
        z, c = z + weight * f, c + f / (1 + np.exp(-float(model.gate) * 0.3))
    np.testing.assert_allclose(
        model(jnp.asarray(a)), affine(model.expansion[1], affine(model.expansion[0], z)), atol=1e-11
    )


def test_dymixop_makes_the_convective_product(key):
    """With G = d/dx by its spectral weights and the local map the identity, P is u u_x exactly."""
    model = DyMixOp(1, 1, modes=4, width=1, depth=1, key=key)
    layer = model.layers[0]
    multiplier = np.zeros((1, 1, 4, 2))
    multiplier[0, 0, :, 1] = 2 * np.pi * np.arange(4)
    spectral = eqx.tree_at(lambda s: s.weight, layer.spectral, jnp.asarray(multiplier))
    local = eqx.tree_at(lambda c: (c.weight, c.bias), layer.local, (jnp.ones((1, 1, 1)), jnp.zeros((1, 1))))
    x = np.arange(32) / 32
    u = np.sin(2 * np.pi * x) + 0.5 * np.cos(4 * np.pi * x)
    slope = 2 * np.pi * (np.cos(2 * np.pi * x) - np.sin(4 * np.pi * x))
    np.testing.assert_allclose(
        spectral(jnp.asarray(u)[None]) * local(jnp.asarray(u)[None]), (u * slope)[None], atol=1e-12
    )


def test_dymixop_compositions_and_the_released_form(key):
    """One layer is the same in all; two in parallel both act on the start; as released the gate is open."""
    v = jax.random.normal(key, (1, 12))
    one = [
        DyMixOp(1, 1, modes=3, width=4, depth=1, composition=c, key=key)(v)
        for c in ("hierarchical", "parallel", "hybrid")
    ]
    np.testing.assert_allclose(one[1], one[0])
    np.testing.assert_allclose(one[2], one[0])
    two = {
        c: DyMixOp(1, 1, modes=3, width=4, depth=3, composition=c, key=key)
        for c in ("hierarchical", "parallel", "hybrid")
    }
    outputs = {c: np.asarray(model(v)) for c, model in two.items()}
    assert not np.allclose(outputs["hierarchical"], outputs["parallel"])
    assert not np.allclose(outputs["hybrid"], outputs["parallel"])
    released = DyMixOp(1, 1, modes=3, width=4, depth=2, change=0.01, as_released=True, key=key)
    assert float(jax.nn.sigmoid(released.gate * released.change)) > 0.98
    assert not released.layers[0].difference.scaled
    silent = eqx.tree_at(lambda m: m.weights, two["hierarchical"], jnp.zeros(3))
    reduced = silent.reduction[1](silent.reduction[0](jnp.concatenate([v, jnp.arange(12)[None] / 12])))
    np.testing.assert_allclose(silent(v), silent.expansion[1](silent.expansion[0](reduced)), atol=1e-12)
    with pytest.raises(UnknownNameError, match="parallel"):
        DyMixOp(1, 1, composition="paralel", key=key)


@pytest.mark.parametrize(
    ("constructor", "options", "step"),
    [
        (DyMixOp, {"modes": 3, "kernel": 3}, 1),
        (LocalNO, {"modes": 3}, 1),
        (ResNet, {}, 1),
        (UNet, {"depth": 2}, 4),
        (TFNO, {"modes": 3, "rank": 0.5}, 1),
    ],
)
@pytest.mark.parametrize("sizes", [(16,), (16, 8)])
def test_commutes_with_translations(constructor, options, step, sizes, key):
    """Of a periodic grid, by any number of points; a U-Net by multiples of its coarsest spacing only."""
    options = {"width": 4, "depth": 2} | options
    if constructor not in (ResNet, UNet):
        options["positions"] = False
    model = eqx.filter_jit(shaken(constructor(1, 1, num_dims=len(sizes), key=key, **options)))
    v, axes = jax.random.normal(key, (1, *sizes)), tuple(range(1, len(sizes) + 1))
    shift = tuple(step for _ in sizes)
    np.testing.assert_allclose(model(jnp.roll(v, shift, axes)), jnp.roll(model(v), shift, axes), atol=1e-10)


def test_tucker_tensors(key):
    """Full rank holds any tensor; low rank has no more parameters than asked for; dense and factorised agree."""
    full = TFNO(1, 1, modes=4, width=6, depth=1, rank=1.0, key=key)
    assert full.tensors[0].core.shape == (6, 6, 4, 2)
    small = TFNO(1, 1, num_dims=2, modes=6, width=16, depth=2, rank=0.1, key=key)
    dense = 2 * 16 * 16 * 12 * 6
    for tensor in small.tensors:
        assert sum(leaf.size for leaf in jax.tree.leaves(tensor)) <= 0.1 * dense
        assert 0.2 < float(jnp.sqrt(jnp.mean(jnp.sum(tensor() ** 2, -1)))) / (2 / 32) ** 0.5 < 5
    v = jax.random.normal(key, (1, 16, 12))
    np.testing.assert_allclose(small(v), small.dense()(v), rtol=1e-12)
    core, factors = small.tensors[0].core, small.tensors[0].factors
    by_hand = np.einsum(
        "abcd,ia,ob,kc,ld->iokl",
        *(np.asarray(part)[..., 0] + 1j * np.asarray(part)[..., 1] for part in (core, *factors)),
    )
    np.testing.assert_allclose(small.tensors[0]()[..., 0], by_hand.real, atol=1e-12)
    assert all(leaf.shape != (16, 16, 12, 6, 2) for leaf in jax.tree.leaves(eqx.filter(small, eqx.is_array)))


def test_resampling_is_exact_for_band_limited_functions():
    """Up and down, along each axis; what the coarse grid cannot hold is cut off."""

    def wave(n, m):
        x, y = np.meshgrid(np.arange(n) / n, np.arange(m) / m, indexing="ij")
        return jnp.asarray(np.cos(2 * np.pi * (2 * x + y)) + np.sin(2 * np.pi * 3 * y) + 0.3)[None]

    for grid in ((24, 20), (9, 8), (10, 16)):
        np.testing.assert_allclose(resample(wave(12, 16), grid), wave(*grid), atol=1e-12)
    high = jnp.asarray(np.cos(2 * np.pi * 5 * np.arange(16) / 16))[None]
    np.testing.assert_allclose(resample(high, (8,)), 0.0, atol=1e-12)


@pytest.mark.parametrize("constructor", [pytest.param(UNO, marks=pytest.mark.slow), LocalNO, DyMixOp])
def test_resolutions_agree_as_the_grid_is_refined(constructor, key):
    """The difference between two grids falls as both are refined."""
    model = constructor(1, 1, modes=4, width=6, depth=2, positions=False, key=key)

    def output(n):
        x = np.arange(n) / n
        return np.asarray(model(jnp.asarray(np.sin(2 * np.pi * x) + 0.2 * np.cos(4 * np.pi * x))[None]))[0]

    fine = output(256)
    errors = [np.abs(output(n) - fine[:: 256 // n]).max() for n in (16, 32, 64)]
    assert errors[0] > 1.7 * errors[1] > 1.7**2 * errors[2]


def test_unet_levels_and_refusal(key):
    """Widths w, 2w, 4w, 4w; grids must be multiples of 2 to the depth."""
    model = UNet(1, 2, num_dims=2, width=8, depth=3, key=key)
    assert [block.convolutions[1].weight.shape[0] for block in model.down] == [8, 16, 32, 32]
    assert model(jnp.ones((1, 16, 8))).shape == (2, 16, 8)
    with pytest.raises(PdesolveError, match="multiples of 8"):
        model(jnp.ones((1, 12, 8)))
    with pytest.raises(PdesolveError, match="must divide"):
        UNet(1, 1, width=6, groups=4, key=key)


def test_finer_grids_are_interpolated():
    """A quarter of the spacing to both sides, around the end or up to it."""
    v = jnp.array([[0.0, 4.0, 8.0, 4.0]])
    np.testing.assert_allclose(_finer(v, True), [[1, 1, 3, 5, 7, 7, 5, 3]])
    np.testing.assert_allclose(_finer(v, False), [[0, 1, 3, 5, 7, 7, 5, 4]])


def test_resnet_sees_as_far_as_its_stencils(key):
    """Two blocks and two convolutions of three points: six points to each side."""
    model = ResNet(1, 1, width=4, depth=2, kernel=3, key=key)
    v = jax.random.normal(key, (1, 32))
    changed = jnp.abs(model(v.at[0, 16].add(1.0)) - model(v))[0] > 1e-12
    assert set(np.flatnonzero(changed)) == set(range(10, 23))
    walls = ResNet(1, 1, width=4, depth=2, kernel=3, periodic=False, key=key)
    changed = jnp.abs(walls(v.at[0, 0].add(1.0)) - walls(v))[0] > 1e-12
    assert set(np.flatnonzero(changed)) == set(range(7))


@pytest.mark.parametrize("modified", [False, True])
@pytest.mark.parametrize("periodic", [False, True])
def test_deeponet_is_branch_times_trunk(modified, periodic, key):
    """On the grid, at scattered places, and its derivative by contraction; periodic trunks repeat."""
    model = shaken(
        DeepONet(
            2, 3, num_dims=2, sensors=6, num_basis=5, width=8, depth=2, modified=modified, periodic=periodic, key=key
        )
    )
    a = jax.random.normal(key, (2, 12, 6))
    output = model(a)
    points = jnp.array([[3 / 12, 2 / 6], [0.0, 5 / 6]])
    np.testing.assert_allclose(model.at(a, points).T, [output[:, 3, 2], output[:, 0, 5]], rtol=1e-10)
    by_hand = model.coefficients(a) @ model.trunk_at(points[0]) + model.bias
    np.testing.assert_allclose(by_hand, output[:, 3, 2], rtol=1e-10)
    slope = jax.jacobian(lambda y: model.at(a, y[None])[:, 0])(points[0])
    np.testing.assert_allclose(model.coefficients(a) @ jax.jacobian(model.trunk_at)(points[0]), slope, rtol=1e-9)
    if periodic:
        np.testing.assert_allclose(model.at(a, points + 1.0), model.at(a, points), rtol=1e-9)
    # Sensors are every second point of the first axis and every one of the second.
    np.testing.assert_allclose(
        model.coefficients(a) * 5**0.5, model.branch(jnp.ravel(a[:, ::2])).reshape(3, 5), rtol=1e-10
    )


def test_pod_modes_hold_the_snapshots(key):
    """With as many modes as snapshots each is its own projection; modes are constants, and orthonormal."""
    snapshots = np.asarray(jax.random.normal(key, (5, 2, 12)))
    model = PODDeepONet(1, snapshots, num_basis=5, sensors=6, width=8, depth=1, key=key)
    for snapshot in snapshots:
        np.testing.assert_allclose(model.assemble(model.project(jnp.asarray(snapshot))), snapshot, atol=1e-12)
    flat = model.modes.value.reshape(5, -1)
    np.testing.assert_allclose((flat @ flat.T)[:4, :4], np.eye(4), atol=1e-12)
    gradient = eqx.filter_grad(lambda model: jnp.sum(model(jnp.ones((1, 12)))))(model)
    assert float(jnp.abs(gradient.modes.value).max()) == 0.0
    assert model(jnp.ones((1, 12))).shape == (2, 12)
    with pytest.raises(PdesolveError, match="5 snapshots"):
        PODDeepONet(1, snapshots, num_basis=6, key=key)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        lambda key: DyMixOp(1, 1, modes=6, width=12, depth=2, key=key),
        pytest.param(lambda key: UNO(1, 1, modes=6, width=8, depth=1, key=key), marks=pytest.mark.slow),
        lambda key: LocalNO(1, 1, modes=6, width=12, depth=2, key=key),
        lambda key: TFNO(1, 1, modes=6, width=16, depth=2, rank=0.5, key=key),
        pytest.param(lambda key: UNet(1, 1, width=8, depth=1, key=key), marks=pytest.mark.slow),
        lambda key: ResNet(1, 1, width=12, depth=2, key=key),
        lambda key: DeepONet(1, 1, sensors=16, num_basis=16, width=32, depth=2, periodic=True, key=key),
    ],
)
def test_one_sample_can_be_learned(model, key):
    """To a relative error of 2e-2 in 500 steps; the gradient is that of differences."""
    model = model(key)
    x = jnp.arange(32) / 32
    given, wanted = jnp.sin(2 * jnp.pi * x)[None], (jnp.cos(2 * jnp.pi * x) + 0.3 * jnp.sin(6 * jnp.pi * x))[None]
    params, static = eqx.partition(model, eqx.is_inexact_array)

    def loss(params):
        return jnp.mean((eqx.combine(params, static)(given) - wanted) ** 2)

    gradient = jax.grad(loss)(params)
    direction = jax.tree.map(lambda leaf: jax.random.normal(key, leaf.shape, leaf.dtype), params)
    slope = sum(jnp.vdot(g, d) for g, d in zip(*map(jax.tree.leaves, (gradient, direction)), strict=True))
    ends = [loss(jax.tree.map(lambda p, d, s=s: p + s * 1e-6 * d, params, direction)) for s in (1, -1)]
    np.testing.assert_allclose((ends[0] - ends[1]) / 2e-6, slope, rtol=1e-4)
    optimiser = optax.adam(optax.cosine_decay_schedule(1e-2, 500))

    @jax.jit
    def step(carry, _):
        params, state = carry
        updates, state = optimiser.update(jax.grad(loss)(params), state)
        return (optax.apply_updates(params, updates), state), None

    (params, _), _ = jax.lax.scan(step, (params, optimiser.init(params)), length=500)
    assert float(jnp.sqrt(loss(params) / jnp.mean(wanted**2))) < 2e-2


def test_mlp_is_what_deeponet_is_made_of(key):
    """Sizes of branch and trunk."""
    model = DeepONet(2, 3, num_dims=2, sensors=4, num_basis=7, width=8, depth=2, periodic=True, key=key)
    assert isinstance(model.branch, MLP)
    assert (model.branch.in_size, model.branch.out_size, model.trunk.in_size, model.trunk.out_size) == (32, 21, 4, 7)
