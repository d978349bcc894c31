"""Tangents of tangents in PyTorch, alone and beside reverse mode."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_within
from tests.cases import rng
from tests.matrix import COLUMN_TESTS, Entry
from tests.test_matrix import ALL
from xentropy.parity import compare
from xentropy.testing import Harness


@pytest.mark.parametrize("entry", ALL, ids=str)
def test_second_derivatives(harness: Harness, torch: Any, entry: Entry) -> None:
    jacfwd = torch.func.jacfwd

    def hessian(x: Any, *rest: Any) -> Any:
        return jacfwd(jacfwd(lambda x: entry.function(x, *rest).sum()))(x)

    assert_hessian = COLUMN_TESTS["hessian"]
    assert_hessian(harness, hessian, entry, "float64")


@pytest.mark.parametrize("order", ["fff", "ffr", "frf", "rff"])
def test_third_derivatives(torch: Any, order: str) -> None:
    """Along one direction; beside those of reverse mode alone."""
    r, labels = rng("third derivatives"), torch.tensor([0, 2, 1])
    x, direction = (torch.from_numpy(r.normal(size=(3, 4))) for _ in range(2))

    def loss(x: Any) -> Any:
        return xentropy.cross_entropy(x**2, labels, label_smoothing=0.1, reduction="mean")

    def along(f: Any, mode: str) -> Any:
        if mode == "f":
            return lambda x: torch.func.jvp(f, (x,), (direction,))[1]
        return lambda x: (torch.func.grad(f)(x) * direction).sum()

    found = want = loss
    for mode in order:
        found, want = along(found, mode), along(want, "r")
    truth = want(x).numpy()
    assert_within(found(x).numpy(), truth, np.abs(truth), compare.GRADIENT)


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_jacobians_of_many_directions(torch: Any, reduction: Any) -> None:
    x, labels = torch.randn(3, 4, generator=torch.manual_seed(0)), torch.tensor([0, 2, 1])

    def loss(x: Any) -> Any:
        return xentropy.cross_entropy(x, labels, reduction=reduction)

    jacobian = torch.autograd.functional.jacobian
    found = jacobian(loss, x, vectorize=True, strategy="forward-mode").numpy()
    truth = jacobian(loss, x.double()).numpy()
    assert_within(found, truth, np.abs(truth).max() + np.abs(truth), compare.GRADIENT)
