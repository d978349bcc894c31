"""Every loss of the dialect keras in `fit`, on each backend of Keras, beside Keras' own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.dialects import keras_training as training
from xentropy.dialects import keras as ours

ROOT = Path(__file__).resolve().parents[2]
#: How the functions and how the classes run on a backend of Keras; NumPy's only evaluates.
RUNS = {
    "tensorflow": ("plain", "compiled"),
    "jax": ("compiled", "compiled"),
    "torch": ("plain", "plain"),
    "numpy": ("plain", "plain"),
}


@pytest.fixture(scope="module", params=RUNS)
def found(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What a process of its own finds on a backend of Keras."""
    for needed in ("keras", request.param):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
    command = [sys.executable, "-m", "tests.dialects.keras_training", *RUNS[request.param]]
    environment = {**os.environ, "KERAS_BACKEND": request.param}
    out = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE)
    result: dict[str, Any] = json.loads(out.stdout.splitlines()[-1])
    return result


def assert_as_true(here: Any, theirs: Any, truth: Any) -> None:
    """No farther off than twice the original's largest error, and 4 ulp."""
    for name, true in truth.items():
        error = np.max(np.abs(np.asarray(theirs[name]) - true))
        ulp = np.finfo(np.float32).eps * np.max(np.abs(true))
        off = np.max(np.abs(np.asarray(here[name]) - true))
        most = 2 * error + 4 * ulp
        assert off <= most, f"{name}: off by {off / ulp} ulp, at most {most / ulp}"


def test_every_loss_trains_as_the_original(found: dict[str, Any]) -> None:
    assert set(found["ours"]) == set(ours.__all__)
    for head, here in found["ours"].items():
        assert_as_true(here, found["theirs"][head], training.true(head, "kernel" in here))


@pytest.mark.parametrize("what", ["losses", "kernel"])
@pytest.mark.parametrize("head", training.HEADS)
def test_a_fault_would_be_seen(head: str, what: str) -> None:
    """Of a ten-thousandth, in the loss or in its gradient."""
    truth = training.true(head, True)
    assert_as_true(truth, truth, truth)
    start = {"losses": 0, "kernel": training.KERNELS[head]}
    wrong = {**truth, what: truth[what] + 1e-4 * (truth[what] - start[what])}
    with pytest.raises(AssertionError, match="ulp, at most"):
        assert_as_true(wrong, truth, truth)
