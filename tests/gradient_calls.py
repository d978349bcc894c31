"""What the tests of `value_and_grad` share: a call of it, and what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xentropy
from xentropy.testing import Harness

__all__ = ["LABELS", "LOGITS", "TARGETS", "WEIGHTS", "given", "gradients", "loss", "message", "vag"]

LOGITS = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -3.0]], np.float32)
TARGETS = np.array([[0.25, 0.25, 0.5], [0.0, 1.0, 0.0]], np.float32)
LABELS = [2, 0]
WEIGHTS = np.array([0.5, 2.0], np.float32)

vag: Any = xentropy.value_and_grad  # of calls that are wrong, too
loss = xentropy.softmax_cross_entropy


def given(harness: Harness) -> tuple[Any, Any]:
    return harness.array(LOGITS), harness.array(TARGETS)


def gradients(harness: Harness, f: Any, *primals: Any) -> tuple[Any, ...]:
    """The framework's own gradient of a scalar."""
    try:
        return harness.gradient(f, primals, tuple(range(len(primals))))
    except NotImplementedError:
        pytest.skip("no automatic differentiation: the accuracy tests compare with the oracle")


def message(function: Any, error: type[Exception]) -> str:
    with pytest.raises(error) as caught:
        function()
    return str(caught.value)
