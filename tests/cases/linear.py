"""The loss of a linear layer: its calls, their truth, and the same of logits that are held."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import xentropy
from xentropy.parity import held
from xentropy.parity import layer as truth_layer
from xentropy.parity.layer import ARRAYS
from xentropy.parity.oracle import Truth
from xentropy.testing import Harness

from .case import BOTH, Array, Case, compute_dtype, narrow, rng
from .inputs import C, N, shares, softmax_options

__all__ = ["FEATURES", "WRT", "Head", "call", "cases", "large_cases", "layer", "small"]

FEATURES = 5
WRT = ("hidden", "weight", "bias")


@dataclass(frozen=True, eq=False, repr=False)
class Head(Case):
    """A call of `linear_cross_entropy`.

    Attributes
    ----------
    layer
        The dtype of weight and bias, by default that of the hidden features.
    large
        Whether the truth is worked out in extended precision, by the arrays of the layer only.
    """

    layer: str = ""
    large: bool = False

    def inputs(self, dtype: str) -> dict[str, Array]:
        """Return the arrays as they are passed."""
        kinds = {"hidden": dtype, "weight": self.layer or dtype, "bias": self.layer or dtype}
        wide = compute_dtype(dtype)
        return {name: narrow(x, kinds.get(name, wide)) for name, x in self.arrays.items()}

    def truth(self, dtype: str, **replaced: Any) -> Truth:
        """Return the true losses and gradients, from products of the exact inputs."""
        given: dict[str, Any] = {**self.inputs(dtype), **replaced, **self.options}
        arrays = given.pop("hidden"), given.pop("labels")
        return truth_layer.evaluate(
            self.loss, *arrays, dtype=dtype, wrt=self.wrt, large=self.large, **given
        )

    def dense(self, harness: Harness, dtype: str, **more: Any) -> tuple[Any, dict[str, Any]]:
        """Return the losses and gradients of logits that are held, by the framework's products."""
        given = {**self.give(harness, dtype), **self.options}
        given.pop("max_memory", None)
        of_layer = {k: given.pop(k) for k in held.LAYER if k in given}
        layer = held.hold(**of_layer, dtype=compute_dtype(dtype))
        others = tuple(name for name in self.wrt if name not in ARRAYS)
        grad = xentropy.value_and_grad(xentropy.cross_entropy, ("logits", *others))
        value, (g, *found) = grad(layer.logits, **given, **more)
        grads = dict(zip(others, found, strict=True)) | layer.back(g)
        return value, {name: grads[name] for name in self.wrt}


def layer(
    r: np.random.Generator, batch: tuple[int, ...], n: int, features: int = FEATURES
) -> dict[str, Array]:
    """Hidden features and a weight whose products are about as large as logits are."""
    return {
        "hidden": 2 * r.normal(size=(*batch, features)),
        "weight": r.normal(size=(n, features)),
    }


def _of_layer(r: np.random.Generator) -> Iterator[tuple[dict[str, Array], dict[str, Any]]]:
    """What a layer may have, over and over, so that all of it meets all other options."""
    bias = {"bias": r.normal(size=C)}
    return itertools.cycle(
        [
            ({}, {}),
            (bias, {"max_memory": 1}),
            ({}, {"softcap": 3.0}),
            (bias, {"scale": 0.7, "softcap": 5.0}),
            ({}, {"scale": -1.3, "max_memory": 500}),
        ]
    )


def _wrt(arrays: dict[str, Array]) -> tuple[str, ...]:
    """All that is floating."""
    return tuple(name for name, x in arrays.items() if x.dtype.kind == "f")


def _options() -> Iterator[Head]:
    """Each option of the softmax losses, by turns with index labels and with distributions."""
    r = rng("linear options")
    settings = _of_layer(r)
    labels = {"index": r.integers(0, C, N), "dense": shares(r)}
    labels["index"] = np.where(labels["index"] == 2, 1, labels["index"])  # a class that is kept
    both = [("everything", "index"), *zip(softmax_options(r), itertools.cycle(labels))]
    for name, kind in both:
        more, options = softmax_options(r)[name]
        of_layer, numbers = next(settings)
        arrays = {**layer(r, (N,), C), **of_layer, "labels": labels[kind], **more}
        if kind == "dense":  # nothing on a class that is taken out
            arrays["labels"] = np.where(more.get("class_mask", True), arrays["labels"], 0.0)
        yield Head(
            f"linear {kind} {name}",
            "linear_cross_entropy",
            arrays,
            {**numbers, **options},
            _wrt(arrays),
            BOTH if name == "everything" else BOTH[:1],
            compiled=name == "everything",
        )


def _shapes() -> Iterator[Head]:
    """Labels and masks of every shape that broadcasts, and batches of every rank."""
    r = rng("linear shapes")
    settings = _of_layer(r)
    full: dict[tuple[int, ...], tuple[tuple[int, ...], ...]] = {
        (N,): ((1, C), (N, 1)),
        (2, 3): ((2, 3, C), (1, 3, 1), (2, 1, 1), (1, 1, C)),
        (): ((C,),),
    }
    for batch, shapes in full.items():
        for shape in shapes:
            of_layer, numbers = next(settings)
            keep = r.integers(0, 3, shape) > 0
            arrays = {**layer(r, batch, C), **of_layer, "labels": r.uniform(size=shape) / C}
            arrays["class_mask"] = keep | (np.arange(shape[-1]) == 0)
            options = {**numbers, "label_smoothing": 0.1 * (len(shape) % 2)}
            yield Head(
                f"linear labels {shape} of {batch}",
                "linear_cross_entropy",
                arrays,
                options,
                _wrt(arrays),
                BOTH[:1],
            )
        of_layer, numbers = next(settings)
        arrays = {**layer(r, batch, C), **of_layer, "labels": r.integers(0, C, batch)}
        name = f"linear index of {batch}"
        yield Head(name, "linear_cross_entropy", arrays, numbers, _wrt(arrays), BOTH[:1])
    arrays = {**layer(r, (2, 3), C), "labels": r.integers(0, C, (2, 3))}
    arrays |= {"sample_weight": r.uniform(size=(1, 3)), "where": np.array([[True], [False]])}
    options = {"ignore_index": int(arrays["labels"][0, 0])}
    yield Head("linear ignore", "linear_cross_entropy", arrays, options, _wrt(arrays))
    labels = np.full((N,), -100)
    arrays = {**layer(r, (N,), C), "labels": labels, "class_weight": r.uniform(size=C)}
    options = {"ignore_index": -100, "z_loss": 0.1}
    yield Head("linear all ignored", "linear_cross_entropy", arrays, options, _wrt(arrays))
    for shape in ((65,), (N, 65)):
        arrays = {**layer(r, (N,), 65), "labels": r.integers(0, 64, N)}
        keep = r.integers(0, 3, shape) > 0
        keep[..., :64] |= (arrays["labels"][:, None] == np.arange(64)).any(0)
        arrays["class_mask"] = keep & (np.arange(65) != 64) if len(shape) == 1 else keep
        name = f"linear a class alone in its tile {shape}"
        options = {"label_smoothing": 0.1, "max_memory": 4096}  # tiles of 4 rows, 64 classes
        yield Head(name, "linear_cross_entropy", arrays, options, _wrt(arrays), BOTH[:1])
    integers = {**layer(r, (N,), C), "labels": np.eye(C, dtype=np.int8)[[0, 5, 2, 2]]}
    yield Head("linear integer shares", "linear_cross_entropy", integers, {}, ARRAYS[:2])


def _dtypes() -> Iterator[Head]:
    """Features and weights of 16 bits, and of dtypes that differ."""
    r = rng("linear dtypes")
    arrays = {**layer(r, (N,), C, 40), "bias": r.normal(size=C), "labels": r.integers(0, C, N)}
    for hidden, weight in (
        ("float16", ""),
        ("bfloat16", ""),
        ("bfloat16", "float32"),
        ("float32", "bfloat16"),
        ("float16", "bfloat16"),
        ("float32", "float64"),
        ("float64", "float32"),
        ("float64", "float16"),
    ):
        name = f"linear {hidden} by {weight or hidden}"
        yield Head(name, "linear_cross_entropy", arrays, {}, ARRAYS, (hidden,), layer=weight)


def cases() -> list[Head]:
    """Return the calls whose truth is that of mpmath."""
    return [*_options(), *_shapes(), *_dtypes()]


def large_cases() -> list[Head]:
    """Return those of many rows or classes; in little memory tiles end within both."""
    little = 4 * 4 * 64
    found: list[Head] = []
    for rows, n, kind, options in (
        (300, 1, "index", {}),
        (300, 2, "index", {"max_memory": 7 * little}),
        (300, 130, "index", {"max_memory": 7 * little}),
        (300, 130, "dense", {"max_memory": 7 * little, "softcap": 4.0, "label_smoothing": 0.1}),
        (7, 130, "index", {"max_memory": 1}),
        (1, 4097, "index", {"scale": 0.5, "z_loss": 0.01}),
        (7, 4097, "dense", {"max_memory": 16 * little, "z_loss": 0.01}),
        (7, 50257, "index", {}),
        (7, 50257, "dense", {"max_memory": 2**20, "label_smoothing": 0.3}),
    ):
        name = f"linear {rows} rows of {n} {kind}"
        r = rng(name)
        arrays = {**layer(r, (rows,), n, 8), "bias": r.normal(size=n)}
        dense = kind == "dense"
        arrays["labels"] = r.dirichlet(np.ones(n), rows) if dense else r.integers(0, n, rows)
        if rows == 300:
            arrays["where"] = r.integers(0, 4, rows) > 0
        dtypes = BOTH if n == 130 else BOTH[:1]
        head = Head(name, "linear_cross_entropy", arrays, options, ARRAYS, dtypes, large=True)
        found.append(head)
        if n == 130 and rows == 300 and not dense:
            found.append(replace(head, name=f"{name} bfloat16", dtypes=("bfloat16",)))
    return found


def small(**more: Any) -> dict[str, Array]:
    """Four rows of six classes, in float32."""
    r = rng("linear small")
    arrays = {**layer(r, (4,), 6), "labels": np.array([5, 0, 3, 1]), "bias": r.normal(size=6)}
    return {k: v.astype(np.float32) if v.dtype.kind == "f" else v for k, v in arrays.items()} | more


def call(
    harness: Harness, arrays: Mapping[str, Any], wrt: Any = WRT, **options: Any
) -> tuple[Array, tuple[Array, ...]]:
    """The losses and their gradients."""
    given = {k: harness.array(v) if hasattr(v, "dtype") else v for k, v in arrays.items()}
    value, grads = xentropy.value_and_grad(xentropy.linear_cross_entropy, wrt)(**given, **options)
    return harness.numpy(value), tuple(map(harness.numpy, grads))
