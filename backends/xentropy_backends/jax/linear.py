"""The loss of a linear layer in JAX: kernels on one CPU, elsewhere some rows after the other.

There are three primitives: the losses; how they move with the operands, which is linear; and the
transpose of that, the gradients. Each is a function of some rows after the other, and so are its
derivatives: none holds the logits of all. Where XLA compiles for one CPU, the losses and the
gradients become calls of kernels.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.interpreters import ad, batching, mlir

from xentropy._types import Arrays
from xentropy.dispatch import backend_of
from xentropy.formulas import linear as heads
from xentropy.formulas.linear import Head, Layer, Operands
from xentropy.formulas.softmax import cross_entropy_dense, cross_entropy_index
from xentropy.formulas.statistics import Request
from xentropy.kernels import linear as on_host
from xentropy.kernels import tiles

from . import kernels

__all__ = ["losses", "statistics"]

_BITS = np.dtype(np.uint32)  # of the float64 that is saved, which JAX may not have
_SAVED = (2 * on_host.SAVED,)  # of each row
_FORMULAS = {formula.name: formula for formula in (cross_entropy_index, cross_entropy_dense)}
_OF_LAYER = 3  # operands whose gradients kernels compute
_COUNT = len(Operands._fields)


class _Spec(NamedTuple):
    """A call without its arrays, which are the operands that are given and what follows them.

    The numbers of the head are among these, behind the operands, so that a schedule compiles once.
    """

    head: Head  # without numbers
    given: tuple[bool, ...]  # of operands and numbers
    wanted: tuple[bool, ...] = ()  # the operands that move, or whose gradients are computed
    room: int = 0  # bytes in which logits wait for the gradients

    @property
    def places(self) -> list[int]:
        """Where those wanted are among the operands."""
        return [i for i, want in enumerate(self.wanted) if want]

    @property
    def saved(self) -> int:
        """How many arrays the losses leave: numbers of rows, and logits if there is room."""
        return 1 + bool(self.room)

    @property
    def held(self) -> int:
        """How many arrays come before those in which a derivative is linear: the last are saved."""
        return sum(self.given) + self.saved

    def split(self, arrays: Sequence[Any]) -> tuple[Head, Operands, list[Any]]:
        """The head with its numbers, the operands, and what follows them."""
        rest = iter(arrays)
        found = [next(rest) if given else None for given in self.given]
        return self.head.numbered(*found[_COUNT:]), Operands(*found[:_COUNT]), list(rest)

    def want(self, places: Iterable[int]) -> _Spec:
        """The same of other operands."""
        chosen = set(places)
        return self._replace(wanted=tuple(i in chosen for i in range(_COUNT)))


def losses(head: Head, given: Operands) -> Any:
    """The losses, (N,)."""
    operands = (*given, *kernels.put(head.numbers, given))
    spec = _Spec(head.numbered(), tuple(x is not None for x in operands))
    return _compiled(spec)(*(x for x in operands if x is not None))


@functools.cache
def _compiled(spec: _Spec) -> Callable[..., Any]:
    def evaluate(*arrays: Any) -> Any:
        if not kernels.is_manual(arrays):
            return _losses.bind(*arrays, spec=spec)[0]
        # JAX adds up gradients of many rows in the dtype of what they are of.
        of_layer = range(1, sum(spec.given[:_OF_LAYER]))
        wide = [arrays[i].astype(spec.head.layer.dtype) for i in of_layer]
        return _evaluate(*_put(arrays, of_layer, wide), spec=spec)[0]

    return jax.jit(evaluate)


def statistics(layer: Layer, given: Operands, request: Request) -> Arrays:
    """Statistics of all rows; their derivatives compute the logits again."""
    backend = backend_of(given.hidden)

    @jax.checkpoint
    def some(*part: Any) -> Any:
        part = Operands(*part)
        return list(heads.ask(backend.xp, layer, part, request, backend.statistics)), []

    return tuple(_by_blocks(some, layer, given, given.are_rows())[0])


# --- functions of rows ------------------------------------------------------------------------


def _evaluate(*arrays: Any, spec: _Spec) -> list[Any]:
    """The losses; nothing that a kernel would have saved."""
    head, given, _ = spec.split(arrays)

    def some(*part: Any) -> Any:
        return [_losses_of(head, part)], []

    (found,), _ = _by_blocks(some, head.layer, given, given.are_rows())
    nothing = jnp.full((found.shape[0], *_SAVED), np.iinfo(_BITS).max, _BITS)  # NaN
    return [found, nothing, *_no_logits(spec)]


def _no_logits(spec: _Spec) -> list[Any]:
    """In the place of those that a kernel would have left."""
    return [jnp.zeros(spec.room // _BITS.itemsize, _BITS)] if spec.room else []


def _push_rows(*arrays: Any, spec: _Spec) -> list[Any]:
    """The tangent of the losses, of the tangents of the operands wanted."""
    head, given, rest = spec.split(arrays)
    are_rows, tangents = given.are_rows(), rest[spec.saved :]

    def some(*part: Any) -> Any:
        own, moving = part[:_COUNT], part[_COUNT:]

        def f(*moved: Any) -> Any:
            return _losses_of(head, _put(own, spec.places, moved))

        return [jax.jvp(f, tuple(own[i] for i in spec.places), moving)[1]], []

    flags = (*are_rows, *(are_rows[i] for i in spec.places))
    return _by_blocks(some, head.layer, (*given, *tangents), flags)[0]


def _pull_rows(*arrays: Any, spec: _Spec) -> list[Any]:
    """The gradients by the operands wanted, of the cotangent of the losses."""
    head, given, (*_, cotangent) = spec.split(arrays)
    are_rows, xp = given.are_rows(), backend_of(given.hidden).xp
    of_rows = [i for i in spec.places if are_rows[i]]
    sums = [i for i in spec.places if not are_rows[i]]
    # Each block gives its part of a sum, which is not to be rounded to half precision.
    small = [i for i in sums if i >= _OF_LAYER]
    wide = [given[i].astype(head.layer.dtype) for i in small]

    def some(*part: Any) -> Any:
        *own, c = part
        found = heads.gradients(xp, head, Operands(*own), spec.wanted, c)
        return [found[i].astype(given[i].dtype) for i in of_rows], [found[i] for i in sums]

    flags = (*are_rows, True)
    found = _by_blocks(some, head.layer, (*_put(given, small, wide), cotangent), flags)
    by_place = dict(zip([*of_rows, *sums], [*found[0], *found[1]], strict=True))
    return [by_place[i].astype(given[i].dtype) for i in spec.places]


def _losses_of(head: Head, part: Arrays) -> Any:
    """The losses of some rows, as a differentiable function."""
    backend = backend_of(part[0])
    return heads.losses(backend.xp, head, Operands(*part), backend.apply)


def _put(arrays: Arrays, places: Sequence[int], others: Sequence[Any]) -> Arrays:
    """The arrays with others in some places."""
    return tuple((dict(enumerate(arrays)) | dict(zip(places, others, strict=True))).values())


def _by_blocks(
    f: Callable[..., Any], layer: Layer, arrays: Arrays, are_rows: tuple[bool, ...]
) -> tuple[list[Any], list[Any]]:
    """``f`` of some rows after the other: its results of rows, and those that are added up."""
    count, step = arrays[0].shape[0], heads.rows_at_once(layer, Operands(*arrays[:_COUNT]))
    if not step or count <= step:
        return f(*arrays)
    blocks = (count - 1) // step
    first = count - blocks * step
    of_rows = [x for x, is_row in zip(arrays, are_rows, strict=True) if is_row]

    def part(some: Iterable[Any]) -> Any:
        rest = iter(some)
        return f(*(next(rest) if is_row else x for x, is_row in zip(arrays, are_rows, strict=True)))

    def proceed(sums: list[Any], some: list[Any]) -> tuple[list[Any], list[Any]]:
        found, more = part(some)
        return [x + y for x, y in zip(sums, more, strict=True)], found

    begun, sums = part(x[:first] for x in of_rows)
    rest = [x[first:].reshape(blocks, step, *x.shape[1:]) for x in of_rows]
    sums, found = jax.lax.scan(jax.checkpoint(proceed, prevent_cse=False), sums, rest)
    pairs = zip(begun, found, strict=True)
    return [jnp.concatenate([x, y.reshape(-1, *x.shape[1:])]) for x, y in pairs], sums


# --- derivatives ------------------------------------------------------------------------------


def _pushed(spec: _Spec, held: Arrays, tangents: Sequence[Any]) -> list[Any]:
    """The tangent of the losses, of those tangents that are not zero."""
    pairs = [(i, t) for i, t in zip(spec.places, tangents, strict=True) if type(t) is not ad.Zero]
    places, moving = zip(*pairs, strict=True)
    found: list[Any] = _push.bind(*held, *moving, spec=spec.want(places))
    return found


def _pulled(spec: _Spec, held: Arrays, cotangents: Sequence[Any]) -> list[Any]:
    """The gradients: by the layer, and by the others, which no kernel computes."""
    found: list[Any] = []
    of_layer = [i for i in spec.places if i < _OF_LAYER]
    for places in (of_layer, spec.places[len(of_layer) :]):
        if places:
            found += _pull.bind(*held, *cotangents, spec=spec.want(places))
    return found


def _jvp(primals: Arrays, tangents: Arrays, *, spec: _Spec) -> Any:
    asked = spec.saved
    if any(type(t) is not ad.Zero for t in tangents[: sum(spec.given[:_OF_LAYER])]):
        spec = spec._replace(room=_room(spec, primals))
    found, *saved = _losses.bind(*primals, spec=spec)
    wanted = spec.given[:_COUNT]
    moved = _pushed(spec._replace(wanted=wanted), (*primals, *saved), tangents[: sum(wanted)])
    saved = saved[:asked]
    none = (ad.Zero(jax.core.ShapedArray(x.shape, jax.dtypes.float0)) for x in saved)
    return [found, *saved], [*moved, *none]


def _room(spec: _Spec, arrays: Arrays) -> int:
    """The bytes in which logits may wait, where a kernel writes them."""
    if not (kernels.are_here() and _is_served(spec, arrays)):
        return 0
    layer, (hidden, weight, *_) = spec.head.layer, arrays
    numbers = min(tiles.room(layer), hidden.shape[0] * weight.shape[0])
    return numbers * np.dtype(layer.dtype).itemsize


def _jvp_of_linear(
    f: Callable[..., Any],
    along: Callable[..., list[Any]],
    primals: Arrays,
    tangents: Arrays,
    *,
    spec: _Spec,
) -> Any:
    """Of a derivative: linear in what follows the arrays held, and any function of these."""
    n = spec.held
    found, moved = along(spec, primals[:n], primals[n:]), []
    if any(type(t) is not ad.Zero for t in tangents[n:]):
        moved.append(along(spec, primals[:n], tangents[n:]))
    places = [i for i, t in enumerate(tangents[:n]) if type(t) is not ad.Zero]
    if places:

        def g(*some: Any) -> Any:
            return f(*_put(primals, places, some), spec=spec)

        moved.append(jax.jvp(g, [primals[i] for i in places], [tangents[i] for i in places])[1])
    return found, [sum(pieces[1:], pieces[0]) for pieces in zip(*moved, strict=True)]


def _transpose(along: Callable[..., list[Any]], cotangents: Any, *arrays: Any, spec: _Spec) -> Any:
    n = spec.held
    if all(type(c) is ad.Zero for c in cotangents):
        return [None] * len(arrays)
    return [None] * n + along(spec, arrays[:n], cotangents)


def _batched(
    primitive: Any, rows_of: Callable[..., Any], arrays: Arrays, axes: Any, *, spec: _Spec
) -> Any:
    """All rows at once where nothing else differs, or else one call after the other.

    Logits wait for none of them: there may be many.
    """
    if spec.room:
        at = spec.held - 1  # where they are, among the operands of derivatives
        arrays, axes = ((*x[:at], *x[at + 1 :]) for x in (arrays, axes))
        spec = spec._replace(room=0)
    many = [type(axis) is int for axis in axes]
    arrays = tuple(
        jnp.moveaxis(x, axis, 0) if differs else x
        for x, axis, differs in zip(arrays, axes, many, strict=True)
    )
    shapes = [x.shape[differs:] for x, differs in zip(arrays, many, strict=True)]
    size = arrays[many.index(True)].shape[0]
    _, given, _ = spec.split([jax.ShapeDtypeStruct(shape, _BITS) for shape in shapes])
    are_rows, results = rows_of(spec, given.are_rows())
    if all(results) and all(
        is_row >= differs for is_row, differs in zip(are_rows, many, strict=True)
    ):
        count = size * shapes[0][0]
        rows = (
            (x if differs else jnp.broadcast_to(x, (size, *shape))).reshape(count, *shape[1:])
            if is_row
            else x
            for x, shape, is_row, differs in zip(arrays, shapes, are_rows, many, strict=True)
        )
        found = primitive.bind(*rows, spec=spec)
        found = [x.reshape(size, shapes[0][0], *x.shape[1:]) for x in found]
    else:
        places = [i for i, differs in enumerate(many) if differs]

        def one(some: Arrays) -> Any:
            return primitive.bind(*_put(arrays, places, some), spec=spec)

        found = jax.lax.map(one, tuple(arrays[i] for i in places))
    return found, (0,) * len(found)


def _batched_losses(arrays: Arrays, axes: Any, *, spec: _Spec) -> Any:
    found, axes = _batched(_losses, _rows_of_losses, arrays, axes, spec=spec)
    none = _no_logits(spec)
    return [*found, *none], (*axes, *(None for _ in none))


# --- the primitives ---------------------------------------------------------------------------


def _shapes_of_push(hidden: Any, *_: Any, spec: _Spec) -> list[Any]:
    return [jax.core.ShapedArray(hidden.shape[:1], np.dtype(spec.head.layer.dtype))]


def _shapes_of_losses(hidden: Any, *_: Any, spec: _Spec) -> list[Any]:
    shapes = [(hidden.shape[0], *_SAVED), (spec.room // _BITS.itemsize,)][: spec.saved]
    saved = (jax.core.ShapedArray(shape, _BITS) for shape in shapes)
    return [*_shapes_of_push(hidden, spec=spec), *saved]


def _shapes_of_pull(*arrays: Any, spec: _Spec) -> list[Any]:
    _, given, _ = spec.split(arrays)
    return [jax.core.ShapedArray(given[i].shape, given[i].dtype) for i in spec.places]


def _rows_of_losses(spec: _Spec, are_rows: tuple[bool, ...]) -> Any:
    """Which operands, and which results, have an entry a row."""
    none = (False for _ in spec.head.numbers)
    return list(itertools.compress((*are_rows, *none), spec.given)), [True, True]


def _rows_of_push(spec: _Spec, are_rows: tuple[bool, ...]) -> Any:
    held, _ = _rows_of_losses(spec, are_rows)
    return [*held, True, *(are_rows[i] for i in spec.places)], [True]


def _rows_of_pull(spec: _Spec, are_rows: tuple[bool, ...]) -> Any:
    held, _ = _rows_of_losses(spec, are_rows)
    return [*held, True, True], [are_rows[i] for i in spec.places]


def _primitive(
    name: str, f: Callable[..., Any], shapes: Any, rows_of: Any, work: str | None = None
) -> Any:
    """A function of rows, in the place of which compiled code may call a kernel."""
    primitive = kernels.Primitive(name)
    primitive.multiple_results = True
    primitive.def_impl(f)
    primitive.def_abstract_eval(shapes)
    batching.primitive_batchers[primitive] = functools.partial(_batched, primitive, rows_of)
    lower = mlir.lower_fun(f, multiple_results=True)

    def on_cpu(context: Any, *operands: Any, spec: _Spec) -> Any:
        if not (kernels.can_call(context) and _is_served(spec, context.avals_in)):
            return lower(context, *operands, spec=spec)
        call = (work, spec.head.layer, spec.head.formula.name, *spec[1:])
        return kernels.lower(context, operands, call)

    mlir.register_lowering(primitive, lower)
    if work is not None:
        mlir.register_lowering(primitive, on_cpu, platform="cpu")
    return primitive


_losses = _primitive(
    "xentropy_linear", _evaluate, _shapes_of_losses, _rows_of_losses, "linear losses"
)
_push = _primitive("xentropy_linear_push", _push_rows, _shapes_of_push, _rows_of_push)
_pull = _primitive(
    "xentropy_linear_pull", _pull_rows, _shapes_of_pull, _rows_of_pull, "linear gradients"
)
batching.primitive_batchers[_losses] = _batched_losses
ad.primitive_jvps[_losses] = _jvp
ad.primitive_jvps[_push] = functools.partial(_jvp_of_linear, _push_rows, _pushed)
ad.primitive_jvps[_pull] = functools.partial(_jvp_of_linear, _pull_rows, _pulled)
ad.primitive_transposes[_push] = functools.partial(_transpose, _pulled)
ad.primitive_transposes[_pull] = functools.partial(_transpose, _pushed)


# --- the kernels ------------------------------------------------------------------------------


def _is_served(spec: _Spec, arrays: Sequence[Any]) -> bool:
    """Whether kernels are to compute the losses, or these gradients."""
    if any(spec.wanted[_OF_LAYER:]) or not kernels.are_plain(arrays):
        return False
    return arrays[0].shape[0] * arrays[1].shape[0] >= kernels.LEAST


def _read(layer: Any, formula: str, given: Any, wanted: Any, room: int) -> _Spec:
    head = Head(Layer(*layer), _FORMULAS[formula], None, None)
    return _Spec(head, tuple(given), tuple(wanted), room)


def _logits_in(saved: Sequence[Any], head: Head) -> Any:
    """The memory in which logits wait, if there is any behind the numbers of rows."""
    return saved[1].view(head.layer.dtype) if len(saved) > 1 else None


def _call_losses(*call: Any) -> kernels.Work:
    spec = _read(*call)

    def compute(operands: list[Any], results: list[Any]) -> None:
        found, *saved = results
        head, given, _ = spec.split(operands)
        found[...], state = on_host.losses(head, given, more=_logits_in(saved, head))
        saved[0].view(np.float64)[...] = state.saved

    return compute


def _call_gradients(*call: Any) -> kernels.Work:
    spec = _read(*call)

    def compute(operands: list[Any], results: list[Any]) -> None:
        head, given, (*saved, cotangent) = spec.split(operands)
        numbers = saved[0].view(np.float64)
        if np.isnan(numbers).all():  # no kernel computed the losses, as under `jax.disable_jit`
            _, state = on_host.losses(head, given)
        else:
            state = on_host.restored(head, given, numbers, _logits_in(saved, head))
        on_host.gradients(state, cotangent, spec.wanted[:_OF_LAYER], kernels.lend(results))

    return compute


kernels.WORKS |= {"linear losses": _call_losses, "linear gradients": _call_gradients}
