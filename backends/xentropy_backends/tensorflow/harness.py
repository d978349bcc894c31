"""TensorFlow as tests see it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import tensorflow as tf

from xentropy.testing.harness import Harness, Run
from xentropy_backends.tensorflow import devices, kernels
from xentropy_backends.tensorflow.ways import LENGTHS, WAYS, forget, traces_nothing

__all__ = ["harness"]


def _jvp(f: Run, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
    with tf.autodiff.ForwardAccumulator(primals, tangents) as accumulator:
        output = f(*primals)
    return accumulator.jvp(output, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _hessian(f: Run, x: Any) -> Any:
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            value = f(x)
        gradient = inner.gradient(value, x)
    return outer.jacobian(gradient, x, experimental_use_pfor=False)


def _jacobian(f: Run, x: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = f(x)
    return tape.jacobian(value, x)


class _TensorFlow(Harness):
    modes: ClassVar = {
        "eager": lambda f: f,
        "function": tf.function,
        "xla": lambda f: tf.function(f, jit_compile=True),
    }
    transforms: ClassVar = {
        "jvp": _jvp,
        "hessian": _hessian,
        "jacobian": _jacobian,
        "vmap": lambda f: lambda *xs: tf.vectorized_map(lambda args: f(*args), xs),
    }
    ways: ClassVar = WAYS
    lengths: ClassVar = LENGTHS

    def is_of_tests(self, warning: str) -> bool:
        # Each makes functions of the same names; what is compiled anew `compiles_nothing` tells.
        # And a saved linear head has no second derivatives: see `xfails.toml`.
        told = "triggered tf.function retracing", "ops with unsaved custom gradients"
        return any(text in warning for text in told)

    def forget(self) -> None:
        forget()

    def compiles_nothing(self) -> AbstractContextManager[Any]:
        return traces_nothing()

    def array(self, x: Any) -> Any:
        with tf.device(self.device or "cpu"):
            return tf.constant(np.asarray(x))

    def accelerators(self) -> list[str]:
        return [f"gpu:{i}" for i in range(len(tf.config.list_physical_devices("GPU")))]

    def numpy(self, x: Any) -> np.ndarray[Any, Any]:
        values: np.ndarray[Any, Any] = x.numpy()
        return values

    def gradient(
        self, f: Run, primals: tuple[Any, ...], argnums: tuple[int, ...]
    ) -> tuple[Any, ...]:
        with tf.GradientTape() as tape:
            for i in argnums:
                tape.watch(primals[i])
            value = f(*primals)
        return tuple(tape.gradient(value, [primals[i] for i in argnums]))

    def accelerator(self) -> AbstractContextManager[Any]:
        return mock.patch.object(kernels, "accelerated", return_value=True)

    def unreadable(self) -> AbstractContextManager[Any]:
        return devices.unreadable()

    def ran_on_host(self, f: Run, arrays: tuple[Any, ...]) -> list[str]:
        return devices.ran_on_host(f, arrays)

    def through_host(self, x: Any) -> Any:
        return tf.ensure_shape(tf.numpy_function(lambda x: x, [x], x.dtype), x.shape)


harness = _TensorFlow("tensorflow")
