"""The picture: time against the number of classes, native dashed, xentropy solid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xentropy.bench.processes import Measured

from . import machine
from .cases.picture import ROWS

__all__ = ["draw"]

_COLORS = {"numpy": "#2f6db3", "torch": "#d1495b", "tensorflow": "#e08e0b", "jax": "#3b8a5f"}
_NATIVE = {"numpy": "scipy", "torch": "torch", "tensorflow": "tensorflow", "jax": "optax, jit"}
_OURS = {"numpy": "numpy", "torch": "torch", "tensorflow": "tensorflow", "jax": "jax, jit"}
_PANELS = ((False, "forward"), (True, "forward + gradient"))
# Of the height of the axes: what two labels need between them.
_APART = 0.052

Line = tuple[str, str, list[tuple[int, float]]]


def _lines(found: Sequence[Measured], gradient: bool) -> list[Line]:
    """Return framework, what and points of each line."""
    points: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for measured in found:
        for run, times in zip(measured.case.runs, measured.times, strict=False):
            if run.gradient == gradient and times is not None:
                key = measured.case.framework, run.what
                points.setdefault(key, []).append((run.shape[-1], times.median))
    return [(framework, what, sorted(each)) for (framework, what), each in points.items()]


def _spread(heights: Sequence[float]) -> list[float]:
    """Return heights in the same order that are far enough apart for text."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    placed = [heights[i] for i in order]
    for _ in range(200):
        for i in range(len(placed) - 1):
            short = _APART - (placed[i + 1] - placed[i])
            if short > 1e-9:
                placed[i] -= short / 2
                placed[i + 1] += short / 2
    return [placed[order.index(i)] for i in range(len(heights))]


def _draw_panel(axes: Any, lines: Sequence[Line]) -> None:
    for framework, what, points in lines:
        native = what == "native"
        axes.plot(
            *zip(*points, strict=True),
            color=_COLORS[framework],
            linestyle=(0, (4, 2)) if native else "solid",
            linewidth=1.3 if native else 2.2,
        )


def _label(axes: Any, lines: Sequence[Line]) -> None:
    low, high = (math.log10(limit) for limit in axes.get_ylim())
    ends = [(math.log10(points[-1][1]) - low) / (high - low) for _, _, points in lines]
    for (framework, what, points), end, height in zip(lines, ends, _spread(ends), strict=True):
        native = what == "native"
        name = _NATIVE[framework] if native else f"xentropy: {_OURS[framework]}"
        axes.annotate(
            name,
            xy=(points[-1][0], points[-1][1]),
            xytext=(1.05, height),
            textcoords=axes.transAxes,
            color=_COLORS[framework],
            fontsize=9,
            fontweight="normal" if native else "bold",
            verticalalignment="center",
            arrowprops={
                "arrowstyle": "-",
                "relpos": (0.0, 0.5),
                "color": _COLORS[framework],
                "linewidth": 0.5,
                "alpha": 0.7 if abs(end - height) > 0.01 else 0.0,
            },
        )


def draw(path: Path, found: Sequence[Measured]) -> None:
    """Write the picture; the suffix says in which format."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    style = {"svg.hashsalt": "xentropy", "svg.fonttype": "path", "font.size": 9.5}
    with plt.rc_context(style):  # type: ignore[arg-type]
        figure, panels = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True, layout="constrained")
        for axes, (gradient, title) in zip(panels, _PANELS, strict=True):
            axes.set(xscale="log", yscale="log", xlabel="classes")
            axes.set_title(title, loc="left", fontweight="bold")
            axes.grid(True, which="major", color="#dddddd", linewidth=0.6)
            axes.spines[["top", "right"]].set_visible(False)
            _draw_panel(axes, _lines(found, gradient))
        panels[0].set_ylabel(f"seconds for {ROWS} rows of float32")
        for axes, (gradient, _) in zip(panels, _PANELS, strict=True):
            _label(axes, _lines(found, gradient))
        told = f"sparse softmax cross-entropy on {machine.device()}; dashed: the framework's own op"
        figure.suptitle(told, x=0.01, ha="left", fontsize=9, color="#555555")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)
        plt.close(figure)
