"""Tangents of a gradient in PyTorch, whose backward pass need not know that they are pushed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.matrix import COLUMN_TESTS, Entry
from tests.test_matrix import ALL
from xentropy.testing import Harness


@pytest.mark.parametrize("entry", ALL, ids=str)
def test_second_derivatives(harness: Harness, torch: Any, entry: Entry) -> None:
    forward_ad = torch.autograd.forward_ad

    def along(direction: Any, x: Any, rest: tuple[Any, ...]) -> Any:
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(x.clone().requires_grad_(), direction)
            (gradient,) = torch.autograd.grad(entry.function(dual, *rest).sum(), dual)
            return forward_ad.unpack_dual(gradient).tangent

    def hessian(x: Any, *rest: Any) -> Any:
        # Of a loss that is linear in places nothing moves.
        each = [along(d.view(x.shape), x, rest) for d in torch.eye(x.numel(), dtype=x.dtype)]
        columns = [torch.zeros_like(x) if found is None else found for found in each]
        return torch.stack(columns, -1).reshape(*x.shape, *x.shape)

    assert_hessian = COLUMN_TESTS["hessian"]
    assert_hessian(harness, hessian, entry, "float64")
