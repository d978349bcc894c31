"""How each framework is given arrays, asked for a gradient, and what its own op for a loss is.

The frameworks are imported by name, in the process of one of them.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar, TypeAlias

import numpy as np

import xentropy

from .case import LINEAR, Run
from .inputs import Inputs
from .timing import Timed

__all__ = ["ADAPTERS", "Adapter", "MissingError"]

Function: TypeAlias = Callable[..., Any]
Tensor: TypeAlias = Any


_ROWS = 256
"""Of a piece of a layer."""
_OUTPUTS = ("log_prob", "entropy", "rank")
"""The statistics that are measured."""


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
        if run.what == "products":
            return self.products(*arrays[:2])
        if run.what == "statistics":
            of_layer = xentropy.linear_softmax_statistics
            return self.forward(run, functools.partial(of_layer, outputs=_OUTPUTS), arrays)
        if run.what == "chunked":
            return self.gradient(run, self.chunked(run), arrays)
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
        function = self.whole(run)
        return (self.gradient if run.gradient else self.forward)(run, function, arrays)

    @abstractmethod
    def op(self, run: Run) -> Function:
        """Return the framework's own op as a function of predictions and labels."""

    def whole(self, run: Run) -> Function:
        """Return the same, of a layer as a function of all its logits."""
        if run.loss != LINEAR:
            return self.op(run)
        op = self.op(replace(run, loss="sparse_softmax_cross_entropy"))
        return lambda hidden, weight, labels: op(self.logits(hidden, weight), labels)

    def logits(self, hidden: Tensor, weight: Tensor) -> Tensor:
        """Return those of a layer."""
        return hidden @ weight.T

    @abstractmethod
    def products(self, hidden: Tensor, weight: Tensor) -> Timed:
        """Return the three matrix products of a layer and its gradients, some rows at a time."""

    def chunked(self, run: Run) -> Function:
        """Return what users compute the loss of a layer with, some rows at a time."""
        msg = f"{self.framework} has no chunks for {run.loss}"
        raise MissingError(msg)

    def forward(self, run: Run, function: Function, arrays: tuple[Tensor, ...]) -> Timed:
        """Return what computes the loss."""
        return Timed(functools.partial(function, *arrays))

    def gradient(self, run: Run, function: Function, arrays: tuple[Tensor, ...]) -> Timed:
        """Return what computes the loss and its gradient."""
        argnums = tuple(range(run.differentiated))
        return Timed(functools.partial(xentropy.value_and_grad(function, argnums), *arrays))

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


def _total(value: Any) -> Tensor:
    """Return the number that is differentiated, of losses, their reduction or a `Mean`."""
    total = value.total if isinstance(value, xentropy.Mean) else value
    return total.sum() if total.ndim else total


def _pieces(rows: int) -> Iterator[slice]:
    return (slice(i, min(i + _ROWS, rows)) for i in range(0, rows, _ROWS))


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
        op = self.whole(run)
        if not run.gradient:
            return self.forward(run, op, arrays)
        if run.loss != "sigmoid_cross_entropy":
            msg = "scipy has no gradients"
            raise MissingError(msg)
        x, labels = arrays
        expit = _imported("scipy.special").expit
        return Timed(lambda: (op(x, labels), expit(x) - labels))

    def products(self, hidden: Tensor, weight: Tensor) -> Timed:
        def call() -> tuple[Tensor, Tensor]:
            by_hidden, by_weight = np.empty_like(hidden), np.zeros_like(weight)
            logits, part = np.empty((_ROWS, len(weight)), hidden.dtype), np.empty_like(weight)
            for piece in _pieces(len(hidden)):
                x = hidden[piece]
                g = np.matmul(x, weight.T, out=logits[: len(x)])
                np.matmul(g, weight, out=by_hidden[piece])
                by_weight += np.matmul(g.T, x, out=part)
            return by_hidden, by_weight

        return Timed(call)


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
        wanted = [x.detach().requires_grad_() for x in arrays[: run.differentiated]]
        given = (*wanted, *arrays[run.differentiated :])

        def call() -> tuple[Tensor, list[Tensor]]:
            total = _total(function(*given))
            total.backward()
            found = [x.grad for x in wanted]
            for x in wanted:
                x.grad = None
            return total.detach(), found

        return Timed(call)

    def products(self, hidden: Tensor, weight: Tensor) -> Timed:
        torch = self.module

        def call() -> tuple[Tensor, Tensor]:
            by_hidden, by_weight = torch.empty_like(hidden), torch.zeros_like(weight)
            logits = hidden.new_empty(_ROWS, len(weight))
            for piece in _pieces(len(hidden)):
                x = hidden[piece]
                g = torch.mm(x, weight.T, out=logits[: len(x)])
                torch.mm(g, weight, out=by_hidden[piece])
                by_weight.addmm_(g.T, x)
            return by_hidden, by_weight

        return Timed(call)

    def chunked(self, run: Run) -> Function:
        if not hasattr(self.module.nn, "LinearCrossEntropyOptions"):
            msg = f"torch {self.module.__version__} has no chunks for {run.loss}"
            raise MissingError(msg)
        chunks = self.module.nn.LinearCrossEntropyOptions(**run.options)
        op = self.module.nn.functional.linear_cross_entropy
        return functools.partial(op, reduction=run.reduction, options=chunks)


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
        tape_of = self.module.GradientTape

        def call(*arrays: Tensor) -> tuple[Tensor, list[Tensor]]:
            wanted = list(arrays[: run.differentiated])
            with tape_of() as tape:
                tape.watch(wanted)
                value = function(*arrays)
            total = value.total if isinstance(value, xentropy.Mean) else value
            return value, tape.gradient(total, wanted)

        return self.forward(run, call, arrays)

    def forward(self, run: Run, function: Function, arrays: tuple[Tensor, ...]) -> Timed:
        if run.how == "eager":
            return Timed(functools.partial(function, *arrays))
        # Nothing is a constant of the graph, which would be computed when it is made.
        return Timed(functools.partial(self.module.function(function), *arrays))

    def logits(self, hidden: Tensor, weight: Tensor) -> Tensor:
        return self.module.matmul(hidden, weight, transpose_b=True)

    def products(self, hidden: Tensor, weight: Tensor) -> Timed:
        tf = self.module

        def call() -> tuple[Tensor, Tensor]:
            by_hidden, by_weight = [], tf.Variable(tf.zeros_like(weight))
            for piece in _pieces(len(hidden)):
                x = hidden[piece]
                g = tf.matmul(x, weight, transpose_b=True)
                by_hidden.append(tf.matmul(g, weight))
                by_weight.assign_add(tf.matmul(g, x, transpose_a=True))
            return tf.concat(by_hidden, 0), by_weight

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
        def total(*given: Tensor) -> Tensor:
            return _total(function(*given))

        both = self.module.value_and_grad(total, tuple(range(run.differentiated)))
        wait = self.module.block_until_ready
        if run.how == "donated":
            compiled = self.module.jit(both, donate_argnums=0)
            x, labels = arrays[0], arrays[1:]
            copy = self.module.numpy.copy
            return Timed(lambda x: wait(compiled(x, *labels)), lambda: (wait(copy(x)),))
        compiled = both if run.how == "eager" else self.module.jit(both)
        return Timed(lambda: wait(compiled(*arrays)))

    def products(self, hidden: Tensor, weight: Tensor) -> Timed:
        jax, wait = self.module, self.module.block_until_ready

        def gradients(hidden: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
            def step(by_weight: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
                g = x @ weight.T
                return by_weight + g.T @ x, g @ weight

            pieces = _in_pieces(hidden)
            by_weight, by_hidden = jax.lax.scan(step, jax.numpy.zeros_like(weight), pieces)
            return by_hidden.reshape(hidden.shape), by_weight

        compiled = jax.jit(gradients)
        return Timed(lambda: wait(compiled(hidden, weight)))

    def chunked(self, run: Run) -> Function:
        jax, op = self.module, self.op(replace(run, loss="cross_entropy", reduction="none"))

        def losses(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
            of_piece = jax.checkpoint(lambda piece: op(piece[0] @ weight.T, piece[1]))
            found = jax.lax.map(of_piece, (_in_pieces(hidden), _in_pieces(labels)))
            return found.mean() if run.reduction == "mean" else found.reshape(-1)

        return losses


def _in_pieces(x: Tensor) -> Tensor:
    """Return rows, fewer than a piece or as many as some, by piece."""
    return x.reshape(-1, min(_ROWS, len(x)), *x.shape[1:])


ADAPTERS: dict[str, type[Adapter]] = {
    "numpy": _NumPy,
    "torch": _Torch,
    "tensorflow": _TensorFlow,
    "jax": _JAX,
}
"""By the name of the module that users import."""
