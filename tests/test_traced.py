"""Functions that older tracers of PyTorch run: nothing is kept in silence of the first call."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import xentropy

LOSSES: dict[str, Any] = {
    "plain": lambda x: xentropy.cross_entropy(x, [1, 0], reduction="mean"),
    "smoothed": lambda x: xentropy.cross_entropy(x, [1, 0], label_smoothing=0.1),
    "linear": lambda x: xentropy.linear_cross_entropy(x, x, [1, 0]),
    "statistics": lambda x: xentropy.softmax_statistics(x, None, outputs=("entropy",)).entropy,
}


@pytest.mark.parametrize("name", LOSSES)
def test_by_jit_trace(torch: Any, name: str) -> None:
    x = torch.tensor([[0.5, 1.0, -1.0], [2.0, 0.0, 1.0]])
    refused = pytest.raises(xentropy.UnsupportedError, match=r"torch\.export")
    with refused, warnings.catch_warnings(action="ignore"):  # that it is deprecated
        torch.jit.trace(LOSSES[name], x)


@pytest.mark.parametrize("name", LOSSES)
def test_by_fx(torch: Any, name: str) -> None:
    refused = xentropy.DTypeError, torch.fx.proxy.TraceError  # which, depends on the version
    with pytest.raises(refused, match=r"torch\.fx\.proxy\.Proxy|symbolically traced"):
        torch.fx.symbolic_trace(LOSSES[name])
