"""`pdesolve doctor`: what is installed, what it runs on, and whether it computes."""

import os
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version

from .. import registry
from .._version import __version__
from ..errors import PdesolveError
from ._console import show
from ._exit import EXIT_CODES, FAILED, OK
from ._parser import Parser

__all__ = ["doctor"]

REQUIRED = (
    *("jax", "jaxlib", "equinox", "optax", "diffrax", "optimistix", "lineax", "numpy", "scipy", "h5py", "xarray"),
    *("h5netcdf", "exponax", "matplotlib", "rich"),
)
OPTIONAL = {
    "meshio": "pip install 'pdesolve[mesh]'",
    "sympy": "pip install 'pdesolve[symbolic]'",
    "tensorboardX": "pip install 'pdesolve[tensorboard]'",
    "trimesh": "pip install 'pdesolve[mesh]'",
    "vtk": "pip install vtk",
}


def doctor(words: Sequence[str]) -> int:
    """Print a table of findings; exit code 1 if one of them keeps pdesolve from working."""
    Parser(
        prog="pdesolve doctor",
        description="Versions, devices, precision, optional parts, and a self-test. Paste it into bug reports.",
        epilog=EXIT_CODES,
    ).parse(words)
    from rich.table import Table

    from ._jax import set_precision

    set_precision("float64")
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    problems = [*_missing(), *_self_test(), *_broken_entries()]
    for key, value in [*_machine(), *_versions(), *_optional(), *(("PROBLEM", text) for text in problems)]:
        table.add_row(key, value)
    table.add_row("verdict", "needs repair" if problems else "works: a float64 system was solved to round-off")
    show(table)
    return FAILED if problems else OK


def _machine() -> Iterator[tuple[str, str]]:
    import jax

    yield "pdesolve", __version__
    yield "python", platform.python_version()
    yield "platform", platform.platform()
    yield "cores", str(os.cpu_count())
    yield "devices", ", ".join(f"{d.platform}:{d.id} ({d.device_kind})" for d in jax.devices())
    yield "OpenBLAS spins", f"2^{os.environ.get('OPENBLAS_THREAD_TIMEOUT', '26')} cycles after a call"
    yield "x64", "on: the command line turns it on where a recipe asks for float64"
    yield "matmul precision", str(jax.config.jax_default_matmul_precision)  # pyright: ignore[reportAttributeAccessIssue]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _versions() -> Iterator[tuple[str, str]]:
    for package in REQUIRED:
        yield package, _version(package) or "missing"


def _optional() -> Iterator[tuple[str, str]]:
    for package, remedy in OPTIONAL.items():
        yield package, _version(package) or f"not installed (optional): {remedy}"


def _missing() -> Iterator[str]:
    for package in REQUIRED:
        if _version(package) is None:
            yield f"{package} is missing: pip install {package}"


def _self_test() -> Iterator[str]:
    """Solve [[2, 1], [1, 3]] x = [1, 2], x = [1/5, 3/5], in float64 on the default device."""
    import jax
    import jax.numpy as jnp

    solve = jax.jit(jnp.linalg.solve)
    x = solve(jnp.array([[2.0, 1.0], [1.0, 3.0]]), jnp.array([1.0, 2.0]))
    error = float(jnp.abs(x - jnp.array([0.2, 0.6])).max())
    if x.dtype != jnp.float64:
        yield f"asked for float64, got {x.dtype}"
    # A few roundings of numbers below 1; float32 would give 1e-8.
    if not error < 1e-15:
        yield f"a 2x2 system was solved with an error of {error:.1e}"


def _broken_entries() -> Iterator[str]:
    """Entry points that do not load, ours and third parties'."""
    if not registry.names("problems"):
        yield "no problem is registered: pip install pdesolve, or pip install -e . in its source"
    for group in registry.GROUPS:
        for name in registry.names(group):
            try:
                registry.load(group, name)
            except PdesolveError as error:
                yield str(error)
            except Exception as error:  # a third party's module may raise anything
                yield f"{group.removesuffix('s')} {name!r} ({registry.target(group, name)}) does not load: {error}"
