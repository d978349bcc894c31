"""Calls of the dialect optax and their originals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.dialects.case import Array, Case, array
from tests.dialects.optax_original import ORIGINALS, original
from tests.dialects.optax_truth import truth

__all__ = ["CASES", "ORIGINALS", "VERSION", "original", "truth"]

VERSION = "0.2.8"
DTYPES = ("float16", "bfloat16", "float32", "float64")
LABELS = ("int8", "uint8", "int32", "int64", "uint16")
SOFT, INDEX = "softmax_cross_entropy", "softmax_cross_entropy_with_integer_labels"
SAFE, POLY = "safe_softmax_cross_entropy", "poly_loss_cross_entropy"
BINARY, FOCAL = "sigmoid_binary_cross_entropy", "sigmoid_focal_loss"
KL, GENERALIZED = "kl_divergence", "generalized_kl_divergence"
# Every option is seen once in float32; the other dtypes see what depends on the precision, and the
# relatives of a function what is theirs.
FEW = ("soft", "far", "int64", "gamma 0.5", "rows", "both ", "alpha of each", "each ")
SOME = (*FEW, "confident", "axis (0, 2)", "where", "epsilon", "-inf", "not normalized")
WHOLE = (SOFT, INDEX, BINARY, FOCAL, KL, "huber_loss", "cosine_similarity", "smooth_labels")
TWINS = (SAFE, "l2_loss", "cosine_distance", "kl_divergence_with_log_targets", "squared_error")
COSINES = ("cosine_similarity", "cosine_distance")


def shares(r: Any, *shape: int) -> Array:
    e = np.exp(r.normal(size=shape))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def cases() -> Iterator[Case]:
    for dtype in DTYPES:
        for each in (softmax, indices, binary, divergences, regression, cosines, smoothing):
            for case in each(dtype):
                names = FEW if dtype != "float32" else "" if case.function in WHOLE else SOME
                twin = case.function in TWINS and dtype != "float32"
                if case.name.startswith(names) and not twin:
                    yield case
    yield from mixed()
    yield from wrong()


def softmax(dtype: str) -> Iterator[Case]:
    r = np.random.default_rng(0)

    def case(name: str, function: str, x: Any, t: Any, wrt: Any = (0, 1), **options: Any) -> Case:
        return Case(f"{name} {dtype}", function, (array(x, dtype), t), options, wrt)

    x, t = 3 * r.normal(size=(4, 3)), array(shares(r, 4, 3), dtype)
    hard = array(np.eye(3)[[2, 0, 1, 1]], dtype)
    deep, shared = r.normal(size=(2, 3, 4)), array(shares(r, 2, 3, 4), dtype)
    some = np.array([[True, True, False], [False, True, True], [True] * 3, [False] * 3])
    rows = np.array([True, False, True, True])
    for f in (SOFT, SAFE, POLY):
        yield case("soft", f, x, t)
        yield case("hard", f, x, hard)
        yield case("twice", f, x, array(2 * np.asarray(t, float), dtype))
        yield case("one row", f, x[0], t[0])
        yield case("empty", f, x[:0], t[:0])
        yield case("far", f, [[1e4, 0, -1e4], [-1e4, 1e4, 0]], array(np.eye(3)[:2], dtype), (0,))
        yield case("confident", f, [[40, 0, 0], [0, 12, 1]], array(np.eye(3)[:2], dtype), (0,))
        yield case("labels broadcast", f, x, t[:1])
        yield case("labels of lower rank", f, x, t[0])
        yield case("logits broadcast", f, x[:1], t)
        yield case("logits of lower rank", f, x[0], t)
    for f in (SOFT, SAFE):
        # The safe one has no gradient there.
        wrt = (0,) if f == SOFT else ()
        yield case("integers", f, x, np.asarray(np.eye(3)[[2, 0, 1, 1]], np.int32), wrt)
        yield case("bool", f, x, np.eye(3)[[2, 0, 1, 1]] > 0, wrt)
    for f in (SOFT, POLY):
        for axis in (0, 1, -2, (0, 2), (2, 0), (-1, 1), (0, 1, 2), None, ()):
            yield case(f"axis {axis}", f, deep, shared, axis=axis)
        yield case("where classes", f, x[:3], t[:3], (0,), where=some[:3])
        yield case("where one", f, x, t, (0,), where=some[:1])
        yield case("where two axes", f, x[:3], t[:3], (0,), where=some[:3], axis=(0, 1))
    yield case("where classes, bool", SOFT, x[:3], np.eye(3) > 0, (0,), where=some[:3])
    yield case("where rows", SOFT, x, t, (0,), where=rows)
    yield case("where rows kept", SOFT, x, t, where=rows | True)
    yield case("where rows in full", SOFT, x, t, (0,), where=rows[:, None])
    yield case("where rows of axis 0", SOFT, x, t, (0,), where=rows[:3], axis=0)
    yield case("where rows of two axes", SOFT, deep, shared, (0,), where=rows[:2], axis=(1, 2))
    yield case("where broadcasts logits", SOFT, x[:1], t[:1], (0,), where=some[:3])
    yield case("where no class is left", SOFT, x, t, (0,), where=some)
    yield case("where no class is left", POLY, x, t, (0,), where=some)
    for epsilon in (-1.0, 0.5, 0):
        yield case(f"epsilon {epsilon}", POLY, x, t, epsilon=epsilon)
    each = array([0.5, 2.0, -1.0, 0.0], dtype)
    yield case("each epsilon", POLY, x, t, epsilon=each)
    yield case("each epsilon, where", POLY, x[:3], t[:3], (0,), where=some[:3], epsilon=each[:3])
    yield case("each epsilon of axis 0", POLY, x, t, epsilon=each[:3], axis=0)
    yield case("0-d epsilon", POLY, deep, shared, epsilon=array(0.5, dtype), axis=(0, 2))
    inf = np.array([[1.0, -np.inf, 0.5], [-np.inf, 2.0, -np.inf]])
    yield case("-inf off target", SAFE, inf, array(np.eye(3)[:2], dtype), (0,))


def indices(dtype: str) -> Iterator[Case]:
    r = np.random.default_rng(1)
    x, deep = array(3 * r.normal(size=(4, 3)), dtype), array(r.normal(size=(2, 3, 4)), dtype)
    y = np.array([2, 0, 1, 1])
    some = np.array([[True, False, True], [True, True, False], [False, True, True], [True] * 3])
    rows = np.array([True, False, True, True])

    def case(name: str, x: Any, labels: Any, wrt: Any = (0,), **options: Any) -> Case:
        return Case(f"{name} {dtype}", INDEX, (array(x, dtype), labels), options, wrt)

    for kind in LABELS:
        yield case(kind, x, y.astype(kind))
    y = y.astype(np.int32)
    yield case("one row", x[0], np.array(1, np.int32))
    yield case("empty", x[:0], y[:0])
    yield case("far", [[1e4, 0, -1e4], [-1e4, 1e4, 0]], y[2:])
    yield case("confident", [[40, 0, 0], [0, 12, 1]], np.array([0, 1], np.int32))
    yield case("-inf", [[1, -np.inf, 0], [-np.inf, 0, -np.inf]], np.array([0, 1], np.int32))
    yield case("logits broadcast", x[:1], y)
    yield case("labels broadcast", x, y[:1])
    yield case("where classes", x, y, where=some)
    yield case("where one", x, np.array([2, 0, 0, 2], np.int32), where=some[:1])
    yield case("where rows", x, y, (0,), where=rows)
    yield case("where rows kept", x, y, where=rows | True)
    yield case("where rows in full", x, y, (0,), where=rows[:, None])
    for axis in (0, 1, -1, (0, 2), (2, 0), (-2, -1), (0, 1, 2), ()):
        axes = axis if isinstance(axis, tuple) else (axis,)
        shape = np.delete(deep.shape, axes)
        n = int(np.prod([deep.shape[a] for a in axes], dtype=int))
        labels = r.integers(0, n, shape).astype(np.int32)
        yield case(f"axis {axis}", deep, labels, axis=axis)
    kept = np.ones(deep.shape, bool)
    kept[0, :, 1] = False
    yield case("where two axes", deep, np.array([0, 5], np.int32), axis=(1, 2), where=kept)
    rows = np.array([True, False])
    yield case("where rows of two", deep, np.array([0, 5], np.int32), (0,), axis=(2, 1), where=rows)


def binary(dtype: str) -> Iterator[Case]:
    r = np.random.default_rng(2)
    x, t = 3 * r.normal(size=(4, 3)), array(r.uniform(size=(4, 3)), dtype)
    hard = (r.uniform(size=(4, 3)) < 0.5).astype(np.int32)

    def case(name: str, function: str, x: Any, t: Any, wrt: Any = (0, 1), **options: Any) -> Case:
        return Case(f"{name} {dtype}", function, (array(x, dtype), t), options, wrt)

    for f in (BINARY, FOCAL):
        yield case("soft", f, x, t)
        yield case("hard", f, x, hard, (0,))
        yield case("bool", f, x, hard > 0, (0,))
        yield case("number", f, x, 1, (0,))
        yield case("scalar", f, x[0, 0], t[0, 0])
        yield case("empty", f, x[:0], t[:0])
        yield case("labels broadcast", f, x, t[:1])
        yield case("labels of lower rank", f, x, t[0])
        yield case("logits broadcast", f, x[:1], t)
        yield case("both broadcast", f, x[:1], t[:, :1])
        yield case("logits of lower rank", f, x[0], t)
        yield case("far", f, [1e4, 30, -30, -1e4] * 2, array([1.0] * 4 + [0.0] * 4, dtype), (0,))
    for gamma in (0.0, 0.5, 1, 5.0):
        yield case(f"gamma {gamma}", FOCAL, x, t, gamma=gamma)
    yield case("alpha", FOCAL, x, t, alpha=0.25)
    yield case("alpha of each", FOCAL, x, t, alpha=array([0.1, 0.5, 0.9], dtype))
    rows = array([[0.2], [0.4], [0.6], [0.8]], dtype)
    yield case("each alpha", FOCAL, x, t, alpha=rows, gamma=1.5)
    yield case("each gamma", FOCAL, x, t, gamma=array([0.5, 1.0, 3.0], dtype))
    yield case(
        "each of both", FOCAL, x, hard, (0,), gamma=array([0.5, 1.0, 3.0], dtype), alpha=rows
    )
    yield case("0-d gamma", FOCAL, x, t, gamma=array(2.0, dtype), alpha=0.25)
    larger = array([[[0.5]], [[2.0]]], dtype)
    yield case("each gamma enlarges", FOCAL, x, t, gamma=larger)


def divergences(dtype: str) -> Iterator[Case]:
    r = np.random.default_rng(3)
    x, t = np.log(shares(r, 4, 3)), shares(r, 4, 3)
    deep, shared = np.log(shares(r, 2, 3, 4)), shares(r, 2, 3, 4)
    some = np.array([[True, True, False], [False, True, True], [True] * 3, [False] * 3])
    for f in (KL, "kl_divergence_with_log_targets", GENERALIZED):

        def case(name: str, x: Any, t: Any, wrt: Any = (0, 1), f: str = f, **options: Any) -> Case:
            given = np.log(t) if "log" in f else t
            return Case(f"{name} {dtype}", f, (array(x, dtype), array(given, dtype)), options, wrt)

        yield case("rows", x, t)
        yield case("not normalized", x + 1, 2 * t)
        yield case("one row", x[0], t[0])
        yield case("empty", x[:0], t[:0])
        yield case("targets broadcast", x, t[0])
        yield case("predictions broadcast", x[:1], t)
        yield case("both broadcast", x[:, :1], t[0])
        yield case("where", x, t, where=some)
        yield case("where of lower rank", x, t, where=some[1])
        for axis in (0, (0, 2), (2, 0), None, ()):
            yield case(f"axis {axis}", deep, shared, axis=axis)
        if "log" not in f:
            yield case("hard", x, np.eye(3)[[2, 0, 1, 1]], (0,))
        yield case("far", [[-1e4, -1e-3, -9.0]], [[0.25, 0.25, 0.5]])


def regression(dtype: str) -> Iterator[Case]:
    r = np.random.default_rng(4)
    x, t = 3 * r.normal(size=(4, 3)), 3 * r.normal(size=(4, 3))

    def case(name: str, function: str, x: Any, *t: Any, wrt: Any = None, **options: Any) -> Case:
        args = tuple(y if y is None else array(y, dtype) for y in (x, *t))
        wrt = tuple(range(len(args))) if wrt is None else wrt
        return Case(f"{name} {dtype}", function, args, options, wrt)

    for f in ("squared_error", "l2_loss", "huber_loss", "log_cosh"):
        yield case("both", f, x, t)
        yield case("alone", f, x)
        yield case("None", f, x, None, wrt=(0,))
        yield case("scalar", f, 2.5, -1.0)
        yield case("empty", f, x[:0], t[:0])
        yield case("large", f, [200.0, -150.0, 0.0], [-30.0, 0.5, 0.25])
        yield Case(f"integers {dtype}", f, (array(x, dtype), np.arange(12).reshape(4, 3)))
    for f in ("huber_loss", "log_cosh"):
        yield case("targets broadcast", f, x, t[0])
        yield case("predictions broadcast", f, x[0], t)
        yield case("both broadcast", f, x[:, :1], t[0])
        yield Case(f"number {dtype}", f, (array(x, dtype), 0.5))
        yield case("far", f, [1e4, -1e4], [0.0, 1.0])
    for delta in (0.5, 3, 2.25):
        yield case(f"delta {delta}", "huber_loss", x, t, delta=delta)
    each = array([[0.5], [1.0], [2.0], [8.0]], dtype)
    yield case("each delta", "huber_loss", x, t, delta=each)
    yield case("each delta, alone", "huber_loss", x, delta=each)
    yield case("each delta enlarges", "huber_loss", x[0], t[0], delta=each)
    yield case("0-d delta", "huber_loss", x, t, delta=array(1.5, dtype))


def cosines(dtype: str) -> Iterator[Case]:
    r = np.random.default_rng(5)
    x = r.normal(size=(4, 3)) + 1
    deep = r.normal(size=(2, 3, 4)) + 1
    t, shared = x + r.normal(size=x.shape), deep + r.normal(size=deep.shape)
    some = np.array([[True, True, False], [False, True, True], [True] * 3, [True] * 3])

    for f in COSINES:

        def case(name: str, x: Any, t: Any, wrt: Any = (0, 1), f: str = f, **options: Any) -> Case:
            return Case(f"{name} {dtype}", f, (array(x, dtype), array(t, dtype)), options, wrt)

        yield case("rows", x, t)
        yield case("opposite", x, -x + 0.1 * t)
        yield case("near", x, x + 0.01 * t)
        yield case("one row", x[0], t[0])
        yield case("empty", x[:0], t[:0])
        yield case("targets broadcast", x, t[0])
        yield case("predictions broadcast", x[:1], t)
        yield case("where", x, t, where=some)
        yield case("where one", x, t, where=some[:1])
        yield case("where of lower rank", x, t, where=some[0])
        yield case("epsilon", x, t, epsilon=2.5)
        yield case("large epsilon", x, t, epsilon=100)
        yield case("each epsilon", x, t, epsilon=array([[0.5], [2.5], [9.0], [0.0]], dtype))
        yield case(
            "each epsilon of axes",
            deep,
            shared,
            epsilon=array([[[3.5]], [[9.5]]], dtype),
            axis=(1, 2),
        )
        yield case("0-d epsilon", x, t, epsilon=array(2.5, dtype))
        yield case("negative epsilon", x, t, epsilon=-1.0)
        yield case("zero", 0 * x, t, epsilon=0.25)
        yield case("nothing", 0 * x, t, ())
        for axis in (0, 1, (0, 2), (2, 0), None):
            yield case(f"axis {axis}", deep, shared, axis=axis)


def smoothing(dtype: str) -> Iterator[Case]:
    r = np.random.default_rng(6)
    t = array(2 * np.eye(3)[[2, 0, 1, 1]], dtype)
    deep = array(r.uniform(size=(2, 3, 4)), dtype)
    some = np.array([[True, True, False], [False, True, True], [True] * 3, [True] * 3])

    def case(name: str, t: Any, alpha: Any, wrt: Any = (0,), **options: Any) -> Case:
        return Case(f"{name} {dtype}", "smooth_labels", (t, alpha), options, wrt)

    yield case("alpha 0.1", t, 0.1)
    yield case("alpha 0", t, 0)
    yield case("alpha 2", t, 2.0)
    yield case("alpha of each", t, array([[0.1], [0.2], [0.3], [0.4]], dtype), (0, 1))
    yield case("alpha of classes", t, array([0.1, 0.2, 0.3], dtype), (0, 1))
    yield case("one row", t[0], 0.1)
    yield case("empty", t[:0], 0.1)
    yield case("where", t, 0.1, where=some)
    yield case("where one", t, 0.1, where=some[:1])
    yield case("where of lower rank", t, 0.1, where=some[0])
    for axis in (0, (0, 2), None):
        yield case(f"axis {axis}", deep, 0.2, axis=axis)


def mixed() -> Iterator[Case]:
    """Of two dtypes the result has the wider one, but from sigmoids that of the logits."""
    r = np.random.default_rng(7)
    x, t = r.normal(size=(4, 3)), shares(r, 4, 3)
    pairs = [("float16", "bfloat16"), ("bfloat16", "float32"), ("float32", "float64")]
    functions = (SOFT, BINARY, KL, "huber_loss")
    for a, b in pairs:
        for f in functions:
            yield Case(f"{a} with {b}", f, (array(x, a), array(t, b)), {}, (0,))
        alpha = array(0.25, b)
        yield Case(f"alpha, {a} with {b}", FOCAL, (array(x, a), array(t, a)), {"alpha": alpha})
        yield Case(f"{a} with {b}", "smooth_labels", (array(t, a), array(0.125, b)))


def wrong() -> Iterator[Case]:
    x, t = np.ones((4, 3), np.float32), np.ones((4, 3), np.float32)
    y = np.zeros(4, np.int32)
    bad = np.ones((4, 2), np.float32)
    two = [SOFT, SAFE, POLY, BINARY, FOCAL, KL, "kl_divergence_with_log_targets", GENERALIZED]
    two += ["squared_error", "l2_loss", "huber_loss", "log_cosh", *COSINES]
    for f in two:
        yield Case("integer predictions", f, (x.astype(np.int32), t), {}, ())
        yield Case("shapes", f, (x, bad), {}, ())
        if f != "l2_loss":
            yield Case("list", f, (x.tolist(), t), {}, ())
        yield Case("list of labels", f, (x, t.tolist()), {}, ())
    for f in (POLY, KL, "kl_divergence_with_log_targets", GENERALIZED, *COSINES):
        yield Case("integer targets", f, (x, t.astype(np.int32)), {}, ())
    for f in (SOFT, POLY, KL, GENERALIZED, *COSINES):
        yield Case("axis 2", f, (x, t), {"axis": 2}, ())
        yield Case("axis twice", f, (x, t), {"axis": (0, 0)}, ())
        yield Case("where of integers", f, (x, t), {"where": np.ones((4, 3), np.int32)}, ())
        yield Case("where shape", f, (x, t), {"where": np.ones((4, 2), bool)}, ())
    for kind in (np.float32, np.bool_):
        yield Case(f"labels of {kind.__name__}", INDEX, (x, y.astype(kind)), {}, ())
    yield Case("labels of a column", INDEX, (x, y[:, None]), {}, ())
    yield Case("labels of the rank of logits", INDEX, (x, y[:, None] + np.zeros((4, 3), int)))
    yield Case("labels shape", INDEX, (x, y[:2]), {}, ())
    yield Case("0-d labels", INDEX, (x, y[0]), {}, ())
    for axis in (2, None, 1.0, (0, 0)):
        yield Case(f"axis {axis}", INDEX, (x, y), {"axis": axis}, ())
    yield Case("0-d logits", SOFT, (x[0, 0], t[0, 0]), {}, ())
    yield Case("0-d logits", INDEX, (x[0, 0], y[0]), {}, ())
    yield Case("rows of a mask", POLY, (x, t), {"where": np.ones(4, bool)}, ())
    yield Case("integers", "smooth_labels", (y, 0.1), {}, ())
    yield Case("number of targets", "squared_error", (x, 1.0), {}, ())
    # A warning, which here is an error.
    yield Case("deprecated", "convex_kl_divergence", (x, t), {}, ())


CASES = list(cases())
