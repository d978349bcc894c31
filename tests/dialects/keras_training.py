"""A model of Keras with a head for every loss, trained by the dialect, and by Keras' own losses.

Run as a command it trains in the backend that ``KERAS_BACKEND`` names, and prints what it found.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.dialects.case import Array, Case
from tests.dialects.keras_cases import takes, targets, truth
from tests.dialects.keras_truth import CLASSES
from xentropy.dialects import keras as ours

__all__ = ["HEADS", "KERNELS", "main", "true"]

Wide = np.longdouble
RATE, EPOCHS, BATCH, FEATURES, UNITS = 2.0**-3, 3, 4, 5, 3
R = np.random.default_rng(9)
X = R.normal(size=(2 * BATCH, FEATURES)).astype(np.float32)
SAMPLE_WEIGHT = R.uniform(0.5, 2.0, len(X)).astype(np.float32)
TARGETS = targets(R, (len(X), UNITS), "float32")
#: What makes of the outputs of a layer what a loss takes.
ACTIVATIONS = {
    "probabilities": "softmax",
    "chances": "sigmoid",
    "rates": "softplus",
    "values": "linear",
}


def _options(name: str) -> dict[str, Any]:
    """Classes take logits, if they can: so that both kinds of predictions come up."""
    if name == "categorical_generalized_cross_entropy":
        return {"q": 0.5}
    known = inspect.signature(getattr(ours, name)).parameters
    return {"from_logits": True} if name[0].isupper() and "from_logits" in known else {}


#: The options of each function and of each class.
HEADS: Mapping[str, dict[str, Any]] = {
    name: _options(name) for pair in CLASSES.items() for name in pair
}
#: So small that no prediction is near 0 or 1, where a loss magnifies its rounding.
KERNELS = {name: (R.normal(size=(FEATURES, UNITS)) / 4).astype(np.float32) for name in HEADS}
FUNCTIONS = {name: function for function, kind in CLASSES.items() for name in (function, kind)}


def _activation(name: str) -> str:
    return ACTIVATIONS["values" if HEADS[name].get("from_logits") else takes(FUNCTIONS[name])[1]]


def _labels(name: str) -> Array:
    labels: Array = TARGETS[takes(FUNCTIONS[name])[0]]
    return labels


# --- by Keras ---------------------------------------------------------------------------------


def _loss(losses: Any, name: str) -> Any:
    loss = getattr(losses, name)
    if name[0].isupper():
        return loss(**HEADS[name])
    return functools.partial(loss, **HEADS[name]) if HEADS[name] else loss


def _model(losses: Any, names: Sequence[str], compiled: bool) -> Any:
    import keras

    inputs = keras.Input((FEATURES,))
    outputs = []
    for name in names:
        layer = keras.layers.Dense(UNITS, activation=_activation(name), name=name)
        outputs.append(layer(inputs))
        layer.kernel.assign(KERNELS[name])
    model = keras.Model(inputs, outputs)
    by = [_loss(losses, name) for name in names]
    model.compile(keras.optimizers.SGD(RATE), by, jit_compile=compiled)
    return model


def trained(losses: Any, names: Sequence[str], compiled: bool) -> dict[str, Any]:
    """By head: the loss of each epoch, and the weights after the last."""
    import keras

    model = _model(losses, names, compiled)
    options = {"batch_size": BATCH, "epochs": EPOCHS, "shuffle": False}
    curves = _run(model.fit, losses, names, options).history
    kernels = {name: keras.ops.convert_to_numpy(model.get_layer(name).kernel) for name in names}
    return {
        name: {"losses": [float(x) for x in curves[f"{name}_loss"]], "kernel": kernel.tolist()}
        for name, kernel in kernels.items()
    }


def evaluated(losses: Any, names: Sequence[str], compiled: bool) -> dict[str, Any]:
    """By head: the loss of the untrained model, where a backend cannot train."""
    options = {"batch_size": len(X), "return_dict": True}
    found = _run(_model(losses, names, compiled).evaluate, losses, names, options)
    return {name: {"losses": [float(found[f"{name}_loss"])]} for name in names}


def _run(method: Any, losses: Any, names: Sequence[str], options: dict[str, Any]) -> Any:
    """With a head for each name; of our losses a warning is an error."""
    labels, weights = [_labels(name) for name in names], [SAMPLE_WEIGHT for _ in names]
    with warnings.catch_warnings(action="error" if losses is ours else "ignore"):
        return method(X, labels, sample_weight=weights, verbose=0, **options)


def main() -> None:
    """Print what both find; the arguments say whether functions, then classes, are compiled."""
    import keras

    run = evaluated if os.environ["KERAS_BACKEND"] == "numpy" else trained
    kinds = [[name for name in HEADS if name[0].isupper() == of] for of in (False, True)]
    found = {}
    for names, how in zip(kinds, sys.argv[1:], strict=True):
        found.update(run(ours, names, how == "compiled"))
    theirs = run(keras.losses, [*HEADS], sys.argv[1] == "compiled")
    print(json.dumps({"ours": found, "theirs": theirs}))


# --- by hand ----------------------------------------------------------------------------------


def _forward(name: str, z: Any) -> tuple[Any, Any]:
    """What the activation makes of its argument, and the gradient by it of what is above."""
    kind = _activation(name)
    if kind == "linear":
        return z, lambda g: g
    if kind == "softplus":
        return np.log1p(np.exp(z)), lambda g: g / (1 + np.exp(-z))
    if kind == "sigmoid":
        p = 1 / (1 + np.exp(-z))
        return p, lambda g: g * p * (1 - p)
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    return p, lambda g: p * (g - (g * p).sum(-1, keepdims=True))


def _step(name: str, kernel: Any, bias: Any, rows: slice) -> tuple[Any, Any, Any]:
    """The loss of a batch, and its gradients."""
    y, back = _forward(name, X[rows].astype(Wide) @ kernel + bias)
    case = Case("", FUNCTIONS[name], (_labels(name)[rows], y), HEADS[name], (1,))
    losses, (slope,), _ = truth(case)
    weight = SAMPLE_WEIGHT[rows].astype(Wide) / len(y)
    above = back(slope * weight[:, None])
    return (weight * losses).sum(), X[rows].astype(Wide).T @ above, above.sum(0)


def true(name: str, training: bool) -> dict[str, Any]:
    """What `trained` or `evaluated` is to find, in longdouble."""
    kernel, bias = KERNELS[name].astype(Wide), np.zeros(UNITS, Wide)
    if not training:
        return {"losses": np.asarray([_step(name, kernel, bias, slice(None))[0]])}
    curve = []
    for _ in range(EPOCHS):
        found = []
        for start in range(0, len(X), BATCH):
            value, *slopes = _step(name, kernel, bias, slice(start, start + BATCH))
            kernel, bias = kernel - RATE * slopes[0], bias - RATE * slopes[1]
            found.append(value)
        curve.append(np.mean(found))
    return {"losses": np.asarray(curve), "kernel": kernel}


if __name__ == "__main__":
    main()
