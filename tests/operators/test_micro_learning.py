"""The methods `equino`, `vpionet` and `dnn`: samples, training, errors, files that are micro models."""

import json

import h5py
import numpy as np
import pytest

import pdesolve
from operators import EquiNO, StressNetwork, VPIONet
from operators.snapshots import read_snapshots, split
from pdesolve.cli import main
from pdesolve.config import DataConfig, NetworkConfig, Recipe, StageConfig
from pdesolve.data import make_data
from pdesolve.errors import PdesolveError
from pdesolve.multiscale import micro_model
from problems.rve import RVE2

SMALL = DataConfig(train=12, test=4, batch=4)
PROBLEM = RVE2(cells=8)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """A file of solved states, as `pdesolve data make rve2` writes it."""
    path = tmp_path_factory.mktemp("samples") / "rve2.h5"
    return str(
        make_data(RVE2(), path, name="rve2", samples=12, resolution=8, parameters={"bound": 0.04, "out_of_plane": 0.0})
    )


def recipe(method, samples, steps, **options):
    return Recipe(
        method=method,
        method_options=options,
        data=DataConfig(train=12, test=4, batch=4, file=samples),
        network=NetworkConfig(width=6, depth=1, activation="swish"),
        stages=(StageConfig(optimiser="adam", steps=steps, options={"learning_rate": 1e-3}),),
    )


@pytest.mark.slow
def test_equino_by_name(samples, tmp_path, capsys):
    """The command line trains from a file; errors are those of the model that the file of the run gives back."""
    text = """
        method = "equino"
        [data]
        train = 12
        test = 4
        [network]
        width = 8
        depth = 2
        [method_options]
        rank = 4
        collocation = 60
        trend = 3
    """
    (tmp_path / "small.toml").write_text(text)
    out = tmp_path / "run"
    words = ["solve", "rve2", "--data", samples, "--config", str(tmp_path / "small.toml")]
    assert main([*words, "--steps", "40", "--out", str(out), "--quiet"]) == 0, capsys.readouterr().err
    summary = json.loads((out / "summary.json").read_text())
    measures = summary["measures"]
    assert summary["status"] == "solved" and measures["test_loss"] > measures["optimum_loss"] > 0
    assert (out / "rve2.png").is_file()
    model = micro_model(f"equino:{out / 'rve2.h5'}")
    assert isinstance(model, EquiNO) and model.modes.rank == 4 + 3
    _, _, test = split(read_snapshots(samples, RVE2(), 12)[0], 4)
    stresses, _ = model.respond(test.strains)
    error = 100 * np.linalg.norm(stresses - test.stresses) / np.linalg.norm(test.stresses)
    assert measures["mean_stress_percent"] == pytest.approx(error, rel=1e-10)
    squares = [
        np.sum((np.asarray(model.micro_fields(e)["stress"]) - field) ** 2)
        for e, field in zip(test.strains, test.fields, strict=True)
    ]
    assert summary["relative_l2"] == pytest.approx(np.sqrt(np.sum(squares) / np.sum(test.fields**2)), rel=1e-10)
    strain = np.array([0.04, -0.03, 0.035])
    np.testing.assert_allclose(summary["homogenised_stress"], model.respond(strain[None])[0][0], rtol=1e-12)
    with pytest.raises(PdesolveError, match="not StressNetwork"):
        StressNetwork.load(out / "rve2.h5")


@pytest.mark.parametrize(
    ("method", "cls"), [("dnn", StressNetwork), pytest.param("vpionet", VPIONet, marks=pytest.mark.slow)]
)
def test_others(method, cls, samples, tmp_path):
    """A few steps of the baselines, and their files."""
    options = {"rank": 2, "collocation": 4} if method == "vpionet" else {}
    solution = pdesolve.solve(RVE2(), recipe(method, samples, 3, **options), out=tmp_path)
    assert solution.summary["measures"]["tangent_percent"] > 0
    model = micro_model(f"{method}:{tmp_path / 'rve2.h5'}")
    assert isinstance(model, cls)
    strains = PROBLEM.strains(2, 1)
    np.testing.assert_array_equal(model.respond(strains)[0], solution.model.respond(strains)[0])


@pytest.mark.slow
def test_samples_where_they_are_needed(tmp_path):
    """Without a file the cell is solved; a second run in the folder finds the states there."""
    small = Recipe(method="dnn", data=SMALL, stages=(StageConfig(steps=3),))
    first, second = (pdesolve.solve(PROBLEM, small, out=tmp_path) for _ in range(2))
    assert (tmp_path / "snapshots.h5").is_file()
    np.testing.assert_array_equal(first.dataset["mean_stress"], second.dataset["mean_stress"])
    assert pdesolve.solve(PROBLEM, small).summary["relative_l2"] > 0


def test_refusals(samples, tmp_path):
    with pytest.raises(PdesolveError, match=r"out_of_plane = 0\.0; the problem has 1\.0"):
        pdesolve.solve(RVE2(out_of_plane=1.0), recipe("equino", samples, 1))
    with pytest.raises(PdesolveError, match="has 111 functions and needs as many strains; `collocation` is 60"):
        pdesolve.solve(RVE2(), recipe("equino", samples, 1, collocation=60))
    with pytest.raises(PdesolveError, match="holds 12 samples"):
        read_snapshots(samples, RVE2(), 13)
    with pytest.raises(PdesolveError, match="not of RVE3"):
        read_snapshots(samples, pdesolve.registry.load("problems", "rve3")(), 12)
    with pytest.raises(PdesolveError, match="leave too few"):
        split(read_snapshots(samples, RVE2(), 12)[0], 12)
    with h5py.File(tmp_path / "other.h5", "w"):
        pass
    with pytest.raises(PdesolveError, match=r"other\.h5"):
        read_snapshots(tmp_path / "other.h5", RVE2(), 1)
    with pytest.raises(PdesolveError, match="learns unit cells"):
        pdesolve.solve(pdesolve.registry.load("problems", "poisson_1d")(), Recipe(method="equino"))
