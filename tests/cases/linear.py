"""The loss of a linear layer: its calls, their truth, and the same of logits that are held."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import xentropy
from tests.oracle_calls import exact
from xentropy.parity import bulk, oracle
from xentropy.parity.oracle import Truth, mp
from xentropy.testing import Harness

from .case import BOTH, Array, Case, compute_dtype, narrow, rng
from .inputs import C, N, shares, softmax_options

__all__ = ["FEATURES", "Head", "cases", "large_cases", "layer"]

FEATURES = 5
LAYER = ("hidden", "weight", "bias")


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
        """Return the true losses and gradients, from products of the exact inputs.

        The scales hold what a rounding of the products moves. Those of the arrays that are not of
        the layer are all the largest.
        """
        wide, given = compute_dtype(dtype), {**self.inputs(dtype), **replaced}
        hidden, weight, bias = (self._exact(given.pop(k, None), wide) for k in LAYER)
        rest = {k: v for k, v in self.options.items() if k != "max_memory"}
        scale, softcap = (
            self._exact(rest.pop(k, otherwise), wide)
            for k, otherwise in (("scale", 1.0), ("softcap", None))
        )
        rows = hidden.reshape(-1, hidden.shape[-1])
        z = scale * (rows @ weight.T + (0 if bias is None else bias))
        u = np.zeros_like(z) if softcap is None else self._map("tanh", z / softcap)
        x = z if softcap is None else softcap * u
        others = tuple(name for name in self.wrt if name not in LAYER)
        evaluate = bulk.evaluate if self.large else oracle.evaluate
        truth = evaluate(
            "cross_entropy",
            x.reshape(*hidden.shape[:-1], len(weight)),
            given.pop("labels"),
            dtype=dtype,
            wrt=("logits", *others),
            **given,
            **rest,
        )
        g, size = (pair.pop("logits").reshape(z.shape) for pair in (truth.grads, truth.grad_scales))
        # What the products, the bias and the cap are rounded by, in ulp of 1.
        terms = np.abs(scale) * (np.abs(rows) @ np.abs(weight.T))
        terms = terms if bias is None else terms + np.abs(scale * bias)
        terms = np.where(np.abs(z) < np.inf, terms + np.abs(x), 0)
        e = np.where(size > 0, self._map("exp", x - x.max(axis=1, keepdims=True)), 0)
        shift = (e * terms).sum(axis=1, keepdims=True) / np.maximum(e.sum(axis=1)[:, None], 1)
        losses = truth.value_scale.reshape(-1) + (np.abs(g) * terms).sum(axis=1)
        slope, bend = 1 - u * u, (0 * u if softcap is None else 1 + u * u)
        size = size * np.abs(scale) * (slope * (1 + 3 * terms + shift) + bend)
        g = g * scale * slope
        for name in others:
            sizes = truth.grad_scales[name]
            truth.grad_scales[name] = np.full_like(sizes, sizes[sizes < np.inf].max())
        live = ~np.all(g == 0, axis=1, keepdims=True)  # the others may hold anything
        rows = np.where(live, rows, 0 * weight[:1])
        for pair, by, of in ((truth.grads, g, np.asarray), (truth.grad_scales, size, np.abs)):
            pair["hidden"] = np.where(live, by @ of(weight), 0 * by[:, :1]).reshape(hidden.shape)
            pair["weight"] = by.T @ of(rows)
            pair["bias"] = by.sum(axis=0)
        return replace(truth, value_scale=losses.reshape(truth.value.shape))

    def _exact(self, x: Any, dtype: str) -> Any:
        """The numbers as they are in the compute dtype; None if there are none."""
        if x is None or np.asarray(x).dtype.kind == "O":
            return x
        x = np.asarray(x).astype(dtype)
        return x.astype(np.longdouble) if self.large else exact(x)

    def _map(self, name: str, x: Array) -> Array:
        f = getattr(np, name) if self.large else np.frompyfunc(getattr(mp, name), 1, 1)
        return np.asarray(f(x), x.dtype)

    def dense(self, harness: Harness, dtype: str, **more: Any) -> tuple[Any, dict[str, Any]]:
        """Return the losses and gradients of logits that are held, by the framework's products."""
        given = self.give(harness, dtype)
        xp = xentropy.backend_of(given["hidden"]).xp
        real = getattr(xp, compute_dtype(dtype))
        hidden, weight = (xp.astype(given.pop(name), real) for name in LAYER[:2])
        rows = xp.reshape(hidden, (-1, hidden.shape[-1]))
        options = {k: v for k, v in self.options.items() if k != "max_memory"}
        scale, softcap = options.pop("scale", 1.0), options.pop("softcap", None)
        z = rows @ xp.permute_dims(weight, (1, 0))
        if "bias" in given:
            z = z + xp.reshape(xp.astype(given.pop("bias"), real), (1, -1))
        z = scale * z
        u = None if softcap is None else xp.tanh(z / softcap)
        x = z if u is None else softcap * u
        logits = xp.reshape(x, (*hidden.shape[:-1], weight.shape[0]))
        others = tuple(name for name in self.wrt if name not in LAYER)
        grad = xentropy.value_and_grad(xentropy.cross_entropy, ("logits", *others))
        value, (g, *found) = grad(logits, **given, **options, **more)
        g = scale * xp.reshape(g, (-1, weight.shape[0]))
        g = g if u is None else g * (1.0 - u * u)
        grads = dict(zip(others, found, strict=True))
        grads["hidden"] = xp.reshape(g @ weight, tuple(hidden.shape))
        grads["weight"] = xp.permute_dims(g, (1, 0)) @ rows
        grads["bias"] = xp.sum(g, axis=0, keepdims=False)
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
    yield Head("linear integer shares", "linear_cross_entropy", integers, {}, LAYER[:2])


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
        yield Head(name, "linear_cross_entropy", arrays, {}, LAYER, (hidden,), layer=weight)


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
        head = Head(name, "linear_cross_entropy", arrays, options, LAYER, dtypes, large=True)
        found.append(head)
        if n == 130 and rows == 300 and not dense:
            found.append(replace(head, name=f"{name} bfloat16", dtypes=("bfloat16",)))
    return found
