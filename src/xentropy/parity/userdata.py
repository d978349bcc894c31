"""The user's own arrays as a case, or one clear line about what is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

import xentropy

from . import bulk
from .cases import LOSSES, Case, function, logits_shape, of_layer, parameters, positional, reduced

__all__ = ["BadInputError", "case", "check_loss"]

Array: TypeAlias = npt.NDArray[Any]

_MAGIC = b"\x93NUMPY"
_NOT_OPTIONS = ("denominator",)
_REDUCTIONS = ("none", "sum", "mean")
_WORDS = {"true": True, "false": False, "none": None}
_FLOATS = ("float16", "float32", "float64")
_FLOATS_TEXT = "float16 to float64"
_MOST = 2**12
_FEW_WEIGHTS, _MANY_WEIGHTS = 2**18, 2**26
"""A row of products takes seconds: of so many in mpmath, in extended precision."""


class BadInputError(Exception):
    """What the user gave cannot be used; the message is one line."""


def check_loss(loss: str) -> None:
    """Raise for a name that is no loss, listing those that are."""
    if loss not in LOSSES:
        msg = f"--loss: no loss is called {loss!r}; there are {', '.join(LOSSES)}"
        raise BadInputError(msg)


def _read(flag: str, path: Path) -> Array:
    try:
        if not path.is_file():
            what = "not a file" if path.exists() else "no such file"
            msg = f"{flag}: {what}: {path}"
            raise BadInputError(msg)
        with path.open("rb") as stream:
            if stream.read(len(_MAGIC)) != _MAGIC:
                msg = f"{flag}: {path} is not an .npy file"
                raise BadInputError(msg)
            stream.seek(0)
            array = np.lib.format.read_array(stream, allow_pickle=False)
    except (ValueError, EOFError, OSError, MemoryError) as error:
        text = str(getattr(error, "strerror", None) or error) or type(error).__name__
        why = "it holds Python objects" if "allow_pickle" in text else text.splitlines()[0]
        msg = f"{flag}: {path} cannot be read: {why}"
        raise BadInputError(msg) from None
    if array.dtype.kind not in "biu" and array.dtype.name not in _FLOATS:
        msg = f"{flag}: {path} holds {array.dtype.name}, not bool, integers or {_FLOATS_TEXT}"
        raise BadInputError(msg)
    # Of this machine's byte order: what `NumPy` alone can tell is not what is compared.
    return np.asarray(array, dtype=array.dtype.newbyteorder("="))


def _option(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        msg = f"--option: {text!r} is not NAME=VALUE"
        raise BadInputError(msg)
    if name == "reduction":
        return name, value
    if value.startswith("@"):
        return name, _read(f"--option {name}", Path(value[1:]))
    if value.lower() in _WORDS:
        return name, _WORDS[value.lower()]
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    msg = f"--option {name}: {value!r} is not a number, true, false, none or @FILE.npy"
    raise BadInputError(msg)


def _check_options(loss: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options, checked by name, without those that are None as by default."""
    known = {name: p for name, p in parameters(loss).items() if p.kind == p.KEYWORD_ONLY}
    required = [name for name in positional(loss) if name != "labels"]
    known |= {name: parameters(loss)[name] for name in required}
    known = {name: p for name, p in known.items() if name not in _NOT_OPTIONS}
    for name, value in options.items():
        if name not in known:
            msg = f"--option: {loss} has no option {name!r}; it has {', '.join(known)}"
            raise BadInputError(msg)
        if name == "reduction" and value not in _REDUCTIONS:
            msg = f"--option reduction: {value!r} is none of {', '.join(_REDUCTIONS)}"
            raise BadInputError(msg)
        if isinstance(known[name].default, bool) and not isinstance(value, bool):
            msg = f"--option {name}: neither true nor false"
            raise BadInputError(msg)
    for name in required:
        if name not in options:
            number = "" if of_layer(loss) else f"{name}=NUMBER or "
            msg = f"{loss} needs --option {number}{name}=@FILE.npy"
            raise BadInputError(msg)
    return {k: v for k, v in options.items() if v is not None or known[k].default is not None}


def _usual_loss(logits: Array, labels: Array | None, axis: Any) -> str:
    """Return the loss that the shape of the labels is for; anything less plain is refused."""
    shape = logits.shape
    plain = isinstance(axis, int) and -len(shape) <= axis < len(shape)
    if labels is None or not plain or labels.shape == shape:  # what is wrong, the loss will say
        return "softmax_cross_entropy"
    batch = tuple(np.delete(shape, axis).tolist())
    if labels.dtype.kind in "iu" and labels.shape == batch:
        return "sparse_softmax_cross_entropy"
    fit = f"indices are integers of shape {batch}, distributions have shape {shape}"
    msg = f"--labels: {_describe(labels)} for --logits {_describe(logits)}: {fit}"
    raise BadInputError(msg)


def _describe(array: Array) -> str:
    return f"{array.dtype.name}[{', '.join(map(str, array.shape))}]"


def case(
    logits: Path,
    labels: Path | None,
    loss: str | None,
    options: Sequence[str],
    dtype: str | None,
    *,
    compiled: bool = True,
) -> Case:
    """Return the user's case, checked by the library itself on NumPy.

    Raises
    ------
    BadInputError
        If a file cannot be read, an option is unknown, or the loss refuses the arguments.
    """
    x = _read("--logits", logits)
    t = None if labels is None else _read("--labels", labels)
    given = dict(_option(text) for text in options)
    loss = loss or _usual_loss(x, t, given.get("axis", -1))
    check_loss(loss)
    if ("labels" in positional(loss)) != (t is not None):
        msg = f"--labels: {loss} " + ("takes none" if t is not None else "needs them")
        raise BadInputError(msg)
    found = Case("yours", loss, x, t, _check_options(loss, given), x.dtype.name, compiled)
    if dtype is not None and x.dtype.kind == "f":
        found = found.cast(dtype)
    _try(found)
    _check_size(found)
    return found


def _try(found: Case) -> None:
    """Call the loss, whose own words say best what does not fit."""
    given = {"labels": found.labels, **found.options}
    arguments = [given.pop(name) for name in positional(found.loss)]
    given.pop("labels", None)
    try:
        function(found.loss)(found.prediction, *arguments, **given)
    except xentropy.XentropyError as error:
        rule, *lines = str(error).splitlines()
        # What came, without where it lies: "  labels: int64[5] numpy cpu".
        came = [line.strip().partition(" numpy")[0] for line in lines if line.startswith("  ")]
        raise BadInputError("; ".join([rule.rstrip("."), *came])) from None


def _check_size(found: Case) -> None:
    size = math.prod(logits_shape(found))
    if size == 0 and (not reduced(found) or found.prediction.shape[-1] == 0):
        msg = f"nothing to compare: --logits {_describe(found.prediction)} holds no numbers"
        raise BadInputError(msg)
    if reduced(found) and size > _MOST and not _in_bulk(found.loss):
        msg = f"--option reduction: no oracle for a {found.loss} of this size; leave it out"
        raise BadInputError(msg)
    if of_layer(found.loss):
        _check_weight(found.loss, found.options["weight"].size)


def _check_weight(loss: str, count: int) -> None:
    wide = loss == "linear_cross_entropy" and bulk.supported()
    if count > (_MANY_WEIGHTS if wide else _FEW_WEIGHTS):
        msg = f"--option weight: no oracle for a {loss} of {count} weights"
        raise BadInputError(msg)


def _in_bulk(loss: str) -> bool:
    return bulk.supported() and loss.removeprefix("mean_") in bulk.LOSSES
