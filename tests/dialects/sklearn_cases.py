"""Calls of the dialect sklearn, its originals, and the truth.

The originals have no gradients: those of the dialect are compared with the truth alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.dialects.case import Case, array
from tests.dialects.sklearn_truth import REGRESSION, truth

__all__ = ["CASES", "ORIGINALS", "VERSION", "original", "truth"]

VERSION = "1.9.1"
DTYPES = ("float16", "float32", "float64")
N = 6


def regression() -> Iterator[Case]:
    r = np.random.default_rng(7)
    w, shares = r.uniform(0.2, 2.0, N), [0.3, 0.5, 0.2]
    for function in REGRESSION:
        for dtype in DTYPES:
            t, x = (array(r.uniform(0.0, 9.0, (N, 3)), dtype) for _ in range(2))
            calls: dict[str, tuple[Any, Any, dict[str, Any]]] = {
                "vector": (t[:, 0], x[:, 0], {}),
                "column": (t[:, :1], x[:, 0], {}),
                "outputs": (t, x, {}),
                "raw": (t, x, {"multioutput": "raw_values"}),
                "raw vector": (t[:, 0], x[:, 0], {"multioutput": "raw_values"}),
                "shares": (t, x, {"multioutput": shares}),
                "weights": (t, x, {"sample_weight": array(w, dtype)}),
                "weighted raw": (
                    t,
                    x,
                    {"sample_weight": array(w, dtype), "multioutput": "raw_values"},
                ),
                "weighted shares": (
                    t,
                    x,
                    {"sample_weight": w.tolist(), "multioutput": array(shares, dtype)},
                ),
                "integers": (np.arange(N), x[:, 0], {"sample_weight": np.arange(N)}),
                "list": (t[:, 0].tolist(), x[:, 0], {}),
                "exact": (np.where(t > 5, x, t), x, {"multioutput": "raw_values"}),
                "one row": (t[:1], x[:1], {}),
            }
            for name, (true, pred, options) in calls.items():
                yield Case(f"{name} {dtype}", function, (true, pred), options, (1,))
        t, x = r.uniform(0.0, 9.0, (2, N, 3))
        yield Case("number", function, (t, x), {"sample_weight": w.tolist()}, ())
        yield Case("numbers", function, (t, x), {"multioutput": "raw_values"}, ())
        yield Case("lists", function, (t.tolist(), x.tolist()), {}, ())
        yield Case("list of integers", function, ([1, 2, 4], [3, 2, 0]), {}, ())
        mixed = array(t, "float64"), array(x, "float32")
        yield Case("mixed", function, mixed, {"multioutput": "raw_values"}, (1,))
        weights = {"sample_weight": w, "multioutput": "raw_values"}
        yield Case("wide weights", function, (mixed[1], array(t, "float32")), weights, (1,))
        signed = {"sample_weight": np.asarray([2.0, -0.5, 1.0, 0.0, 0.0, 3.0])}
        yield Case("signed weights", function, (t, x), signed, (1,))
        near = np.float32(7.0) + np.arange(N, dtype=np.float32) / np.float32(2**20)
        yield Case("near", function, (near[::-1].copy(), near), {}, (1,))
        large = array(r.uniform(0, 1e4, (2, N)), "float32")
        yield Case("large", function, (large[0], large[1]), {}, (1,))
    t, x = (array(r.normal(size=N), "float32") for _ in range(2))
    for alpha in (0, 0.05, 0.7, 1.0, True):
        options = {"alpha": alpha}
        yield Case(f"alpha {alpha}", "mean_pinball_loss", (t, x), options, (1,))
    same = array(t[:, None], "float64")
    yield Case("all exact", "root_mean_squared_error", (same, same.copy()), {}, (1,))
    low = array([-0.999, -0.5, 0.0, 3e4], "float32"), array([2e4, -0.9999, 1e-6, 3.0], "float32")
    yield Case("near -1", "mean_squared_log_error", low, {}, (1,))


def bad_regression() -> Iterator[Case]:
    t, x = np.asarray([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]]), np.ones((3, 2))
    nan, inf = float("nan"), float("inf")
    calls: dict[str, tuple[Any, Any, dict[str, Any]]] = {
        "nan": (t, x * nan, {}),
        "true nan": (t * nan, x, {}),
        "infinity": (t, x * inf, {}),
        "empty": (t[:0], x[:0], {}),
        "no outputs": (t[:, :0], x[:, :0], {}),
        "scalars": (1.0, 2.0, {}),
        "three axes": (t[None], x[None], {}),
        "other length": (t, x[:2], {}),
        "other outputs": (t, x[:, 0], {}),
        "complex": (t, x * 1j, {}),
        "strings": (["a", "b"], [1.0, 2.0], {}),
        "none": (t, None, {}),
        "true none": (None, x, {}),
        "zero weights": (t, x, {"sample_weight": [0, 0, 0]}),
        "balanced weights": (t, x, {"sample_weight": [1, -1, 0]}),
        "one weight": (t, x, {"sample_weight": 2.0}),
        "weight column": (t, x, {"sample_weight": [[1], [2], [3]]}),
        "few weights": (t, x, {"sample_weight": [1, 2]}),
        "nan weight": (t, x, {"sample_weight": [1, 2, nan]}),
        "variance_weighted": (t, x, {"multioutput": "variance_weighted"}),
        "no multioutput": (t, x, {"multioutput": None}),
        "zero shares": (t, x, {"multioutput": [0, 0]}),
        "many shares": (t, x, {"multioutput": [1, 2, 3]}),
        "useless share": (t[:, 0], x[:, 0], {"multioutput": [1.0]}),
        "nan share": (t, x, {"multioutput": [1.0, nan]}),
    }
    for i, (name, (true, pred, options)) in enumerate(calls.items()):
        yield Case(name, REGRESSION[i % len(REGRESSION)], (true, pred), options, ())
    root = "root_mean_squared_error"
    yield Case("one share", root, (t[:, 0], x[:, 0]), {"multioutput": [2.0]}, ())
    for shares in ([1, 2, 3], [1.0], [[0.5, 0.5]]):
        yield Case(f"shares {shares}", root, (t, x), {"multioutput": shares}, ())
    yield Case("shares of one", root, (t[:, 0], x[:, 0]), {"multioutput": [0.3, 0.7]}, ())
    for alpha in (-0.1, 1.1, "x", nan):
        yield Case(f"bad alpha {alpha}", "mean_pinball_loss", (t, x), {"alpha": alpha}, ())
    for name, pair in {"low truth": (t - 2.0, x), "low": (t, x - 2.0)}.items():
        yield Case(name, "mean_squared_log_error", pair, {}, ())


def classification() -> Iterator[Case]:
    r = np.random.default_rng(11)
    y, z = np.asarray([0, 1, 1, 0, 1, 0]), np.asarray([2, 0, 1, 1, 2, 0])
    words = np.asarray(["ham", "spam"])
    w = r.uniform(0.2, 2.0, N)
    for dtype in DTYPES:
        p = array(r.uniform(0.02, 0.98, N), dtype)
        q = array(r.dirichlet((1.0, 1.0, 1.0), N), dtype)
        pair = array(np.stack((1 - p.astype(float), p.astype(float)), 1), dtype)
        sure = array([0.0, 1.0, 0.0, 1.0, 1.0, 0.0], dtype)
        corners = array(np.eye(3)[[0, 0, 1, 2, 2, 1]], dtype)
        weights = {"sample_weight": array(w, dtype)}
        both: dict[str, tuple[Any, Any, dict[str, Any]]] = {
            "binary": (y, p, {}),
            "column": (y, p[:, None], {}),
            "column of labels": (y[:, None], p, {}),
            "two columns": (y, pair, {}),
            "signs": (2 * y - 1, p, {}),
            "other labels": (3 * y + 2, p, {}),
            "bools": (y == 1, p, {}),
            "floats": (y.astype(np.float64), p, {}),
            "list": (y.tolist(), p, {}),
            "weights": (y, p, weights),
            "weights of zero": (y, p, {"sample_weight": [1, 0, 2, 0, 0, 3]}),
            "sure": (y, sure, {}),
            "classes": (z, q, {}),
            "classes weights": (z, q, weights),
            "declared": (z % 2, q, {"labels": [0, 1, 2]}),
            "declared as an array": (z % 2, q, {"labels": np.arange(3)}),
            "corners": (z, corners, {}),
            "indicator": (np.eye(3)[z].astype(int), q, {}),
            "several": (np.asarray([[1, 1, 0], [0, 0, 0]] * 3), q, {}),
            "words of three": (np.asarray(["b", "a", "c"])[z], q, {}),
            "list of words": (np.asarray(["b", "a", "c"])[z].tolist(), q, {}),
            "few words": (words[y], q, {"labels": ["eggs", "ham", "spam"]}),
        }
        for name, (true, pred, options) in both.items():
            for function in ("log_loss", "brier_score_loss"):
                yield Case(f"{name} {dtype}", function, (true, pred), options, (1,))
        losses: dict[str, tuple[Any, Any, dict[str, Any]]] = {
            "words": (words[y], p, {}),
            "objects": (words[y].astype(object), p, {}),
            "one class": ([1] * N, p, {"labels": [0, 1]}),
            "sum": (y, p, {"normalize": False}),
            "weighted sum": (z, q, {"normalize": False, **weights}),
            "pairs": (np.asarray([[0, 1], [1, 1], [1, 0]] * 2), p, {}),
            "weighted pairs": (np.asarray([[0, 1], [0, 0], [1, 1]] * 2), p, weights),
        }
        for name, (true, pred, options) in losses.items():
            yield Case(f"{name} {dtype}", "log_loss", (true, pred), options, (1,))
        scores: dict[str, tuple[Any, Any, dict[str, Any]]] = {
            "words": (words[y], p, {"pos_label": "spam"}),
            "other word": (words[y], p, {"pos_label": "ham"}),
            "no such word": (words[y], p, {"pos_label": "eggs"}),
            "pos_label 0": (y, p, {"pos_label": 0}),
            "one class": ([1] * N, p, {}),
            "one other class": ([3] * N, p, {}),
            "labels without use": (y, p, {"labels": [5, 6, 7]}),
            "column for columns": (y, pair, {"pos_label": 0}),
            "unhalved": (y, p, {"scale_by_half": False}),
            "unhalved columns": (y, pair, {"scale_by_half": False}),
            "halved": (y, p, {"scale_by_half": True}),
            "halved classes": (z, q, {"scale_by_half": True, **weights}),
        }
        for name, (true, pred, options) in scores.items():
            yield Case(f"{name} {dtype}", "brier_score_loss", (true, pred), options, (1,))
    p, q = r.uniform(0.02, 0.98, N), r.dirichlet((1.0, 1.0, 1.0), N)
    for function in ("log_loss", "brier_score_loss"):
        yield Case("number", function, (y, p), {"sample_weight": w}, ())
        yield Case("number of classes", function, (z, q), {}, ())
        yield Case("lists", function, (z.tolist(), q.tolist()), {"sample_weight": w.tolist()}, ())
        yield Case("hard", function, (y.astype(float), np.asarray([0, 1, 0, 1, 1, 0])), {}, ())


def bad_classification() -> Iterator[Case]:
    y, p = [0, 1, 1, 1], np.asarray([0.1, 0.4, 0.93, 0.2])
    pair, three = np.stack((1 - p, p), 1), np.stack((p / 2, p / 2, 1 - p), 1)
    nan = float("nan")
    both: dict[str, tuple[Any, Any, dict[str, Any]]] = {
        "above": (y, p + 0.5, {}),
        "below": (y, p - 0.5, {}),
        "nan": (y, p * nan, {}),
        "none": (y, None, {}),
        "true none": (None, p, {}),
        "empty": ([], [], {}),
        "no columns": (y, pair[:, :0], {}),
        "three axes": (y, pair[:, :, None], {}),
        "scalar": (y, 0.5, {}),
        "other length": (y, p[:3], {}),
        "one label": ([1, 1, 1, 1], pair, {}),
        "missing label": (y, three, {}),
        "three labels": ([0, 1, 2, 1], p, {}),
        "three labels, two columns": ([0, 1, 2, 1], pair, {}),
        "undeclared label": ([0, 1, 3, 1], three, {"labels": [0, 1, 2]}),
        "few declared": (y, three, {"labels": [0, 1]}),
        "one declared": ([1, 1, 1, 1], pair, {"labels": [1]}),
        "twice declared": (y, three, {"labels": [0, 1, 1, 2]}),
        "fractions": ([0.5, 1.0, 1.0, 1.0], p, {}),
        "nan label": ([0.0, nan, 1.0, 1.0], p, {}),
        "words and numbers": (["a", "b", 3, 4], p, {}),
        "numbers not words": (y, pair, {"labels": ["0", "1"]}),
        "words not numbers": (["0", "1", "1", "1"], pair, {"labels": [0, 1]}),
        "bytes": ([b"a", b"b", b"b", b"b"], p, {}),
        "objects": (np.asarray(y, object), p, {}),
        "legacy": ([[0, 1, 2, 3]], p, {}),
        "indicator and labels": (np.eye(2, dtype=int)[y], pair, {"labels": [0, 1]}),
        "indicator of another width": (np.eye(2, dtype=int)[y], three, {}),
        "outputs": (np.asarray([[0, 1], [2, 1], [0, 0], [1, 1]]), pair, {}),
        "zero weights": (y, p, {"sample_weight": [0, 0, 0, 0]}),
        "balanced weights": (y, p, {"sample_weight": [1, -1, 1, -1]}),
        "one weight": (y, p, {"sample_weight": 2.0}),
        "few weights": (y, p, {"sample_weight": [1, 1]}),
        "weight column": (y, p, {"sample_weight": [[1], [1], [1], [1]]}),
        "nan weight": (y, p, {"sample_weight": [1, nan, 1, 1]}),
    }
    for name, (true, pred, options) in both.items():
        for function in ("log_loss", "brier_score_loss"):
            yield Case(name, function, (true, pred), options, ())
    losses: dict[str, dict[str, Any]] = {
        "normalize": {"normalize": "no"},
        "normalize 1": {"normalize": 1},
        "both names": {"y_pred": p},
        "zero weights of a sum": {"sample_weight": [0, 0, 0, 0], "normalize": False},
    }
    for name, options in losses.items():
        yield Case(name, "log_loss", (y, p), options, ())
    scores: dict[str, tuple[Any, dict[str, Any]]] = {
        "words without pos_label": (["a", "b", "a", "b"], {}),
        "pos_label list": (y, {"pos_label": [1]}),
        "scale_by_half": (y, {"scale_by_half": "no"}),
        "scale_by_half 1": (y, {"scale_by_half": 1}),
        "indicator of two": (np.eye(2, dtype=int)[y], {}),
    }
    for name, (true, options) in scores.items():
        yield Case(name, "brier_score_loss", (true, p), options, ())


CASES = [*regression(), *bad_regression(), *classification(), *bad_classification()]


def ORIGINALS() -> dict[str, Any]:
    """The functions and classes of the original."""
    from sklearn import metrics

    names = ("log_loss", "brier_score_loss", *REGRESSION)
    return {name: getattr(metrics, name) for name in names}


def original(case: Case) -> tuple[Any, tuple[Any, ...]]:
    """What the original makes of a case: a Python float in the dtype that it was computed in.

    Where nothing is differentiated it remains one, a float64.
    """
    function = ORIGINALS()[case.function]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = function(*case.args, **case.options)
        if not isinstance(value, float) or not case.wrt:
            return np.asarray(value), ()
        if case.function in REGRESSION:
            raw = {**case.options, "multioutput": "raw_values"}
            return np.asarray(value, function(*case.args, **raw).dtype), ()
    return np.asarray(value, case.args[1].dtype), ()
