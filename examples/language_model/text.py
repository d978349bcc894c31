"""Words of Python's own documentation strings, as integers."""

from __future__ import annotations

import ast
import collections
import re
import sysconfig
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["RATE", "Batch", "batches", "initial_weights"]

VOCABULARY, WIDTH = 16384, 128
CONTEXT = 4
"""Words before the one that is to be told."""
BATCH, STEPS, RATE = 2048, 40, 2.0
"""Examples of a step, steps, and how far one goes."""
_SEED = 0

Array = npt.NDArray[np.int64]
Batch = tuple[Array, Array]


def _strings() -> list[str]:
    """The documentation strings of the modules of the standard library, in order."""
    found = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"))
        nodes = (n for n in ast.walk(tree) if isinstance(n, _DOCUMENTED))
        found += [text for text in map(ast.get_docstring, nodes) if text]
    return found


_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def words() -> Array:
    """The text: the more frequent a word, the smaller its number; the last stands for the rest."""
    text = re.findall(r"\w+|[^\w\s]", "\n".join(_strings()).lower())
    frequent = [word for word, _ in collections.Counter(text).most_common(VOCABULARY - 1)]
    numbers = {word: i for i, word in enumerate(frequent)}
    return np.array([numbers.get(word, VOCABULARY - 1) for word in text])


def batches() -> list[Batch]:
    """Contexts, (BATCH, CONTEXT), and the words that follow them, (BATCH,)."""
    text, rng = words(), np.random.default_rng(_SEED)
    starts = rng.integers(0, text.size - CONTEXT, (STEPS, BATCH))
    return [(text[s[:, None] + np.arange(CONTEXT)], text[s + CONTEXT]) for s in starts]


def initial_weights() -> dict[str, npt.NDArray[np.float32]]:
    """The same for all runs; the embedding of words is the weight of the head too."""
    rng = np.random.default_rng(_SEED)
    embedding = rng.standard_normal((VOCABULARY, WIDTH), np.float32) * np.float32(0.05)
    mixing = rng.standard_normal((CONTEXT * WIDTH, WIDTH), np.float32) / np.float32(16)
    return {"embedding": embedding, "mixing": mixing}
