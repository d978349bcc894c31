"""The calls under test as data: a loss, its inputs and options, and what to differentiate by."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

import xentropy
from xentropy.parity import compare, oracle
from xentropy.testing import Harness

__all__ = [
    "CASES",
    "Array",
    "Case",
    "check",
    "check_case",
    "compute_dtype",
    "narrow",
    "need_dtype",
    "own_gradient",
    "rng",
    "select",
    "single",
]

Array: TypeAlias = npt.NDArray[Any]

N, C = 4, 7
BOTH = ("float32", "float64")
HALF = ("float16", "bfloat16")
INF = np.inf


def rng(name: str) -> np.random.Generator:
    """Return the random numbers of a name, the same in every process."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def compute_dtype(dtype: str) -> str:
    """Return the dtype that predictions of `dtype` are computed in."""
    return "float64" if dtype == "float64" else "float32"


def single(values: Any) -> Array:
    """Return float32."""
    return np.asarray(values, dtype=np.float32)


def narrow(array: Array, dtype: str) -> Array:
    """Return a floating array in `dtype`, which may be bfloat16; others as they are."""
    if array.dtype.kind != "f":
        return array
    return array.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


@dataclass(frozen=True, eq=False)
class Case:
    """One call of a loss.

    Attributes
    ----------
    name
        Of the case, for its id and its random numbers.
    loss
        The public name.
    arrays
        By argument name, predictions first, then labels, float64 where floating.
    options
        The arguments that are not arrays.
    wrt
        Names of arguments to differentiate by.
    dtypes
        Of the predictions; other floating arguments are in the compute dtype.
    compiled
        Whether the case is run in every mode: a compilation costs seconds.
    """

    name: str
    loss: str
    arrays: Mapping[str, Array]
    options: Mapping[str, Any] = field(default_factory=dict)
    wrt: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = BOTH
    compiled: bool = False

    def __repr__(self) -> str:
        return self.name

    @property
    def first(self) -> str:
        """Name of the predictions."""
        return next(iter(self.arrays))

    def inputs(self, dtype: str) -> dict[str, Array]:
        """Return the arrays as they are passed."""
        wide = compute_dtype(dtype)
        return {
            name: narrow(array, dtype if name == self.first else wide)
            for name, array in self.arrays.items()
        }

    def give(self, harness: Harness, dtype: str) -> dict[str, Any]:
        """Return the arrays as those of a framework."""
        return {name: harness.array(array) for name, array in self.inputs(dtype).items()}

    def function(self, **more: Any) -> Callable[..., Any]:
        """Return the loss as a function of nothing but the arrays, in order."""
        loss, names = getattr(xentropy, self.loss), tuple(self.arrays)

        def call(*arrays: Any) -> Any:
            given = dict(zip(names, arrays, strict=True))
            return loss(**given, **self.options, **more)

        return call

    def value_and_grads(self, harness: Harness, dtype: str, **more: Any) -> tuple[Any, Any]:
        """Return the loss and its gradients by argument name."""
        loss = getattr(xentropy, self.loss)
        given = self.give(harness, dtype)
        grad = xentropy.value_and_grad(loss, self.wrt)
        value, grads = grad(**given, **self.options, **more)
        return value, dict(zip(self.wrt, grads, strict=True))

    def truth(self, dtype: str, **replaced: Any) -> oracle.Truth:
        """Return the true losses and gradients, some arguments replaced."""
        first, *others = {**self.inputs(dtype), **replaced}.values()
        names = tuple(self.arrays)[1:]
        given: dict[str, Any] = dict(zip(names, others, strict=True))
        labels = next((given.pop(k) for k in ("labels", "targets") if k in given), None)
        options = {**given, **self.options}
        return oracle.evaluate(self.loss, first, labels, dtype=dtype, wrt=self.wrt, **options)


def select(wanted: Callable[[Case], bool] = lambda case: True) -> list[Any]:
    """Return the cases and dtypes that a test is to be parametrized with."""
    return [(case, dtype) for case in CASES if wanted(case) for dtype in case.dtypes]


def need_dtype(harness: Harness, dtype: str) -> None:
    """Skip where the framework has no such floating dtype: the standard has no 16-bit ones."""
    try:
        harness.array(narrow(np.zeros(1), dtype))
    except TypeError as error:
        pytest.skip(f"{harness} has no {dtype}: {error}")


def check(got: Array, truth: Array, scale: Array, most: float, dtype: str | None = None) -> None:
    """Compare with the truth, to at most some ulp of the scale in `dtype`, by default its own."""
    off = compare.ulp_errors(got, truth, scale, dtype or got.dtype.name)
    assert np.max(off, initial=0) <= most, f"{np.max(off):.3g} ulp, at most {most}\n{off}"


def check_case(case: Case, dtype: str, value: Array, grads: Mapping[str, Array]) -> None:
    """Compare the losses and gradients of a case with the truth."""
    truth, bound = case.truth(dtype), compare.bound(case.loss, case.options)
    assert value.dtype.name == compute_dtype(dtype)
    check(value, truth.value, truth.value_scale, bound.value)
    for name, grad in grads.items():
        wanted = dtype if name == case.first else compute_dtype(dtype)
        assert grad.dtype.name == wanted, name
        check(grad, truth.grads[name], truth.grad_scales[name], bound.gradient_in(wanted))


def own_gradient(
    harness: Harness, f: Callable[..., Any], arrays: Mapping[str, Any], wrt: tuple[str, ...]
) -> dict[str, Array]:
    """Return the framework's own gradient of the sum of `f`; nothing where it has none."""
    backend = xentropy.backend_of(next(iter(arrays.values())))
    if not backend.autodiff:
        return {}

    def total(*xs: Any) -> Any:
        y = f(*xs)
        return backend.xp.sum(y, axis=None, keepdims=False) if y.ndim else y

    argnums = tuple(list(arrays).index(name) for name in wrt)
    grads = harness.gradient(total, tuple(arrays.values()), argnums)
    return {name: harness.numpy(g) for name, g in zip(wrt, grads, strict=True)}


# --- inputs -----------------------------------------------------------------------------------


def _confident(r: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Rows with one class 40 nats above the others."""
    x = r.uniform(-1, 1, shape)
    x[..., 0] += 40.0
    return x


def _thousands(r: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return r.choice([-1000.0, 1000.0], shape)


LOGITS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {
    "scale 0.1": lambda r, s: 0.1 * r.normal(size=s),
    "scale 1": lambda r, s: r.normal(size=s),
    "scale 10": lambda r, s: 10 * r.normal(size=s),
    "scale 100": lambda r, s: 100 * r.normal(size=s),
    "offset 1e4": lambda r, s: 1e4 + 3 * r.normal(size=s),
    "confident": _confident,
    "thousands": _thousands,
    "all equal": lambda r, s: np.zeros(s),
}


def _index(r: np.random.Generator, n: int = N, c: int = C) -> Array:
    """Index labels, of which one is the confident class."""
    labels = r.integers(0, c, n)
    labels[0] = 0
    return labels


def _one_hot(index: Array, c: int = C) -> Array:
    return np.eye(c)[index]


def _shares(r: np.random.Generator, shape: tuple[int, ...] = (N, C)) -> Array:
    return r.dirichlet(np.ones(shape[-1]), shape[:-1])


LABELS: dict[str, Callable[[np.random.Generator], Array]] = {
    "index": _index,
    "one-hot": lambda r: _one_hot(_index(r)),
    "dense": _shares,
}


# --- softmax ----------------------------------------------------------------------------------

_EITHER = {"index": "sparse_softmax_cross_entropy"}
_INDEX_WRT, _DENSE_WRT = ("logits",), ("logits", "labels")


def _wrt(labels: str, *more: str) -> tuple[str, ...]:
    return ("logits", *(() if labels == "index" else ("labels",)), *more)


def _softmax_inputs() -> Iterator[Case]:
    for (recipe, make), (kind, label) in itertools.product(LOGITS.items(), LABELS.items()):
        name = f"softmax {kind} {recipe}"
        r = rng(name)
        yield Case(
            name,
            _EITHER.get(kind, "softmax_cross_entropy"),
            {"logits": make(r, (N, C)), "labels": label(r)},
            wrt=_wrt(kind),
        )
    for kind, label in LABELS.items():
        r = rng(f"softmax off target {kind}")
        x, labels = r.normal(size=(N, C)), label(r)
        x[:, 3] = -INF
        labels = np.where(labels == 3, 2, labels) if kind == "index" else labels.copy()
        if kind != "index":
            labels[:, 3] = 0
        yield Case(
            f"softmax {kind} -inf off target",
            "cross_entropy",
            {"logits": x, "labels": labels},
            wrt=("logits",),
        )


def _softmax_labels() -> Iterator[Case]:
    """Labels that are no distribution of the shape of the logits."""
    r = rng("softmax labels")
    x = 3 * r.normal(size=(N, C))
    shaped: dict[str, Array] = {
        "not normalized": 3 * _shares(r),
        "negative": r.normal(size=(N, C)),
        "one row": _shares(r, (1, C)),
        "one column": r.uniform(size=(N, 1)),
        "scalar": np.array(0.3),
        "integer": r.integers(0, 3, (N, C)),
        "bool": r.integers(0, 2, (N, C)).astype(bool),
        "zero": np.zeros((N, C)),
    }
    for kind, labels in shaped.items():
        yield Case(
            f"softmax labels {kind}",
            "softmax_cross_entropy",
            {"logits": x, "labels": labels},
            wrt=_DENSE_WRT if labels.dtype.kind == "f" else _INDEX_WRT,
            dtypes=BOTH[:1],
        )
    for kind, label in LABELS.items():
        yield Case(
            f"softmax one class {kind}",
            "cross_entropy",
            {
                "logits": x[:, :1],
                "labels": label(r)[:, :1] if kind != "index" else np.zeros(N, int),
            },
            wrt=_wrt(kind),
            dtypes=BOTH[:1],
        )
        yield Case(
            f"softmax one example {kind}",
            "cross_entropy",
            {"logits": x[0], "labels": label(r)[0]},
            wrt=_wrt(kind),
            dtypes=BOTH[1:],
        )


def _softmax_axes() -> Iterator[Case]:
    r = rng("softmax axes")
    x = 4 * r.normal(size=(3, 4, 5))
    for axis, loss in ((0, "poly_cross_entropy"), (1, "cross_entropy"), (-1, "cross_entropy")):
        c, batch = x.shape[axis], tuple(np.delete(x.shape, axis).tolist())
        index = r.integers(0, c, batch)
        dense = np.moveaxis(_shares(r, (*batch, c)), -1, axis)
        options: dict[str, Array] = {
            "class_weight": r.uniform(0.5, 2, (c,)),
            "class_mask": np.ones(c, bool),
            "sample_weight": r.uniform(0.5, 2, (batch[0], 1)),
            "where": r.integers(0, 4, batch) > 0,
        }
        for kind, labels in (("index", index), ("dense", dense)):
            yield Case(
                f"{loss} axis {axis} {kind}",
                loss,
                {"logits": x, "labels": labels, **options},
                {"axis": axis, "label_smoothing": 0.2, "z_loss": 0.01},
                wrt=_wrt(kind, "class_weight", "sample_weight"),
                dtypes=("float32",) if axis == 0 else ("float64",),
            )


def _options(r: np.random.Generator) -> dict[str, tuple[dict[str, Array], dict[str, Any]]]:
    """Each option of the softmax losses alone, and all of them."""
    keep = np.array([True, True, False, True, True, True, True])
    rows = r.integers(0, 3, (N, C)) > 0
    rows[:, :2] = True
    weight, each = r.uniform(0.5, 2, C), r.uniform(0.5, 2, N)
    few = np.array([True, False, True, True])
    single: dict[str, tuple[dict[str, Array], dict[str, Any]]] = {
        "class weight": ({"class_weight": weight}, {}),
        "class weight scalar": ({"class_weight": np.array(1.7)}, {}),
        "class weight zeros": ({"class_weight": np.array([0, 1, 0, 2, 1, 0, 0.5])}, {}),
        "class weight negative": ({"class_weight": r.normal(size=C)}, {}),
        "class mask": ({"class_mask": keep}, {}),
        "class mask rows": ({"class_mask": rows}, {}),
        "class mask column": ({"class_mask": keep[None, :]}, {}),
        "smoothing": ({}, {"label_smoothing": 0.1}),
        "smoothing whole": ({}, {"label_smoothing": 1.0}),
        "z-loss": ({}, {"z_loss": 1e-2}),
        "z-loss smoothing": ({}, {"z_loss": 1e-2, "label_smoothing": 0.3}),
        "sample weight": ({"sample_weight": each}, {}),
        "sample weight one": ({"sample_weight": each[:1]}, {}),
        "sample weight scalar": ({"sample_weight": np.array(0.7)}, {}),
        "sample weight zeros": ({"sample_weight": each * few}, {}),
        "where": ({"where": few}, {}),
        "where nothing": ({"where": np.array(False)}, {}),
        "mask and smoothing": ({"class_mask": keep}, {"label_smoothing": 0.25}),
        "weight and smoothing": ({"class_weight": weight}, {"label_smoothing": 0.25}),
    }
    single["everything"] = (
        {"class_weight": weight, "class_mask": keep, "sample_weight": each, "where": few},
        {"label_smoothing": 0.2, "z_loss": 0.02},
    )
    return single


_WEIGHTS = ("class_weight", "sample_weight", "pos_weight", "alpha")


def _softmax_options() -> Iterator[Case]:
    for kind, label in LABELS.items():
        for option, (arrays, numbers) in _options(rng(f"softmax options {kind}")).items():
            name = f"softmax {kind} {option}"
            r = rng(name)
            labels = label(r)
            if "class_mask" in arrays:  # a label on a removed class belongs to the extremes
                labels = labels % 2 if kind == "index" else labels * arrays["class_mask"]
            yield Case(
                name,
                "cross_entropy",
                {"logits": 4 * r.normal(size=(N, C)), "labels": labels, **arrays},
                numbers,
                wrt=_wrt(kind, *(k for k in _WEIGHTS if k in arrays)),
                dtypes=BOTH[1:] if option == "everything" else BOTH[:1],
                compiled=option == "everything" and kind != "one-hot",
            )
    r = rng("softmax ignored")
    labels = np.array([2, 5, -100, 5])
    for k in (-100, 5, 3):
        yield Case(
            f"softmax ignore {k}",
            "sparse_softmax_cross_entropy",
            {"logits": r.normal(size=(N, C)), "labels": np.where(labels == k, k, labels % C)},
            {"ignore_index": k, "label_smoothing": 0.1},
            wrt=_INDEX_WRT,
            dtypes=BOTH[:1],
        )


def _poly() -> Iterator[Case]:
    for e, (kind, label) in itertools.product((1.0, 0.0, -0.75, 10.0), LABELS.items()):
        name = f"poly {kind} {e}"
        r = rng(name)
        recipe = "confident" if e == 1.0 else "scale 1"
        yield Case(
            name,
            "poly_cross_entropy",
            {"logits": LOGITS[recipe](r, (N, C)), "labels": label(r)},
            {"epsilon": e},
            wrt=_wrt(kind),
        )
    for kind, label in LABELS.items():
        r = rng(f"poly options {kind}")
        arrays, numbers = _options(r)["everything"]
        labels = label(r)
        labels = labels % 2 if kind == "index" else labels * arrays["class_mask"]
        yield Case(
            f"poly {kind} everything",
            "poly_cross_entropy",
            {"logits": 4 * r.normal(size=(N, C)), "labels": labels, **arrays},
            {**numbers, "epsilon": 2.0},
            wrt=_wrt(kind, "class_weight", "sample_weight"),
            dtypes=BOTH[:1],
        )


def _softmax_focal() -> Iterator[Case]:
    recipes = ("scale 1", "scale 10", "confident", "thousands", "offset 1e4")
    for g, recipe, (kind, label) in itertools.product(
        (0.0, 0.5, 2.0, 3.7), recipes, LABELS.items()
    ):
        name = f"softmax focal {kind} {g} {recipe}"
        r = rng(name)
        yield Case(
            name,
            "softmax_focal_cross_entropy",
            {"logits": LOGITS[recipe](r, (N, C)), "labels": label(r)},
            {"gamma": g},
            wrt=_wrt(kind),
            dtypes=BOTH[:1] if kind == "index" else BOTH[1:],
            compiled=(kind, g, recipe) == ("index", 2.0, "scale 10"),
        )
    for kind, label in LABELS.items():
        r = rng(f"softmax focal options {kind}")
        for alpha in (np.array(0.25), r.uniform(0.2, 0.8, C)):
            yield Case(
                f"softmax focal {kind} alpha {alpha.shape}",
                "softmax_focal_cross_entropy",
                {
                    "logits": 2 * r.normal(size=(N, C)),
                    "labels": label(r),
                    "alpha": alpha,
                    "sample_weight": r.uniform(size=N),
                    "where": np.array([True, True, False, True]),
                },
                {"gamma": 1.5},
                wrt=_wrt(kind, "alpha", "sample_weight"),
                dtypes=BOTH[alpha.ndim :][:1],
            )


def _divergences() -> Iterator[Case]:
    recipes = ("scale 0.1", "scale 1", "scale 10", "confident", "thousands", "offset 1e4")
    for heat, recipe in itertools.product((1.0, 0.5, 2.5), recipes):
        name = f"kl {heat} {recipe}"
        r = rng(name)
        labels = _shares(r)
        labels[:, 1] = 0
        yield Case(
            name,
            "kl_divergence",
            {"logits": LOGITS[recipe](r, (N, C)), "labels": labels},
            {"temperature": heat},
            wrt=_DENSE_WRT,
            dtypes=BOTH if heat == 2.5 else BOTH[:1],
        )
    r = rng("kl options")
    yield Case(
        "kl axis and weights",
        "kl_divergence",
        {
            "logits": r.normal(size=(3, 4, 5)),
            "labels": np.moveaxis(_shares(r, (3, 5, 4)), -1, 1),
            "sample_weight": r.uniform(size=(1, 5)),
            "where": r.integers(0, 3, (3, 1)) > 0,
        },
        {"axis": 1, "temperature": 2.0},
        wrt=("logits", "labels", "sample_weight"),
        dtypes=BOTH[:1],
    )


# --- probabilities ----------------------------------------------------------------------------

PROBS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {
    "uniform": lambda r, s: r.uniform(0.02, 0.98, s),
    "tiny": lambda r, s: 10 ** r.uniform(-30, -3, s),
    "nearly one": lambda r, s: 1 - 2.0 ** -r.integers(3, 23, s),
}


def _probabilities() -> Iterator[Case]:
    for (recipe, make), (kind, label) in itertools.product(PROBS.items(), LABELS.items()):
        for option in ("plain", "smoothing", "class weight", "everything"):
            name = f"categorical {kind} {recipe} {option}"
            r = rng(name)
            arrays, numbers = _options(r)[option] if option != "plain" else ({}, {})
            arrays = {k: v for k, v in arrays.items() if k != "class_mask"}
            numbers = {k: v for k, v in numbers.items() if k != "z_loss"}
            loss = "categorical_cross_entropy"
            yield Case(
                name,
                f"sparse_{loss}" if kind == "index" else loss,
                {"probs": make(r, (N, C)), "labels": label(r), **arrays},
                numbers,
                wrt=("probs", *_wrt(kind, *(k for k in _WEIGHTS if k in arrays))[1:]),
                dtypes=BOTH if (option, kind) == ("plain", "dense") else BOTH[:1],
            )
    for (recipe, make), (kind, labels) in itertools.product(
        PROBS.items(), _binary_labels().items()
    ):
        for smoothing in (0.0, 0.2):
            name = f"binary {recipe} {kind} {smoothing}"
            r = rng(name)
            yield Case(
                name,
                "binary_cross_entropy",
                {"probs": make(r, (N, C)), "labels": labels},
                {"label_smoothing": smoothing},
                wrt=("probs", "labels") if labels.dtype.kind == "f" else ("probs",),
                dtypes=BOTH[:1] if smoothing or kind == "bool" else BOTH,
            )


# --- elementwise ------------------------------------------------------------------------------


def _binary_labels() -> dict[str, Array]:
    r = rng("binary labels")
    return {
        "hard": r.integers(0, 2, (N, C)).astype(np.float64),
        "soft": r.uniform(size=(N, C)),
        "bool": r.integers(0, 2, (N, C)).astype(bool),
    }


def _sigmoids() -> Iterator[Case]:
    weights = {
        "": None,
        " pos_weight": np.array(3.0),
        " pos_weight by class": rng("q").uniform(0.2, 4, C),
    }
    for (recipe, make), (kind, labels), (weighted, q) in itertools.product(
        LOGITS.items(), _binary_labels().items(), weights.items()
    ):
        if weighted and recipe not in ("scale 1", "scale 10", "thousands"):
            continue
        name = f"sigmoid {kind} {recipe}{weighted}"
        arrays = {"logits": make(rng(name), (N, C)), "labels": labels}
        yield Case(
            name,
            "sigmoid_cross_entropy" if q is None else "weighted_sigmoid_cross_entropy",
            arrays if q is None else {**arrays, "pos_weight": q},
            wrt=("logits",)
            + (("labels",) if labels.dtype.kind == "f" else ())
            + (() if q is None else ("pos_weight",)),
            dtypes=BOTH if q is None and kind != "bool" else BOTH[:1],
            compiled=(kind, recipe) == ("soft", "scale 10") and weighted.endswith("class"),
        )
    r = rng("sigmoid options")
    x, soft = 5 * r.normal(size=(N, C)), _binary_labels()["soft"]
    everything = {
        "pos_weight": r.uniform(0.5, 3, C),
        "sample_weight": r.uniform(size=(N, 1)),
        "where": r.integers(0, 4, (1, C)) > 0,
    }
    for name, labels, more in (
        ("everything", soft, everything),
        ("scalar label", np.array(0.25), everything),
        ("row of labels", soft[:1], {}),
        ("labels outside [0, 1]", 4 * r.normal(size=(N, C)), {}),
        ("negative pos_weight", soft, {"pos_weight": np.array(-2.0)}),
    ):
        yield Case(
            f"sigmoid {name}",
            "sigmoid_cross_entropy",
            {"logits": x, "labels": labels, **more},
            {"label_smoothing": 0.15} if more else {},
            wrt=("logits", "labels", *(k for k in _WEIGHTS if k in more)),
            dtypes=BOTH[:1],
        )
    yield Case(
        "sigmoid of a number",
        "sigmoid_cross_entropy",
        {"logits": np.array(0.3), "labels": np.array(1.0)},
        wrt=_DENSE_WRT,
    )


def _sigmoid_focals() -> Iterator[Case]:
    recipes = ("scale 1", "scale 10", "confident", "thousands")
    for g, recipe, (kind, labels) in itertools.product(
        (0.0, 0.5, 2.0, 3.7), recipes, _binary_labels().items()
    ):
        name = f"sigmoid focal {g} {recipe} {kind}"
        yield Case(
            name,
            "sigmoid_focal_cross_entropy",
            {"logits": LOGITS[recipe](rng(name), (N, C)), "labels": labels},
            {"gamma": g},
            wrt=("logits", "labels") if labels.dtype.kind == "f" else ("logits",),
            dtypes=BOTH[:1] if kind == "hard" else BOTH[1:],
        )
    r = rng("sigmoid focal options")
    for alpha, (kind, labels) in itertools.product(
        (np.array(0.25), r.uniform(0.2, 0.8, C)), _binary_labels().items()
    ):
        yield Case(
            f"sigmoid focal alpha {alpha.shape} {kind}",
            "sigmoid_focal_cross_entropy",
            {
                "logits": 2 * r.normal(size=(N, C)),
                "labels": labels,
                "alpha": alpha,
                "sample_weight": r.uniform(size=(N, C)),
            },
            {"gamma": 1.5, "label_smoothing": 0.1},
            wrt=(
                "logits",
                *(("labels",) if labels.dtype.kind == "f" else ()),
                "alpha",
                "sample_weight",
            ),
            dtypes=BOTH[alpha.ndim :][:1],
        )


def _regressions() -> Iterator[Case]:
    curves: list[tuple[str, dict[str, Any]]] = [
        ("squared_error", {}),
        ("absolute_error", {}),
        ("log_cosh", {}),
        *(("huber", {"delta": delta}) for delta in (1.0, 0.1, 30.0)),
        *(("smooth_l1", {"beta": beta}) for beta in (1.0, 0.1, 30.0, 0.0)),
    ]
    spreads = {"scale 1": 1.0, "scale 1e-6": 1e-6, "scale 30": 30.0, "scale 1e8": 1e8}
    for (loss, options), (spread, scale) in itertools.product(curves, spreads.items()):
        name = " ".join([loss, *map(str, options.values()), spread])
        r = rng(name)
        yield Case(
            name,
            loss,
            {
                "predictions": scale * r.normal(size=(N, C)),
                "targets": scale * r.normal(size=(N, C)),
            },
            options,
            wrt=("predictions", "targets"),
            compiled=(loss, options, spread) == ("huber", {"delta": 0.1}, "scale 1"),
        )
    for loss in ("squared_error", "log_cosh", "huber", "smooth_l1"):
        r = rng(f"{loss} options")
        near = r.normal(size=(N, C))
        yield Case(
            f"{loss} near",
            loss,
            {"predictions": near, "targets": near * (1 + 2.0**-18)},
            wrt=("predictions", "targets"),
        )
        yield Case(
            f"{loss} weights",
            loss,
            {
                "predictions": near,
                "targets": np.arange(C)[None, :],
                "sample_weight": r.uniform(size=(N, C)),
                "where": r.integers(0, 3, (N, 1)) > 0,
            },
            wrt=("predictions", "sample_weight"),
            dtypes=BOTH[:1],
        )
        yield Case(
            f"{loss} of numbers",
            loss,
            {"predictions": np.array(2.5), "targets": np.array(-1.25)},
            wrt=("predictions", "targets"),
            dtypes=BOTH[:1],
        )


def _normalizers() -> Iterator[Case]:
    mask = np.array([True, False, True, True, True, False, True])
    for loss, (recipe, make) in itertools.product(("logsumexp", "log_softmax"), LOGITS.items()):
        name = f"{loss} {recipe}"
        yield Case(name, loss, {"x": make(rng(name), (N, C))}, wrt=("x",))
    for loss in ("logsumexp", "log_softmax"):
        r = rng(loss)
        yield Case(
            f"{loss} mask",
            loss,
            {"x": r.normal(size=(N, C)), "where": mask},
            wrt=("x",),
            compiled=True,
        )
        x = r.normal(size=(3, 4, 5))
        yield Case(f"{loss} axis", loss, {"x": x}, {"axis": 1}, wrt=("x",), dtypes=BOTH[:1])
    name, keep = "logsumexp keepdims", {"keepdims": True, "axis": 0}
    x = rng(name).normal(size=(N, C))
    yield Case(name, "logsumexp", {"x": x}, keep, wrt=("x",), dtypes=BOTH[:1])


def _narrow() -> Iterator[Case]:
    """Predictions of 16 bits: the loss is float32, the gradient has their dtype."""
    r = rng("narrow")
    x, index, hard = 3 * r.normal(size=(N, C)), _index(r), _binary_labels()["hard"]
    cases: list[tuple[str, dict[str, Array], dict[str, Any]]] = [
        ("sparse_softmax_cross_entropy", {"logits": x, "labels": index}, {}),
        ("cross_entropy", {"logits": x, "labels": index}, {"label_smoothing": 0.1, "z_loss": 0.01}),
        ("softmax_cross_entropy", {"logits": x, "labels": _shares(r)}, {}),
        ("sigmoid_cross_entropy", {"logits": x, "labels": hard}, {}),
        ("sigmoid_focal_cross_entropy", {"logits": x, "labels": hard}, {}),
        ("softmax_focal_cross_entropy", {"logits": x, "labels": index}, {}),
        ("poly_cross_entropy", {"logits": x, "labels": index}, {}),
        ("kl_divergence", {"logits": x, "labels": _shares(r)}, {}),
        ("binary_cross_entropy", {"probs": r.uniform(0.1, 0.9, (N, C)), "labels": hard}, {}),
        ("sparse_categorical_cross_entropy", {"probs": _shares(r), "labels": index}, {}),
        ("squared_error", {"predictions": x, "targets": r.normal(size=(N, C))}, {}),
        ("huber", {"predictions": x, "targets": r.normal(size=(N, C))}, {}),
        ("log_cosh", {"predictions": x, "targets": r.normal(size=(N, C))}, {}),
        ("logsumexp", {"x": x}, {}),
        ("log_softmax", {"x": x}, {}),
    ]
    for i, (loss, arrays, options) in enumerate(cases):
        first, dtypes = next(iter(arrays)), HALF if i < 2 else (HALF[i % 2],)
        yield Case(f"{loss} narrow", loss, arrays, options, wrt=(first,), dtypes=dtypes)


CASES: list[Case] = [
    *_softmax_inputs(),
    *_softmax_labels(),
    *_softmax_axes(),
    *_softmax_options(),
    *_poly(),
    *_softmax_focal(),
    *_divergences(),
    *_probabilities(),
    *_sigmoids(),
    *_sigmoid_focals(),
    *_regressions(),
    *_normalizers(),
    *_narrow(),
]
