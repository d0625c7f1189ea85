"""Combination rules: agreement with the authors' programs where they are right, and the properties that each claims.

`tests/data/multi_loss.npz` holds what conflictfree 0.1.8 and torchjd 0.18.0 returned in float64 for sets of gradients
of known geometry, and exact UPGrad by enumeration in NumPy.
"""

from pathlib import Path

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pdesolve.errors import PdesolveError, UnknownNameError
from pdesolve.optim import IMTLG, ConFIG, DualProj, Mean, PCGrad, Sum, UPGrad
from pdesolve.optim.combine import UnitRows

ORACLES = dict(np.load(Path(__file__).parents[1] / "data/multi_loss.npz"))
CASES = [str(name) for name in ORACLES["case_names"]]
RULES = {rule.__class__.__name__: rule for rule in (ConFIG(), UPGrad(), DualProj(), PCGrad(), IMTLG(), Sum(), Mean())}


def oracle(case, name):
    return ORACLES[f"{case}__{name}"]


def tolerance(case):
    """Nearly dependent rows lose the digits that their angle has."""
    return 1e-8 if "near" in case else 1e-10


def assert_close(actual, expected, rtol):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=rtol * np.linalg.norm(expected))


def cosines(gradients, vector):
    return gradients @ vector / (np.linalg.norm(gradients, axis=1) * np.linalg.norm(vector))


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.slow if "n50_random" in case else ()) for case in CASES]
)
def test_config_agrees_with_its_authors(case):
    """Equal weights, direction weights, and every rule for the length."""
    g = jnp.asarray(oracle(case, "G"))
    assert_close(ConFIG()(g), oracle(case, "config_pinv"), tolerance(case))
    weights = tuple(map(float, oracle(case, "w")))
    assert_close(ConFIG(direction=weights)(g), oracle(case, "config_weighted"), tolerance(case))
    names = {"minimum": "min", "maximum": "max", "harmonic": "harm", "arithmetic": "arith", "geometric": "geom"}
    for length, name in {**names, "first": "spec0"}.items():
        assert_close(ConFIG(length=length)(g), oracle(case, f"config_len_{name}"), tolerance(case))


@pytest.mark.parametrize("case", CASES)
def test_upgrad_is_exact(case):
    """Also with preferences; where scales differ, torchjd's default is up to 88 % off."""
    g = jnp.asarray(oracle(case, "G"))
    assert_close(UPGrad()(g), oracle(case, "upgrad_exact"), tolerance(case))
    preference = tuple(map(float, oracle(case, "pref")))
    assert_close(UPGrad(preference)(g), oracle(case, "upgrad_exact_pref"), tolerance(case))


@pytest.mark.parametrize("case", CASES)
def test_pcgrad_and_imtlg_agree_with_published_programs(case):
    g = jnp.asarray(oracle(case, "G"))
    assert_close(PCGrad()(g), oracle(case, "pcgrad_fixed"), tolerance(case))
    assert_close(IMTLG()(g), oracle(case, "imtlg_cf"), 1e-6 if "near" in case or "scales" in case else 1e-10)


def test_where_the_published_programs_are_wrong():
    """Each line: what a program returns, and what is right.

    UPGrad with 1e-4 added to the Gram matrix raises a loss where scales differ, and is the plain mean of short
    gradients. Two-vector ConFIG is NaN for a zero row and half noise for colinear ones; least squares raises one of
    two opposite losses. IMTL-G by the difference matrix is zero if one row is.
    """
    wrong = [np.min(oracle(c, "G") @ oracle(c, "upgrad_default")) for c in CASES if c.endswith("scales")]
    assert min(wrong) < 0
    for case in CASES:
        g = oracle(case, "G")
        floor = -1e-12 * np.linalg.norm(g, axis=1) * np.linalg.norm(UPGrad()(jnp.asarray(g)))
        assert np.all(g @ np.asarray(UPGrad()(jnp.asarray(g))) >= floor)
    tiny = oracle("edge_tiny_conflict_m2", "G")
    assert_close(oracle("edge_tiny_conflict_m2", "upgrad_default"), tiny.mean(0), 1e-3)
    assert np.linalg.norm(UPGrad()(jnp.asarray(tiny)) - tiny.mean(0)) > 0.1 * np.linalg.norm(tiny.mean(0))
    assert np.isnan(oracle("edge_zero_row_m2", "config_double")).all()
    opposite = oracle("edge_antiparallel_m2", "G")
    assert np.min(opposite @ oracle("edge_antiparallel_m2", "config_lstsq")) < -1.0
    colinear = oracle("edge_colinear_m2", "config_double")
    assert abs(np.linalg.norm(colinear) / np.linalg.norm(oracle("edge_colinear_m2", "G").sum(0)) - 1) > 0.2


def test_edge_cases_of_config():
    """Zero rows are absent, equal and colinear rows add up, opposite ones stop, one is itself, none is zero."""

    def config(*rows):
        gradient, _, metrics = ConFIG().combine(jnp.asarray(rows), ())
        return np.asarray(gradient), metrics

    a, b, zero = [3.0, 1.0, -2.0], [0.5, 2.0, 1.0], [0.0] * 3
    np.testing.assert_allclose(config(a, zero)[0], a, rtol=1e-14)
    np.testing.assert_allclose(config(a, zero, b)[0], config(a, b)[0], rtol=1e-13)
    np.testing.assert_allclose(config(a)[0], a, rtol=1e-14)
    np.testing.assert_array_equal(config(zero, zero, zero)[0], zero)
    np.testing.assert_allclose(config(a, a)[0], np.multiply(2, a), rtol=1e-14)
    np.testing.assert_allclose(config(a, np.multiply(3, a))[0], np.multiply(4, a), rtol=1e-14)
    update, metrics = config(a, np.multiply(-2, a))
    np.testing.assert_array_equal(update, zero)
    assert metrics["degenerate"]
    for bad in (np.nan, np.inf):
        update, metrics = config(a, [bad, 0.0, 0.0], b)
        np.testing.assert_allclose(update, config(a, b)[0], rtol=1e-13)
        assert metrics["non_finite_terms"] == 1


def test_config_falls_back_where_rows_are_dependent():
    """More losses than parameters: the authors' update raises one, ours is UPGrad's, and the metrics say so."""
    g = oracle("edge_rankdef_m5_n3", "G")
    assert np.min(g @ oracle("edge_rankdef_m5_n3", "config_pinv")) < -0.3
    update, _, metrics = ConFIG().combine(jnp.asarray(g), ())
    assert metrics["degenerate"]
    assert_close(update, UPGrad()(jnp.asarray(g)), 1e-12)
    assert np.min(g @ np.asarray(update)) > -1e-10


def test_imtlg_can_point_against_every_loss():
    """Full rank and well conditioned, and yet its formula raises all three; the metric says so. ConFIG lowers all."""
    g = oracle("edge_imtlg_flip_m3", "G")
    update, _, metrics = IMTLG().combine(jnp.asarray(g), ())
    assert np.all(g @ np.asarray(update) < 0) and metrics["ascends"]
    assert np.all(g @ np.asarray(ConFIG()(jnp.asarray(g))) > 0)


@pytest.mark.parametrize("size", [1_000_000, 4_000_000])
@pytest.mark.parametrize("cosine", [-0.9999, -0.9, 0.0, 0.2, 0.9999])
def test_config_keeps_equal_cosines_in_single_precision(size, cosine):
    """Two gradients of millions of float32 entries: both cosines are sqrt((1 + c) / 2) to a part in a thousand."""
    key = jax.random.key(0)
    a, b = jax.random.normal(key, (2, size), jnp.float32)
    a = a / jnp.linalg.norm(a)
    b = b - jnp.vdot(a, b) * a
    b = cosine * a + (1 - cosine**2) ** 0.5 * b / jnp.linalg.norm(b)
    g = np.asarray(jnp.stack([3.0 * a, b]), np.float64)
    exact = cosines(g, g[0] / np.linalg.norm(g[0]) + g[1] / np.linalg.norm(g[1]))
    update = np.asarray(ConFIG()(jnp.asarray(g, jnp.float32)), np.float64)
    np.testing.assert_allclose(cosines(g, update), exact, rtol=1e-3)


def test_library_pseudo_inverses_fail_there():
    """They cut singular values at machine epsilon times the number of parameters: no update, or one against a loss."""
    a, b = np.asarray(jax.random.normal(jax.random.key(0), (2, 1_000_000), jnp.float32))
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    b = (-0.98 * a + 0.19899749 * (b - a @ b * a)).astype(np.float32)
    units = jnp.asarray(np.stack([a, b / np.linalg.norm(b)]), jnp.float32)
    one = jnp.ones(2, jnp.float32)
    by_pinv, by_least_squares = jnp.linalg.pinv(units) @ one, jnp.linalg.lstsq(units, one)[0]
    assert not np.all(np.asarray(units @ by_pinv) > 0.5)
    assert not np.all(np.asarray(units @ by_least_squares) > 0.5)
    assert np.all(np.asarray(units @ ConFIG()(units)) > 0)


def test_three_of_four_nearly_opposed_in_single_precision():
    """One gradient at cosine -0.99 to its nearly equal others: four equal cosines to a part in a thousand."""
    noise = jax.random.normal(jax.random.key(1), (5, 200_000), jnp.float32)
    family = noise[:1] + 0.1 * noise[1:4]
    g = jnp.concatenate([family, -noise[:1] + 0.14 * noise[4:]]) * jnp.array([1.0, 5.0, 0.2, 30.0])[:, None]
    found = cosines(np.asarray(g, np.float64), np.asarray(ConFIG()(g), np.float64))
    np.testing.assert_allclose(found, found.mean(), rtol=1e-3)
    assert found.mean() > 0


@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("name", RULES)
def test_sizes_at_the_ends_of_single_precision(name, scale):
    """Gradients of 1e-30 and 1e30 neither vanish nor overflow: the update scales with them."""
    g = jnp.asarray(oracle("m3_n10_random", "G"), jnp.float32)
    np.testing.assert_allclose(RULES[name](g * scale) / scale, RULES[name](g), rtol=1e-4, atol=1e-5)


sets = hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.just(6)), elements=st.floats(-1, 1, width=32))


@settings(max_examples=60, deadline=None)
@given(sets, st.floats(0.01, 100))
def test_properties_of_random_sets(g, factor):
    """Conflict free, equal rates, free of or linear under scales where it is claimed; a permutation changes nothing."""
    assume(np.linalg.matrix_rank(g, tol=1e-2) == len(g))
    g = jnp.asarray(g)
    lengths = np.linalg.norm(g, axis=1)
    for name in ("ConFIG", "UPGrad", "DualProj"):
        update = RULES[name](g)
        assert np.all(g @ update >= -1e-9 * lengths * np.linalg.norm(update)), name
    config = np.asarray(ConFIG()(g))
    np.testing.assert_allclose(cosines(np.asarray(g), config), cosines(np.asarray(g), config)[0], rtol=1e-6)
    scales = jnp.asarray(np.geomspace(1, factor, len(g)))
    scaled = np.asarray(ConFIG()(scales[:, None] * g))
    np.testing.assert_allclose(scaled / np.linalg.norm(scaled), config / np.linalg.norm(config), atol=1e-7)
    for name in ("UPGrad", "PCGrad"):  # linear in each scale: the mean of two scalings is the scaling by the mean
        rule = RULES[name]
        both = 0.5 * (rule(g) + rule(scales[:, None] * g))
        np.testing.assert_allclose(rule(0.5 * (1 + scales)[:, None] * g), both, rtol=1e-7, atol=1e-9 * lengths.max())
    for name in ("ConFIG", "UPGrad", "DualProj", "Sum", "Mean"):
        np.testing.assert_allclose(RULES[name](g[::-1]), RULES[name](g), rtol=1e-6, atol=1e-9)
    if np.all(np.asarray(g @ g.T) >= 0):
        np.testing.assert_allclose(UPGrad()(g), g.mean(0), rtol=1e-10, atol=1e-12)


def test_two_terms_of_pcgrad_are_twice_upgrad():
    g = jnp.asarray(oracle("m2_n10_conflict", "G"))
    np.testing.assert_allclose(PCGrad()(g), 2 * UPGrad()(g), rtol=1e-12)


def test_nine_terms_are_descended_and_agree_with_enumeration():
    """Beyond eight terms UPGrad descends; on eight of them, and a ninth that is zero, it is the enumeration's."""
    g = jax.random.normal(jax.random.key(3), (8, 40)) + 0.3
    nine = jnp.concatenate([g, jnp.zeros((1, 40))])
    np.testing.assert_allclose(UPGrad()(nine) * 9, UPGrad()(g) * 8, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", RULES)
def test_pytrees_of_mixed_types(name):
    """A pytree is its flat vector; leaves keep their types, and what one term does not use is zero in its row."""
    flat = jnp.asarray(oracle("m3_n10_conflict", "G"))
    tree = {"w": flat[:, :6].reshape(3, 2, 3), "b": (flat[:, 6:9], flat[:, 9])}
    combined = RULES[name](tree)
    together = jnp.concatenate([combined["w"].ravel(), combined["b"][0], combined["b"][1][None]])
    np.testing.assert_allclose(together, RULES[name](flat), rtol=1e-12, atol=1e-14)
    half = {"w": tree["w"].astype(jnp.bfloat16), "b": tree["b"]}
    assert jax.tree.map(lambda leaf: leaf.dtype.name, RULES[name](half)) == {
        "w": "bfloat16",
        "b": ("float64", "float64"),
    }


@pytest.mark.parametrize("name", RULES)
def test_transformations_chain_under_jit_and_vmap(name):
    """`optax.chain(rule, adam)` on stacked gradients equals Adam on the combined gradient; `vmap` is a loop."""
    g = jnp.asarray(oracle("m3_n10_random", "G"))
    params = jnp.zeros(10)
    chain, adam = optax.chain(RULES[name].transformation(3), optax.adam(1e-2)), optax.adam(1e-2)
    state, alone = chain.init(params), adam.init(params)
    for _ in range(3):
        update, state = jax.jit(chain.update)(g, state, params)
        expected, alone = adam.update(RULES[name](g), alone, params)
        np.testing.assert_allclose(update, expected, rtol=1e-9, atol=1e-12)
        params = optax.apply_updates(params, update)
    many = jnp.stack([g, 2 * g, g[::-1]])
    for one, all_ in zip(many, jax.vmap(RULES[name])(many), strict=True):
        np.testing.assert_allclose(RULES[name](one), all_, rtol=1e-9, atol=1e-12)


def test_cosines_keep_the_digits_of_nearly_equal_rows():
    """1 - c of two rows an angle of 1e-6 apart, from the factor: 5e-13 to three digits."""
    u = jnp.asarray([[1.0, 0.0, 0.0], [jnp.cos(1e-6), jnp.sin(1e-6), 0.0]])
    assert abs(abs(UnitRows(u).factor()[1, 1]) / 1e-6 - 1) < 1e-9
    c = UnitRows(u).cosines()
    np.testing.assert_array_equal(c, c.T)
    np.testing.assert_array_equal(jnp.diagonal(c), [1, 1])


def test_errors():
    g = jnp.ones((2, 3))
    with pytest.raises(UnknownNameError, match="unknown length of ConFIG 'mean'"):
        ConFIG(length="mean")
    with pytest.raises(PdesolveError, match="`direction` has 3 weights for 2 terms"):
        ConFIG(direction=(1.0, 1.0, 1.0))(g)
    with pytest.raises(PdesolveError, match="needs positive weights"):
        ConFIG(direction=(1.0, 0.0))
    with pytest.raises(PdesolveError, match="must not be negative"):
        UPGrad((-1.0, 2.0))
    with pytest.raises(PdesolveError, match="one common leading axis"):
        Mean()({"a": g, "b": jnp.ones(3)})
    np.testing.assert_allclose(Sum((1.0, 2.0))(g), np.full(3, 3.0), rtol=1e-15)
