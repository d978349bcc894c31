"""Train on each framework, in a process of its own, and hold the loss curves against each other.

``python -m examples.digits [PICTURE]``, from the root of the repository; in half a minute it prints
a table, and writes the picture, and the table beside it as CSV, if it is given a path. The exit
status is 1 if two curves differ by more than `AGREEMENT`.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Table

import xentropy

from . import data

__all__ = ["AGREEMENT", "FRAMEWORKS", "apart", "child", "main", "run"]

ROOT = Path(__file__).resolve().parent.parent.parent
FRAMEWORKS = {"numpy": "NumPy", "torch": "PyTorch", "jax": "JAX", "tensorflow": "TensorFlow"}
AGREEMENT = 1e-9
"""What two curves may be apart by, in nats, at any step."""

_HEADS = ("framework", "last loss", "largest difference", "accuracy", "CPU seconds")
# On the CPU, and on one thread: with batches this small others only wait for each other.
_ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "",
    "JAX_PLATFORMS": "cpu",
    "KERAS_BACKEND": "tensorflow",
    "OMP_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
_COLORS = {"numpy": "#2f6db3", "torch": "#d1495b", "jax": "#3b8a5f", "tensorflow": "#e08e0b"}
_MARKERS = {"torch": "o", "jax": "x", "tensorflow": "+"}
_DASH = 4.0

Found = dict[str, dict[str, Any]]


def child(framework: str, steps: int) -> None:
    """Train, and print the losses, how much was learned, and the time with all compilation."""
    module = importlib.import_module(f"examples.digits.on_{framework}")
    digits = data.load(steps)
    start = time.process_time()
    losses, logits = module.train(digits.batches, digits.images)
    seconds = time.process_time() - start
    correct = xentropy.softmax_statistics(logits, digits.labels, outputs="correct").correct
    version = importlib.import_module(framework).__version__.partition("+")[0]
    found = {"version": version, "losses": losses, "accuracy": correct.mean(), "seconds": seconds}
    print(json.dumps(found))


def run(framework: str, steps: int = data.STEPS) -> dict[str, Any]:
    """What a process of its own finds."""
    command = [sys.executable, "-m", "examples.digits", "--train", framework]
    command += ["--steps", str(steps)]
    environment = os.environ | _ENVIRONMENT
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        msg = f"{framework} failed:\n{done.stderr}"
        raise RuntimeError(msg)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def apart(curves: Iterable[Sequence[float]]) -> float:
    """The largest difference between any two curves at the same step."""
    return float(np.ptp(np.array(list(curves)), axis=0).max())


def rows(found: Found) -> list[list[str]]:
    """The cells of the table below its heads; the last row is about any two."""
    told = []
    for framework, one in found.items():
        gap = apart([one["losses"], found["numpy"]["losses"]])
        name, last = f"{FRAMEWORKS[framework]} {one['version']}", f"{one['losses'][-1]:.12f}"
        distance = "–" if framework == "numpy" else f"{gap:.1e}"
        told.append([name, last, distance, f"{one['accuracy']:.1%}", f"{one['seconds']:.1f}"])
    most = apart(one["losses"] for one in found.values())
    return [*told, ["any two", "", f"{most:.1e}", "", ""]]


def draw(found: Found, path: Path) -> None:
    """The losses of all frameworks in one, and below it how far each is from NumPy's."""
    style = {"svg.hashsalt": "digits", "font.size": 10.0, "axes.titlesize": 10.5}
    with plt.rc_context(style):  # type: ignore[arg-type]
        figure, (curves, gaps) = plt.subplots(
            2, 1, figsize=(7.2, 5.6), sharex=True, height_ratios=(3, 2), layout="constrained"
        )
        for framework, one in found.items():
            curves.plot(one["losses"], label=FRAMEWORKS[framework], **_look(framework))
        _draw_gaps(gaps, found)
        curves.set(ylabel="loss in nats")
        curves.legend(frameon=False, handlelength=6)
        gaps.set(xlabel="step", ylabel="nats")
        for axes, title in ((curves, "Four curves in one"), (gaps, "Their distance from NumPy's")):
            axes.set_title(title, loc="left", fontweight="bold")
            axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        plt.close(figure)


def _draw_gaps(axes: Any, found: Found) -> None:
    for framework, marker in _MARKERS.items():
        gap = np.abs(np.subtract(found[framework]["losses"], found["numpy"]["losses"]))
        axes.plot(gap, marker, color=_COLORS[framework], markersize=4.5, fillstyle="none")
    axes.axhline(AGREEMENT, color="#555555", linewidth=1, linestyle=(0, (4, 2)))
    axes.annotate("allowed", (0, AGREEMENT), (0, 4), textcoords="offset points", color="#555555")
    # Linear below the spacing of numbers near 1, so that 0 has a place.
    axes.set_yscale("symlog", linthresh=1e-16)
    axes.set_yticks([0, *(10.0**n for n in range(-16, -7))])
    axes.set_ylim(-5e-17, 1e-8)


def _look(framework: str) -> dict[str, Any]:
    """NumPy's curve is a broad band; the dashes of the others take turns upon it."""
    color, turn = _COLORS[framework], list(FRAMEWORKS).index(framework) - 1
    if turn < 0:
        return {"color": color, "linewidth": 6, "alpha": 0.3}
    others = len(FRAMEWORKS) - 1
    dashes = (turn * _DASH, (_DASH, (others - 1) * _DASH))
    return {"color": color, "linewidth": 2, "linestyle": dashes, "dash_capstyle": "butt"}


def main(steps: int, picture: Path | None) -> int:
    """Train, tell and draw; returns the exit status."""
    found = {framework: run(framework, steps) for framework in FRAMEWORKS}
    told, table = rows(found), Table(*_HEADS, box=None)
    for cells in told:
        table.add_row(*cells)
    console = Console()
    console.print(table)
    most = apart(one["losses"] for one in found.values())
    agree = most <= AGREEMENT
    console.print(
        f"{steps} steps: the curves {'agree' if agree else 'DISAGREE'}, "
        f"{most:.1e} apart at most ({AGREEMENT:.0e} is allowed)"
    )
    if picture:
        draw(found, picture)
        with picture.with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([_HEADS, *told])
    return int(not agree)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("picture", nargs="?", type=Path, help="draw the curves")
    parser.add_argument("--steps", type=int, default=data.STEPS)
    parser.add_argument("--train", choices=FRAMEWORKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        child(options.train, options.steps)
    else:
        sys.exit(main(options.steps, options.picture))
