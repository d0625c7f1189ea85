"""`pdesolve solve`: problem recipe, then configuration file, then options; then the engine."""

import argparse
import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import registry, toml
from ..config import Recipe, planned
from ..errors import PdesolveError
from ._console import show
from ._exit import EXIT_CODES, OK, exit_code
from ._jax import emulate_devices, mesh_of, select_device, set_precision
from ._own_data import named_file, own_family, suited, warnings_told
from ._parser import Parser, integer, number
from ._problem import find_problem, is_file, user_errors
from ._recipe import add_flags, apply_flags
from ._restate import restate

__all__ = ["solve"]

ASKED = "asked.toml"
"""The configuration as it was asked for, from which `--resume` continues; `run.toml` is what was done."""

RESERVED = ("config", "device", "help", "host-devices", "mesh", "out", "print-config", "quiet", "resume", "tensorboard")

EXAMPLES = """examples:
  pdesolve solve burgers                                    by its own recipe
  pdesolve solve burgers --viscosity 0.02 --width 40        another parameter, a wider network
  pdesolve solve burgers --optimiser adam --learning-rate 1e-3 --steps 5000
  pdesolve solve my_problem.py                              a problem in a file of your own
  pdesolve solve my_problem.py:Second                       ... if the file defines several
  pdesolve solve burgers --print-config > my.toml           what can be set, with comments
  pdesolve solve burgers --config my.toml                   the file states what differs; options override it
  pdesolve solve --config runs/burgers/run.toml             repeat a run
  pdesolve solve darcy_2d --data FILE                       samples of a file (PDEBench, The Well, .npz, .mat)
  pdesolve solve --data FILE                                ... whatever they are samples of
  pdesolve solve burgers --mesh data=4                      divide the samples over four devices
  pdesolve solve cook_membrane --micro linear               a structure of another material
  pdesolve solve burgers --resume                           continue an interrupted run"""

FILES = """files in the run directory:
  NAME.h5, NAME.xdmf   the solution: h5py, xarray, ParaView (`pdesolve info`, `pdesolve export`)
  companions/          further fields of a structure: at Gauss points, inside micro models
  NAME.png             solution, reference, error, convergence; absent if the solve failed
  run.toml             what was done: repeats the run by --config
  asked.toml           what was asked for: --resume continues with it
  summary.json         errors and times;   log.jsonl: training;   checkpoint: for --resume"""


def solve(words: Sequence[str]) -> int:
    """Solve a problem and return the exit code."""
    word, rest = _problem_word(words)
    early = _early(rest)
    source = early.config or ""
    config = toml.load(source) if source else {}
    word = word or config.get("problem")
    data = early.data or named_file(config)
    if word is None and data is None:
        parser = _parser("pdesolve solve", "", {}, None)
        parser.parse(rest)  # --help ends here
        known = ", ".join(registry.names("problems"))
        raise PdesolveError(f"no problem given: `pdesolve solve NAME` or `pdesolve solve FILE.py`. Known: {known}.")
    # Before the problem's module makes arrays; its recipe may ask for float32 below.
    emulate_devices(early.host_devices)
    select_device(early.device)
    set_precision("float64")
    own = None if data is None else own_family(word, data)
    name, cls, path = find_problem(str(word)) if own is None else (*own, None)
    with user_errors(path):
        return _solve_problem(name, cls, path, rest, config, source)


def _solve_problem(
    name: str, cls: type, path: Path | None, words: Sequence[str], config: dict[str, Any], source: str
) -> int:
    from ..problem import parameters_of, with_parameters

    declared = parameters_of(cls)
    options = {_option(parameter): parameter for parameter in declared}
    words = _grouped(words, getattr(cls, "parameter_groups", {}))
    problem = with_parameters(cls, {})
    title = (cls.__doc__ or "").strip().partition("\n")[0]
    arguments = _parser(f"pdesolve solve {path or name}", title, options, problem).parse(words)
    out = Path(arguments.out or f"runs/{name}")
    if arguments.resume and not source and (out / ASKED).is_file():
        source = str(out / ASKED)
        config = toml.load(source)
    if config.get("problem", name) != name:
        raise PdesolveError(f"{source}: it is for problem {config['problem']!r}, not {name!r}.")
    given = {p: v for o, p in options.items() if (v := getattr(arguments, o.replace("-", "_"))) is not None}
    stated = toml.parameters(config, declared, source)
    if arguments.resume:
        _same_parameters(stated, given, out)
    values = {p: _typed(p, v, getattr(problem, p)) for p, v in {**stated, **given}.items()}
    problem = with_parameters(cls, values)
    recipe = suited(apply_flags(toml.merge(problem.recipe(), config, source), arguments), config)
    if arguments.print_config:
        print(restate(name, problem, recipe), end="")
        return OK
    return _run(name, problem, recipe, out, arguments)


def _run(name: str, problem: Any, recipe: Recipe, out: Path, arguments: argparse.Namespace) -> int:
    from ..problem import parameters_of

    set_precision(recipe.precision)
    from ..distributed import is_writer
    from ..solving import solve as engine

    mesh, writes = mesh_of(arguments.mesh, arguments.device), is_writer()
    quiet = arguments.quiet or not writes
    out.mkdir(parents=True, exist_ok=True)
    values = {parameter: getattr(problem, parameter) for parameter in parameters_of(problem)}
    recipe = planned(recipe)
    asked = _asking(out / ASKED, toml.dumps(name, values, recipe), out / "checkpoint")
    with warnings_told(), asked if writes else contextlib.nullcontext():
        solution = engine(
            problem,
            recipe,
            name=name,
            out=out,
            resume=arguments.resume,
            tensorboard=arguments.tensorboard,
            quiet=quiet,
            mesh=mesh,
        )
    code = exit_code(solution.status)
    if not quiet:
        show(solution.table(), f"files in {out}")
    elif code != OK and writes:
        print(f"{name}: {solution.status}; see {out / 'summary.json'}", file=sys.stderr)
    return code


@contextlib.contextmanager
def _asking(path: Path, text: str, checkpoint: Path) -> Iterator[None]:
    """Write what is asked for; if the run ends by an error before it touches the checkpoint, take it back."""
    from ..io import atomic

    former = path.read_text(encoding="utf-8") if path.is_file() else None
    before = _identity(checkpoint)
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    try:
        yield
    except BaseException:
        if former is not None and before is not None and _identity(checkpoint) == before:
            with atomic(path) as temporary:
                temporary.write_text(former, encoding="utf-8")
        raise


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from one that has replaced it; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _problem_word(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Split off the word that names the problem.

    It is the first word; after options, it is the first word that is a file or a registered name, as a word there
    may as well be the value of an option which only that problem has.
    """
    for index, word in enumerate(words):
        known = is_file(word) or word in {*registry.names("problems"), *registry.aliases("problems")}
        if not word.startswith("-") and (index == 0 or known):
            return word, [*words[:index], *words[index + 1 :]]
    return None, list(words)


def _grouped(words: Sequence[str], groups: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Replace an option that takes several parameters together, `--strain XX YY XY`, by one for each of them."""
    words = list(words)
    for group, parameters in groups.items():
        while f"--{group}" in words:
            at = words.index(f"--{group}")
            values = words[at + 1 : at + 1 + len(parameters)]
            if len(values) < len(parameters) or any(value.startswith("--") for value in values):
                raise PdesolveError(f"--{group} takes {len(parameters)} numbers: {', '.join(parameters)}.")
            given = [f"--{_option(name)}={value}" for name, value in zip(parameters, values, strict=True)]
            words[at : at + 1 + len(parameters)] = given
    return words


def _early(words: Sequence[str]) -> argparse.Namespace:
    """Read what must be known before the problem: the configuration may name it, and its module may use the device."""
    parser = Parser(prog="pdesolve solve", add_help=False)
    parser.add_argument("--config")
    parser.add_argument("--device")
    parser.add_argument("--host-devices", type=integer)
    parser.add_argument("--data")
    return parser.parse_known_args(list(words))[0]


def _typed(name: str, value: float, default: Any) -> float:
    """Return a parameter's value as an integer if its default is one."""
    if not isinstance(default, int):
        return float(value)
    if not float(value).is_integer():
        raise PdesolveError(f"`{name}` must be an integer, got {value:g}.")
    return int(value)


def _option(parameter: str) -> str:
    """The option of a parameter; one that would hide an option of ours is written `--problem-width`."""
    from ._recipe import FLAGS

    option = parameter.replace("_", "-")
    return f"problem-{option}" if option in FLAGS or option in RESERVED or option == "soft" else option


def _same_parameters(stated: Mapping[str, float], given: Mapping[str, float], out: Path) -> None:
    """A checkpoint holds the solution of one problem; continuing it with another would pass for an answer."""
    for name, value in given.items():
        if name in stated and stated[name] != value:
            raise PdesolveError(
                f"--resume continues the run in {out}, which has {name} = {stated[name]:g}; got {value:g}. "
                "Leave the parameter out, or start another run with --out."
            )


def _parser(prog: str, title: str, options: Mapping[str, str], problem: Any) -> Parser:
    parser = Parser(
        prog=prog,
        usage=f"{prog}{'' if problem else ' NAME|FILE.py'} [--PARAMETER VALUE ...] [OPTION ...]",
        description=(title + "\n\n" if title else "Solve a problem: a registered one, or a class in a file.\n\n")
        + "Its own recipe holds unless a configuration file, and then an option, says otherwise.",
        epilog=f"{EXAMPLES}\n\n{FILES}\n\n{EXIT_CODES}",
    )
    parameters = parser.add_argument_group(
        "parameters of the problem",
        None if options else ("none" if problem else "`pdesolve solve NAME --help` shows them"),
    )
    _add_parameters(parameters, options, problem)
    recipe = None if problem is None else problem.recipe()
    add_flags(parser.add_argument_group("recipe", _stages(recipe)), recipe)
    run = parser.add_argument_group("run")
    run.add_argument("--config", metavar="FILE", help="TOML file that states what differs from the recipe")
    run.add_argument("--print-config", action="store_true", help="print the configuration with comments, and stop")
    run.add_argument("--out", metavar="DIR", help="run directory; default: runs/NAME")
    run.add_argument("--resume", action="store_true", help="continue the run in the run directory, as it was asked for")
    run.add_argument("--device", metavar="NAME", help="cpu, gpu, tpu, or one of several: gpu:1; default: the fastest")
    meaning = "divide samples over N devices, and the experts of each over M; default: one device"
    run.add_argument("--mesh", metavar="data=N,expert=M", help=meaning)
    run.add_argument("--host-devices", type=integer, metavar="N", help="emulate N devices on the CPU, to try a mesh")
    run.add_argument("--tensorboard", action="store_true", help="also log for TensorBoard")
    run.add_argument("--quiet", action="store_true", help="no progress meter and no table")
    return parser


def _add_parameters(group: Any, options: Mapping[str, str], problem: Any) -> None:
    if not options:  # help without a problem is quick: nothing is imported for it
        return
    from ..problem import parameters_of
    from ._restate import parameter_line

    for option, parameter in options.items():
        text = f"{parameter_line(problem, parameter)}. Default: {getattr(problem, parameter):g}"
        bare = {"nargs": "?", "const": 1.0} if parameters_of(problem)[parameter].switch else {}
        group.add_argument(f"--{option}", type=number, metavar="VALUE", help=text.replace("%", "%%"), **bare)


def _stages(recipe: Recipe | None) -> str:
    """What the options about stages apply to."""
    if recipe is None or len(recipe.stages) < 2:
        return ""
    return f"{len(recipe.stages)} stages: {', then '.join(stage.optimiser for stage in recipe.stages)}."
