"""The ways in which TensorFlow runs a function, for tests; see `Harness.ways`."""

from __future__ import annotations

import functools
import gc
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops

from xentropy.testing.harness import Run
from xentropy.testing.ways import Derive, joined, then, through

__all__ = ["LENGTHS", "WAYS", "forget", "traces_nothing"]


_KEPT: list[Any] = []


def _kept(f: Any) -> Any:
    """Calls of ``f`` by their arguments, until `forget`."""
    cached = functools.cache(f)
    _KEPT.append(cached)
    return cached


_MOST = 50


def forget() -> None:
    """Drop the gradients of our own of all graphs, once there are many.

    TensorFlow registers each for the rest of the process, and with it the graph: gigabytes.
    https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/ops/custom_gradient.py#L512
    """
    registered = ops.gradient_registry._registry
    of_graphs = [name for name in registered if name.startswith("CustomGradient-")]
    if len(of_graphs) > _MOST:
        for cached in _KEPT:
            cached.cache_clear()
        for name in of_graphs:
            del registered[name]
        gc.collect()


# --- what is derived --------------------------------------------------------------------------


@_kept
def _gradient(f: Run) -> Run:
    def run(x: Any, *rest: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = f(x, *rest)
        return tape.gradient(value, x)

    return run


def _hessian(f: Run) -> Run:
    def run(x: Any, *rest: Any) -> Any:
        # Persistent, without which there are no loops.
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            slope = _gradient(f)(x, *rest)
        return tape.jacobian(slope, x, experimental_use_pfor=False)

    return run


def _jvp(f: Run) -> Run:
    def run(tangent: Any, x: Any, *rest: Any) -> Any:
        with tf.autodiff.ForwardAccumulator(x, tangent) as accumulator:
            value = f(x, *rest)
        return accumulator.jvp(value)

    return run


def _jacobian(f: Run) -> Run:
    def run(x: Any, *rest: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = f(x, *rest)
        return tape.jacobian(value, x)

    return run


def _mapped(f: Run) -> Run:
    """Over the first axis of the first two arrays."""

    def run(*arrays: Any) -> Any:
        some, rest = arrays[:2], arrays[2:]
        return tf.vectorized_map(lambda each: f(*each, *rest), some, fallback_to_while_loop=False)

    return run


EAGER: Mapping[str, Derive] = {
    "value": lambda f: f,
    "gradient": _gradient,
    "hessian": _hessian,
    "jvp": _jvp,
    "jacobian": _jacobian,
    "vmap": _mapped,
    "vmap of gradient": lambda f: _mapped(_gradient(f)),
}

# The same numbers, by one tape around the map: what that makes of a function knows none of the
# gradients that were given to it.
TAPE_AROUND: Mapping[str, Derive] = {
    **EAGER,
    "vmap of gradient": lambda f: _gradient(_mapped(f)),
}


# --- what it goes through ---------------------------------------------------------------------

_FUNCTIONS: weakref.WeakSet[Any] = weakref.WeakSet()


def _function(f: Run, **options: Any) -> Run:
    found: Run = tf.function(f, **options)
    _FUNCTIONS.add(found)
    return found


def _traces() -> dict[Any, int]:
    return {f: f.experimental_get_tracing_count() for f in _FUNCTIONS}


@contextmanager
def traces_nothing() -> Iterator[None]:
    """Fail where one of the functions that the ways have made is traced within."""
    before = _traces()
    yield
    assert _traces() == before, "a tf.function was traced anew"


def _signature(arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    """Of batches of any length, which no other axis has here."""
    rows = arrays[0].shape[-2]
    shapes = ([None if n == rows else n for n in x.shape] for x in arrays)
    return tuple(tf.TensorSpec(shape, x.dtype) for shape, x in zip(shapes, arrays, strict=True))


def _once(make: Callable[[Run, tuple[Any, ...]], Run]) -> Derive:
    """Made of a function when it is called first, for all that is derived of it."""

    @_kept
    def made(f: Run, signature: tuple[Any, ...]) -> Run:
        # In which tapes are paused, also those of `f`.
        with nullcontext() if tf.executing_eagerly() else tf.init_scope():
            return make(f, signature)

    return lambda f: lambda *arrays: made(f, _signature(arrays))(*arrays)


def _saved(f: Run, signature: tuple[Any, ...]) -> Run:
    module = tf.Module()
    module.f = tf.function(f, input_signature=signature)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder)
        loaded = tf.saved_model.load(folder)
    # The module owns what the function needs.
    return lambda *arrays: loaded.f(*arrays)


_reloaded = _once(_saved)


def _mapped_gradient(f: Run) -> Run:
    """Of what is loaded before the map, by a tape in it."""
    loaded = _reloaded(f)

    def run(*arrays: Any) -> Any:
        loaded(*(x[0] for x in arrays[:2]), *arrays[2:])
        return _mapped(_gradient(loaded))(*arrays)

    return run


WAYS: Mapping[str, Mapping[str, Derive]] = {
    "eager": EAGER,
    "tf.function": then(TAPE_AROUND, _function),
    "tf.function with XLA": then(EAGER, lambda f: _function(f, jit_compile=True)),
    "tapes around a tf.function of any batch": through(
        _once(lambda f, signature: _function(f, input_signature=signature)), TAPE_AROUND
    ),
    "saved_model": {
        **{name: joined(_reloaded, each) for name, each in EAGER.items() if "vmap" not in name},
        "gradient": lambda f: _reloaded(_gradient(f)),
        "vmap of gradient": _mapped_gradient,
    },
}
LENGTHS: Mapping[str, Mapping[str, Derive]] = {
    way: {name: WAYS[way][name] for name in ("value", "gradient")}
    for way in ("tapes around a tf.function of any batch", "saved_model")
}
