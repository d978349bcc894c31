"""Examples that are left out may hold anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.asserts import assert_bits
from tests.cases import Array, single
from tests.drawn import SHARES, C, N, call, draw_logits, few, seeds
from xentropy.testing import Harness

RUBBISH = (np.nan, np.inf, -np.inf, 3e38)
OUT: dict[str, Callable[[Array], dict[str, Any]]] = {
    "where": lambda out: {"where": ~out},
    "sample_weight": lambda out: {"sample_weight": single(~out)},
}
BY_ROW: list[tuple[str, dict[str, Any], str]] = [
    ("sparse_softmax_cross_entropy", {}, "index"),
    ("cross_entropy", {"label_smoothing": 0.1, "z_loss": 0.01}, "index"),
    ("cross_entropy", {"class_weight": single([1, 0, 2, 1, 3])}, "index"),
    ("softmax_cross_entropy", {}, "shares"),
    ("softmax_focal_cross_entropy", {"gamma": 0.5}, "index"),
    ("poly_cross_entropy", {}, "index"),
    ("kl_divergence", {"temperature": 2.0}, "shares"),
    ("sparse_categorical_cross_entropy", {}, "index"),
    ("categorical_cross_entropy", {}, "shares"),
]


@few
@given(seed=seeds, how=st.sampled_from(list(OUT)))
@pytest.mark.parametrize("case", BY_ROW, ids=lambda case: f"{case[0]} {'+'.join(case[1])}")
def test_rows_left_out_hold_anything(
    harness: Harness, case: tuple[str, dict[str, Any], str], seed: int, how: str
) -> None:
    """Their loss and gradient are 0, and no bit of the others changes."""
    loss, options, kind = case
    r, x = draw_logits(seed)
    x = np.abs(x) / (1 + np.abs(x).max()) if "categorical" in loss else x
    labels: Array = (
        r.integers(0, C, N) if kind == "index" else r.dirichlet(SHARES, N).astype(np.float32)
    )
    out = np.arange(N) == r.integers(0, N)
    out |= r.integers(0, 2, N).astype(bool)
    given = {**options, **OUT[how](out)}
    clean = call(harness, loss, x, labels, given)
    dirty, wrong = x.copy(), labels.copy()
    dirty[out] = r.choice(RUBBISH, (int(out.sum()), C)).astype(np.float32)
    wrong[out] = r.choice([-1, C, 2**40]) if kind == "index" else single(r.choice(RUBBISH[:3]))
    assert_bits(call(harness, loss, dirty, wrong, given), clean)
    for got in clean:
        assert np.all(got[out] == 0)
    mean = {**given, "reduction": "mean"}
    assert_bits(call(harness, loss, dirty, wrong, mean), call(harness, loss, x, labels, mean))


BY_NUMBER: list[tuple[str, dict[str, Any]]] = [
    ("sigmoid_cross_entropy", {"pos_weight": 3.0}),
    ("sigmoid_focal_cross_entropy", {"gamma": 0.5}),
    ("binary_cross_entropy", {}),
    ("squared_error", {}),
    ("absolute_error", {}),
    ("log_cosh", {}),
    ("huber", {}),
    ("smooth_l1", {"beta": 0.0}),
]


@few
@given(seed=seeds, how=st.sampled_from(list(OUT)))
@pytest.mark.parametrize("case", BY_NUMBER, ids=lambda case: case[0])
def test_numbers_left_out_hold_anything(
    harness: Harness, case: tuple[str, dict[str, Any]], seed: int, how: str
) -> None:
    loss, options = case
    r, x = draw_logits(seed)
    x = np.abs(x) / (1 + np.abs(x).max()) if loss.startswith("binary") else x
    labels = r.uniform(size=x.shape).astype(np.float32)
    out = r.integers(0, 2, x.shape).astype(bool)
    given = {**options, **OUT[how](out)}
    clean = call(harness, loss, x, labels, given)
    dirty, wrong = (
        np.where(out, r.choice(RUBBISH, x.shape), x),
        np.where(out, r.choice(RUBBISH, x.shape), labels),
    )
    assert_bits(call(harness, loss, single(dirty), single(wrong), given), clean)
    for got in clean:
        assert np.all(got[out] == 0)


@few
@given(seed=seeds)
def test_gradients_by_the_others_ignore_what_is_left_out(harness: Harness, seed: int) -> None:
    """A NaN that is left out reaches no gradient by a weight either."""
    r, x = draw_logits(seed)
    labels, out = r.integers(0, C, N), np.arange(N) % 3 == 1
    dirty = np.where(out[:, None], single(np.nan), x)
    for name in ("class_weight", "sample_weight"):
        options = {
            "class_weight": single(r.uniform(0.5, 2, C)),
            "sample_weight": single(r.uniform(0.5, 2, N)),
            "where": ~out,
            "reduction": "mean",
        }
        clean = call(harness, "cross_entropy", x, labels, options, name)
        assert_bits(call(harness, "cross_entropy", dirty, labels, options, name), clean)
