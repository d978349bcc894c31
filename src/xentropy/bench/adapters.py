"""How each framework is given arrays, asked for a gradient, and what its own op for a loss is.

The frameworks are imported by name, in the process of one of them.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import numpy as np

import xentropy

from .case import Run
from .inputs import Inputs
from .timing import Timed

__all__ = ["ADAPTERS", "Adapter", "MissingError"]

Function: TypeAlias = Callable[..., Any]
Tensor: TypeAlias = Any


class MissingError(Exception):
    """There is no such op, or what has it is not installed."""


class Adapter(ABC):
    """What NumPy needs, and the others in part."""

    framework: ClassVar = "numpy"
    beside: ClassVar[tuple[str, ...]] = ()
    """What brings ops or dtypes that the framework lacks."""
    by_shape: ClassVar = False
    """Whether each shape is compiled anew."""
    names: ClassVar[dict[str, str]] = {}
    """The framework's own op for a loss."""

    def __init__(self) -> None:
        self.module = importlib.import_module(self.framework)

    def versions(self) -> dict[str, str]:
        """Return the versions of the framework and of what else is used with it."""
        found = {self.framework: str(self.module.__version__)}
        for name in (*self.beside, "numba"):
            try:
                found[name] = str(importlib.import_module(name).__version__)
            except ModuleNotFoundError:
                continue
        return found

    def kernels(self) -> list[str]:
        """Return what computes the library's losses."""
        x = self.array(np.zeros((1, 2), np.float32), "float32")
        return list(xentropy.backend_of(x).kernels())

    def array(self, x: Any, dtype: str) -> Tensor:
        """Return an array of the framework, of a floating dtype where `x` has one."""
        if x.dtype.kind != "f":
            return x
        name = importlib.import_module("ml_dtypes").bfloat16 if dtype == "bfloat16" else dtype
        return x.astype(name, copy=False)

    def timed(self, run: Run, inputs: Inputs) -> Timed:
        """Return what is to be timed; raise `MissingError` where there is no such op."""
        arrays = tuple(self.array(x, run.dtype) for x in inputs.arrays)
        if run.what in ("copy", "max"):
            return Timed(getattr(arrays[0], run.what))
        if run.what == "native":
            return self.native(run, arrays)
        options = {k: self._option(v, run) for k, v in inputs.options.items()}
        loss = getattr(xentropy, run.loss)
        if "reduction" in inspect.signature(loss).parameters:
            options["reduction"] = run.reduction
        ours = functools.partial(loss, **options)
        return (self.gradient if run.gradient else self.forward)(run, ours, arrays)

    def _option(self, value: Any, run: Run) -> Any:
        return self.array(value, run.dtype) if isinstance(value, np.ndarray) else value

    def native(self, run: Run, arrays: tuple[Tensor, ...]) -> Timed:
        """Return the framework's own op."""
        function = self.op(run)
        return (self.gradient if run.gradient else self.forward)(run, function, arrays)

    @abstractmethod
    def op(self, run: Run) -> Function:
        """Return the framework's own op as a function of predictions and labels."""

    def forward(self, run: Run, function: Function, arrays: tuple[Tensor, ...]) -> Timed:
        """Return what computes the loss."""
        return Timed(functools.partial(function, *arrays))

    def gradient(self, run: Run, function: Function, arrays: tuple[Tensor, ...]) -> Timed:
        """Return what computes the loss and its gradient."""
        return Timed(functools.partial(xentropy.value_and_grad(function), *arrays))

    def composed(self, run: Run) -> Function:
        """Return what the framework's users compute a loss of several ops with."""
        known = _imported(f"xentropy_backends.{self.framework}.native").NATIVE
        if run.loss not in known:
            msg = f"{self.beside[0] if self.beside else self.framework} has no op for {run.loss}"
            raise MissingError(msg)
        op = known[run.loss]
        if run.reduction == "mean":
            return lambda x, labels=None: self.mean(op(x, labels))
        return lambda x, labels=None: op(x, labels)

    def mean(self, x: Tensor) -> Tensor:
        """Return the mean of losses."""
        return x.mean()


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        msg = f"{error.name} is not installed"
        raise MissingError(msg) from None


class _NumPy(Adapter):
    beside = ("scipy", "ml_dtypes")

    def op(self, run: Run) -> Function:
        _imported("scipy.special")
        return self.composed(run)

    def native(self, run: Run, arrays: tuple[Tensor, ...]) -> Timed:
        op = self.op(run)
        if not run.gradient:
            return self.forward(run, op, arrays)
        if run.loss != "sigmoid_cross_entropy":
            msg = "scipy has no gradients"
            raise MissingError(msg)
        x, labels = arrays
        expit = _imported("scipy.special").expit
        return Timed(lambda: (op(x, labels), expit(x) - labels))


class _Torch(Adapter):
    framework = "torch"
    names: ClassVar[dict[str, str]] = {
        "cross_entropy": "cross_entropy",
        "softmax_cross_entropy": "cross_entropy",
        "sparse_softmax_cross_entropy": "cross_entropy",
        "sigmoid_cross_entropy": "binary_cross_entropy_with_logits",
        "binary_cross_entropy": "binary_cross_entropy",
        "squared_error": "mse_loss",
        "absolute_error": "l1_loss",
        "huber": "huber_loss",
        "smooth_l1": "smooth_l1_loss",
    }

    def array(self, x: Any, dtype: str) -> Tensor:
        tensor = self.module.from_numpy(x)
        return tensor.to(getattr(self.module, dtype)) if x.dtype.kind == "f" else tensor

    def op(self, run: Run) -> Function:
        if run.loss not in self.names:
            return self.composed(run)
        op = getattr(self.module.nn.functional, self.names[run.loss])
        return functools.partial(op, reduction=run.reduction)

    def gradient(self, run: Run, function: Function, arrays: tuple[Tensor, ...]) -> Timed:
        x = arrays[0].detach().requires_grad_()
        labels = arrays[1:]

        def call() -> tuple[Tensor, Tensor]:
            value = function(x, *labels)
            (value if run.reduction == "mean" else value.sum()).backward()
            found, x.grad = x.grad, None
            return value.detach(), found

        return Timed(call)


class _TensorFlow(Adapter):
    framework = "tensorflow"
    names: ClassVar[dict[str, str]] = {
        "cross_entropy": "sparse_softmax_cross_entropy_with_logits",
        "softmax_cross_entropy": "softmax_cross_entropy_with_logits",
        "sparse_softmax_cross_entropy": "sparse_softmax_cross_entropy_with_logits",
        "sigmoid_cross_entropy": "sigmoid_cross_entropy_with_logits",
    }

    def array(self, x: Any, dtype: str) -> Tensor:
        return self.module.constant(x, dtype if x.dtype.kind == "f" else x.dtype)

    def op(self, run: Run) -> Function:
        if run.loss not in self.names:
            return self.composed(run)
        op = getattr(self.module.nn, self.names[run.loss])
        if run.reduction == "mean":
            return lambda x, labels: self.mean(op(labels, x))
        return lambda x, labels: op(labels, x)

    def mean(self, x: Tensor) -> Tensor:
        return self.module.reduce_mean(x)

    def gradient(self, run: Run, function: Function, arrays: tuple[Tensor, ...]) -> Timed:
        tape_of, x, labels = self.module.GradientTape, arrays[0], arrays[1:]

        def call() -> tuple[Tensor, Tensor]:
            with tape_of() as tape:
                tape.watch(x)
                value = function(x, *labels)
            return value, tape.gradient(value, x)

        return Timed(call)


class _JAX(Adapter):
    framework = "jax"
    beside = ("optax",)
    by_shape = True
    names: ClassVar[dict[str, str]] = {
        "cross_entropy": "softmax_cross_entropy_with_integer_labels",
        "softmax_cross_entropy": "softmax_cross_entropy",
        "sparse_softmax_cross_entropy": "softmax_cross_entropy_with_integer_labels",
        "sigmoid_cross_entropy": "sigmoid_binary_cross_entropy",
        "sigmoid_focal_cross_entropy": "sigmoid_focal_loss",
        "squared_error": "squared_error",
        "huber": "huber_loss",
        "log_cosh": "log_cosh",
    }

    def array(self, x: Any, dtype: str) -> Tensor:
        if dtype == "float64":
            self.module.config.update("jax_enable_x64", True)
        return self.module.numpy.asarray(x, dtype if x.dtype.kind == "f" else "int32")

    def op(self, run: Run) -> Function:
        losses = _imported("optax").losses
        if run.loss not in self.names:
            return self.composed(run)
        op = getattr(losses, self.names[run.loss])
        if run.reduction == "mean":
            return lambda x, labels: self.mean(op(x, labels))
        return lambda x, labels: op(x, labels)

    def forward(self, run: Run, function: Function, arrays: tuple[Tensor, ...]) -> Timed:
        compiled = function if run.how == "eager" else self.module.jit(function)
        wait = self.module.block_until_ready
        return Timed(lambda: wait(compiled(*arrays)))

    def gradient(self, run: Run, function: Function, arrays: tuple[Tensor, ...]) -> Timed:
        def total(x: Tensor, *labels: Tensor) -> Tensor:
            value = function(x, *labels)
            return value if run.reduction == "mean" else value.sum()

        both, wait = self.module.value_and_grad(total), self.module.block_until_ready
        if run.how == "donated":
            compiled = self.module.jit(both, donate_argnums=0)
            x, labels = arrays[0], arrays[1:]
            copy = self.module.numpy.copy
            return Timed(lambda x: wait(compiled(x, *labels)), lambda: (wait(copy(x)),))
        compiled = both if run.how == "eager" else self.module.jit(both)
        return Timed(lambda: wait(compiled(*arrays)))


ADAPTERS: dict[str, type[Adapter]] = {
    "numpy": _NumPy,
    "torch": _Torch,
    "tensorflow": _TensorFlow,
    "jax": _JAX,
}
"""By the name of the module that users import."""
