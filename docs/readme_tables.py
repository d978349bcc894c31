"""Rewrite the tables of README.md: how frameworks disagree, by running them, and what is supported.

``python docs/readme_tables.py`` runs each framework in a process of its own, reads the
``support.toml`` of each backend, and replaces what stands between the markers. ``--support``
rewrites the second table only; with ``--check`` nothing is changed, and the exit status says
whether it would be.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["disagreements", "main", "support"]

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"

ROW = np.array([[1.0, 2.0, 3.0]], np.float32)
HOLE = np.array([[1.0, -np.inf, 0.0]], np.float32)
CONFIDENT = np.array([[40.0, 0.0, 0.0]], np.float32)
FIRST = np.array([[1.0, 0.0, 0.0]], np.float32)

# sparse(logits, label), dense(logits, labels), and the mean when the only label is ignored.
Sparse = Callable[[Any, int], Any]
Dense = Callable[[Any, Any], Any]
Functions = tuple[Sparse, Dense, Callable[[], Any] | None]

CASES = (
    "label -1",
    "label 5",
    "the only label ignored, mean",
    "logits `[1, -inf, 0]`, labels `[1, 0, 0]`",
    "logits `[40, 0, 0]`, label 0",
)


def _torch() -> Functions:
    import torch
    from torch.nn.functional import cross_entropy

    def sparse(x: Any, y: int) -> Any:
        return cross_entropy(torch.tensor(x), torch.tensor([y]), reduction="none")

    def dense(x: Any, t: Any) -> Any:
        return cross_entropy(torch.tensor(x), torch.tensor(t), reduction="none")

    return sparse, dense, lambda: cross_entropy(torch.tensor(ROW), torch.tensor([-100]))


def _tensorflow() -> Functions:
    import tensorflow as tf

    def sparse(x: Any, y: int) -> Any:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[y], logits=x)

    def dense(x: Any, t: Any) -> Any:
        return tf.nn.softmax_cross_entropy_with_logits(labels=t, logits=x)

    return sparse, dense, None


def _optax() -> Functions:
    import jax.numpy as jnp
    from optax import losses

    def sparse(x: Any, y: int) -> Any:
        return losses.softmax_cross_entropy_with_integer_labels(jnp.asarray(x), jnp.asarray([y]))

    def dense(x: Any, t: Any) -> Any:
        return losses.softmax_cross_entropy(jnp.asarray(x), jnp.asarray(t))

    return sparse, dense, None


def _keras() -> Functions:
    from keras import losses, ops

    def sparse(x: Any, y: int) -> Any:
        labels = ops.convert_to_tensor([y])
        return losses.sparse_categorical_crossentropy(labels, ops.convert_to_tensor(x), True)

    def dense(x: Any, t: Any) -> Any:
        arrays = ops.convert_to_tensor(t), ops.convert_to_tensor(x)
        return losses.categorical_crossentropy(*arrays, from_logits=True)

    def ignored() -> Any:
        loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-100)
        return loss(ops.convert_to_tensor([-100]), ops.convert_to_tensor(ROW))

    return sparse, dense, ignored


def _xentropy(array: Callable[[Any], Any]) -> Functions:
    import xentropy

    def sparse(x: Any, y: int) -> Any:
        return xentropy.sparse_softmax_cross_entropy(array(x), array([y]))

    def dense(x: Any, t: Any) -> Any:
        return xentropy.softmax_cross_entropy(array(x), array(t))

    def ignored() -> Any:
        options: dict[str, Any] = {"ignore_index": -100, "reduction": "mean"}
        return xentropy.sparse_softmax_cross_entropy(array(ROW), array([-100]), **options)

    return sparse, dense, ignored


# The name in the table, its functions, Keras' backend, and our own on the same arrays.
COLUMNS: dict[str, tuple[str, Callable[[], Functions], str, str]] = {
    "torch": ("PyTorch", _torch, "", "torch.tensor"),
    "tensorflow": ("TensorFlow", _tensorflow, "", "tensorflow.constant"),
    "optax": ("optax", _optax, "", "jax.numpy.asarray"),
    "keras-numpy": ("Keras on NumPy", _keras, "numpy", "numpy.asarray"),
    "keras-jax": ("Keras on JAX", _keras, "jax", ""),
}

FAMILIES = {
    "numpy": "NumPy",
    "torch": "PyTorch",
    "tensorflow": "TensorFlow",
    "jax": "JAX",
    "array_api": "array API standard, and what array-api-compat knows",
}


def _shown(case: str, compute: Callable[[], Any]) -> str:
    """What the computation gives: a number as it prints, or the name of the error."""
    try:
        loss = float(np.asarray(compute()).reshape(()))
    except Exception as error:  # any error is a result here
        return f"`{type(error).__name__}`"
    last = float(np.log(np.exp(ROW - ROW[0, -1]).sum()))
    note = ": the last class" if case == "label -1" and np.isclose(loss, last) else ""
    return (f"{loss:.2g}" if 0 < abs(loss) < 1e-3 else str(round(loss, 3))) + note


def _results(functions: Functions) -> list[str]:
    sparse, dense, ignored = functions
    computations: list[Callable[[], Any] | None] = [
        lambda: sparse(ROW, -1),
        lambda: sparse(ROW, 5),
        ignored,
        lambda: dense(HOLE, FIRST),
        lambda: sparse(CONFIDENT, 0),
    ]
    return [
        "–" if compute is None else _shown(case, compute)
        for case, compute in zip(CASES, computations, strict=True)
    ]


def _measure(name: str) -> None:
    """Print what one framework returns, and what we return on its arrays."""
    _, functions, _, maker = COLUMNS[name]
    module, _, attribute = maker.rpartition(".")
    framework = importlib.import_module(name.partition("-")[0])
    version = str(framework.__version__).partition("+")[0]
    found = {"version": version, "theirs": _results(functions()), "ours": None}
    if maker:
        found["ours"] = _results(_xentropy(getattr(importlib.import_module(module), attribute)))
    print(json.dumps(found))


def _run(name: str) -> dict[str, Any]:
    settings = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    backend = COLUMNS[name][2]
    environment = os.environ | settings | ({"KERAS_BACKEND": backend} if backend else {})
    command = [sys.executable, __file__, "--measure", name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"{name} failed:\n{done.stderr}"
        raise RuntimeError(msg)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def disagreements() -> str:
    """Return what each framework computes; raise where our own results differ between them."""
    found = {name: _run(name) for name in COLUMNS}
    ours = [result["ours"] for result in found.values() if result["ours"]]
    if any(result != ours[0] for result in ours):
        msg = f"xentropy differs between frameworks: {ours}"
        raise RuntimeError(msg)
    heads = [f"{COLUMNS[name][0]} {result['version']}" for name, result in found.items()]
    rows = []
    for i, case in enumerate(CASES):
        cells = [result["theirs"][i] for result in found.values()]
        rows.append([case, *cells, f"**{ours[0][i]}**"])
    return _table(["", *heads, "xentropy on each"], rows)


def support() -> str:
    """Return what each backend says that it is tested on; one that says nothing has no row."""
    rows = []
    for folder, title in FAMILIES.items():
        path = ROOT / "backends" / "xentropy_backends" / folder / "support.toml"
        if not path.exists():
            continue
        told = tomllib.loads(path.read_text(encoding="utf-8"))
        lists = [", ".join(told[name]) for name in ("predictions", "modes", "transforms")]
        rows.append([title, told["versions"], *lists, told.get("notes", "")])
    return _table(["arrays", "versions", "dtypes", "modes", "derivatives", ""], rows)


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _replaced(text: str, name: str, table: str) -> str:
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    head, _, rest = text.partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        msg = f"{README.name} must have {begin} and {end}"
        raise ValueError(msg)
    return f"{head}{begin}\n{table}\n{end}{tail}"


def main() -> int:
    """Rewrite the tables; with ``--check`` return 1 if they would change."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    parser.add_argument("--support", action="store_true", help="run no framework")
    parser.add_argument("--measure", choices=COLUMNS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        _measure(options.measure)
        return 0
    old = README.read_text(encoding="utf-8")
    new = _replaced(old, "support", support())
    if not options.support:
        new = _replaced(new, "disagreements", disagreements())
    if options.check:
        return int(new != old)
    README.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
