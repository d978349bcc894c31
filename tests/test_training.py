"""The digits of ``examples/``: one training on every framework, each in a process of its own."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
STEPS = 200
FRAMEWORKS = ("torch", "jax", "tensorflow")

NATIVE = f"""
import torch
from examples.digits import __main__, data, on_torch

def native(logits, labels, *, class_weight, z_loss, reduction, **options):
    weight, known = torch.from_numpy(class_weight), labels != options["ignore_index"]
    loss = torch.nn.functional.cross_entropy(logits, labels, weight, **options)
    squares = logits.logsumexp(dim=-1)[known].square()
    return loss + z_loss * squares.sum() / weight[labels[known]].sum()

class Native:
    cross_entropy = staticmethod(native)

on_torch.xentropy = Native
__main__.child("torch", {STEPS})
"""
"""The training of PyTorch by the loss of PyTorch."""


def needs(framework: str) -> None:
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")


@pytest.fixture(scope="module")
def digits() -> Any:
    """The command; it imports scikit-learn and matplotlib, which other tests are to do without."""
    return importlib.import_module("examples.digits.__main__")


def on_numpy(digits: Any) -> list[float]:
    from examples.digits import on_numpy

    loaded = digits.data.load(STEPS)
    return on_numpy.train(loaded.batches, loaded.images)[0]


@pytest.fixture(scope="module")
def curve(digits: Any) -> list[float]:
    """The losses on NumPy."""
    return on_numpy(digits)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_framework_trains_as_numpy_does(digits: Any, curve: list[float], framework: str) -> None:
    needs(framework)
    losses = digits.run(framework, STEPS)["losses"]
    assert len(losses) == STEPS
    assert digits.apart([losses, curve]) <= digits.AGREEMENT


def test_the_losses_are_those_of_another_library(digits: Any, curve: list[float]) -> None:
    needs("torch")
    command = [sys.executable, "-c", NATIVE]
    out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    losses = json.loads(out.splitlines()[-1])["losses"]
    assert digits.apart([losses, curve]) <= digits.AGREEMENT


@pytest.mark.parametrize("name", ["RATE", "MOMENTUM", "label_smoothing", "z_loss", "class_weight"])
def test_what_is_off_by_a_millionth_is_seen(
    digits: Any, curve: list[float], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = vars(digits.data) if name.isupper() else digits.data.OPTIONS
    off = np.array(shared[name])
    off.flat[-1] *= 1 + 1e-6  # the number, or that of the last class
    monkeypatch.setitem(shared, name, off[()])
    assert digits.apart([on_numpy(digits), curve]) > digits.AGREEMENT


@pytest.mark.parametrize("framework", ["numpy", *FRAMEWORKS])
@pytest.mark.parametrize(("off", "status"), [(0.0, 0), (0.5, 0), (2.0, 1), (np.nan, 1)])
def test_the_exit_status_says_whether_all_agree(
    digits: Any, framework: str, off: float, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str, steps: int) -> dict[str, Any]:
        losses = np.linspace(2, 1, steps)
        losses[steps // 2] += off * digits.AGREEMENT * (name == framework)
        return {"version": "1.2", "losses": losses.tolist(), "accuracy": 0.9, "seconds": 1.0}

    monkeypatch.setattr(digits, "run", run)
    assert digits.main(STEPS, None) == status


def test_picture_and_table_are_written(
    digits: Any, curve: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"version": "1.2", "losses": curve, "accuracy": 0.9, "seconds": 1.0}
    monkeypatch.setattr(digits, "run", lambda framework, steps: found)
    pictures = [tmp_path / name for name in ("one.svg", "two.svg")]
    assert [digits.main(STEPS, picture) for picture in pictures] == [0, 0]
    assert pictures[0].read_text(encoding="utf-8") == pictures[1].read_text(encoding="utf-8")
    with pictures[0].with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    names = [row["framework"] for row in written]
    assert names == [*(f"{name} 1.2" for name in digits.FRAMEWORKS.values()), "any two"]
    assert {row["largest difference"] for row in written[1:]} == {f"{0:.1e}"}


def test_a_training_that_fails_says_why(digits: Any) -> None:
    with pytest.raises(RuntimeError, match="invalid choice: 'none'"):
        digits.run("none", STEPS)
