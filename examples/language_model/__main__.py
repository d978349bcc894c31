"""Train on each framework with either head, each in a process of its own, and draw the curves.

``python -m examples.language_model [PICTURE]``, from the root of the repository; in about a minute
it prints the losses and the peak memory, and writes the picture if it is given a path.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from rich.console import Console
from rich.table import Table

from . import text

FRAMEWORKS, HEADS = ("torch", "jax"), ("dense", "linear")
_MEGABYTE = 1e6


def _resident(mark: str) -> float:
    """Memory of this process as Linux tells it, in megabytes."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(x.split()[1]) for x in lines if x.startswith(mark)) * 1024 / _MEGABYTE


def child(framework: str, head: str) -> None:
    """Train, and print the losses, the time, and the memory beyond that of before."""
    module = importlib.import_module(f"examples.language_model.on_{framework}")
    batches = text.batches()
    few = [(context[:2], following[:2]) for context, following in batches[:1]]
    list(module.train(head, few))  # what is loaded and compiled once does not count
    before, start = _resident("VmRSS"), time.perf_counter()
    losses = list(module.train(head, batches))
    seconds, peak = time.perf_counter() - start, _resident("VmHWM") - before
    print(json.dumps({"losses": losses, "seconds": seconds, "peak": peak}))


def run(framework: str, head: str) -> dict[str, Any]:
    """What a process of its own finds."""
    command = [sys.executable, "-m", "examples.language_model", "--train", framework, head]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def draw(found: dict[tuple[str, str], dict[str, Any]], path: Path) -> None:
    """The losses of all runs, and their memory beside them."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    styles = {"dense": {"linewidth": 5, "alpha": 0.35}, "linear": {"linewidth": 1.5}}
    colors = {"torch": "#c0392b", "jax": "#2471a3"}
    for (framework, head), one in found.items():
        label = f"{framework}, {head}"
        left.plot(one["losses"], label=label, color=colors[framework], **styles[head])
        alpha = styles[head].get("alpha", 1)
        bar = right.bar(f"{framework}\n{head}", one["peak"], color=colors[framework], alpha=alpha)
        right.bar_label(bar, fmt="%.0f MB")
    left.set(xlabel="step", ylabel="loss in nats", title="the same curves")
    left.legend(frameon=False)
    right.set(ylabel="peak memory in MB", title="logits held, and not")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def main(picture: Path | None) -> None:
    """Train, tell and draw."""
    found = {(f, h): run(f, h) for f in FRAMEWORKS for h in HEADS}
    table = Table("framework", "head", "first loss", "last loss", "peak memory", "time", box=None)
    for (framework, head), one in found.items():
        first, last = (f"{one['losses'][i]:.6f}" for i in (0, -1))
        table.add_row(
            framework, head, first, last, f"{one['peak']:.0f} MB", f"{one['seconds']:.0f} s"
        )
    console = Console()
    console.print(table)
    for framework in FRAMEWORKS:
        pairs = zip(*(found[framework, head]["losses"] for head in HEADS), strict=True)
        console.print(f"{framework}: losses differ by {max(abs(a - b) for a, b in pairs):.1e}")
    if picture:
        draw(found, picture)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("picture", nargs="?", type=Path, help="where to draw the curves")
    parser.add_argument("--train", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        child(*options.train)
    else:
        main(options.picture)
