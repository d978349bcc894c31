"""Cases and results as files that hold numbers and text only, between two processes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .cases import Case

__all__ = ["read_arrays", "read_cases", "write_arrays", "write_cases"]

Array: TypeAlias = npt.NDArray[Any]


def write_arrays(path: Path, arrays: dict[str, Array]) -> None:
    """Write arrays under their names."""
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def read_arrays(path: Path) -> dict[str, Array]:
    """Return what `write_arrays` wrote."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def write_cases(folder: Path, cases: Sequence[Case]) -> None:
    """Write ``cases.json`` and, for the n-th case, ``n.npz``."""
    texts = []
    for n, case in enumerate(cases):
        arrays = {k: v for k, v in case.options.items() if isinstance(v, np.ndarray)}
        scalars = {k: v for k, v in case.options.items() if k not in arrays}
        stored = {"prediction": case.prediction, **{f"option {k}": v for k, v in arrays.items()}}
        if case.labels is not None:
            stored["labels"] = case.labels
        write_arrays(folder / f"{n}.npz", stored)
        text = {"name": case.name, "loss": case.loss, "options": scalars, "dtype": case.dtype}
        texts.append(text | {"compiled": case.compiled})
    (folder / "cases.json").write_text(json.dumps(texts), encoding="utf-8")


def _read_case(path: Path, text: dict[str, Any]) -> Case:
    arrays = read_arrays(path)
    more = {k.removeprefix("option "): v for k, v in arrays.items() if k.startswith("option ")}
    return Case(
        name=text["name"],
        loss=text["loss"],
        prediction=arrays["prediction"],
        labels=arrays.get("labels"),
        options=text["options"] | more,
        dtype=text["dtype"],
        compiled=text["compiled"],
    )


def read_cases(folder: Path) -> list[Case]:
    """Return what `write_cases` wrote."""
    texts = json.loads((folder / "cases.json").read_text(encoding="utf-8"))
    return [_read_case(folder / f"{n}.npz", text) for n, text in enumerate(texts)]
