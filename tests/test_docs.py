"""Every block of code in the README and in `docs` runs, and every link leads somewhere.

Python blocks of one page share a namespace and an empty folder, in which blocks that begin with `# NAME.py` or
`# NAME.toml` are files. Command lines run for real, with one exception: `pdesolve solve` parses its words, finds its
problem and builds its recipe, but then a stand-in for the training writes a small file, which the next commands read.
"""

import re
import runpy
import shlex
import shutil
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import jax
import numpy as np
import pytest
import xarray as xr

import pdesolve.solving
from pdesolve import PointsConfig, Recipe, StageConfig, io
from pdesolve.cli import main
from pdesolve.cli._exit import EXIT_CODES
from pdesolve.cli._main import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
LANGUAGES = {"bash", "python", "text", "toml"}


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    code: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    fences = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(m[1], m[2], text[: m.start()].count("\n") + 2) for m in fences]


def files(page: Path) -> dict[str, str]:
    """Return the blocks of a page that are files: they begin with a comment that is a file's name."""
    named = {}
    for block in blocks(page):
        if match := re.match(r"# ([\w.]+\.(?:py|toml))\n", block.code):
            named[match[1]] = block.code
    return named


def commands(page: Path) -> list[list[str]]:
    """Return the command lines of a page, split into words."""
    lines = [line for block in blocks(page) if block.language == "bash" for line in block.code.splitlines()]
    parts = [part for line in lines for part in line.split("&&")]
    return [words for words in (shlex.split(part, comments=True) for part in parts) if words]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory and JAX as a user finds it, with its settings put back afterwards."""
    names = ("jax_enable_x64", "jax_default_matmul_precision", "jax_default_device", "jax_platforms")
    before = {name: getattr(jax.config, name) for name in (*names, "jax_numpy_rank_promotion")}
    jax.config.update("jax_numpy_rank_promotion", "allow")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name, value in before.items():
        jax.config.update(name, value)
    for name in [name for name in sys.modules if name.startswith("_pdesolve_user_")]:
        del sys.modules[name]


@pytest.mark.parametrize("name", NAMES)
def test_python(name, folder):
    """Blocks run in order, as one program; what they assert holds."""
    namespace = {"__name__": "__docs__"}
    for block in blocks(ROOT / name):
        if block.language == "python":
            code = "\n" * (block.line - 1) + block.code  # so that a traceback gives the page's line
            exec(compile(code, str(ROOT / name), "exec"), namespace)


@pytest.mark.parametrize("name", NAMES)
def test_bash(name, folder, monkeypatch, capsys):
    """Every `pdesolve` command ends with exit code 0; what else is shown is pip and pytest."""
    monkeypatch.setitem(sys.modules, "pdesolve.solving", SimpleNamespace(solve=stand_in))
    shutil.copytree(ROOT / "configs", folder / "configs")
    for file, text in files(ROOT / name).items():
        (folder / file).write_text(text, encoding="utf-8")
    for directory in re.findall(r'out="(runs/\w+)"', (ROOT / name).read_text(encoding="utf-8")):
        stand_in(None, None, name=Path(directory).name, out=Path(directory))
    for words in commands(ROOT / name):
        if words[0] == "pdesolve":
            if words[1] == "export" and "vtu" in words:
                pytest.importorskip("meshio")
            code = main(words[1:])
            assert code == 0, f"{' '.join(words)}: {capsys.readouterr().err}"
        else:
            assert words[0] == "pytest" or words[:2] == ["pip", "install"], words


def stand_in(problem, recipe, *, name, out, **options) -> SimpleNamespace:
    """Write a small solution where the training would, so that it can be looked at, exported and drawn."""
    x, time = np.linspace(0.0, 1.0, 5), np.linspace(0.0, 1.0, 3)
    field = ("time", "x"), np.outer(1.0 + time, x)
    coordinates = {"time": ("time", time, {"units": "s"}), "x": ("x", x, {"units": "m"})}
    dataset = xr.Dataset({"u": field, "u_reference": field}, coords=coordinates)
    out.mkdir(parents=True, exist_ok=True)
    io.write(out / f"{name}.h5", dataset, name=name, provenance={"status": "solved"}, parameters={})
    return SimpleNamespace(status="solved", table=lambda: name)


@pytest.mark.parametrize("name", NAMES)
def test_toml_and_languages(name):
    """TOML parses, and every block says what it is."""
    for block in blocks(ROOT / name):
        assert block.language in LANGUAGES, f"{name}, line {block.line}"
        if block.language == "toml":
            tomllib.loads(block.code)


@pytest.mark.parametrize("name", NAMES)
def test_links(name):
    """Links within the repository lead to files; paths in code style that look like ours exist."""
    page = ROOT / name
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = [t.partition("#")[0] for t in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in t]
    assert [t for t in targets if not (page.parent / t).exists()] == []
    paths = re.findall(r"`((?:pdesolve|problems|operators|configs|scripts|tests)/[\w/.]*)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_problem_of_the_readme_is_solved(folder):
    """Twenty steps on the fin's linear problem give three digits against the closed form."""
    (folder / "fin.py").write_text(files(ROOT / "README.md")["fin.py"], encoding="utf-8")
    fin = runpy.run_path("fin.py")["Fin"]()
    recipe = Recipe(points=PointsConfig(interior=128, adaptive="none"), stages=(StageConfig(steps=20),))
    solution = pdesolve.solve(fin, recipe)
    assert solution.status == "solved"
    assert solution.summary["relative_l2"] < 1e-3


def test_tables_are_complete():
    """The README's results have a line for every problem; the command line's page describes every command and code."""
    from pdesolve import registry

    readme, page = (path.read_text(encoding="utf-8") for path in (ROOT / "README.md", ROOT / "docs/cli.md"))
    assert [name for name in registry.names("problems") if f"| `pdesolve solve {name}` |" not in readme] == []
    assert [name for name in COMMANDS if f"| `pdesolve {name}" not in page] == []
    for code in re.findall(r"^  (\d+) ", EXIT_CODES, re.MULTILINE):
        assert f"| {code} |" in readme
