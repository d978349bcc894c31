"""Tensors on the CPU of PyTorch, where new tensors lie elsewhere unless told otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xentropy
from tests.cases import rng, single

CALLS: dict[str, Any] = {
    "cross_entropy": lambda x, y, **options: xentropy.cross_entropy(x, y, **options),
    "smoothed": lambda x, y, **options: xentropy.cross_entropy(
        x, y, label_smoothing=0.1, **options
    ),
    "squared_error": lambda x, y, **options: xentropy.squared_error(x, 0.0, **options),
    "linear": lambda x, y, **options: xentropy.linear_cross_entropy(x, x, y, **options),
}


@pytest.mark.parametrize("rows", [4, 64])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "partial"])
@pytest.mark.parametrize("name", CALLS)
def test_results_stay_where_they_are(torch: Any, name: str, reduction: Any, rows: int) -> None:
    x = torch.from_numpy(single(rng("default device").normal(size=(rows, 30)))).requires_grad_()
    y = torch.zeros(rows, dtype=torch.int64)
    with torch.device("meta"):
        found = CALLS[name](x, y, reduction=reduction)
        total = found.total if reduction == "partial" else found.sum()
        total.backward()
    assert total.device == x.grad.device == torch.device("cpu")
    assert np.isfinite(total.item())
