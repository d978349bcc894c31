"""Rewrite the table of README.md that shows how frameworks disagree, by running them.

``python docs/readme_tables.py`` runs each framework in a process of its own and replaces what stands
between the markers; with ``--check`` it only says whether that would change anything.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["main", "table"]

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- disagreements:begin -->", "<!-- disagreements:end -->"

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
    "`-inf` logit where the distribution is 0",
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


def table() -> str:
    """Return the table; raise where our own results differ between frameworks."""
    found = {name: _run(name) for name in COLUMNS}
    ours = [result["ours"] for result in found.values() if result["ours"]]
    if any(result != ours[0] for result in ours):
        msg = f"xentropy differs between frameworks: {ours}"
        raise RuntimeError(msg)
    heads = [f"{COLUMNS[name][0]} {result['version']}" for name, result in found.items()]
    lines = ["| | " + " | ".join([*heads, "xentropy on each"]) + " |"]
    lines.append("|---" * (len(heads) + 2) + "|")
    for i, case in enumerate(CASES):
        cells = [result["theirs"][i] for result in found.values()]
        lines.append(f"| {case} | " + " | ".join([*cells, f"**{ours[0][i]}**"]) + " |")
    return "\n".join(lines)


def main() -> int:
    """Rewrite the table; with ``--check`` return 1 if it would change."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    parser.add_argument("--measure", choices=COLUMNS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        _measure(options.measure)
        return 0
    text = README.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, found, tail = rest.partition(END)
    if not found:
        msg = f"{README.name} must have {BEGIN} and {END}"
        raise ValueError(msg)
    new = f"{head}{BEGIN}\n{table()}\n{END}{tail}"
    if options.check:
        return int(new != text)
    README.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
