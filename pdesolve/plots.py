"""One picture of a solution: the fields, the reference, the error and how training converged.

Colours can be told apart with colour-blind eyes: viridis, blue to red through white, and the palette of Okabe
and Ito (https://jfly.uni-koeln.de/color/). Figures are built without pyplot, so that neither matplotlib's
settings nor an open window of the caller's is touched.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.patheffects import withStroke
from matplotlib.tri import Triangulation

from .errors import PdesolveError
from .io._atomic import atomic
from .metrics import max_error, relative_l2

__all__ = ["plot_solution"]

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
"""Okabe and Ito's colours."""
STATUS_COLOURS = {"verified": "#009E73", "unverified": "#D55E00"}
OUTSIDE = "0.88"
LARGEST_IMAGE = 600
"""Points along an axis of an image; a finer grid is thinned out, it would not show."""
DECADES = 4
"""Orders of magnitude below the largest error that its image shows."""
HISTORY_AXES = ("step", "seconds")


class _Panel(NamedTuple):
    """One row of images: a field and its reference over two axes, or on scattered points (`axes` is a mesh)."""

    label: str
    value: np.ndarray
    reference: np.ndarray | None
    axes: "tuple[np.ndarray, np.ndarray] | Triangulation"
    names: tuple[str, str]


def plot_solution(
    dataset: xr.Dataset,
    reference: xr.Dataset | None = None,
    history: Mapping[str, Sequence[float]] | None = None,
    *,
    path: str | os.PathLike,
    title: str = "",
    status: str = "",
) -> Path:
    """Draw a solution to a PNG file, whole or not at all, and return its path.

    | problem | what is drawn |
    |---|---|
    | 1-D | lines |
    | 1-D in time | images over (time, x), lines at five times |
    | 2-D | images |
    | 2-D in time | one field: images at three times; several: at the last time |
    | 3-D | the same in the middle plane |
    | points | the same on triangles |

    Args:
        dataset: One variable per field with dims `(sample?, time?, *space, component?)`, or the layout of
            `pdesolve.io.write_points`. Of several samples the first is drawn.
        reference: The reference fields under the same names on the same grid; by default the dataset's own
            variables `<field>_reference`.
        history: Columns over training: `step` and/or `seconds`, and by name loss terms and errors (the names
            with `error` or `relative` in them).
        path: The file to write.
        title: Name of the problem, and what else identifies the picture.
        status: `verified`, `unverified` or another word, shown in the corner. What is unverified is marked on
            every solution panel.

    Raises:
        PdesolveError: If there is no field to draw, the reference lies on another grid, or the file cannot be
            written.
    """
    shown, remark = _reduced(dataset)
    references = None if reference is None else _reduced(reference)[0]
    fields = _fields(shown, references)
    if not fields:
        raise PdesolveError(f"no field to draw among the variables: {', '.join(map(str, dataset)) or 'none'}.")
    is_line = "point" not in shown.dims and all(field.ndim == 1 for field, _ in fields.values())
    panels = [] if is_line else _panels(shown, fields)
    heights = [1.9] * len(fields) if is_line else [_height(panel) for panel in panels]
    lower = 0.0 if not history else 2.6
    # One image alone would float in a wide page.
    width = 11.5 if history or is_line or _columns(panels) > 1 else 6.5
    figure = Figure(figsize=(width, sum(heights) + 0.55 * len(heights) + lower + 0.5), layout="constrained")
    parts = figure.subfigures(
        2 if lower else 1, 1, squeeze=False, height_ratios=[sum(heights), lower][: 1 + bool(lower)]
    )
    if is_line:
        _draw_lines(parts[0, 0], fields, status)
    else:
        _draw_images(parts[0, 0], panels, heights, status)
    if history:
        _draw_history(parts[1, 0], history)
    _draw_title(figure, " ".join(filter(None, [title, remark])), status)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
    return Path(path)


def _reduced(dataset: xr.Dataset) -> tuple[xr.Dataset, str]:
    """The first sample, the middle plane of a third axis of space, and a remark that says so."""
    remarks = []
    if "sample" in dataset.dims:
        if dataset.sizes["sample"] > 1:
            remarks.append(f"sample 0 of {dataset.sizes['sample']}")
        dataset = dataset.isel(sample=0)
    others = ("time", "point", "axis", "cell", "vertex")
    space = [d for d in _longest(dataset) if d not in others and not str(d).endswith("component")]
    for axis in space[2:]:
        middle = dataset.sizes[axis] // 2
        if axis in dataset.coords:
            remarks.append(f"{axis} = {dataset[axis].values[middle]:.3g}")
        dataset = dataset.isel({axis: middle}, drop=True)
    return dataset, f"({', '.join(remarks)})" if remarks else ""


def _longest(dataset: xr.Dataset) -> tuple[Any, ...]:
    return max((v.dims for v in dataset.data_vars.values()), key=len, default=())


def _fields(dataset: xr.Dataset, references: xr.Dataset | None) -> dict[str, tuple[xr.DataArray, xr.DataArray | None]]:
    """Fields of the solution with their references, vectors by component."""
    skipped = {"points", "cells", "mask"}
    fields: dict[str, tuple[xr.DataArray, xr.DataArray | None]] = {}
    for name, field in dataset.items():
        role = field.attrs.get("role", str(name).rpartition("_")[2])
        if (
            name in skipped
            or role in ("input", "reference", "error")
            or field.dtype.kind not in "iuf"
            or not field.ndim
        ):
            continue
        other = dataset.get(f"{name}_reference") if references is None else references.get(name)
        if other is not None:
            other = _aligned(str(name), field, other)
        axis = next((d for d in field.dims if str(d).endswith("component")), None)
        if axis is None:
            fields[str(name)] = field, other
        else:
            for i in range(field.sizes[axis]):
                fields[f"{name}_{i}"] = field.isel({axis: i}), None if other is None else other.isel({axis: i})
    longest = max((field.ndim for field, _ in fields.values()), default=0)
    return {name: pair for name, pair in fields.items() if pair[0].ndim == longest}


def _aligned(name: str, field: xr.DataArray, reference: xr.DataArray) -> xr.DataArray:
    if set(field.dims) != set(reference.dims) or any(field.sizes[d] != reference.sizes[d] for d in field.dims):
        raise PdesolveError(
            f"{name}: the solution lies on {dict(field.sizes)}, the reference on {dict(reference.sizes)}; "
            "evaluate both on one grid."
        )
    return reference.transpose(*field.dims)


def _panels(dataset: xr.Dataset, fields: Mapping[str, tuple[xr.DataArray, xr.DataArray | None]]) -> list[_Panel]:
    """A row of images for each field, or for three times of a single one."""
    panels = []
    for name, (field, reference) in fields.items():
        space = [str(d) for d in field.dims if d != "time"]
        if "time" not in field.dims or (len(space) == 1 and "point" not in space):
            panels.append(_panel(dataset, _label(name, field), field, reference))
            continue
        last = field.sizes["time"] - 1
        for step in sorted({0, last // 2, last}) if len(fields) == 1 else [last]:
            chosen = reference if reference is None else reference.isel(time=step)
            label = f"{_label(name, field)}, t = {_time(field, step):.3g}"
            panels.append(_panel(dataset, label, field.isel(time=step), chosen))
    return panels


def _panel(dataset: xr.Dataset, label: str, field: xr.DataArray, reference: xr.DataArray | None) -> _Panel:
    if "point" in field.dims:
        mesh = _triangulation(dataset)
        return _Panel(label, field.values, None if reference is None else reference.values, mesh, ("x", "y"))
    across, up = sorted(map(str, field.dims), key=lambda d: (d != "time", list(field.dims).index(d)))
    thin = {d: slice(None, None, -(-field.sizes[d] // LARGEST_IMAGE)) for d in field.dims}
    field = field.transpose(across, up).isel(thin)
    other = None if reference is None else reference.transpose(across, up).isel(thin).values
    return _Panel(
        label,
        field.values,
        other,
        (_coordinate(field, across), _coordinate(field, up)),
        (_axis_label(field, across), _axis_label(field, up)),
    )


def _triangulation(dataset: xr.Dataset) -> Triangulation:
    """The mesh's own triangles (quadrilaterals halved), or Delaunay's without cells."""
    points = dataset["points"].values
    cells = dataset["cells"].values if "cells" in dataset else None
    if points.shape[1] != 2:
        raise PdesolveError(f"only points in the plane are drawn, these have {points.shape[1]} coordinates.")
    if cells is not None and cells.shape[1] == 4:
        cells = np.concatenate([cells[:, [0, 1, 2]], cells[:, [0, 2, 3]]])
    return Triangulation(points[:, 0], points[:, 1], None if cells is None else cells[:, :3])


def _coordinate(field: xr.DataArray, axis: str) -> np.ndarray:
    return field[axis].values if axis in field.coords else np.arange(field.sizes[axis], dtype=float)


def _time(field: xr.DataArray, step: int) -> float:
    return float(_coordinate(field, "time")[step])


def _label(name: str, values: xr.DataArray) -> str:
    units = values.attrs.get("units", "")
    return f"{name} [{units}]" if units else name


def _axis_label(field: xr.DataArray, axis: str) -> str:
    return _label("t" if axis == "time" else axis, field[axis]) if axis in field.coords else axis


def _height(panel: _Panel) -> float:
    """Height in inches: true proportions where both axes are lengths and not too unlike."""
    width = 3.0 if panel.reference is not None else 4.2
    return float(np.clip(width * (_aspect(panel) or 0.7), 1.7, 4.2))


def _aspect(panel: _Panel) -> float | None:
    if _over_time(panel):
        return None
    mesh = panel.axes
    across, up = (mesh.x, mesh.y) if isinstance(mesh, Triangulation) else mesh
    ratio = float(np.ptp(up) / np.ptp(across)) if np.ptp(across) else 0.0
    return ratio if 0.25 <= ratio <= 4 else None


def _over_time(panel: _Panel) -> bool:
    return panel.names[0].split(" ")[0] == "t"


def _columns(panels: Sequence[_Panel]) -> int:
    """Solution, reference and error where there is one, and lines if the first axis is time."""
    return (3 if any(panel.reference is not None for panel in panels) else 1) + _over_time(panels[0])


def _draw_images(part: SubFigure, panels: Sequence[_Panel], heights: Sequence[float], status: str) -> None:
    """Rows of solution, reference and error; over (time, x) lines at some times come last."""
    has_reference = any(panel.reference is not None for panel in panels)
    axes = part.subplots(len(panels), _columns(panels), squeeze=False, height_ratios=heights)
    for row, panel in zip(axes, panels, strict=True):
        scale = panel.value if panel.reference is None else panel.reference
        cmap, norm = _colours(scale)
        pair = [row[0]] if panel.reference is None else [row[0], row[1]]
        image = _draw_image(row[0], panel, panel.value, cmap, norm, f"solution {panel.label}")
        _mark(row[0], status)
        if panel.reference is not None:
            _draw_image(row[1], panel, panel.reference, cmap, norm, "reference")
            _draw_error(part, row[2], panel)
        elif has_reference:
            row[1].set_axis_off()
            row[2].set_axis_off()
        bar = part.colorbar(image, ax=pair, pad=0.02, aspect=25, shrink=0.95)
        _plain_bar(bar)
        if _over_time(panel):
            _draw_snapshots(row[-1], panel)


def _draw_image(axes: Axes, panel: _Panel, values: np.ndarray, cmap: Colormap, norm: Any, title: str) -> Any:
    masked = np.ma.masked_invalid(values)
    if isinstance(panel.axes, Triangulation):
        mesh = panel.axes
        known = mesh.triangles[~np.ma.getmaskarray(masked)[mesh.triangles].any(1)]
        inside = Triangulation(mesh.x, mesh.y, known)
        image = axes.tripcolor(inside, masked.filled(0.0), cmap=cmap, norm=norm, shading="gouraud")
    else:
        image = axes.pcolormesh(*panel.axes, masked.T, cmap=cmap, norm=norm, shading="nearest")
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_xlabel(panel.names[0], fontsize=8, labelpad=1)
    axes.set_ylabel(panel.names[1], fontsize=8, labelpad=1)
    axes.tick_params(labelsize=7)
    if _aspect(panel):
        axes.set_aspect("equal")
    return image


def _draw_error(part: SubFigure, axes: Axes, panel: _Panel) -> None:
    assert panel.reference is not None
    error = np.abs(panel.value - panel.reference)
    largest = error[np.isfinite(error)].max(initial=0.0)
    cmap = colormaps["magma"].with_extremes(bad=OUTSIDE)
    norm = LogNorm(largest * 10.0**-DECADES, largest, clip=True) if largest > 0 else Normalize(0, 1)
    image = _draw_image(axes, panel, error, cmap, norm, f"|error|   {_summary(panel.value, panel.reference)}")
    _plain_bar(part.colorbar(image, ax=axes, pad=0.02, aspect=25, shrink=0.95))


def _summary(value: np.ndarray, reference: np.ndarray) -> str:
    try:
        return f"relative L2 {relative_l2(value, reference):.2e}"
    except PdesolveError:
        return f"largest {max_error(value, reference):.2e}"


def _colours(values: np.ndarray) -> tuple[Colormap, Normalize]:
    """Blue to red around zero if both signs matter, else viridis."""
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    if min(-low, high) > 0.1 * max(-low, high):
        bound = max(-low, high)
        return colormaps["RdBu_r"].with_extremes(bad=OUTSIDE), Normalize(-bound, bound)
    return colormaps["viridis"].with_extremes(bad=OUTSIDE), Normalize(low, high if high > low else low + 1)


def _plain_bar(bar: Any) -> None:
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7)


def _draw_snapshots(axes: Axes, panel: _Panel) -> None:
    """Lines over x at five times, dark to light; the reference dashed."""
    assert not isinstance(panel.axes, Triangulation)
    times, x = panel.axes
    steps = np.unique(np.linspace(0, len(times) - 1, 5).round().astype(int))
    for step, shade in zip(steps, np.linspace(0, 0.85, len(steps)), strict=True):
        label = f"t = {times[step]:.3g}"
        axes.plot(x, panel.value[step], color=colormaps["viridis"](shade), linewidth=1.4, label=label)
        if panel.reference is not None:
            last = "reference" if step == steps[-1] else None
            axes.plot(x, panel.reference[step], color="black", linewidth=0.8, linestyle=(0, (4, 3)), label=last)
    axes.set_title(f"{panel.label} at some times", fontsize=9, loc="left")
    axes.set_xlabel(panel.names[1], fontsize=8, labelpad=1)
    _plain(axes)
    axes.legend(fontsize=6.5, frameon=False, loc="best", handlelength=1.4, labelspacing=0.25)


def _draw_lines(part: SubFigure, fields: Mapping[str, tuple[xr.DataArray, xr.DataArray | None]], status: str) -> None:
    """A row for each field: solution on reference, and the error below its own scale."""
    has_reference = any(reference is not None for _, reference in fields.values())
    rows = part.subplots(len(fields), 2 if has_reference else 1, squeeze=False)
    for row, (name, (field, reference)) in zip(rows, fields.items(), strict=True):
        axis = str(field.dims[0])
        x, along = _coordinate(field, axis), _axis_label(field, axis)
        if reference is not None:
            row[0].plot(x, reference.values, color="0.6", linewidth=4, label="reference", solid_capstyle="round")
            row[1].semilogy(x, np.abs(field.values - reference.values), color=PALETTE[1], linewidth=1.2)
            row[1].set_title(f"|error|   {_summary(field.values, reference.values)}", fontsize=9, loc="left")
            row[1].set_xlabel(along, fontsize=8, labelpad=1)
            _plain(row[1])
        elif has_reference:
            row[1].set_axis_off()
        row[0].plot(x, field.values, color=PALETTE[0], linewidth=1.4, label="solution")
        row[0].set_title(_label(name, field), fontsize=9, loc="left")
        row[0].set_xlabel(along, fontsize=8, labelpad=1)
        row[0].legend(fontsize=7, frameon=False)
        _plain(row[0])
        _mark(row[0], status)


def _draw_history(part: SubFigure, history: Mapping[str, Sequence[float]]) -> None:
    """Loss terms against steps; errors against seconds, or steps where no clock was read."""
    columns = {name: np.asarray(values, float) for name, values in history.items()}
    series = {name: values for name, values in columns.items() if name not in HISTORY_AXES}
    errors = {n: v for n, v in series.items() if "error" in n or "relative" in n}
    losses = {n: v for n, v in series.items() if n not in errors}
    groups = [("loss terms", losses, "step"), ("error", errors, "seconds")]
    groups = [group for group in groups if group[1]]
    for axes, (title, curves, preferred) in zip(part.subplots(1, len(groups), squeeze=False)[0], groups, strict=True):
        other = next((name for name in (preferred, *HISTORY_AXES) if name in columns), None)
        for i, (name, values) in enumerate(curves.items()):
            across = np.arange(len(values)) if other is None else columns[other]
            # What is not positive or not measured has no place on a logarithmic scale.
            drawn = np.isfinite(values) & (values > 0)
            marker = "o" if drawn.sum() == 1 else None  # of one point a line shows nothing
            style = dict(
                marker=marker, color=PALETTE[i % len(PALETTE)], linestyle=["-", "--", ":"][i // len(PALETTE) % 3]
            )
            label = f"{name}, at last {values[drawn][-1]:.2e}" if title == "error" and drawn.any() else name
            axes.semilogy(across[drawn], values[drawn], linewidth=1.2, label=label, **style)
        axes.set_title(title, fontsize=9, loc="left")
        axes.set_xlabel(other or "evaluation", fontsize=8, labelpad=1)
        axes.legend(fontsize=7, frameon=False, ncols=1 + (len(curves) > 4), labelspacing=0.3)
        _plain(axes)


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)


def _mark(axes: Axes, status: str) -> None:
    """Write `unverified` across a panel whose solution nothing independent has confirmed."""
    if status == "unverified":
        words = axes.text(0.5, 0.5, status, transform=axes.transAxes, ha="center", va="center", rotation=25)
        words.set(fontsize=22, fontweight="bold", color=STATUS_COLOURS[status], alpha=0.8)
        words.set_path_effects([withStroke(linewidth=3, foreground="white", alpha=0.8)])


def _draw_title(figure: Figure, title: str, status: str) -> None:
    figure.suptitle(title or " ", x=0.01, ha="left", fontsize=12, fontweight="bold")
    if status:
        box = dict(boxstyle="round,pad=0.35", facecolor=STATUS_COLOURS.get(status, "0.4"), edgecolor="none")
        figure.text(0.99, 0.99, status, ha="right", va="top", fontsize=9, color="white", bbox=box)
