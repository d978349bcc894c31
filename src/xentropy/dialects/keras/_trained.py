"""What Keras, where it is loaded, asks of a loss that it is to train a model with."""

from __future__ import annotations

import functools
import sys
from typing import Any

__all__ = ["as_keras", "mask_of"]


def as_keras(kind: type) -> type:
    """The class that an instance passes for: one of Keras, where that is loaded.

    What is none, Keras takes for a function: it would weigh and reduce the reduced loss once more.
    https://github.com/keras-team/keras/blob/v3.15.1/keras/src/trainers/compile_utils.py
    """
    keras = sys.modules.get("keras")
    return kind if keras is None else _as_subclass(kind, keras.losses.Loss)


@functools.cache
def _as_subclass(kind: Any, parent: type) -> type:
    """Under its own name, by which it is found again in a saved model."""
    return type(kind.__name__, (parent,), {"__module__": kind.__module__.rpartition(".")[0]})


def mask_of(x: Any) -> Any:
    """The mask that Keras keeps with an array, or, of what takes no attributes, in a table."""
    found = getattr(x, "_keras_mask", None)
    known = getattr(sys.modules.get("keras.src.backend"), "get_keras_mask", None)
    return known(x) if found is None and known is not None else found
