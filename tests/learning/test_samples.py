"""Samples of files: which ones, what they give, overlaps, faults; and those that do not fit into memory."""

import dataclasses

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pdesolve.config import DataConfig, Recipe
from pdesolve.data import ChannelNormaliser, make_data, read_data
from pdesolve.data_family import data_counts, data_family, data_name, described_family
from pdesolve.errors import PdesolveError
from pdesolve.learning import Steps, StreamedBatches, draw_splits
from pdesolve.learning import training as training_module
from pdesolve.learning.samples import DataWarning, given_digests, survey, warn_of_overlap
from pdesolve.learning.training import prepare
from problems import BurgersTrajectories, Darcy2D, KuramotoSivashinsky

from ..data import layouts
from ..data.layouts import B, T, X, Y
from .families import Integral, heat, heat_file, integral_file


def recipe(path, train=3, test=1, **changes):
    return Recipe(method="operator", data=DataConfig(train=train, test=test, batch=2, file=str(path), **changes))


def whole(samples):
    return samples.load(0, samples.count)


def test_one_behind_the_other(tmp_path):
    """Training, validation and test samples are the first, the next and those behind them."""
    path = integral_file(tmp_path / "p.npz", samples=12)
    stored = np.load(path)
    splits = draw_splits(data_family(path)(), recipe(path, train=6, test=4))
    for part, rows in zip(splits, (slice(0, 6), slice(6, 8), slice(8, 12)), strict=True):
        np.testing.assert_array_equal(whole(part).inputs[:, 0], stored["a"][rows])
        np.testing.assert_array_equal(whole(part).outputs[:, 0], stored["u"][rows])
    with pytest.raises(PdesolveError, match="holds 12 samples; asked for are 9 for training, 2 for validation"):
        draw_splits(data_family(path)(), recipe(path, train=9, test=4))


def test_test_samples_of_another_file(tmp_path):
    """They are its first ones, and training may have all of the first file but those for validation."""
    path, other = integral_file(tmp_path / "p.npz", 8), integral_file(tmp_path / "q.npz", 5, seed=1)
    splits = draw_splits(data_family(path)(), recipe(path, train=6, test=4, test_file=str(other)))
    np.testing.assert_array_equal(whole(splits.test).inputs[:, 0], np.load(other)["a"][:4])
    np.testing.assert_array_equal(whole(splits.validation).inputs[:, 0], np.load(path)["a"][6:])


def test_folder(tmp_path):
    """Each split has its own files; of few samples for validation all are taken."""
    for split, samples, seed in (("train", 4, 0), ("valid", 1, 1), ("test", 3, 2)):
        (tmp_path / split).mkdir()
        layouts.well(tmp_path / split / "a.hdf5", samples=samples, seed=10 * seed)
    family = data_family(tmp_path)()
    assert (family.field_names, family.constant_names) == (("density", "velocity_x", "velocity_y"), ("depth",))
    assert family.periodic and family.recipe().data.train == 4 and family.recipe().data.test == 3
    splits = draw_splits(family, recipe(tmp_path, train=4, test=3), stepped=True)
    assert [part.count for part in splits] == [4, 1, 3]
    test = whole(splits.test)
    assert test.outputs.shape == (3, 3, T, X, Y) and test.inputs.shape == (3, 1, X, Y)
    assert list(test.coordinates) == ["t", "x", "y"]
    np.testing.assert_array_equal(test.outputs[:, 0], layouts.numbers(3, T, X, Y, seed=20))


def test_map_of_trajectories(tmp_path):
    """Without inputs the first frame is one, beside what does not change; the answer is the last frame."""
    path = layouts.well(tmp_path / "w.hdf5")
    family = data_family(path)()
    assert family.input_names == ("density_0", "velocity_x_0", "velocity_y_0", "depth")
    data = whole(draw_splits(family, recipe(path)).train)
    frames = layouts.numbers(B, T, X, Y)
    np.testing.assert_array_equal(data.inputs[:, 0], frames[:3, 0])
    np.testing.assert_array_equal(data.outputs[:, 0], frames[:3, -1])
    np.testing.assert_array_equal(data.inputs[0, 3, :, 2], layouts.numbers(X))


def test_stride(tmp_path):
    """Every second point, of fields, inputs and coordinates."""
    path = layouts.pdebench_darcy(tmp_path / "d.hdf5")
    data = whole(draw_splits(data_family(path)(), recipe(path, stride=2)).train)
    np.testing.assert_array_equal(data.outputs[:, 0], layouts.numbers(B, 1, X, Y)[:3, 0, ::2, ::2])
    np.testing.assert_array_equal(data.coordinates["y"], layouts.cells(Y)[::2])
    with pytest.raises(PdesolveError, match=r"`data\.stride` belongs to `data\.file`"):
        draw_splits(Integral(), Recipe(data=DataConfig(stride=2)))


def test_named_families_read_their_files(tmp_path):
    """By names where they agree, else by number; a family in time gets all frames, its input at all times."""
    made = make_data(Integral(), tmp_path / "own.h5", name="integral", samples=6, resolution=8)
    data = whole(draw_splits(Integral(), recipe(made)).train)
    with h5py.File(made) as file:
        np.testing.assert_array_equal(data.inputs[:, 0], file["t0_fields/a"][:3, 0])
    assert data.error_bound == 1e-14
    darcy = layouts.pdebench_darcy(tmp_path / "darcy.hdf5")
    np.testing.assert_array_equal(
        whole(draw_splits(Darcy2D(), recipe(darcy)).train).inputs[:, 0], np.exp(layouts.numbers(B, X, Y))[:3]
    )
    path = heat_file(tmp_path / "heat.hdf5", samples=6)
    data = whole(draw_splits(BurgersTrajectories(), recipe(path)).train)
    tensor = heat(6, 7, 16, 0)
    assert list(data.coordinates) == ["t", "x"] and data.inputs.shape == data.outputs.shape == (3, 1, 7, 16)
    np.testing.assert_array_equal(data.outputs[:, 0], tensor[:3])
    np.testing.assert_array_equal(data.inputs[:, 0, 4], tensor[:3, 0])


@pytest.mark.parametrize(
    ("family", "layout", "message"),
    [
        (Integral, layouts.pdebench_darcy, r"has 2 axes of space \(x, y\); Integral has x"),
        (KuramotoSivashinsky, layouts.pdebench_groups, r"has 2 axes of space"),
        (Darcy2D, layouts.pdebench_flow, r"Darcy2D has 1 functions of the kind 'solution' \(u\); the file has 4"),
    ],
)
def test_families_that_do_not_fit(tmp_path, family, layout, message):
    path = layout(tmp_path / "f.h5")
    with pytest.raises(PdesolveError, match=message):
        draw_splits(family(), recipe(path))


def test_what_is_not_there(tmp_path):
    pairs, darcy = integral_file(tmp_path / "p.npz"), layouts.pdebench_darcy(tmp_path / "d.h5")
    with pytest.raises(PdesolveError, match="has no frames; an operator that steps"):
        draw_splits(data_family(pairs)(), recipe(pairs), stepped=True)
    with pytest.raises(PdesolveError, match=r"Integral generates none. Give a file of trajectories"):
        draw_splits(Integral(), Integral().recipe(), stepped=True)
    with pytest.raises(PdesolveError, match="answers are functions of time; the file has no times"):
        whole(draw_splits(BurgersTrajectories(), recipe(pairs)).train)
    with pytest.raises(PdesolveError, match=r"known by its file only: give `data\.file`"):
        data_family(darcy)().generate(1, 8, 0)
    with pytest.raises(PdesolveError, match="holds 2 samples; one is needed each"):
        data_family(integral_file(tmp_path / "two.npz", samples=2))


def test_numbers_that_are_none(tmp_path):
    """The variable and the samples of the file, counted from its beginning, and where to look."""
    path = layouts.pdebench_darcy(tmp_path / "d.h5")
    with h5py.File(path, "r+") as file:
        file["tensor"][4, 0, 2, 3] = np.inf
    splits = draw_splits(data_family(path)(), recipe(path, train=2, test=3))
    prepare(splits.train, recipe(path).data)
    with pytest.raises(PdesolveError, match=r"u is not finite in samples 4\. See `pdesolve data check"):
        whole(splits.test)


def test_overlap_is_warned(tmp_path):
    """A test sample that gives what a training sample gives, also in another file, and in single precision."""
    path = integral_file(tmp_path / "p.npz", samples=10)
    stored = dict(np.load(path))
    stored["a"][8] = stored["a"][1]
    np.savez(path, **stored)
    splits = draw_splits(data_family(path)(), recipe(path, train=6, test=3))
    digests = prepare(splits.train, recipe(path).data).digests
    with pytest.warns(DataWarning, match=r"1 of 3 test samples of .* are training samples too \(1\)"):
        text = warn_of_overlap(digests, splits.test, str(path))
    assert text is not None and "says less than it seems" in text
    assert warn_of_overlap(digests, splits.validation, str(path)) is None
    # Of trajectories it is the first frame that counts.
    path = heat_file(tmp_path / "heat.hdf5", samples=10)
    with h5py.File(path, "r+") as file:
        file["tensor"][9, 0] = file["tensor"][0, 0]
    splits = draw_splits(data_family(path)(), recipe(path, train=6, test=3), stepped=True)
    steps = Steps("one_step")
    with pytest.warns(DataWarning, match=r"training samples too \(2\)"):
        warn_of_overlap(prepare(splits.train, recipe(path).data, steps).digests, splits.test, str(path))


def test_survey(tmp_path):
    """One pass in blocks: the moments of all samples at once, with a mean far from zero, and every digest."""
    path = tmp_path / "p.npz"
    u = 1e3 + layouts.numbers(150, 6).astype(float)
    np.savez(path, a=layouts.numbers(150, 6, seed=1).astype(float), u=u)
    samples = draw_splits(data_family(path)(), recipe(path, train=140, test=4)).train
    found, data = survey(samples), whole(samples)
    np.testing.assert_allclose(found.output_moments[0], u[:140].mean(), rtol=1e-13)
    np.testing.assert_allclose(found.output_moments[1], u[:140].std(), rtol=1e-10)
    assert found.digests == set(given_digests(data)) and len(found.digests) == 140


def test_streaming_prepares_the_same(tmp_path):
    """Normalisers, mean square and digests of a stream are those of all samples in memory."""
    path = integral_file(tmp_path / "p.npz", samples=40)
    samples = draw_splits(data_family(path)(), recipe(path, train=30, test=6)).train
    config = recipe(path, train=30).data
    one, other = prepare(samples, config), prepare(samples, dataclasses.replace(config, buffer=7))
    assert isinstance(other.sampler, StreamedBatches) and (other.sampler.buffer, other.chunk) == (7, 3)
    for name in ("inputs", "outputs"):
        for part in ("mean", "scale"):
            values = [getattr(getattr(training, name), part) for training in (one, other)]
            np.testing.assert_allclose(values[1], values[0], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(other.mean_square, one.mean_square, rtol=1e-12)
    assert other.digests == one.digests and len(other.known.outputs) == 7
    with pytest.raises(PdesolveError, match="`buffer` must be at least the batch of 2, got 1"):
        prepare(samples, dataclasses.replace(config, buffer=1))


def test_large_files_are_streamed(tmp_path, monkeypatch):
    """More than the limit: half of it at a time."""
    path = integral_file(tmp_path / "p.npz", samples=40)
    samples = draw_splits(data_family(path)(), recipe(path, train=30, test=6)).train
    size = 2 * 16 * 8  # input and output of 16 points in double precision
    monkeypatch.setattr(training_module, "LARGE", 20 * size)
    sampler = prepare(samples, recipe(path).data).sampler
    assert isinstance(sampler, StreamedBatches) and sampler.buffer == 10
    monkeypatch.setattr(training_module, "LARGE", 30 * size)
    assert not isinstance(prepare(samples, recipe(path).data).sampler, StreamedBatches)


def test_a_stream_gives_every_sample():
    """Each pass reads all buffers, in another order; each buffer is given once before the next one is read."""
    reads = []

    def read(start, stop):
        reads.append((start, stop))
        return (np.arange(start, stop, dtype=float),)

    sampler = StreamedBatches(read, 10, 4, 2)
    state, key = sampler.init(3), jax.random.key(0)
    given = []
    for step in range(12):
        batch = sampler.draw(state, key, jnp.asarray(step))
        np.testing.assert_array_equal(batch.samples[0], batch.ids)
        given.append(np.asarray(batch.ids))
        if (step + 1) % sampler.steps_per_buffer == 0:
            state = sampler.refresh(state, 0, None)
    assert sorted(reads[:3]) == sorted(reads[3:6]) == [(0, 4), (4, 8), (6, 10)]
    for index, (start, stop) in enumerate(reads[:6]):
        assert sorted(np.concatenate(given[2 * index : 2 * index + 2])) == list(range(start, stop))
    with pytest.raises(PdesolveError, match="a batch of 3 from a buffer of 2 of 10"):
        StreamedBatches(read, 10, 2, 3)


def test_counts_and_names(tmp_path):
    """An eighth for the test and a sixteenth for validation; all of a test file; a name no problem has."""
    file = read_data(integral_file(tmp_path / "p.npz", samples=40))
    assert data_counts({"all": file}) == (33, 5)
    assert data_counts({"all": file}, file) == (20, 40)
    assert data_name("a/b c.x.h5") == "b_c.x" and data_name("darcy_2d.h5") == "darcy_2d_data"
    described = described_family({"inputs": ["a"], "outputs": ["u"], "axes": ["x"]})()
    assert (described.input_names, described.constant_names) == (("a",), ())


def test_normaliser_of_nothing():
    """No constants: means and scales of no channel."""
    assert ChannelNormaliser.fit(np.zeros((3, 0, 8))).mean.shape == (0,)
