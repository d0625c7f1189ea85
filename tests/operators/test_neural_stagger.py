"""NeuralStagger: staggered grids, who sees what, and operators that are exact on coarse grids."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from operators import AbstractOperator, NeuralStagger, ResNet
from operators.neural_stagger import merge, split
from pdesolve import NetworkConfig, Recipe, registry
from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.operator_learning import build_operator

from .common import filled, normal, relative_error_after_training

LAPLACE = -4 * np.pi**2
"""Of a function of frequency 1."""


class HeatStep(AbstractOperator):
    """exp(t L) of the heat equation, by the Fourier series of a function on the unit torus."""

    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    time: float = eqx.field(static=True)
    scale: jax.Array

    def __init__(
        self, in_channels, out_channels, *, num_dims, time=0.01, width=1, depth=1, activation="", key, dtype=None
    ):
        self.in_channels, self.out_channels, self.num_dims, self.time = in_channels, out_channels, num_dims, time
        self.scale = jnp.ones((), dtype)

    def __call__(self, sample):
        axes = tuple(range(1, sample.ndim))
        frequencies = np.meshgrid(*(np.fft.fftfreq(n, 1 / n) for n in sample.shape[1:]), indexing="ij")
        decay = np.exp(LAPLACE * self.time * sum(k**2 for k in frequencies))
        return self.scale * jnp.fft.ifftn(decay[None] * jnp.fft.fftn(sample, axes=axes), axes=axes).real


class Scaling(AbstractOperator):
    """Multiplication by a random number."""

    in_channels: int = eqx.field(static=True)
    out_channels: int = eqx.field(static=True)
    num_dims: int = eqx.field(static=True)
    weight: jax.Array

    def __init__(self, in_channels, out_channels, *, num_dims, width, depth, activation, key, dtype):
        self.in_channels, self.out_channels, self.num_dims = in_channels, out_channels, num_dims
        self.weight = jax.random.normal(key, (), dtype)

    def __call__(self, sample):
        return self.weight * sample


@pytest.mark.parametrize(
    ("grid", "factors"), [((12,), (3,)), ((4, 6), (2, 3)), ((6, 4, 2), (3, 1, 2)), ((4, 6), (1, 1))]
)
def test_staggered_grids(grid, factors, key):
    """Part a has the points s i + a, parts in the order of a; together they are the fine grid again."""
    v = jax.random.normal(key, (2, *grid))
    parts = split(v, factors)
    for part, start in zip(parts, np.ndindex(*factors), strict=True):
        every = tuple(slice(a, None, s) for a, s in zip(start, factors, strict=True))
        np.testing.assert_array_equal(part, v[(slice(None), *every)])
    np.testing.assert_array_equal(merge(parts, factors), v)


@eqx.filter_jit
def apply(operator, sample):
    return operator(sample)


@pytest.mark.parametrize("shared", [False, True])
def test_parts_by_hand(shared):
    """Frame by frame and part by part, each with the weights at its place of the stack."""
    model = filled(
        NeuralStagger, 2, 6, num_dims=2, operator="resnet", factor=(2, 3), times=2, shared=shared, width=4, depth=1
    )
    sample = normal(2, 8, 9)
    output, on_part = eqx.filter_jit(model)(sample), eqx.filter_jit(model.on_part)
    for time in range(2):
        for index, (a, b) in enumerate(np.ndindex(2, 3)):
            place = (time,) if shared else (time, index)
            operator = jax.tree.map(
                lambda leaf, place=place: leaf[place] if eqx.is_array(leaf) else leaf, model.operators
            )
            assert isinstance(operator, ResNet)
            expected = apply(operator, sample[:, a::2, b::3])
            np.testing.assert_allclose(output[3 * time : 3 * time + 3, a::2, b::3], expected, atol=1e-12)
            np.testing.assert_allclose(on_part(sample, (a, b))[3 * time : 3 * time + 3], expected, atol=1e-12)


def test_weights_are_those_of_the_operator(key):
    """Each made from a key of its own; with factor 1 it is the plain operator."""
    model = NeuralStagger(1, 2, operator=Scaling, factor=3, times=2, key=key, dtype=jnp.float32)
    assert model.operators.weight.shape == (2, 3) and model.operators.weight.dtype == jnp.float32
    assert len(np.unique(model.operators.weight)) == 6
    shared = NeuralStagger(1, 2, operator=Scaling, factor=3, times=2, shared=True, key=key)
    v = normal(1, 6)
    np.testing.assert_allclose(shared(v), shared.operators.weight[:, None] * v, atol=1e-14)
    plain = NeuralStagger(1, 1, operator=Scaling, factor=1, key=key)
    own = jax.random.split(key, (1, 1))[0, 0]
    scaling = Scaling(1, 1, num_dims=1, width=1, depth=1, activation="", key=own, dtype=float)
    np.testing.assert_allclose(plain(v), scaling(v), atol=1e-14)


def test_a_part_depends_on_itself_alone():
    """Of the derivative of a 12 x 8 grid's output, exactly the entries between points of one part are not zero."""
    model = filled(NeuralStagger, 1, 1, num_dims=2, operator="resnet", kernel=5, factor=2, width=3, depth=1)
    slopes = np.abs(np.asarray(jax.jit(jax.jacobian(model))(normal(1, 12, 8)))).reshape(96, 96)
    i, j = np.divmod(np.arange(96), 8)
    part = 2 * (i % 2) + j % 2
    assert (slopes[part[:, None] != part[None]] == 0).all()
    assert (slopes[part[:, None] == part[None]] > 0).all()


@pytest.mark.parametrize("shared", [False, True])
def test_translations(shared):
    """By multiples of the factor; with shared weights by any number of points."""
    model = filled(NeuralStagger, 1, 1, num_dims=2, operator="resnet", shared=shared, width=4, depth=1)
    v, shifts = normal(1, 8, 12), (1, 2)
    outputs = {s: jnp.roll(apply(model, jnp.roll(v, s, (1, 2))), -s, (1, 2)) for s in (0, *shifts)}
    errors = {s: float(jnp.abs(outputs[s] - outputs[0]).max()) for s in shifts}
    assert errors[2] < 1e-12
    assert errors[1] < 1e-12 if shared else errors[1] > 1e-3


def test_exact_operators_stay_exact():
    """The heat equation: what a coarse grid can hold is advanced as on the fine one; higher frequencies are aliased."""
    step = functools.partial(HeatStep, time=0.01)
    model = NeuralStagger(1, 1, num_dims=2, operator=step, factor=(2, 3), key=jax.random.key(0))
    x, y = np.meshgrid(np.arange(16) / 16, np.arange(18) / 18, indexing="ij")
    low = np.cos(2 * np.pi * (3 * x - 2 * y)) + np.sin(2 * np.pi * y)
    decayed = np.exp(0.01 * LAPLACE * 13) * np.cos(2 * np.pi * (3 * x - 2 * y)) + np.exp(0.01 * LAPLACE) * np.sin(
        2 * np.pi * y
    )
    np.testing.assert_allclose(model(jnp.asarray(low)[None])[0], decayed, atol=1e-13)
    # On 8 points frequency 7 looks like frequency 1, and decays as that.
    high = np.cos(2 * np.pi * 7 * x)
    np.testing.assert_allclose(model(jnp.asarray(high)[None])[0], np.exp(0.01 * LAPLACE) * high, atol=1e-13)


def test_the_residual_of_interleaved_solutions_is_that_of_the_scheme():
    """Exact coarse solutions, put together: differences of second order on the fine grid see their own error only."""

    def residual(n):
        x = np.arange(n) / n
        start = jnp.asarray(np.sin(2 * np.pi * x) + 0.5 * np.cos(4 * np.pi * x))[None]
        before, after = (
            NeuralStagger(1, 1, operator=functools.partial(HeatStep, time=time), factor=4, key=jax.random.key(0))(start)
            for time in (0.01 - 0.05 / n, 0.01 + 0.05 / n)
        )
        middle = (before + after) / 2
        second = (jnp.roll(middle, 1, 1) - 2 * middle + jnp.roll(middle, -1, 1)) * n**2
        return float(jnp.abs((after - before) * n / 0.1 - second).max())

    errors = [residual(n) for n in (32, 64, 128)]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert (np.abs(orders - 2) < 0.1).all()


def test_by_name_with_the_options_of_the_operator():
    """A recipe names the operator and its options beside those of the wrapper; unknown ones are refused."""

    class Family:
        input_names, field_names, coordinates = ("a",), ("u",), ("x",)

    def build(**options):
        network = NetworkConfig("neural_stagger", width=6, depth=2, activation="gelu", options=options)
        return eqx.filter_eval_shape(build_operator, Family(), Recipe(network=network))

    model = build(operator="fno", factor=4, modes=3)
    assert model.operators.blocks[0].convolution.weight.shape == (1, 4, 6, 6, 3, 2)
    with pytest.raises(UnknownNameError, match="Did you mean 'modes'"):
        build(operator="fno", mode=3)
    with pytest.raises(UnknownNameError, match="Did you mean 'factor'"):
        build(operator="unet", facter=2)
    with pytest.raises(UnknownNameError, match="'width'"):
        build(width=8)
    with pytest.raises(UnknownNameError, match="Did you mean 'unet'"):
        build(operator="une")


@pytest.mark.parametrize("name", [name for name in registry.names("operators") if name != "neural_stagger"])
def test_every_operator_can_be_staggered(name, key):
    """On 16 points and 8 of a coarse grid, without and with vmap over samples."""

    def outputs(key, samples):
        model = NeuralStagger(2, 3, operator=name, width=4, depth=1, key=key)
        return model(samples[0]), jax.vmap(model)(samples)

    one, many = jax.eval_shape(outputs, key, jnp.ones((2, 2, 16)))
    assert (one.shape, many.shape) == ((3, 16), (2, 3, 16))


@pytest.mark.slow
def test_one_sample_can_be_learned(key):
    """To a relative error of 2e-2 in 500 steps; the gradient is that of differences."""
    model = eqx.filter_jit(NeuralStagger)(1, 1, operator="fno", modes=6, width=8, depth=1, key=key)
    error = relative_error_after_training(model, key)
    assert error < 2e-2


def test_refusals(key):
    """What was given and what is accepted."""
    model = filled(NeuralStagger, 1, 1, num_dims=2, operator="resnet", factor=(2, 3), width=4, depth=1)
    with pytest.raises(PdesolveError, match=r"multiples of \(2, 3\); got \(8, 8\)"):
        model(jnp.ones((1, 8, 8)))
    with pytest.raises(PdesolveError, match=r"less than \(2, 3\); got \(2, 0\)"):
        model.on_part(jnp.ones((1, 8, 9)), (2, 0))
    with pytest.raises(PdesolveError, match="must divide `out_channels`; got 2 and 3"):
        NeuralStagger(1, 3, times=2, key=key)
    with pytest.raises(PdesolveError, match="`factor` must be one number or 2"):
        NeuralStagger(1, 1, num_dims=2, factor=(2, 2, 2), key=key)
