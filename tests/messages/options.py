"""What is said about options out of their range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import xentropy

from .case import Case, Make, losses

__all__ = ["OPTIONS"]

OptionError = xentropy.OptionError


def calling(loss: Any, *shape: int, **options: Any) -> Callable[[Make], Any]:
    """A loss of two arrays of a shape, with options."""
    return lambda a: loss(a(*shape), a(*shape), **options)


def option(name: str, rule: str, value: Any, call: Callable[..., Any], hint: str = "") -> Case:
    """A numeric option out of its range: nothing but its value is shown."""
    text = f"xentropy.{call.__name__}: `{name}` must be {rule}.\n  {name}: "
    text += f"{value!r}" + (f"\nHint: {hint}" if hint else "")
    return Case(OptionError, calling(call, 2, 3, **{name: value}), text)


def kept(value: Any) -> Case:
    """A sum that is asked for its dimensions in other words than True or False."""
    text = f"xentropy.logsumexp: `keepdims` must be True or False.\n  keepdims: {value!r}"
    return Case(OptionError, lambda a: losses.logsumexp(a(2, 3), keepdims=value), text)


def asked(text: str, outputs: Any, **options: Any) -> Case:
    """Statistics of two rows of three classes."""

    def call(a: Make) -> Any:
        return losses.softmax_statistics(a(2, 3), [0, 1], outputs=outputs, **options)

    return Case(OptionError, call, f"xentropy.softmax_statistics: {text}")


KNOWN = "there are 'log_prob', 'logsumexp', 'entropy', 'rank', 'correct' and ('top_k', k)."
PAIR = "pass ('top_k', k), with k an int."
NAN, INF = float("nan"), float("inf")
FINITE, POSITIVE, NOT_NEGATIVE = "a finite number", "a finite number > 0", "a finite number >= 0"
RANGES: list[tuple[str, str, list[Any], list[Callable[..., Any]]]] = [
    # option, its range, numbers outside of it, losses that have it
    (
        "label_smoothing",
        "in [0, 1]",
        [-0.1, 1.1, NAN, True, "a", None, 1.0000000001],
        [xentropy.softmax_cross_entropy, xentropy.sigmoid_cross_entropy],
    ),
    ("z_loss", FINITE, [NAN, INF, -INF, True, 10**400, 1j], [xentropy.cross_entropy]),
    ("epsilon", FINITE, [NAN, INF, False, None], [xentropy.poly_cross_entropy]),
    ("delta", POSITIVE, [0, 0.0, -1.0, NAN, INF, True], [xentropy.huber]),
    ("beta", NOT_NEGATIVE, [-1.0, NAN, INF, True], [xentropy.smooth_l1]),
    ("temperature", POSITIVE, [0, -2.0, NAN, INF, True], [xentropy.kl_divergence]),
    (
        "gamma",
        NOT_NEGATIVE,
        [-1.0, NAN, INF, True],
        [xentropy.sigmoid_focal_cross_entropy, xentropy.softmax_focal_cross_entropy],
    ),
    (
        "ignore_index",
        "an int",
        [1.0, True, "a"],
        [xentropy.cross_entropy, xentropy.softmax_focal_cross_entropy],
    ),
]
REDUCTIONS = "'none', 'sum', 'mean', 'partial'"
OPTIONS: list[Case] = [
    *(
        option(name, rule, value, call)
        for name, rule, values, calls in RANGES
        for value in values
        for call in calls
    ),
    option("z_loss", FINITE, 1e300, xentropy.cross_entropy, "in float32 it is inf."),
    option("delta", POSITIVE, 1e-60, xentropy.huber, "in float32 it is 0.0."),
    *(kept(value) for value in (1, 2.5, None)),
    *(
        Case(
            OptionError,
            calling(losses.softmax_cross_entropy, 2, 3, axis=axis),
            "xentropy.softmax_cross_entropy: `axis` must be an int in [-2, 2).\n"
            f"  axis: {axis!r}\n  logits: <float32[2, 3]>",
        )
        for axis in (2, -3, 1.0, True, None, "a")
    ),
    *(
        Case(
            OptionError,
            calling(losses.squared_error, 2, reduction=given),
            f"xentropy.squared_error: `reduction` must be one of {REDUCTIONS}.\n"
            f"  reduction: {shown}{hint}",
        )
        for given, shown, hint in [
            ("men", "'men'", "\nHint: did you mean 'mean'?"),
            ("SUM", "'SUM'", "\nHint: did you mean 'sum'?"),
            (None, "None", "\nHint: did you mean 'none'?"),
            ("batchmean", "'batchmean'", "\nHint: did you mean 'mean'?"),
            (["mean"], "list of length 1", "\nHint: did you mean 'mean'?"),
            (True, "True", ""),
            (np.zeros(2), "float64[2] numpy cpu", ""),
        ]
    ),
    *(
        Case(
            OptionError,
            calling(losses.squared_error, 2, reduction=mode, denominator=3.0),
            "xentropy.squared_error: `denominator` goes with reduction='mean'.\n"
            f"  reduction: {mode!r}\n  denominator: 3.0",
        )
        for mode in ("none", "sum", "partial")
    ),
    Case(
        OptionError,
        lambda a: losses.weighted_sigmoid_cross_entropy(a(2), a(2), None),
        """xentropy.weighted_sigmoid_cross_entropy: `pos_weight` must be given.
  pos_weight: None
Hint: without a weight call sigmoid_cross_entropy.""",
    ),
    option("label_smoothing", "in [0, 1]", np.zeros(1), xentropy.cross_entropy)._replace(
        text="xentropy.cross_entropy: `label_smoothing` must be in [0, 1].\n"
        "  label_smoothing: float64[1] numpy cpu\n"
        "Hint: pass a Python number, as float(x); compiled code takes it as a constant."
    ),
    *(
        asked(f"`outputs` names {name!r}, which is no output.\nHint: {hint}", [name])
        for name, hint in (
            ("entrpy", "did you mean 'entropy'?"),
            ("loss", KNOWN),
            (3, KNOWN),
            (("entropy", 3), KNOWN),
            ("top_k", PAIR),
            (("top_k", 2.0), PAIR),
            (("top_k", True), PAIR),
            (("top_k",), PAIR),
        )
    ),
    *(
        asked(
            "`outputs` must name an output, or be a tuple of some.\n"
            f"  outputs: {shown}\nHint: {KNOWN}",
            outputs,
        )
        for outputs, shown in (((), "tuple of length 0"), ([], "list of length 0"), (None, "None"))
    ),
    *(
        asked(f"`outputs` must name each output once, not {outputs[-1][0]!r} twice.", outputs)
        for outputs in ([("top_k", 1), ("top_k", 2)],)
    ),
    asked("`outputs` must name each output once, not 'rank' twice.", ("rank", "entropy", "rank")),
    *(
        asked(
            "the k of 'top_k' must lie in [1, 3], up to the number of classes.\n"
            f"  k: {k}\n  logits: <float32[2, 3]>",
            ("top_k", k),
        )
        for k in (0, -1, 4)
    ),
    *(
        asked(
            f"`scale` must be a finite number other than 0.\n  scale: {value!r}{hint}",
            "entropy",
            scale=value,
        )
        for value, hint in (
            (0, ""),
            (NAN, ""),
            (INF, ""),
            (True, ""),
            ("1", ""),
            (1e-60, "\nHint: in float32 it is 0.0."),
        )
    ),
]
