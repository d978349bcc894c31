"""Statistics of long rows and of many: blocks, threads, and where kernels serve."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest

import xentropy
from tests import statistics_truth as true
from tests.asserts import assert_bits, assert_within
from tests.cases import Array, compute_dtype, narrow, need_dtype, own_gradient, rng, single
from tests.test_statistics import ALL, BOUND, INF, X, Y, f
from xentropy.kernels import calls, threads
from xentropy.parity import bulk
from xentropy.testing import Harness

needs_bits = pytest.mark.skipif(
    not bulk.supported(), reason="np.longdouble is float64 here, see xentropy.parity.bulk"
)


def wide(x: Array, y: Array, scale: float) -> dict[str, Array]:
    """The statistics in extended precision, the largest term out of the sum."""
    z, rows = scale * x.astype(np.longdouble), np.arange(len(x))
    top = z.argmax(1)
    most = z[rows, top]
    z = z - most[:, None]
    e = np.exp(z)
    spread = -np.sum(e * np.where(e > 0, z, 0), 1)
    e[rows, top] = 0
    rest = np.sum(e, 1)
    log_rest = np.log1p(rest)
    entropy = log_rest + spread / (1 + rest)
    return {"log_prob": z[rows, y] - log_rest, "logsumexp": most + log_rest, "entropy": entropy}


@needs_bits
@pytest.mark.parametrize(
    ("dtype", "scale"), [("float32", 1.0), ("float32", 0.375), ("float64", 1.0), ("bfloat16", 1.0)]
)
@pytest.mark.parametrize("n", [1, 15, 17, 255, 257, 2047, 2049, 4097, 33001, 200003])
def test_in_bulk(harness: Harness, n: int, dtype: str, scale: float) -> None:
    """Around the lengths of a vector, a part and a unit; the maximum anywhere, and rising."""
    need_dtype(harness, dtype)
    r = rng(f"bulk {n}")
    x = 4 * r.normal(size=(8, n))
    x[1, -1] = x[2, 0] = x[3, n // 2] = 60
    x[4].sort()
    x[5] = np.sort(x[5])[::-1]
    x[6, : n // 2], x[7, n // 2 :] = -INF, -INF
    x[6:, n // 2] = 0.25
    x, y = narrow(x, dtype), r.integers(0, n, 8)
    wider = x.astype(compute_dtype(dtype))
    found = f(harness.array(x), harness.array(y), outputs=ALL[:-1], scale=scale)
    want = wide(wider, y, scale)
    scales = {name: np.abs(value) for name, value in want.items()}
    scales["logsumexp"] = np.maximum(scales["logsumexp"], np.abs(scale * wider.max(1)))
    for name, value in want.items():
        assert_within(harness.numpy(getattr(found, name)), value, scales[name], BOUND.value)
    own, c = wider[np.arange(8), y][:, None], np.arange(n)
    rank = np.sum((wider > own) | ((wider == own) & (c < y[:, None])), 1)
    np.testing.assert_array_equal(harness.numpy(found.rank), rank)
    np.testing.assert_array_equal(harness.numpy(found.correct), rank == 0)


@pytest.mark.parametrize("k", [3, 200])
def test_blocks_change_nothing(harness: Harness, k: int) -> None:
    """Of rows, of which some are ignored, with masks of all or of each."""
    r, n = rng("blocks"), 70_001
    x, y = single(r.normal(size=(3, n, 2))), r.integers(0, n, (3, 2))
    y[1, 0] = -1
    for shape in ((n,), (3, n, 2), (3, n, 1)):
        mask = r.random(shape) < 0.7
        options = {"outputs": (*ALL[:-1], ("top_k", k)), "ignore_index": -1}
        given = {"class_mask": harness.array(mask), "axis": 1}
        found = f(harness.array(x), harness.array(y), **given, **options)
        full = np.broadcast_to(mask[:, None] if mask.ndim == 1 else mask, x.shape)
        for i, j in np.ndindex(y.shape):
            row, kept = harness.array(x[i, :, j].copy()), harness.array(full[i, :, j].copy())
            alone = f(row, harness.array(y[i, j]), class_mask=kept, **options)
            for name, value in found._asdict().items():
                one = harness.numpy(getattr(alone, name))
                if name in true.REAL:
                    np.testing.assert_array_max_ulp(harness.numpy(value)[i, j], one, BOUND.value)
                else:
                    np.testing.assert_array_equal(harness.numpy(value)[i, j], one)


def test_threads_change_nothing(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the rows are shared out."""
    x, y = harness.array(single(rng("threads").normal(size=(7, 700)))), harness.array(np.arange(7))
    monkeypatch.setattr(threads, "GRAIN", 10)
    results = []
    for n in (1, 2, 16):
        monkeypatch.setattr(threads, "cores", lambda n=n: n)
        results.append(tuple(map(harness.numpy, f(x, y, outputs=ALL))))
    assert_bits(results[0], results[1])
    assert_bits(results[0], results[2])


def test_kernels_serve_what_is_not_differentiated(harness: Harness) -> None:
    """In eager calls; where a derivative may be asked for the formulas do."""
    given = harness.array(single(X)), harness.array(Y)
    backend = xentropy.backend_of(given[0])
    if not set(backend.kernels()) & {"numba", "numpy"} or backend.name == "jax":
        pytest.skip(f"{harness} has no kernels of its own memory")
    with mock.patch.object(calls, "statistics", wraps=calls.statistics) as seen:
        f(*given, outputs=ALL)
        assert seen.call_count == 1
        arrays = dict(zip("xy", given, strict=True))
        own_gradient(harness, lambda x, y: f(x, y, outputs="entropy")[0], arrays, ("x",))
        assert seen.call_count == 1
