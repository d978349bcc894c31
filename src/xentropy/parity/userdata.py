"""The user's own arrays as a case, or one clear line about what is wrong with them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

import xentropy

from . import bulk
from .cases import LOSSES, Case, parameters, reduced

__all__ = ["BadInputError", "case", "check_loss"]

Array: TypeAlias = npt.NDArray[Any]

_MAGIC = b"\x93NUMPY"
_NOT_OPTIONS = ("denominator",)
_REDUCTIONS = ("none", "sum", "mean")
_MOST = 2**12


class BadInputError(Exception):
    """What the user gave cannot be used; the message is one line."""


def check_loss(loss: str) -> None:
    """Raise for a name that is no loss, listing those that are."""
    if loss not in LOSSES:
        msg = f"--loss: no loss is called {loss!r}; there are {', '.join(LOSSES)}"
        raise BadInputError(msg)


def _read(flag: str, path: Path) -> Array:
    if not path.is_file():
        msg = f"{flag}: no such file: {path}"
        raise BadInputError(msg)
    with path.open("rb") as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            msg = f"{flag}: {path} is not an .npy file"
            raise BadInputError(msg)
        stream.seek(0)
        try:
            array = np.lib.format.read_array(stream, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            text = str(error)
            why = "it holds Python objects" if "allow_pickle" in text else text.splitlines()[0]
            msg = f"{flag}: {path} cannot be read: {why}"
            raise BadInputError(msg) from None
    # Of this machine's byte order: what `NumPy` alone can tell is not what is compared.
    return np.asarray(array, dtype=array.dtype.newbyteorder("="))


def _option(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        msg = f"--option: {text!r} is not NAME=VALUE"
        raise BadInputError(msg)
    if value.startswith("@"):
        return name, _read(f"--option {name}", Path(value[1:]))
    try:
        parsed = ast.literal_eval(
            {"true": "True", "false": "False", "none": "None"}.get(value, value)
        )
    except (ValueError, SyntaxError):
        parsed = value
    if parsed is not None and not isinstance(parsed, (bool, int, float)) and name != "reduction":
        msg = f"--option {name}: {value!r} is not a number, true, false, none or @FILE.npy"
        raise BadInputError(msg)
    return name, value if name == "reduction" else parsed


def _options(loss: str, given: Sequence[str]) -> dict[str, Any]:
    known = [name for name, p in parameters(loss).items() if p.kind == p.KEYWORD_ONLY]
    known += ["pos_weight"] if loss == "weighted_sigmoid_cross_entropy" else []
    known = [name for name in known if name not in _NOT_OPTIONS]
    options = dict(_option(text) for text in given)
    for name, value in options.items():
        if name not in known:
            msg = f"--option: {loss} has no option {name!r}; it has {', '.join(known)}"
            raise BadInputError(msg)
        if name == "reduction" and value not in _REDUCTIONS:
            msg = f"--option reduction: {value!r} is none of {', '.join(_REDUCTIONS)}"
            raise BadInputError(msg)
    if loss == "weighted_sigmoid_cross_entropy" and "pos_weight" not in options:
        msg = f"{loss} needs --option pos_weight=NUMBER or pos_weight=@FILE.npy"
        raise BadInputError(msg)
    return options


def _usual_loss(logits: Array, labels: Array | None) -> str:
    index = labels is not None and labels.dtype.kind in "iu" and labels.shape == logits.shape[:-1]
    return "sparse_softmax_cross_entropy" if index else "softmax_cross_entropy"


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
    loss = loss or _usual_loss(x, t)
    check_loss(loss)
    if ("labels" in parameters(loss) or "targets" in parameters(loss)) != (t is not None):
        msg = f"--labels: {loss} " + ("takes none" if t is not None else "needs them")
        raise BadInputError(msg)
    found = Case("yours", loss, x, t, _options(loss, options), x.dtype.name, compiled)
    if dtype is not None and x.dtype.kind == "f":
        found = found.cast(dtype)
    _try(found)
    if reduced(found) and found.prediction.size > _MOST and not _in_bulk(loss):
        msg = f"--option reduction: no oracle for a {loss} of this size; leave it out"
        raise BadInputError(msg)
    return found


def _in_bulk(loss: str) -> bool:
    return bulk.supported() and loss.removeprefix("mean_") in bulk.LOSSES


def _try(found: Case) -> None:
    """Call the loss, whose own words say best what does not fit."""
    arguments = [found.prediction] if found.labels is None else [found.prediction, found.labels]
    try:
        getattr(xentropy, found.loss)(*arguments, **found.options)
    except xentropy.XentropyError as error:
        raise BadInputError(str(error).splitlines()[0]) from None
