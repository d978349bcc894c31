"""PyTorch's own compiler where lengths vary; elsewhere only what it is given is looked at."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

import xentropy
from tests.matrix import COLUMN_TESTS, ENTRIES, Entry, Mean
from tests.test_lengths import of_length
from xentropy.testing import Harness

CASE = ENTRIES["cross_entropy"][0].case
MEAN = Mean("mean of cross_entropy", CASE.loss, CASE.arrays, CASE.options, wrt=CASE.wrt)
ENTRY = Entry(MEAN.name, MEAN, partial(xentropy.cross_entropy, reduction="mean"))


def test_other_lengths_compile_nothing(harness: Harness, torch: Any) -> None:
    """The values and gradients of two lengths come from the same graph."""
    testing = pytest.importorskip("torch._dynamo.testing")
    counted = testing.CompileCounterWithBackend("inductor")
    torch._dynamo.reset()
    compiled = torch.compile(ENTRY.function, fullgraph=True, dynamic=True, backend=counted)
    values, counts = [], []

    def gradient(x: Any, *rest: Any) -> Any:
        x = x.detach().requires_grad_()
        values.append(compiled(x, *rest))
        return torch.autograd.grad(values[-1], x)[0]

    assert_gradient, assert_value = COLUMN_TESTS["gradient"], COLUMN_TESTS["value"]
    for length in (4, 7):
        entry = of_length(ENTRY, length)
        assert_gradient(harness, gradient, entry, "float32")
        assert_value(harness, lambda *_: values[-1], entry, "float32")
        counts.append(counted.frame_count)
    assert 0 < counts[0] == counts[1]
