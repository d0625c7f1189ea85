"""The entry point, `list` and `doctor`."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pdesolve
from pdesolve import registry

ROOT = Path(__file__).parents[2]


def test_help_and_list_are_quick():
    """`--help` and `list` load neither JAX nor NumPy, and take less than a second of processor time.

    So NumPy's BLAS, where a command loads it, finds the number of cycles to spin.
    """
    code = (
        "import os, sys, time; import pdesolve; from pdesolve.cli import main; "
        "assert main(['--help']) == main(['list']) == main(['solve', '--help']) == 0; "
        "assert not {'jax', 'numpy', 'equinox', 'h5py'} & sys.modules.keys(), sys.modules.keys(); "
        "assert os.environ['OPENBLAS_THREAD_TIMEOUT'] == '16'; "
        "assert time.process_time() < 1, time.process_time()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("command", [["-m", "pdesolve"], ["scripts/solve.py"], ["scripts/train_operator.py"]])
def test_process_exit_code(command):
    """The exit code reaches the shell, from the module and from the script; only standard error is used."""
    words = ["solve", "no_such_problem"] if "-m" in command else ["no_such_problem"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run([sys.executable, *command, *words], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.match(r"error: (unknown problem 'no_such_problem'\.|no problem is registered)", done.stderr)


def test_reader_goes_away():
    """`pdesolve list | head -1` ends in silence."""
    command = f"{sys.executable} -m pdesolve list; echo $? >&2"
    with subprocess.Popen(["sh", "-c", command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as shell:
        shell.stdout.close()
        assert shell.stderr.read() == b"0\n"


def test_help(run):
    """The first screen names every command, examples and exit codes."""
    code, out, _ = run("--help")
    assert code == 0
    for word in ("solve", "list", "info", "export", "plot", "doctor", "examples:", "exit codes:", "130"):
        assert word in out
    assert run()[:2] == (2, out)


@pytest.mark.parametrize("command", ["list", "info", "export", "plot", "doctor"])
def test_help_of_commands(run, command):
    """Every command explains itself and its exit codes."""
    code, out, _ = run(command, "--help")
    assert code == 0
    assert out.startswith(f"usage: pdesolve {command}")
    assert "exit codes:" in out


def test_version(run):
    """The version is that of the metadata, and `pyproject.toml`'s when installed from here."""
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert pdesolve.__version__ in (stated, "0+unknown")
    assert run("--version") == (0, f"pdesolve {pdesolve.__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["sovle"],
            "unknown command 'sovle'. Did you mean 'solve'? "
            "Known: data, diagnose, doctor, export, info, launch, list, new, plot, sample, solve.",
        ),
        (["--verison"], "unknown option '--verison'. Did you mean '--version'? Known: --help, --version."),
        (["rod"], "unknown command 'rod'. Did you mean `pdesolve solve rod`?"),
        (["rod.py"], "unknown command 'rod.py'. Did you mean `pdesolve solve rod.py`?"),
        (
            ["list", "problem"],
            "unknown group 'problem'. Did you mean 'problems'? Known: combinations, methods, micro_models, networks,",
        ),
        (["doctor", "--fix"], "unknown option '--fix'. Known: --help."),
    ],
)
def test_bad_input(run, words, message):
    """Exit code 2, and the nearest name."""
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")


def test_debug_shows_the_traceback(run, monkeypatch):
    """PDESOLVE_DEBUG=1 puts the traceback before the message; otherwise there is none."""
    assert "Traceback" not in run("solve", "rud")[2]
    monkeypatch.setenv("PDESOLVE_DEBUG", "1")
    code, _, err = run("solve", "rud")
    assert code == 2
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("error: unknown problem 'rud'.")


def test_list(run):
    """One line for each name, also when another's entry is broken; optimisers come from optax too."""
    code, out, _ = run("list", "problems")
    assert code == 0
    assert re.search(r"^rod +Steady conduction of heat in a rod\. *$", out, re.MULTILINE)
    assert re.search(r"^broken\b", out, re.MULTILINE)
    assert "any optax" not in out
    assert "Any optax optimiser is accepted by its name too" in run("list", "optimisers")[1]
    everything = run("list")[1]
    for group in registry.GROUPS:
        assert re.search(rf"^{group}\b", everything, re.MULTILINE)


def test_aliases(run, monkeypatch):
    """A further name is listed and stands for the registered one wherever a name is read; dangling ones are ignored."""
    further = {group: {} for group in registry.GROUPS}
    further["problems"] = {"stick": "rod", "rod": "broken", "nothing": "no_such_problem"}
    monkeypatch.setattr(registry, "_aliases", lambda: further)
    assert registry.aliases("problems") == {"stick": "rod"}
    assert registry.load("problems", "stick") is registry.load("problems", "rod")
    assert registry.target("problems", "stick") == "rod:Rod"
    code, out, _ = run("list", "problems")
    assert code == 0 and re.search(r"^stick +The same as rod\. *$", out, re.MULTILINE) and "nothing" not in out
    assert 'problem = "rod"' in run("solve", "stick", "--print-config")[1]
    assert "Did you mean `pdesolve solve stick`?" in run("stick")[2]
    assert "Did you mean 'stick'?" in run("solve", "stik")[2]


def test_doctor(run, monkeypatch):
    """Versions, devices, remedies for what is optional; a broken entry is a finding with exit code 1."""
    from pdesolve.cli import _doctor

    monkeypatch.setitem(_doctor.OPTIONAL, "no-such-package", "pip install no-such-package")
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = run("doctor")
    assert code == 1
    for line in (
        r"jax +\d+\.\d+",
        r"devices +cpu:0",
        r"matmul precision +highest",
        r"no-such-package +not installed \(optional\): pip install no-such-package",
        r"PROBLEM +problem 'broken' \(no_such_package.module:Thing\) does not load: No module named 'no_such_package'",
        r"verdict +needs repair",
    ):
        assert re.search(rf"^{line}", out, re.MULTILINE), line
    entries = registry._entries
    monkeypatch.setattr(registry, "_entries", lambda g: {n: e for n, e in entries(g).items() if n != "broken"})
    code, out, _ = run("doctor")
    assert code == 0
    assert "works: a float64 system was solved to round-off" in out


def test_public_names_resolve():
    """Every lazily exported name can be had, and an unknown one is an AttributeError."""
    for name in pdesolve.__all__:
        assert getattr(pdesolve, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = pdesolve.nonsense
