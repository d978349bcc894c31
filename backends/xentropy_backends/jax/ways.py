"""The ways in which JAX runs a function, for tests; see `Harness.ways`."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.export
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from xentropy.testing.harness import Run
from xentropy.testing.ways import Derive, then, through

from .adapter import enable_x64

__all__ = ["LENGTHS", "NARROW", "WAYS", "spread"]


def _total(f: Run) -> Run:
    return lambda *arrays: f(*arrays).sum()


def _gradient(f: Run) -> Run:
    return jax.grad(_total(f))


def _jvp(f: Run) -> Run:
    return lambda tangent, x, *rest: jax.jvp(lambda x: f(x, *rest), (x,), (tangent,))[1]


def _over_calls(transform: Callable[..., Run]) -> Derive:
    """Over the first axis of the first two arrays."""
    return lambda f: (
        lambda *arrays: transform(f, (0, 0, *(None for _ in arrays))[: len(arrays)])(*arrays)
    )


_mapped = _over_calls(jax.vmap)

_DERIVED: Mapping[str, Derive] = {
    "value": lambda f: f,
    "gradient": _gradient,
    "hessian": lambda f: jax.hessian(_total(f)),
    "jvp": _jvp,
    "jacobian": jax.jacrev,
    "vmap": _mapped,
    "vmap of gradient": lambda f: _mapped(_gradient(f)),
}
# The same function each time, which JAX traces once for all ways to compile it.
EAGER = {name: functools.cache(derive) for name, derive in _DERIVED.items()}


def _made_once(make: Callable[..., Run]) -> Run:
    """A function that is made of the arrays of the first call."""
    made: list[Run] = []

    def run(*arrays: Any) -> Any:
        if not made:
            made.append(make(*arrays))
        return made[0](*arrays)

    return run


def _watched(f: Run) -> Run:
    """Compiled ahead of the call, and traced with a look-out for tracers that outlive the trace."""

    def make(*arrays: Any) -> Run:
        gc.freeze()  # JAX collects garbage after each trace: but for this, of all modules
        try:
            with jax.checking_leaks():
                traced = jax.jit(f).trace(*arrays)
        finally:
            gc.unfreeze()
        compiled: Run = traced.lower().compile()
        return compiled

    return _made_once(make)


def _without_x64(f: Run) -> Run:
    compiled = jax.jit(f)

    def run(*arrays: Any) -> Any:
        with enable_x64(False):
            return compiled(*(jax.device_put(np.asarray(x)) for x in arrays))

    return run


_ROWS = 2


def _exported(f: Run) -> Run:
    """Exported, written and read back."""

    def make(*arrays: Any) -> Run:
        return _read_back(f, arrays, 0)

    return _made_once(make)


def _exported_for_any_rows(order: int) -> Derive:
    """The same for another number of rows, too, and with derivatives up to an order."""

    def exported(f: Run) -> Run:
        def make(*arrays: Any) -> Run:
            shapes = [",".join("n" if n == _ROWS else str(n) for n in x.shape) for x in arrays]
            return _read_back(f, jax.export.symbolic_args_specs(arrays, shapes), order)

        return _made_once(make)

    return exported


def _read_back(f: Run, given: Any, order: int) -> Run:
    data = jax.export.export(jax.jit(f))(*given).serialize(vjp_order=order)
    call: Run = jax.export.deserialize(data).call
    return call


def spread(x: Any) -> Any:
    """On all devices: half of the rows on each half of them."""
    mesh = Mesh(np.asarray(jax.devices()).reshape(_ROWS, -1), ("rows", "copies"))
    spec = PartitionSpec(*("rows" if n == _ROWS else None for n in x.shape))
    return jax.device_put(x, NamedSharding(mesh, spec))


def _sharded(f: Run) -> Run:
    """Compiled for all devices."""
    compiled = jax.jit(f)
    return lambda *arrays: compiled(*map(spread, arrays))


def _on_each(spread: Callable[[Run], Run]) -> Derive:
    """The same call on each device."""

    def on_each(f: Run) -> Run:
        run = spread(f)

        def call(*arrays: Any) -> Any:
            found = np.asarray(run(*(np.stack([x] * jax.device_count()) for x in arrays)))
            assert np.array_equal(found[1:], found[:-1])
            return found[0]

        return call

    return on_each


def _shard_map(f: Run) -> Run:
    mesh = Mesh(np.asarray(jax.devices()), ("calls",))
    spec = PartitionSpec("calls")

    def one(*arrays: Any) -> Any:
        return f(*(x[0] for x in arrays))[None]

    return jax.jit(jax.shard_map(one, mesh=mesh, in_specs=spec, out_specs=spec))


WAYS: Mapping[str, Mapping[str, Derive]] = {
    # The first, as what was traced before would not be traced again.
    "jax.check_tracer_leaks": then(EAGER, _watched),
    "eager": EAGER,
    "jit": then(EAGER, jax.jit),
    "of a jitted function": through(jax.jit, EAGER),
    "checkpoint": then(through(jax.checkpoint, EAGER), jax.jit),
    "without x64": then(EAGER, _without_x64),
    "jax.export": {
        **then(EAGER, _exported),
        "value": _exported_for_any_rows(0),
        # What is read back makes its derivative anew in each call.
        "gradient": lambda f: jax.jit(_gradient(_exported_for_any_rows(1)(f))),
    },
    "sharded": then(EAGER, _sharded),
    "pmap": then(EAGER, _on_each(jax.pmap)),
    "jax.shard_map": then(EAGER, _on_each(_shard_map)),
}
NARROW = ("without x64",)
LENGTHS: Mapping[str, Mapping[str, Derive]] = {
    "jax.export": {name: WAYS["jax.export"][name] for name in ("value", "gradient")}
}
