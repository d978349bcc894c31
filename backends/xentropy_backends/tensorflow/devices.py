"""Accelerators without having one, for tests: what is read from them, and what they cannot run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import tensorflow as tf
from tensorflow.python.framework.kernels import get_registered_kernels_for_op

from xentropy.testing.harness import Run

__all__ = ["ran_on_host", "unreadable"]

_READS = ("numpy", "__array__", "__bool__", "__dlpack__", "__float__", "__index__", "__int__")


@contextmanager
def unreadable() -> Iterator[None]:
    """Fail where a tensor is read from Python, save for int32, which lie in the host's memory."""
    kind = type(tf.constant(0))

    def refusing(name: str) -> Callable[..., Any]:
        read = getattr(kind, name)

        def refuse(x: Any, *args: Any, **kwargs: Any) -> Any:
            assert x.dtype == tf.int32, f"a tensor was read by {name}"
            return read(x, *args, **kwargs)

        return refuse

    with ExitStack() as stack:
        for name in _READS:
            stack.enter_context(mock.patch.object(kind, name, refusing(name)))
        yield


_ACCELERATOR = "/device:GPU:0"


def ran_on_host(f: Run, arrays: tuple[Any, ...]) -> list[str]:
    """The operations of a graph for an accelerator that only the host can run, or is to run."""

    @tf.function
    def there(*arrays: Any) -> Any:
        with tf.device(_ACCELERATOR):
            return f(*arrays)

    there(*arrays)  # It finds a place for all: here, on the CPU.
    graph = there.get_concrete_function(*arrays).graph.as_graph_def()
    bodies = (graph.node, *(function.node_def for function in graph.library.function))
    return [
        f"{node.op} on {node.device or 'any device'}"
        for body in bodies
        for node in body
        # In the body of a function no device is the caller's.
        if node.device not in ("", _ACCELERATOR) or not _is_of_arrays(node.op)
    ]


def _is_of_arrays(op: str) -> bool:
    """Whether an operation has a kernel for accelerators.

    TensorFlow for CPUs registers none of these, but XLA's, of which it has one for operations on
    arrays, and none for those that call Python, read files or write text.
    """
    if op == "Placeholder":  # An argument.
        return True
    kinds = {kernel.device_type for kernel in get_registered_kernels_for_op(op).kernel}
    return ("GPU" if tf.test.is_built_with_cuda() else "XLA_CPU_JIT") in kinds
