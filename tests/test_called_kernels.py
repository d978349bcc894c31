"""Kernels that compiled code calls: no transformation, size or option shows that it does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import pytest

import xentropy
from tests import test_term_kernels
from tests.asserts import assert_case, assert_within
from tests.cases import CASES, Case, linear, need_dtype, own_gradient, select
from tests.cases.extremes import TABLE, Row
from tests.derivatives import TRANSFORMED
from tests.test_extremes import assert_gradients_of_row
from tests.test_kernels import logits, truth
from xentropy.kernels import calls
from xentropy.parity import compare
from xentropy.testing import Harness

LOSS = xentropy.sparse_softmax_cross_entropy
ROWS = [row for row in TABLE if row.loss.endswith("cross_entropy") and "sigmoid" not in row.loss]


def of_rows(case: Case) -> bool:
    return case.name.startswith(("softmax", "kl", "logsumexp", "log_softmax"))


# The call passes memory on, whatever its dtype: double precision is left to a few cases.
CALLED = [
    (case, dtype)
    for case, dtype in select(of_rows)
    if dtype != "float64" or case.name.endswith("everything")
]


# Once, as what is compiled is forgotten before and after.
@pytest.fixture(autouse=True, scope="module")
def _called(harness: Harness) -> Iterator[None]:
    context = harness.called_kernels()
    if context is None:
        pytest.skip("its compiled code calls no kernels: see Harness.called_kernels")
    with context:
        yield


@pytest.mark.parametrize(("case", "dtype"), CALLED, ids=str)
def test_values_and_gradients(harness: Harness, case: Case, dtype: str) -> None:
    need_dtype(harness, dtype)
    value, grads = case.value_and_grads(harness, dtype)
    assert_case(case, dtype, harness.numpy(value), {k: harness.numpy(g) for k, g in grads.items()})


@pytest.mark.parametrize("case", [c for c in CASES if c.compiled and of_rows(c)], ids=str)
def test_every_mode(harness: Harness, mode: str, case: Case) -> None:
    f, given = harness.modes[mode](case.function()), case.give(harness, "float32")
    value, grads = f(*given.values()), own_gradient(harness, f, given, case.wrt)
    assert_case(case, "float32", harness.numpy(value), grads)


@pytest.mark.parametrize(
    ("how", "body", "case"),
    [(how, body, c) for how, body, cases in TRANSFORMED for c in cases if "softmax" in c.loss],
    ids=str,
)
def test_transforms(harness: Harness, how: str, body: Any, case: Case) -> None:
    assert_transformed = body
    assert_transformed(harness, harness.transforms[how], case)


@pytest.mark.parametrize("name", test_term_kernels.LOSSES)
@pytest.mark.parametrize(("n", "dtype"), [(17, "float16"), (1025, "float32"), (131073, "float32")])
def test_terms_of_any_length(harness: Harness, name: str, n: int, dtype: str) -> None:
    loss = test_term_kernels.LOSSES[name]
    x, t = test_term_kernels.inputs(loss, 4, n, dtype)
    test_term_kernels.assert_right(loss, x, t, loss.both(harness, x, t))


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_extremes(harness: Harness, row: Row) -> None:
    assert_gradients_of_row(harness, row)


@pytest.mark.parametrize("factor", [1.0, -0.3, 2.0**14])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_any_cotangent(
    harness: Harness, mode: str, reduction: Any, dtype: str, factor: float
) -> None:
    """The gradient that the kernel wrote is for the cotangent that was expected."""
    x, labels = logits("cotangents", 6, 300, dtype)
    y = harness.array(labels)

    def total(x: Any) -> Any:
        loss = factor * LOSS(x, y, reduction=reduction)
        return loss.sum() if loss.ndim else loss

    f = harness.modes[mode](lambda x: harness.gradient(total, (x,), (0,))[0])
    grad = harness.numpy(f(harness.array(x)))
    _, slope = truth(x, labels)
    slope = slope * (np.float32(factor) / (6 if reduction == "mean" else 1))
    assert grad.dtype == dtype
    assert_within(grad, slope, np.abs(slope), compare.GRADIENT)


@pytest.mark.parametrize("gradient", [False, True])
def test_they_are_called(harness: Harness, mode: str, gradient: bool) -> None:
    x, labels = logits("called", 6, 300, "float32")
    given = harness.array(x), harness.array(labels)

    def loss(x: Any, labels: Any) -> Any:
        # With an option, since small plain calls need no compiled code.
        return LOSS(x, labels, label_smoothing=0.1, reduction="mean")

    with mock.patch.object(calls, "losses", wraps=calls.losses) as seen:
        if gradient:
            harness.modes[mode](lambda *a: harness.gradient(loss, a, (0,)))(*given)
        harness.numpy(harness.modes[mode](loss)(*given))
    assert seen.call_count == 1 + gradient


def test_gradients_of_losses_that_no_kernel_computed(harness: Harness) -> None:
    """They left nothing for the kernel that finds the gradients."""
    jax = pytest.importorskip("jax")
    arrays = {name: harness.array(x) for name, x in linear.small().items()}
    x, rest = arrays.pop("hidden"), arrays

    def loss(x: Any) -> Any:
        return xentropy.linear_cross_entropy(x, **rest, reduction="sum")

    with jax.disable_jit():
        value, pull = jax.vjp(loss, x)
    (found,), (want,) = jax.jit(pull)(value), harness.gradient(loss, (x,), (0,))
    found, scale = harness.numpy(found), harness.numpy(value)
    assert_within(found, scale * harness.numpy(want), np.abs(found), compare.GRADIENT)


def test_an_error_in_a_kernel_comes_out(harness: Harness, mode: str) -> None:
    x, labels = logits("error", 6, 300, "float32")
    f = harness.modes[mode](lambda x, labels: LOSS(x, labels, label_smoothing=0.1))
    with (
        mock.patch.object(calls, "losses", side_effect=ArithmeticError("planted")),
        pytest.raises(Exception, match="ArithmeticError: planted"),
    ):
        harness.numpy(f(harness.array(x), harness.array(labels)))
