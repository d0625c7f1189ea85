"""A run on several devices is the run on one: the same loss, gradient and trained weights, to round-off."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def compared(*cases):
    """Compare in a process of its own: the number of devices is fixed when JAX starts."""
    environment = {key: value for key, value in os.environ.items() if key != "JAX_NUM_CPU_DEVICES"}
    words = [sys.executable, "-m", "tests.mesh.equality", *cases]
    done = subprocess.run(
        words, cwd=ROOT, env=environment | {"JAX_PLATFORMS": "cpu"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def check(cases):
    """In float64 only the order of sums differs."""
    for case, found in compared(*cases).items():
        assert found["gradient"] < 1e-10, case
        assert found["loss"] < 1e-10, case
        assert found["end"] < 1e-8, case
        assert found["trainables"] < 1e-8, case


def test_network_on_eight_devices():
    """60 and 5 points, which 8 does not divide: those added to make them even do not count."""
    check(["pinn"])


@pytest.mark.slow
def test_other_methods_on_eight_devices():
    """Operators and flows; points in pieces, and points with weights of their own."""
    check(["pinn, even", "pinn, in pieces", "pinn, weights of points", "operator", "flow"])


@pytest.mark.slow
def test_experts_on_eight_devices():
    """One expert on a device, or two; samples divided, also unevenly, or not; both routers."""
    check(["experts", "experts, two each", "experts, learned router"])


@pytest.mark.slow
def test_experts_send_their_weights_alone():
    """No collective within a solve: one gather of the weights of a device's 2 samples, one sum of gradient and losses.

    Four experts have four weights each, of 8 bytes.
    """
    (found,) = compared("sent").values()
    sums = 8 * (found["parameters"] + found["losses"])
    assert found["kinds"] == {"all-gather": [1, 2 * 4 * 4 * 8], "all-reduce": [1, sums]}


@pytest.mark.slow
def test_second_order_on_eight_devices():
    """Rows of a Jacobian are divided as the points are."""
    (found,) = compared("second order").values()
    assert set(found) == {"cholesky", "eigen", "lbfgs"} and max(found.values()) < 1e-8


@pytest.mark.slow
def test_restart_on_other_devices():
    """A checkpoint of 8 devices continues on 3, and on one."""
    (found,) = compared("restarted").values()
    assert set(found) == {"three", "one"} and max(found.values()) < 1e-8
