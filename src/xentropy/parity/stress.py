"""What losses break on: confidence, offsets, infinities, 16 bits, many classes, every option."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .cases import LOSSES, Case, of_layer
from .examples import MAIN, arguments, with_index

__all__ = ["half", "long_rows", "many_classes", "options", "rows"]

Array: TypeAlias = npt.NDArray[Any]

_N, _C = 64, 10
"""One shape for most, so that a compiled function serves many cases."""
_LOGITS_LOSSES = (
    "cross_entropy",
    "softmax_cross_entropy",
    "sparse_softmax_cross_entropy",
    "sigmoid_cross_entropy",
    "sigmoid_focal_cross_entropy",
    "softmax_focal_cross_entropy",
    "poly_cross_entropy",
    "kl_divergence",
    "logsumexp",
    "log_softmax",
    "softmax_statistics.log_prob",
    "softmax_statistics.logsumexp",
    "softmax_statistics.entropy",
)


def _confident(rng: np.random.Generator) -> tuple[Array, Array]:
    """Return rows up to 700 apart, nine in ten with the label on the largest."""
    x = rng.normal(size=(_N, _C)) * 10.0 ** rng.uniform(0, 2.4, (_N, 1))
    x[:4] = 0.0
    x[:4, 0] = (40.0, 88.0, 104.0, 710.0)
    index = x.argmax(axis=1)
    index[::10] = x.argmin(axis=1)[::10]
    return x, np.eye(_C)[index]


def _offset(rng: np.random.Generator) -> tuple[Array, Array]:
    """Return rows near ±1e3 to ±1e6, and some near the largest float32."""
    size = 10.0 ** rng.integers(3, 7, (_N, 1)) * rng.choice((-1, 1), (_N, 1))
    x = rng.normal(size=(_N, _C)) * 3 + size
    x[:2] = 3e38 * rng.choice((-1, 1), (2, _C))
    x[2:4] = 3e38
    return x, np.eye(_C)[rng.integers(0, _C, _N)]


def _infinite(rng: np.random.Generator) -> tuple[Array, Array]:
    """Return rows with -inf off the target, on it and everywhere, with +inf and with NaN."""
    x = rng.normal(size=(_N, _C)) * 3
    index = rng.integers(0, _C, _N)
    x[rng.random((_N, _C)) < 0.4] = -np.inf
    x[np.arange(_N), index] = rng.normal(size=_N)
    x[0, index[0]] = -np.inf
    x[1] = -np.inf
    x[2, 3], x[3, 4] = np.inf, np.nan
    return x, np.eye(_C)[index]


def rows() -> Iterator[Case]:
    """Yield difficult logits for the losses of logits."""
    rng = np.random.default_rng(11)
    families = {"confident rows": _confident, "offsets": _offset, "infinities": _infinite}
    for name, make in families.items():
        logits, labels = make(rng)
        for loss in _LOGITS_LOSSES:
            if name == "infinities" and loss == "kl_divergence":
                continue  # its teacher is made of the logits
            prediction, targets = arguments(loss, logits, labels)
            yield from with_index(Case(name, loss, prediction, targets, compiled=loss in MAIN))


def many_classes(classes: int) -> Case:
    """Return a vocabulary of logits."""
    rng = np.random.default_rng(12)
    x, index = rng.normal(size=(3, classes)) * 4, rng.integers(0, classes, 3)
    x[0, index[0]] = 30.0
    return Case(f"{classes} classes", "sparse_softmax_cross_entropy", x, index)


def long_rows() -> Iterator[Case]:
    """Yield a thousand classes, where the order of a sum begins to show."""
    rng = np.random.default_rng(15)
    x, index = rng.normal(size=(256, 1000)) * 6, rng.integers(0, 1000, 256)
    loss, smoothing = "sparse_softmax_cross_entropy", {"label_smoothing": 0.1}
    yield Case("1000 classes", loss, x, index, compiled=True)
    yield Case("1000 classes, label_smoothing", loss, x, index, smoothing, compiled=True)
    soft = rng.dirichlet(np.ones(1000), 256)
    yield Case("1000 classes, soft labels", "softmax_cross_entropy", x, soft)
    layer = {"weight": rng.normal(size=(1000, 64)) / 2}
    yield Case("1000 classes", "linear_cross_entropy", rng.normal(size=(256, 64)), index, layer)


def half() -> Iterator[Case]:
    """Yield inputs to be rounded to 16 bits."""
    rng = np.random.default_rng(13)
    x = rng.normal(size=(_N, _C)) * 10.0 ** rng.uniform(0, 2, (_N, 1))
    labels = np.eye(_C)[rng.integers(0, _C, _N)]
    more = ("binary_cross_entropy", "squared_error", "huber")
    for loss in _LOGITS_LOSSES + more:
        logits = x / 20 if loss == "binary_cross_entropy" else x
        yield from with_index(Case("16-bit inputs", loss, *arguments(loss, logits, labels)))


def options() -> Iterator[Case]:
    """Yield every loss with its options."""
    rng = np.random.default_rng(14)
    logits = rng.normal(size=(_N, _C)) * 4
    index = rng.integers(0, _C, _N)
    soft = rng.dirichlet(np.ones(_C), _N)
    yield from _index_options(rng, logits, index)
    yield from _dense_options(rng, logits, soft)
    yield from _binary_options(rng, logits, np.eye(_C)[index], soft)
    yield from _probability_options(rng, logits, index, soft)
    yield from _regression_options(rng)
    mask = rng.random((_N, _C)) < 0.6
    mask[:, 0] = True
    yield Case("where", "logsumexp", logits, None, {"where": mask, "keepdims": True})
    yield Case("axis=0", "logsumexp", logits, None, {"axis": 0})
    yield Case("where", "log_softmax", logits, None, {"where": mask[0]})
    yield from _statistics_options(rng, logits, index)
    yield from _layer_options(rng, index, soft)


def _index_options(rng: np.random.Generator, logits: Array, index: Array) -> Iterator[Case]:
    loss, weight = "sparse_softmax_cross_entropy", rng.uniform(0.2, 3, _C)
    some = np.where(rng.random(_N) < 0.3, -100, index)
    where, each = rng.random(_N) < 0.7, rng.uniform(0, 2, _N)
    mask = np.arange(_C) != 7
    kept = np.where(index == 7, 0, index)
    yield Case("class_weight", loss, logits, index, {"class_weight": weight})
    yield Case("label_smoothing", loss, logits, index, {"label_smoothing": 0.1})
    yield Case("z_loss", loss, logits, index, {"z_loss": 1e-4})
    yield Case("class_mask", loss, logits, kept, {"class_mask": mask})
    yield Case("ignore_index", loss, logits, some, {"ignore_index": -100})
    wild = logits.copy()
    wild[~where] = np.nan
    yield Case("where", loss, wild, index, {"where": where, "sample_weight": each})
    every = {
        "class_weight": weight,
        "label_smoothing": 0.1,
        "z_loss": 1e-4,
        "ignore_index": -100,
        "sample_weight": each,
    }
    yield Case("all options", loss, logits, some, every)
    yield Case("all options, index labels", "cross_entropy", logits, some, every)
    yield Case("mean of all options", loss, logits, some, every | {"reduction": "mean"})
    for gamma in (0.0, 0.5, 5.0):
        focal = {"gamma": gamma, "alpha": weight}
        yield Case(f"gamma={gamma:g}", "softmax_focal_cross_entropy", logits, index, focal)
    for epsilon in (-1.0, 2.0):
        poly = {"epsilon": epsilon, "class_weight": weight, "label_smoothing": 0.1}
        yield Case(f"epsilon={epsilon:g}", "poly_cross_entropy", logits, index, poly)


def _dense_options(rng: np.random.Generator, logits: Array, soft: Array) -> Iterator[Case]:
    loss, weight = "softmax_cross_entropy", rng.uniform(0.2, 3, _C)
    yield Case("soft labels", loss, logits, soft)
    yield Case("negative labels", loss, logits, rng.normal(size=soft.shape))
    weights = {"class_weight": weight, "label_smoothing": 0.1, "z_loss": 1e-4}
    yield Case("all options", loss, logits, soft, weights)
    yield Case("axis=0", "cross_entropy", logits.T.copy(), soft.T.copy(), {"axis": 0})
    yield Case("class_mask", "cross_entropy", logits, soft * (soft > 0.05), _masked(soft))
    yield Case("soft labels", "softmax_focal_cross_entropy", logits, soft, {"gamma": 3.0})
    yield Case("soft labels", "poly_cross_entropy", logits, soft)
    sparse = soft * (soft > 0.1)
    for temperature in (0.5, 4.0):
        heat = {"temperature": temperature}
        yield Case(f"temperature={temperature:g}", "kl_divergence", logits, sparse, heat)


def _masked(soft: Array) -> dict[str, Any]:
    return {"class_mask": soft > 0.05, "where": np.arange(len(soft)) % 3 != 0}


def _binary_options(
    rng: np.random.Generator, logits: Array, hard: Array, soft: Array
) -> Iterator[Case]:
    weight, each = rng.uniform(0.2, 5, _C), rng.uniform(0, 2, (_N, 1))
    yield Case("pos_weight", "sigmoid_cross_entropy", logits, hard, {"pos_weight": weight})
    smooth = {"label_smoothing": 0.1, "sample_weight": each}
    yield Case("label_smoothing", "sigmoid_cross_entropy", logits, hard, smooth)
    yield Case("soft labels", "sigmoid_cross_entropy", logits, soft)
    wide = rng.choice((-1, 1), (_N, _C)) * 10.0 ** rng.uniform(-6, 2.8, (_N, _C))
    yield Case("confident", "weighted_sigmoid_cross_entropy", wide, hard, {"pos_weight": weight})
    for gamma in (0.0, 0.5, 5.0):
        focal: dict[str, Any] = {"gamma": gamma, "alpha": 0.25}
        yield Case(f"gamma={gamma:g}", "sigmoid_focal_cross_entropy", wide, hard, focal)
    focal = {"alpha": weight / 5, "label_smoothing": 0.1}
    yield Case("all options", "sigmoid_focal_cross_entropy", logits, soft, focal)


def _probability_options(
    rng: np.random.Generator, logits: Array, index: Array, soft: Array
) -> Iterator[Case]:
    weight = rng.uniform(0.2, 3, _C)
    near = 10.0 ** -rng.uniform(0.1, 12, (_N, _C))
    near[::2] = 1 - near[::2]
    bits = np.eye(_C)[index]
    yield Case("near 0 and 1", "binary_cross_entropy", near, bits)
    yield Case("label_smoothing", "binary_cross_entropy", near, bits, {"label_smoothing": 0.1})
    probs, _ = arguments("categorical_cross_entropy", logits, bits)
    weights = {"class_weight": weight, "label_smoothing": 0.1}
    yield Case("all options", "categorical_cross_entropy", probs, soft, weights)
    some = np.where(rng.random(_N) < 0.3, -1, index)
    ignored = {"class_weight": weight, "ignore_index": -1}
    yield Case("all options", "sparse_categorical_cross_entropy", probs, some, ignored)


def _regression_options(rng: np.random.Generator) -> Iterator[Case]:
    target = rng.normal(size=(_N, _C))
    error = rng.choice((-1, 1), (_N, _C)) * 10.0 ** rng.uniform(-9, 4, (_N, _C))
    zero = np.zeros_like(target)
    for loss in ("squared_error", "absolute_error", "huber", "smooth_l1", "log_cosh"):
        yield Case("wide errors", loss, error, zero)
        yield Case("cancelling", loss, target + error * 1e-3, target)
    yield Case("delta=0.25", "huber", error, target, {"delta": 0.25})
    for beta in (0.0, 0.1):
        yield Case(f"beta={beta:g}", "smooth_l1", error, target, {"beta": beta})
    each = {"sample_weight": rng.uniform(0, 2, (_N, _C)), "where": rng.random((_N, 1)) < 0.7}
    for loss in ("mean_squared_error", "mean_absolute_error"):
        yield Case("sample_weight", loss, error, target, each)


def _statistics_options(rng: np.random.Generator, logits: Array, index: Array) -> Iterator[Case]:
    mask = (rng.random((_N, _C)) < 0.6) | np.eye(_C, dtype=bool)[index]
    some = np.where(rng.random(_N) < 0.3, -100, index)
    for loss in ("log_prob", "logsumexp", "entropy"):
        name, masked = f"softmax_statistics.{loss}", {"class_mask": mask, "scale": 0.7}
        yield Case("class_mask", name, *arguments(name, logits, np.eye(_C)[index]), masked)
    log_prob, entropy = "softmax_statistics.log_prob", "softmax_statistics.entropy"
    yield Case("ignore_index", log_prob, logits, some, {"ignore_index": -100})
    yield Case("axis=0", entropy, logits.T.copy(), None, {"axis": 0})


def _layer_options(rng: np.random.Generator, index: Array, soft: Array) -> Iterator[Case]:
    hidden, weight = rng.normal(size=(_N, 16)), rng.normal(size=(_C, 16))
    layer = {"weight": weight, "bias": rng.normal(size=_C), "scale": 0.7, "softcap": 5.0}
    for loss in filter(of_layer, LOSSES):
        yield Case("a bias and a cap", loss, *arguments(loss, hidden, np.eye(_C)[index]), layer)
    loss = "linear_cross_entropy"
    yield Case("soft labels", loss, hidden, soft, {"weight": weight})
    large = hidden * 10.0 ** rng.uniform(0, 2, (_N, 1))
    sure = (large @ weight.T).argmax(axis=1)
    yield Case("confident rows", loss, large, sure, {"weight": weight})
    every = {
        "class_weight": rng.uniform(0.2, 3, _C),
        "label_smoothing": 0.1,
        "z_loss": 1e-4,
        "ignore_index": -100,
        "sample_weight": rng.uniform(0, 2, _N),
    }
    some = np.where(rng.random(_N) < 0.3, -100, index)
    yield Case("all options", loss, hidden, some, layer | every)
    yield Case("mean of all options", loss, hidden, some, layer | every | {"reduction": "mean"})
