"""`pdesolve launch`, `--mesh` and `--host-devices`: processes of their own, as the number of devices is fixed early."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pdesolve import checkpoint
from pdesolve.cli import main
from pdesolve.errors import PdesolveError

ROOT = Path(__file__).parents[2]
SMALL = "solve burgers --optimiser adam --points 60 --width 6 --depth 2 --device cpu".split()


def start(*words):
    """Start a command in the folder of the project."""
    command = [sys.executable, "-m", "pdesolve", *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process):
    """Return exit code, standard output and standard error."""
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def told(capsys, *words):
    """Return the exit code and the message of a command that ends before JAX is asked for anything."""
    code = main([*map(str, words)])
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["launch", "-n", 2, "solve", "burgers"], "unexpected argument 'solve'"),
        (["launch", "-n", 2], "after two dashes: `pdesolve launch -n 2 -- solve NAME`"),
        (["launch", "-n", 2, "--", "list"], "after two dashes"),
        (["launch", "-n", 0, "--", "solve"], "`-n` must be at least 1, got 0"),
        (["launch", "-n", "two", "--", "solve"], "expected an integer, got 'two'"),
        ([*SMALL, "--host-devices", 0], "`--host-devices` must be at least 1, got 0"),
        (
            [*SMALL, "--mesh", "data=99"],
            "a mesh of data=99 needs 99 devices, and there are 1 of .* `--host-devices 99`",
        ),
        ([*SMALL, "--mesh", "data=0"], "needs at least 1 device, got 0"),
        ([*SMALL, "--mesh", "experts=2"], "unknown axis in `--mesh` 'experts'. Did you mean 'expert'"),
        ([*SMALL, "--mesh", "data=2,expert=3"], "a mesh of data=2,expert=3 needs 6 devices, and there are 1"),
        ([*SMALL, "--mesh", "data=1,data=1"], "takes each axis once with a number of devices, .*; got 'data=1,data=1'"),
        ([*SMALL, "--mesh", "expert=0"], "the mesh axis 'expert' needs at least 1 device, got 0"),
        ([*SMALL, "--mesh", "2"], "unknown axis in `--mesh` '2'"),
        ([*SMALL, "--mesh", "data=two"], "as in `--mesh data=2` and .*; got 'data=two'"),
        ([*SMALL, "--mesh", "data=1", "--device", "cpu:0"], "`--device cpu`, not 'cpu:0'"),
    ],
)
def test_bad_input(capsys, words, message, tmp_path, monkeypatch):
    """What was wrong and what is accepted; nothing is written."""
    monkeypatch.chdir(tmp_path)
    code, err = told(capsys, *words)
    assert code == 2
    with pytest.raises(PdesolveError, match=message):
        raise PdesolveError(err)
    assert list(tmp_path.iterdir()) == []


def test_optimisers_without_a_mesh_refuse(capsys, tmp_path, monkeypatch):
    """Those of which no test says that they may be divided, by name."""
    monkeypatch.chdir(tmp_path)
    words = [*SMALL, "--mesh", "data=1", "--quiet"]
    code, err = told(capsys, *words, "--optimiser", "spring")
    assert code == 2 and "SPRING is not tested on a mesh" in err


def test_experts_are_refused_by_what_has_none(capsys, tmp_path, monkeypatch):
    """A network knows no axis `expert`."""
    monkeypatch.chdir(tmp_path)
    code, err = told(capsys, *SMALL, "--mesh", "expert=1", "--quiet")
    assert code == 2 and "has an axis 'expert', and what is trained has no experts" in err


@pytest.mark.slow
def test_any_mesh_gives_the_same_loss(tmp_path):
    """`summary.json` of one device, of emulated ones, and of two processes with two devices each."""
    steps = [*SMALL, "--steps", 10, "--quiet"]
    runs = {
        "one": steps,
        "three of four": [*steps, "--host-devices", 4, "--mesh", "data=3"],
        "four in two processes": ["launch", "-n", 2, "--", *steps, "--host-devices", 2],
    }
    losses, files = {}, {}
    for name, words in runs.items():
        code, out, err = ended(start(*words, "--out", tmp_path / name))
        # Gloo reports its connections on standard output, and cannot be told not to.
        assert (code, [line for line in out.splitlines() if not line.startswith("[Gloo]")]) == (0, []), err
        losses[name] = json.loads((tmp_path / name / "summary.json").read_text())["loss"]
        files[name] = sorted(file.name for file in (tmp_path / name).iterdir())
    assert max(losses.values()) - min(losses.values()) < 1e-8
    assert files["one"] == files["three of four"] == files["four in two processes"]


@pytest.mark.slow
def test_bad_input_of_a_launched_command_is_told_once(tmp_path):
    """The first process says it, the run has its exit code."""
    code, out, err = ended(start("launch", "-n", 2, "--", "solve", "burgers", "--widht", 3, "--out", tmp_path / "run"))
    assert (code, out) == (2, "")
    assert err.count("unknown option '--widht'") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_killed_process_ends_the_run_and_the_checkpoint_restarts_it(tmp_path):
    """The run of two processes ends with a message when one is killed, and continues in one with three devices."""
    out = tmp_path / "run"
    launcher = start("launch", "-n", 2, "--", *SMALL, "--steps", 10**8, "--quiet", "--out", out)
    wait_for(launcher, (out / "checkpoint").exists)
    os.kill(children(launcher.pid)[1], signal.SIGKILL)
    code, _, err = ended(launcher)
    assert code == 1
    said = err.splitlines()[-1]
    assert said.startswith("error: process 1 of 2 was ended by SIGKILL; the run has ended. `--resume` continues it")
    assert not (out / "summary.json").exists()
    steps = checkpoint.read_header(out / "checkpoint")["step"] + 25
    words = ["--steps", steps, "--quiet", "--resume", "--host-devices", 3, "--mesh", "data=3", "--device", "cpu"]
    code, _, err = ended(start("solve", "burgers", "--out", out, *words))
    assert code in (0, 1), err
    assert json.loads((out / "summary.json").read_text())["steps"] == steps


@pytest.mark.slow
def test_interrupt_reaches_all_processes(tmp_path):
    """Ctrl-C ends the run at the end of a chunk, with files and the exit code of an interrupted one."""
    out = tmp_path / "run"
    launcher = start("launch", "-n", 2, "--", *SMALL, "--steps", 10**8, "--quiet", "--out", out)
    wait_for(launcher, (out / "log.jsonl").exists)
    launcher.send_signal(signal.SIGINT)
    code, _, err = ended(launcher)
    assert code == 130, err
    assert json.loads((out / "summary.json").read_text())["status"] == "interrupted"


def wait_for(process, condition):
    """Wait until something holds, while a process runs."""
    deadline = time.monotonic() + 500
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline, ended(process)
        time.sleep(0.1)


def children(pid):
    """Return the processes that a process has started, in order."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
