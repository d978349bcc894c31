"""The founding examples, to the digits in which they were given."""

from __future__ import annotations

import numpy as np
import pytest

import xentropy
from xentropy.testing import Harness

LOGITS = np.array([[12, 3, 2], [3, 10, 1], [1, 2, 5], [4, 6.5, 1.2], [3, 6, 1]])
LABELS = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 0]])
SIGMOID = np.array(
    [
        [6.14419348e-06, 3.04858735e00, 2.12692801e00],
        [3.04858735e00, 4.53988992e-05, 1.31326169e00],
        [1.31326169e00, 2.12692801e00, 6.71534849e-03],
        [1.81499279e-02, 1.50231016e-03, 1.46328247e00],
        [3.04858735e00, 2.47568514e-03, 1.31326169e00],
    ]
)


def test_sigmoid(harness: Harness) -> None:
    losses = xentropy.sigmoid_cross_entropy(harness.array(LOGITS), LABELS)
    np.testing.assert_allclose(harness.numpy(losses), SIGMOID, rtol=1e-8)
