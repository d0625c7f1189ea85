"""Two scales at once: a unit cell in finite elements at every Gauss point of a structure."""

import numpy as np
import pytest

from pdesolve import Recipe, io, solve
from pdesolve.errors import PdesolveError
from pdesolve.multiscale import Discretisation, SaturatingElastic, micro_model, solve_macro, two_scale
from problems import CookMembrane, SingleElement
from problems.rve import RVE3


def recipe(**options):
    return Recipe(method="two_scale", method_options={"load_steps": 1, **options})


def test_fields_of_a_trained_model(monkeypatch, tmp_path):
    """A model without a mesh has its fields at the Gauss points of the unit cell that is named."""
    cell = RVE3(cells=8).rve()

    class Trained:
        respond = SaturatingElastic().respond

        def micro_fields(self, strain):
            known = cell.solve(strain)
            return {"stress": known.stresses, "fluctuation": known.fluctuation}

    monkeypatch.setattr(two_scale, "micro_model", lambda name: Trained())
    solve(SingleElement(), recipe(micro="trained", recover=(1,), cell="rve3,cells=8"), out=tmp_path)
    fields, _ = io.read(tmp_path / "companions" / "micro_1.h5")
    np.testing.assert_array_equal(fields["points"], cell.gauss_points)
    state = cell.solve(np.array([0.012, -0.007, 0.015]))
    np.testing.assert_allclose(fields["stress_xy"], state.stresses[:, 2], rtol=1e-8, atol=1e-8)
    with pytest.raises(PdesolveError, match="name the unit cell it was trained on by `cell`"):
        solve(SingleElement(), recipe(micro="trained", recover=(1,)))
    with pytest.raises(PdesolveError, match=r"no field of the micro model belongs to the .* points"):
        two_scale.micro_fields(
            solve_macro(Discretisation(SingleElement().body()), Trained()), Trained(), 0, RVE3(cells=12).rve()
        )


@pytest.mark.parametrize("processes", [0, 2])
def test_fe2(processes, tmp_path):
    """A unit cell at every Gauss point of a uniformly strained body: its own stress, its fields, no box, no warning."""
    options = {"micro": "fe:rve3,cells=8,bound=0.01", "processes": processes, "recover": (0,), "load_steps": 2}
    found = solve(SingleElement(), recipe(**options), out=tmp_path)
    state = RVE3(cells=8).rve().solve(np.array([0.012, -0.007, 0.015]))
    measures = found.summary["measures"]
    np.testing.assert_allclose([measures[f"stress_{c}_mpa"] for c in ("xx", "yy", "xy")], state.stress, rtol=1e-10)
    assert found.status == "unverified" and measures["points_outside_box"] == 0
    fields, _ = io.read(tmp_path / "companions" / "micro_0.h5")
    expected = RVE3(cells=8).rve().dataset(state)
    np.testing.assert_allclose(fields["stress_xx"], expected["stress_xx"], rtol=1e-8, atol=1e-8)


def test_fe2_converges_quadratically():
    """The condensed tangent of a unit cell is consistent also where strains differ from point to point."""
    micro = micro_model("fe:rve3,cells=8")
    answer = solve_macro(Discretisation(CookMembrane(cells=1).body()), micro, tolerance=1e-11)
    residuals = answer.steps[0].residuals
    assert answer.status == "converged" and 3 <= len(residuals) <= 6
    # The last one is rounding.
    rates = np.diff(np.log(residuals[:-1]))
    assert 1.8 < rates[-1] / rates[-2] < 2.2
