"""The losses of keras themselves, in the process of TensorFlow."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from tests.dialects.case import Case
from tests.dialects.keras_truth import CLASSES

__all__ = ["ORIGINALS", "original"]


def ORIGINALS() -> dict[str, Any]:
    """The functions and classes of the original."""
    losses = _keras().losses
    return {name: getattr(losses, name) for pair in CLASSES.items() for name in pair}


def _keras() -> Any:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    return keras


def original(case: Case) -> tuple[Any, tuple[Any, ...]]:
    """What the original makes of a case; TensorFlow's errors of arguments are a ValueError."""
    keras = _keras()
    import tensorflow as tf

    def tensor(x: Any) -> Any:
        return tf.constant(x) if isinstance(x, np.ndarray) else x

    args = [tensor(x) for x in case.args]
    options = {name: tensor(x) for name, x in case.options.items()}
    function = getattr(keras.losses, case.function)
    try:
        if case.call is not None:
            function, options = function(**options), {k: tensor(x) for k, x in case.call.items()}
        with tf.GradientTape() as tape:
            wrt = [args[i] for i in case.wrt]
            tape.watch(wrt)
            value = function(*args, **options)
        zero = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(value, wrt, unconnected_gradients=zero) if wrt else []
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(str(error)) from error
    return value.numpy(), tuple(tf.convert_to_tensor(g).numpy() for g in gradients)
