"""TOML to recipes and back: nothing is lost, and nothing misspelt passes."""

import tomllib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pdesolve import toml
from pdesolve.config import DataConfig, NetworkConfig, PointsConfig, Recipe, StageConfig
from pdesolve.errors import PdesolveError

texts = st.text(st.characters(codec="utf-8"), max_size=8)
floats = st.floats(allow_nan=False)
positive = st.floats(min_value=0, exclude_min=True, allow_nan=False)
counts = st.integers(1, 2**40)
options = st.dictionaries(texts, st.one_of(floats, st.integers(), st.booleans(), texts), max_size=3)
recipes = st.builds(
    Recipe,
    method=texts,
    network=st.builds(NetworkConfig, texts, counts, counts, texts, options),
    points=st.builds(PointsConfig, counts, counts, texts, texts, counts, counts),
    data=st.builds(DataConfig, counts, counts, counts, counts),
    stages=st.lists(
        st.builds(
            StageConfig,
            texts,
            st.none() | counts,
            st.none() | positive,
            st.none() | positive,
            options,
            combine=st.none() | texts,
            combine_options=options,
            combine_groups=st.lists(st.lists(texts, max_size=2).map(tuple), max_size=2).map(tuple),
            interior=st.none() | counts,
            window=st.none() | st.just(0),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    exact=st.booleans(),
    method_options=options,
    weights=st.dictionaries(texts, floats, max_size=3),
    windows=counts,
    precision=st.sampled_from(["float64", "float32"]),
    seed=st.integers(0, 2**31),
    grid=st.dictionaries(texts, counts, max_size=3),
)


@settings(max_examples=100, deadline=None)
@given(recipes, recipes, st.dictionaries(texts, floats, max_size=3))
def test_round_trip(recipe, base, parameters):
    """merge(base, dumps(recipe)) = recipe for every base: a run's file replays it, to the last bit of each float."""
    data = tomllib.loads(toml.dumps("a problem", parameters, recipe))
    assert data["problem"] == "a problem"
    assert toml.parameters(data, parameters, "run.toml") == parameters
    assert toml.merge(base, data, "run.toml") == recipe


def test_comments_do_not_change_the_recipe():
    """Comments stand above their keys, those of stages above the first only; what is read is the same."""
    recipe = Recipe(stages=(StageConfig(steps=10), StageConfig(seconds=1.0)))
    comments = {"": "Title.\nSecond line.", "seed": "a seed", "points": "where", "stages.optimiser": "which"}
    text = toml.dumps("burgers", {"viscosity": 0.01}, recipe, comments=comments, omit=("data",))
    assert text.startswith("# Title.\n# Second line.\n\nproblem =")
    assert text.count("# which\n") == 1
    assert "# a seed\nseed = 0\n" in text
    assert "# where\n[points]\n" in text
    assert "[data]" not in text
    assert toml.merge(Recipe(), tomllib.loads(text), "x") == recipe


def test_numpy_scalars_are_written_as_numbers():
    """A parameter that NumPy computed is the same number in the file."""
    data = tomllib.loads(toml.dumps("p", {"a": np.float64(0.1), "n": np.int64(3), "b": np.asarray(2.5)}, Recipe()))
    assert data["parameters"] == {"a": 0.1, "n": 3, "b": 2.5}


def test_a_file_states_what_differs():
    """What a table leaves out keeps the recipe's value; stages are replaced as a whole."""
    base = Recipe(network=NetworkConfig(width=50), stages=(StageConfig(steps=5), StageConfig(steps=6)))
    data = {"network": {"depth": 7}, "stages": [{"optimiser": "adam", "seconds": 3}]}
    merged = toml.merge(base, data, "x")
    assert merged.network == NetworkConfig(width=50, depth=7)
    assert merged.stages == (StageConfig("adam", seconds=3.0),)
    assert isinstance(merged.stages[0].seconds, float)


def test_files_of_samples_survive_the_round_trip():
    """What names a file, and how much of it is taken, comes back; a recipe without a file states none."""
    data = DataConfig(file='a "b".h5', test_file="c.npz", stride=3, buffer=64)
    text = toml.dumps("p", {}, Recipe(data=data))
    assert toml.merge(Recipe(), tomllib.loads(text), "x").data == data
    assert "file" not in toml.dumps("p", {}, Recipe())
    with pytest.raises(PdesolveError, match="in data: `stride` must be at least 1, got 0"):
        toml.merge(Recipe(), {"data": {"stride": 0}}, "x")


def test_another_network_drops_options_of_the_former():
    """`modes` of an FNO means nothing to an MLP; the same name keeps them."""
    base = Recipe(network=NetworkConfig("fno", options={"modes": 16}))
    assert toml.merge(base, {"network": {"name": "mlp"}}, "x").network.options == {}
    assert toml.merge(base, {"network": {"name": "fno"}}, "x").network.options == {"modes": 16}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[points]\ninteror = 3",
            "unknown key 'points.interor'. Did you mean 'interior'? "
            "Known: adaptive, boundary, candidates, chunk, interior, refresh, sampler, weighting, weighting_options.",
        ),
        ("sed = 3", "unknown key 'sed'. Did you mean 'seed'? Known: constraints, data, exact, grid, method, "),
        ("[[stages]]\nstep = 3", "unknown key 'stages[0].step'. Did you mean 'steps'? Known: "),
        ("zzz = 1", "unknown key 'zzz'. Known: "),
        ("[points]\ninterior = 'many'", "'points.interior' must be an integer, got \"many\"."),
        ("[points]\ninterior = 1.5", "'points.interior' must be an integer, got 1.5."),
        ("[points]\ninterior = true", "'points.interior' must be an integer, got true."),
        ("[[stages]]\nsteps = 5\n[[stages]]\ntarget = 'x'", "'stages[1].target' must be a number, got \"x\"."),
        ("exact = 1", "'exact' must be true or false, got 1."),
        ("method = 1", "'method' must be a string, got 1."),
        ("points = 3", "'points' must be a table, got 3."),
        ("[seed]\nx = 1", "'seed' must be an integer, got a table."),
        ("seed = 1979-05-27", "'seed' must be an integer, got date."),
        ("[stages]\nsteps = 1", "'stages' must be an array of tables, written [[stages]], got a table."),
        ("stages = [1]", "'stages[0]' must be a table, got 1."),
        ("weights = {u = 'x'}", "'weights.u' must be a number, got \"x\"."),
        (
            "[network]\noptions = {a = {}}",
            "'network.options.a' must be a number or true or false or a string or an array of numbers, got a table.",
        ),
        ("[points]\ninterior = 0", "in points: `interior` must be at least 1, got 0."),
        ("windows = 0", "`windows` must be at least 1, got 0."),
        ("stages = []", "`stages` needs at least one stage."),
        ("[[stages]]\nwindow = 1", "`window` of a stage must be from 0 to 0, got 1."),
        ("precision = 'float16'", "unknown precision 'float16'. Did you mean 'float64'? Known: float32, float64."),
        ("[[stages]]\nseconds = 0", "in stages[0]: `seconds` must be positive, got 0.0."),
    ],
)
def test_wrong_input(text, message):
    """Each message names the file, the key, what is accepted and what was given."""
    with pytest.raises(PdesolveError) as caught:
        toml.merge(Recipe(), tomllib.loads(text), "configs/burgers.toml")
    assert str(caught.value).startswith(f"configs/burgers.toml: {message}")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"viscosty": 1.0}, "x.toml: unknown key 'parameters.viscosty'. Did you mean 'viscosity'? Known: viscosity."),
        ({"viscosity": "thin"}, "x.toml: 'parameters.viscosity' must be a number, got \"thin\"."),
        (3, "x.toml: 'parameters' must be a table, got 3."),
    ],
)
def test_wrong_parameters(table, message):
    """Parameters of the file are those of the problem, and numbers."""
    with pytest.raises(PdesolveError) as caught:
        toml.parameters({"parameters": table}, ["viscosity"], "x.toml")
    assert str(caught.value) == message


def test_load_errors(tmp_path):
    """A missing file, a file that is not TOML (with its line) and a problem that is not a name."""
    (tmp_path / "burgers.toml").write_text('problem = "burgers"\nseed = = 1\n')
    with pytest.raises(PdesolveError, match=r"no configuration file '.*burger\.toml'\. Did you mean '.*burgers\.toml'"):
        toml.load(tmp_path / "burger.toml")
    with pytest.raises(PdesolveError, match=r"burgers\.toml: not a TOML file: .*line 2, column 8"):
        toml.load(tmp_path / "burgers.toml")
    (tmp_path / "burgers.toml").write_text("problem = 1\n")
    with pytest.raises(PdesolveError, match=r"'problem' must be a string, got 1"):
        toml.load(tmp_path / "burgers.toml")
    (tmp_path / "burgers.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(PdesolveError, match=r"burgers\.toml: not a TOML file"):
        toml.load(tmp_path / "burgers.toml")
