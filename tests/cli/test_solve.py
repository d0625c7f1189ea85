"""`pdesolve solve`: which recipe results, which files, which exit code, and what every mistake is told."""

import jax
import pytest

from pdesolve import toml
from pdesolve.config import NetworkConfig, Recipe, StageConfig
from pdesolve.errors import PdesolveError

LAST = StageConfig(seconds=7.0, options={"damping": 1e-3})


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("solved", 0),
        ("unverified", 0),
        ("diverged", 1),
        ("failed", 1),
        ("target_missed", 1),
        ("interrupted", 130),
    ],
)
@pytest.mark.parametrize("quiet", [False, True])
def test_exit_codes(run, engine, status, code, quiet):
    """The status of the solution decides; quiet, only a failure says anything."""
    engine.status = status
    got, out, err = run("solve", "rod", *["--quiet"] * quiet)
    assert got == code
    assert ("THE TABLE" in out) != quiet
    assert bool(err) == (quiet and code != 0)
    assert engine.calls[0].quiet == quiet


def test_order_of_recipe_file_and_options(run, engine, here):
    """The problem's recipe, then the file, then options; what nobody names stays."""
    (here / "my.toml").write_text(
        "[parameters]\nconductivity = 3\nwave_number = 4.5\n[network]\nwidth = 20\ndepth = 5\n[points]\ninterior = 9\n"
    )
    code, *_ = run("solve", "rod", "--config", "my.toml", "--width", "40", "--wave-number", "-1e-3", "--points", "1e3")
    call = engine.calls[0]
    assert code == 0
    assert (call.problem.conductivity, call.problem.wave_number, call.problem.width) == (3.0, -1e-3, 1.0)
    assert call.recipe.network == NetworkConfig(width=40, depth=5, options={"periodic": "x"})
    assert call.recipe.points.interior == 1000
    assert call.recipe.stages == (StageConfig("adam", steps=5), LAST)
    assert (call.name, str(call.out), call.resume, call.tensorboard) == ("rod", "runs/rod", False, False)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--method", "other"], {"method": "other"}),
        (["--network", "fno"], {"network": NetworkConfig("fno", width=13)}),
        (["--network", "mlp"], {"network": NetworkConfig("mlp", width=13, options={"periodic": "x"})}),
        (
            ["--depth", "2", "--activation", "sin"],
            {"network": NetworkConfig(width=13, depth=2, activation="sin", options={"periodic": "x"})},
        ),
        (["--windows", "4", "--seed=3"], {"windows": 4, "seed": 3}),
        (["--soft"], {"exact": False}),
        (["--steps", "9"], {"stages": (StageConfig("adam", steps=5), StageConfig(steps=9, options=LAST.options))}),
        (
            ["--seconds", "3"],
            {"stages": (StageConfig("adam", steps=5), StageConfig(seconds=3.0, options=LAST.options))},
        ),
        (
            ["--optimiser", "adam", "--combine", "config"],
            {"stages": (StageConfig("adam", seconds=7.0, combine="config"),)},
        ),
        (
            ["--target", "1e-3"],
            {
                "stages": (
                    StageConfig("adam", steps=5, target=1e-3),
                    StageConfig(seconds=7.0, target=1e-3, options=LAST.options),
                )
            },
        ),
        (["--optimiser", "lbfgs"], {"stages": (StageConfig("lbfgs", seconds=7.0),)}),
        (["--optimiser", "levenberg_marquardt"], {"stages": (LAST,)}),
        (
            ["--optimiser", "adam", "--learning_rate", "1e-2", "--steps", "8"],
            {"stages": (StageConfig("adam", steps=8, options={"learning_rate": 0.01}),)},
        ),
    ],
)
def test_options(run, engine, words, expected):
    """Each option sets its key; an optimiser or network takes the place of the former one with its options."""
    assert run("solve", "rod", *words)[0] == 0
    recipe = engine.calls[0].recipe
    assert {key: getattr(recipe, key) for key in expected} == expected


def test_word_order_and_hidden_parameter(run, engine):
    """Options may stand before the name; a parameter called like an option of ours has `problem-` before it."""
    assert run("solve", "--conductivity", "2", "rod", "--problem-width", "3", "--modes", "4")[0] == 0
    problem = engine.calls[0].problem
    assert (problem.conductivity, problem.width, problem.modes) == (2.0, 3.0, 4)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_precision_and_matrix_products(run, engine, precision):
    """The engine runs with the default type the recipe names, and with exact matrix products."""
    run("solve", "rod", "--precision", precision, "--device", "cpu")
    assert engine.x64 == (precision == "float64")
    assert engine.matmul == "highest"
    assert jax.config.jax_default_device.platform == "cpu"


def test_replay_and_resume(run, engine, here):
    """`--config` of what was asked replays it without a name; `--resume` continues it without repeating its options."""
    run("solve", "rod", "--conductivity", "2.5", "--width", "31", "--steps", "10", "--out", "first")
    asked = engine.calls[-1].recipe
    assert toml.merge(Recipe(), toml.load(here / "first" / "asked.toml"), "") == asked
    run("solve", "--config", "first/asked.toml")
    assert (engine.calls[-1].recipe, engine.calls[-1].problem.conductivity) == (asked, 2.5)
    assert run("solve", "rod", "--resume", "--out", "first", "--steps", "20")[0] == 0
    assert engine.calls[-1].resume
    assert engine.calls[-1].problem.conductivity == 2.5
    assert engine.calls[-1].recipe.network.width == 31
    assert engine.calls[-1].recipe.stages[-1].steps == 20
    code, _, err = run("solve", "rod", "--resume", "--out", "first", "--conductivity", "9")
    assert code == 2
    assert err.startswith("error: --resume continues the run in first, which has conductivity = 2.5; got 9. Leave")


@pytest.mark.parametrize("words", [("--resume",), ()])
def test_refused_run_leaves_what_was_asked(run, engine, here, words):
    """A run that does not begin must not cost the configuration with which the checkpoint goes on."""
    run("solve", "rod", "--width", "31", "--out", "first")
    (here / "first" / "checkpoint").write_text("...")
    asked = (here / "first" / "asked.toml").read_text()
    engine.raises = PdesolveError("another configuration")
    assert run("solve", "rod", *words, "--out", "first", "--width", "40")[0] == 2
    assert (here / "first" / "asked.toml").read_text() == asked
    (here / "first" / "checkpoint").unlink()
    assert run("solve", "rod", *words, "--out", "first", "--width", "40")[0] == 2
    assert "width = 40" in (here / "first" / "asked.toml").read_text()


def test_more_steps_later_change_no_rate(run, engine, here):
    """A learning rate falls over the steps first planned, also when a resumed run takes more."""
    (here / "falling.toml").write_text("[[stages]]\noptimiser = 'adam'\nsteps = 50\noptions = {schedule = 'cosine'}\n")
    run("solve", "rod", "--config", "falling.toml", "--out", "first")
    first = engine.calls[-1].recipe.stages[0]
    run("solve", "rod", "--resume", "--out", "first", "--steps", "80")
    again = engine.calls[-1].recipe.stages[0]
    assert (first.steps, again.steps) == (50, 80)
    assert first.options == again.options == {"schedule": "cosine", "decay_steps": 50}


def test_print_config(run, engine, here):
    """The printed file explains itself, gives the same recipe, and nothing is solved."""
    code, out, _ = run("solve", "rod", "--print-config", "--width", "40")
    assert code == 0
    assert "# Steady conduction of heat in a rod.\n" in out
    assert "# thermal conductivity [W/(m K)], positive\nconductivity = 1.5\n" in out
    assert "# Units (or channels) of a hidden layer.\nwidth = 40\n" in out
    assert engine.calls == []
    (here / "printed.toml").write_text(out)
    run("solve", "rod", "--config", "printed.toml")
    run("solve", "rod", "--width", "40")
    assert engine.calls[0].recipe == engine.calls[1].recipe


@pytest.mark.parametrize(
    ("words", "value"), [([], 0), (["--steady"], 1), (["--steady", "0"], 0), (["--steady", "--quiet"], 1)]
)
def test_switch(run, engine, words, value):
    """A switch needs no value."""
    assert run("solve", "rod", *words)[0] == 0
    assert engine.calls[0].problem.steady == value


def test_help(run):
    """The help shows parameters with description, unit, default and range, the recipe's values, and exit codes."""
    code, out, _ = run("solve", "rod", "--help")
    assert code == 0
    words = " ".join(out.split())  # the width of a column depends on the longest option
    assert "--conductivity VALUE thermal conductivity [W/(m K)], positive. Default: 1.5" in words
    assert "--problem-width VALUE thickness, 5% of the length, above 0 and at most 10. Default: 1" in words
    assert "--steady [VALUE] without the rate, 0 or 1. Default: 0" in words
    assert "Units (or channels) of a hidden layer. Default: 13" in out
    assert "2 stages: adam, then levenberg_marquardt." in out
    assert "exit codes:" in out and "examples:" in out and "run.toml" in out
    code, out, _ = run("solve", "--help")
    assert code == 0
    assert "`pdesolve solve NAME --help` shows them" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rud"], "unknown problem 'rud'. Did you mean 'rod'? Known: broken, rod."),
        ([], "no problem given: `pdesolve solve NAME` or `pdesolve solve FILE.py`. Known: rod, broken."),
        (["broken"], "problem 'broken' (no_such_package.module:Thing) does not load: No module named"),
        (["rod", "--conductivty", "1"], "unknown option '--conductivty'. Did you mean '--conductivity'? Known: --act"),
        (["rod", "--wdth=1"], "unknown option '--wdth'. Did you mean '--width'? Known: --activation, "),
        (["rod", "--conductivity", "-1"], "`conductivity` must be positive, got -1."),
        (["rod", "--conductivity", "nan"], "`conductivity` must be finite, got nan."),
        (["rod", "--conductivity", "thin"], "--conductivity: expected a number, got 'thin'. See `pdesolve solve rod"),
        (["rod", "--modes", "2.5"], "`modes` must be an integer, got 2.5."),
        (["rod", "--steady", "2"], "`steady` must be 0 or 1, got 2."),
        (["rod", "--steps", "many"], "--steps: expected an integer, got 'many'. See `pdesolve solve rod --help`."),
        (["rod", "--steps", "1.5"], "--steps: expected an integer, got '1.5'."),
        (["rod", "--steps"], "--steps: expected one argument. See `pdesolve solve rod --help`."),
        (["rod", "--steps", "-3"], "`steps` must be at least 0, got -3."),
        (["rod", "extra"], "unexpected argument 'extra'. See `pdesolve solve rod --help`."),
        (["rod", "--points", "0"], "--points: `interior` must be at least 1, got 0."),
        (["rod", "--windows", "0"], "--windows: `windows` must be at least 1, got 0."),
        (["rod", "--precision", "float16"], "--precision: unknown precision 'float16'. Did you mean 'float64'? Known"),
        (["rod", "--device", "abacus"], "no device 'abacus'. Available: "),
        (["rod", "--device", "cpu:99"], "no device 'cpu:99'. Available: "),
        (["rod", "--config", "none.toml"], "no configuration file 'none.toml'."),
        (["rod", "--config", "bad.toml"], "bad.toml: not a TOML file: "),
        (["rod", "--config", "key.toml"], "key.toml: unknown key 'points.interor'. Did you mean 'interior'? Known: ad"),
        (
            ["rod", "--config", "parameter.toml"],
            "parameter.toml: unknown key 'parameters.modus'. Did you mean 'modes'?",
        ),
        (["rod", "--config", "other.toml"], "other.toml: it is for problem 'burgers', not 'rod'."),
        (["none.py"], "no file 'none.py'."),
        (["rod.py:Rud"], "unknown problem in rod.py 'Rud'. Did you mean 'Rod'? Known: Rod."),
    ],
)
def test_bad_input(run, engine, here, words, message):
    """Exit code 2, one line that says what was given, what is accepted and the nearest name; nothing is solved."""
    (here / "bad.toml").write_text("a = = 1")
    (here / "key.toml").write_text("[points]\ninteror = 1")
    (here / "parameter.toml").write_text("[parameters]\nmodus = 1")
    (here / "other.toml").write_text("problem = 'burgers'")
    code, _, err = run("solve", *words)
    assert code == 2
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
    assert engine.calls == []


def test_out_is_a_file(run, engine, here):
    """An operating system's refusal names the file."""
    (here / "taken").write_text("")
    code, _, err = run("solve", "rod", "--out", "taken")
    assert (code, err) == (2, "error: taken: File exists.\n")


def test_disk_full(run, engine):
    """The disk fills while the engine writes."""
    engine.raises = OSError(28, "No space left on device", "runs/rod/rod.h5")
    assert run("solve", "rod")[::2] == (2, "error: runs/rod/rod.h5: No space left on device.\n")
    engine.raises = OSError("write failed")
    assert run("solve", "rod")[::2] == (2, "error: write failed\n")


def test_interrupt(run, engine):
    """Ctrl-C outside the training loop."""
    engine.raises = KeyboardInterrupt()
    assert run("solve", "rod")[::2] == (130, "interrupted\n")


def test_not_installed(run, engine, here, monkeypatch):
    """Without metadata there is no entry point; the message says what to do."""
    from pdesolve import registry

    monkeypatch.setattr(registry, "_entries", lambda group: {})
    code, _, err = run("solve", "rod")
    assert code == 2
    assert "`pip install -e .`" in err


def test_bug_of_ours_keeps_its_traceback(run, engine):
    """What is no bad input is not dressed up as it."""
    engine.raises = ZeroDivisionError("ours")
    with pytest.raises(ZeroDivisionError):
        run("solve", "rod")


class TestFile:
    """A problem in a file of the user's, without registration."""

    def test_solves(self, run, engine, here):
        """The stem is the name; modules beside it can be imported."""
        text = (here / "rod.py").read_text().replace("2.0, ", "helper.VALUE, ")
        (here / "sub").mkdir()
        (here / "sub" / "helper.py").write_text("VALUE = 8.0\n")
        (here / "sub" / "mine.py").write_text("import helper\n" + text)
        assert run("solve", "sub/mine.py", "--conductivity", "4")[0] == 0
        assert engine.calls[0].name == "mine"
        assert (engine.calls[0].problem.conductivity, engine.calls[0].problem.wave_number) == (4.0, 8.0)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("x = (", "mine.py, line 1: SyntaxError: '(' was never closed"),
            ("x = 1\ny = z\n", "mine.py, line 2: NameError: name 'z' is not defined"),
            ("\nimport no_such_module\n", "mine.py, line 2: ModuleNotFoundError: No module named 'no_such_module'"),
            ("def f():\n    open('/no/such')\nf()\n", "mine.py, line 2: FileNotFoundError: "),
            ("x = 1\n", "mine.py defines no problem: no subclass of AbstractProblem or AbstractFamily."),
            ("from rod import Rod\n", "mine.py defines no problem: no subclass of AbstractProblem or AbstractFamily."),
            (
                "from pdesolve import AbstractProblem\nclass Half(AbstractProblem):\n    def domain(self): ...\n",
                "mine.py defines no complete problem: Half lacks equations, field_names.",
            ),
        ],
    )
    def test_mistakes(self, run, engine, here, text, message):
        """File and line of the user's mistake, without our traceback."""
        (here / "mine.py").write_text(text)
        code, _, err = run("solve", "mine.py")
        assert code == 2
        assert err.startswith(f"error: {message}")
        assert "Traceback" not in err
        assert engine.calls == []

    def test_several(self, run, engine, here):
        """Two problems in a file: the message says how to name one, and that works."""
        text = (here / "rod.py").read_text()
        (here / "mine.py").write_text(text + text.replace("class Rod", "class Bar"))
        code, _, err = run("solve", "mine.py")
        assert (code, err) == (2, "error: mine.py defines several problems: Rod, Bar. Name one, as mine.py:Rod.\n")
        assert run("solve", "mine.py:Bar")[0] == 0
        assert type(engine.calls[0].problem).__name__ == "Bar"

    def test_mistake_while_solving(self, run, here, monkeypatch):
        """An exception from the user's equations, raised deep inside the engine."""
        import sys
        from types import SimpleNamespace

        (here / "mine.py").write_text((here / "rod.py").read_text().replace("fields.u}", "fields.v}"))

        def solve(problem, recipe, **options):
            problem.equations(SimpleNamespace(u=1.0), None)

        monkeypatch.setitem(sys.modules, "pdesolve.solving", SimpleNamespace(solve=solve))
        code, _, err = run("solve", "mine.py")
        line = 1 + (here / "mine.py").read_text().splitlines().index('        return {"heat": fields.v}')
        assert code == 2
        assert err.startswith(f"error: mine.py, line {line}: AttributeError: ")
