"""Memory: inputs stay as they are, and may be laid out in any way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_bits, assert_true
from tests.cases import Array, narrow, need_dtype
from tests.drawn import SHARES, C, N, draw_logits
from xentropy.parity import compare, oracle
from xentropy.testing import Harness


def _arguments(seed: int) -> dict[str, Array]:
    r, x = draw_logits(seed)
    return {
        "logits": x,
        "labels": r.dirichlet(SHARES, N).astype(np.float32),
        "class_weight": r.uniform(0.5, 2, C).astype(np.float32),
        "class_mask": np.array([True, True, True, False, True]),
        "sample_weight": r.uniform(0, 2, N).astype(np.float32),
        "where": r.integers(0, 3, N) > 0,
    }


WEAK: dict[str, Callable[[Harness, Array], Any]] = {
    "arrays": lambda harness, x: harness.array(x),
    "NumPy": lambda harness, x: x,
}


@pytest.mark.parametrize("weak", WEAK)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_inputs_stay_as_they_are(harness: Harness, dtype: str, weak: str) -> None:
    """Read-only ones are accepted, and no byte of others changes."""
    need_dtype(harness, dtype)
    for writable in (False, True):
        hosts = {
            k: np.array(
                narrow(
                    v.astype(np.float64) if v.dtype.kind == "f" else v,
                    dtype if k == "logits" else "float32",
                )
            )
            for k, v in _arguments(5).items()
        }
        before = {k: v.tobytes() for k, v in hosts.items()}
        for host in hosts.values():
            host.flags.writeable = writable
        given = {
            k: harness.array(v) if k == "logits" else WEAK[weak](harness, v)
            for k, v in hosts.items()
        }
        f = xentropy.value_and_grad(xentropy.cross_entropy)
        results = [f(**given, label_smoothing=0.1, reduction=how) for how in ("none", "mean")]
        assert len(results) == 2
        assert {k: v.tobytes() for k, v in hosts.items()} == before
        strong = {k: v for k, v in given.items() if not isinstance(v, np.ndarray)}
        assert {k: harness.numpy(v).tobytes() for k, v in strong.items()} == {
            k: before[k] for k in strong
        }


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "Fortran": np.asfortranarray,
    "every second": lambda x: np.repeat(x, 2, axis=0)[::2],
    "backwards": lambda x: np.flip(np.flip(x).copy()),
    "unaligned": lambda x: np.frombuffer(b"\0" + x.tobytes(), x.dtype, offset=1).reshape(x.shape),
    "broadcast": lambda x: np.broadcast_to(x, (2, *x.shape))[1],
    "byte-swapped": lambda x: x.astype(x.dtype.newbyteorder()),
}


GRADIENT: Any = xentropy.value_and_grad(xentropy.cross_entropy)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_of_numpy_labels_and_weights(harness: Harness, layout: str) -> None:
    """Sums may be added in another order, so the bounds decide."""
    arguments, spread = _arguments(6), LAYOUTS[layout]
    x, f = arguments.pop("logits"), GRADIENT
    shares, index = arguments.pop("labels"), np.arange(N) % 3
    for labels, options in (
        (shares, arguments),
        *((index.astype(dtype), {}) for dtype in (np.int64, np.int16, np.uint32)),
    ):
        odd = {k: spread(v) for k, v in options.items()}
        value, grad = map(harness.numpy, f(harness.array(x), spread(labels), **odd))
        truth = oracle.evaluate(
            "cross_entropy", x, labels, dtype="float32", wrt=("logits",), **options
        )
        bound = compare.bound("cross_entropy", options)
        assert_true(truth, bound, value, {"logits": grad})


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_layout_of_numpy_predictions(dtype: str, layout: str) -> None:
    r, x = draw_logits(7)
    x = x.astype(dtype)
    labels, shares = r.integers(0, C, N), r.dirichlet(SHARES, N)
    for loss, t in (
        ("cross_entropy", labels),
        ("cross_entropy", shares),
        ("sigmoid_cross_entropy", shares),
        ("huber", shares),
    ):
        f: Any = xentropy.value_and_grad(getattr(xentropy, loss))
        for reduction in ("none", "mean"):
            for got, want in zip(
                f(LAYOUTS[layout](x), t, reduction=reduction),
                f(x, t, reduction=reduction),
                strict=True,
            ):
                assert got.dtype.name == want.dtype.name
                np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("loss", ["cross_entropy", "sigmoid_cross_entropy", "huber"])
def test_views_of_an_array(harness: Harness, loss: str) -> None:
    """Slices of a larger array give what a copy of them gives."""
    r, x = draw_logits(8, (2 * N, C + 3))
    t = r.uniform(size=(2 * N, C + 3)).astype(np.float32)
    rows = (slice(1, None, 2), slice(1, C + 1))
    f: Any = xentropy.value_and_grad(getattr(xentropy, loss))
    got = f(harness.array(x)[rows], harness.array(t)[rows])
    want = f(
        harness.array(np.ascontiguousarray(x[rows])), harness.array(np.ascontiguousarray(t[rows]))
    )
    assert_bits(tuple(map(harness.numpy, got)), tuple(map(harness.numpy, want)))


def test_views_of_other_numbers(harness: Harness) -> None:
    """As the imaginary part of a conjugate, whose signs are turned when it is read."""
    r, x = draw_logits(9)
    index, shares = harness.array(r.integers(0, C, N)), harness.array(r.random((N, C), np.float32))
    x = harness.array(x)
    views = harness.views(x)
    if not views:
        pytest.skip("a view always holds what its memory does: see Harness.views")
    for view in views.values():
        for name, labels in (
            ("cross_entropy", index),
            ("cross_entropy", shares),
            ("sigmoid_cross_entropy", shares),
        ):
            loss: Any = getattr(xentropy, name)
            for f in (loss, xentropy.value_and_grad(loss)):
                got, want = f(view, labels), f(x, labels)
                got, want = ((r if isinstance(r, tuple) else (r,)) for r in (got, want))
                # Not the same bits: no kernel reads such a view.
                for a, b in zip(got, want, strict=True):
                    np.testing.assert_allclose(harness.numpy(a), harness.numpy(b), rtol=1e-6)
