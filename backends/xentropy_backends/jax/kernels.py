"""What computes in JAX on one CPU: the kernels, which XLA calls on its own memory.

There is one primitive for the losses of logits. What it is the formula says, to all transformations
and wherever no kernel can be called; only where XLA compiles for the CPU it becomes a call by XLA's
foreign function interface, whose binary layout is ``xla/ffi/api/c_api.h``.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import json
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.interpreters import ad, batching, mlir
from jax.sharding import NamedSharding, PartitionSpec

from xentropy._types import Arrays, Namespace, Options
from xentropy.formulas import formula as rules
from xentropy.formulas import softmax
from xentropy.formulas.formula import Formula
from xentropy.kernels import by_class, by_row, calls

try:
    from jax.extend.core import Primitive
except ImportError:  # before JAX 0.4.36
    from jax.core import Primitive  # type: ignore[attr-defined, no-redef]

__all__ = [
    "LEAST",
    "WORKS",
    "Kernel",
    "Primitive",
    "Spec",
    "Work",
    "are_here",
    "are_plain",
    "can_call",
    "count_cpus",
    "is_manual",
    "lend",
    "lower",
    "place",
    "put",
    "serves",
]

_config: Any = jax.config

Array = np.ndarray[Any, Any]
Work: TypeAlias = Callable[[list[Array], list[Array]], None]

_GUARDS = tuple(f"jax_transfer_guard{way}" for way in ("", "_host_to_device", "_device_to_device"))
LEAST = 2**13
"""Numbers that are worth a call from XLA into Python, which takes 30 us."""
_TARGET = "xentropy_kernel"
# Losses of elements XLA computes as fast.
_FORMULAS = {formula.name: formula for formula in (*by_row.FORMULAS, *by_class.FORMULAS)}


class Spec(NamedTuple):
    """A call without its operands, which are the arrays that are given and the numeric options.

    ``upstream`` is the cotangent of all losses; None where no gradient is wanted. In its place
    log-probabilities have the probabilities, of which their Jacobian is made.
    """

    formula: str
    static: tuple[tuple[str, Any], ...]
    numbers: tuple[str, ...]
    given: tuple[bool, ...]
    upstream: float | None

    def split(self, operands: Arrays) -> tuple[Formula, Arrays, Options]:
        """The formula, its arrays and its options."""
        rest = iter(operands)
        arrays = tuple(next(rest) if given else None for given in self.given)
        options = dict(self.static) | dict(zip(self.numbers, rest, strict=True))
        return _FORMULAS[self.formula], arrays, options


def serves(formula: Formula, arrays: Arrays) -> bool:
    """Whether a kernel is to evaluate the formula on arrays like these."""
    given = [x for x in arrays if x is not None]
    if formula.name not in _FORMULAS or not _register():
        return False
    if not are_plain(given) or is_manual(given):
        return False
    return arrays[0].size >= LEAST and calls.serves(formula, arrays, str(arrays[0].dtype))


def put(numbers: Iterable[Any], beside: Iterable[Any]) -> Iterable[Any]:
    """Numbers as operands; where JAX would not move them to the arrays in silence, put there.

    That takes 40 us, thirty times as long.
    """
    if all(getattr(_config, guard) is None for guard in _GUARDS):
        return numbers
    return jax.device_put(tuple(numbers), place(beside))


def place(arrays: Iterable[Any]) -> Any:
    """All the devices of arrays, to which a number is put; None where JAX is free to choose."""
    for x in arrays:
        while hasattr(x, "primal"):  # what is differentiated outside of jit
            x = x.primal
        if isinstance(x, jax.Array) and not isinstance(x, jax.core.Tracer) and x.committed:
            mesh = getattr(x.sharding, "mesh", None)
            if mesh is not None:
                return NamedSharding(mesh, PartitionSpec())
            if len(x.devices()) == 1:
                return x.sharding
    return None


def is_manual(arrays: Iterable[Any]) -> bool:
    """Whether `jax.shard_map` tells apart what varies over devices, as our primitives do not.

    https://docs.jax.dev/en/latest/notebooks/shard_map.html
    """
    if not hasattr(jax, "typeof"):  # before JAX 0.6
        return False
    types = [jax.typeof(x) for x in arrays]
    varying = [getattr(x, "vma", None) or getattr(x, "mat", None) for x in types]
    return any(getattr(x, "varying", x) for x in varying)


# --- the primitive ----------------------------------------------------------------------------


class Kernel:
    """The losses and, if wanted, the gradient by the logits, which are the first operand."""

    def __init__(self, xp: Namespace) -> None:
        self._xp = xp
        self._primitive = primitive = Primitive("xentropy")
        primitive.multiple_results = True
        primitive.def_impl(self._by_formula)
        primitive.def_abstract_eval(_abstract)
        ad.primitive_jvps[primitive] = self._jvp
        batching.primitive_batchers[primitive] = self._batched
        self._lower = mlir.lower_fun(self._by_formula, multiple_results=True)
        mlir.register_lowering(primitive, self._lower)
        mlir.register_lowering(primitive, self._lower_on_cpu, platform="cpu")

    def __call__(self, spec: Spec, operands: Arrays) -> list[Any]:
        """The losses; the gradient."""
        found: list[Any] = self._primitive.bind(*operands, spec=spec)
        return found

    def _by_formula(self, *operands: Any, spec: Spec) -> list[Any]:
        formula, arrays, options = spec.split(operands)
        losses = rules.value(self._xp, formula, arrays, options)
        if spec.upstream is None:
            return [losses]
        if formula.coupled:
            return [losses, rules.coupling(self._xp, formula, arrays, options)[1]]
        wrt = (True, *(False for _ in arrays[1:]))
        cotangent = jnp.full_like(losses, spec.upstream)
        return [losses, rules.vjp(self._xp, formula, arrays, options, wrt, cotangent)[0]]

    def _jvp(self, primals: Arrays, tangents: Arrays, *, spec: Spec) -> tuple[Any, Any]:
        moving = [i for i, t in enumerate(tangents) if type(t) is not ad.Zero]

        def f(*moved: Any) -> list[Any]:
            operands = dict(enumerate(primals)) | dict(zip(moving, moved, strict=True))
            return self._by_formula(*operands.values(), spec=spec)

        return jax.jvp(f, [primals[i] for i in moving], [tangents[i] for i in moving])

    def _batched(self, operands: Arrays, axes: Any, *, spec: Spec) -> tuple[Any, Any]:
        found = jax.vmap(functools.partial(self._by_formula, spec=spec), axes)(*operands)
        return found, (0,) * len(found)

    def _lower_on_cpu(self, context: Any, *operands: Any, spec: Spec) -> Any:
        if not can_call(context):
            return self._lower(context, *operands, spec=spec)
        # The gradient takes the place of the logits where nobody else wants these.
        aliases = None if spec.upstream is None else {0: 1}
        return lower(context, operands, ("rows", *spec), aliases)


def _abstract(x: Any, *_: Any, spec: Spec) -> list[Any]:
    """The shapes and dtypes of what is computed."""
    static = dict(spec.static)
    shape = rules.shape_of_output(_FORMULAS[spec.formula], x.shape, static)
    losses = jax.core.ShapedArray(shape, np.dtype(static["dtype"]))
    gradient = jax.core.ShapedArray(x.shape, x.dtype)
    return [losses] if spec.upstream is None else [losses, gradient]


def _work(formula: str, static: Any, numbers: Any, given: Any, upstream: float | None) -> Work:
    """The call of a kernel on the memory of operands and results."""
    spec = Spec(formula, tuple(map(tuple, static)), tuple(numbers), tuple(given), upstream)

    def compute(operands: list[Array], results: list[Array]) -> None:
        formula, arrays, options = spec.split(tuple(operands))
        options = {k: float(v) if k in spec.numbers else v for k, v in options.items()}
        saving = upstream is not None
        losses, state = calls.losses(
            formula, arrays, options, saving=saving, upstream=upstream, empty=lend(results)
        )
        found = [losses]
        if formula.coupled and saving:
            found.append(_probabilities(arrays, options, results[1]))
        elif state is not None:
            found.append(calls.gradient(state, np.asarray(upstream, losses.dtype)))
        for result, array in zip(results, found, strict=True):
            if array.ctypes.data != result.ctypes.data or array.strides != result.strides:
                result[...] = array

    return compute


def _probabilities(arrays: Arrays, options: Options, result: Array) -> Array:
    """Written to the result: the gradient of logsumexp."""
    call = softmax.logsumexp, arrays, {**options, "keepdims": True}
    _, state = calls.losses(*call, saving=True, upstream=None)
    assert state is not None
    return calls.gradient(state, np.ones((), options["dtype"]), lend([result]))


# --- the call from XLA ------------------------------------------------------------------------

WORKS: dict[str, Callable[..., Work]] = {"rows": _work}
"""What XLA may call, by name; it is made of what is written behind the name."""


def can_call(context: Any) -> bool:
    """Whether a kernel can be called from what is lowered for the CPU."""
    # What is exported must not need us; of what is sharded we would have to get everything.
    return not context.module_context.lowering_parameters.for_export and are_here()


def are_here() -> bool:
    """Whether there is one CPU, and JAX offers calls."""
    return count_cpus() == 1 and _register()


@functools.cache
def count_cpus() -> int:
    """CPUs that JAX knows as devices; none where the platform is switched off."""
    try:
        return len(jax.devices("cpu"))
    except RuntimeError:  # JAX_PLATFORMS names others only
        return 0


def lower(
    context: Any, operands: Any, work: tuple[Any, ...], aliases: dict[int, int] | None = None
) -> Any:
    """Call one of `WORKS`, named first, in the place of a primitive."""
    call = jax.ffi.ffi_lowering(_TARGET, operand_output_aliases=aliases)
    return call(context, *operands, work=json.dumps(work))


def lend(results: list[Array]) -> Callable[..., Array]:
    """What allocates for a kernel: it gives the results, in their order."""
    rest = iter(results)

    def empty(shape: tuple[int, ...], dtype: Any) -> Array:
        return np.empty(shape, dtype) if 0 in shape else next(rest).view(dtype).reshape(shape)

    return empty


def are_plain(arrays: Iterable[Any]) -> bool:
    """Whether all are of shapes and dtypes that kernels know."""
    return all(
        np.dtype(x.dtype) in _DTYPES.values() and all(type(n) is int for n in x.shape)
        for x in arrays
    )


_DTYPES = {
    number: np.dtype(dtype)
    for number, dtype in {
        1: np.bool_,
        2: np.int8,
        3: np.int16,
        4: np.int32,
        5: np.int64,
        6: np.uint8,
        7: np.uint16,
        8: np.uint32,
        9: np.uint64,
        10: np.float16,
        11: np.float32,
        12: np.float64,
        16: jnp.bfloat16,
    }.items()
}


def _structure(name: str, **fields: Any) -> Any:
    """A structure of the interface: its size, its extensions, its fields."""
    head = {"size_of": ctypes.c_size_t, "extension": ctypes.c_void_p}
    return type(name, (ctypes.Structure,), {"_fields_": list((head | fields).items())})


_int, _int64, _address = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p
_addresses = ctypes.POINTER(_address)
_Buffer = _structure("_Buffer", dtype=_int, data=_address, rank=_int64, dims=ctypes.POINTER(_int64))
_Buffers = _structure("_Buffers", count=_int64, kinds=_address, items=_addresses)
_Attributes = _structure(
    "_Attributes", count=_int64, kinds=_address, names=_address, items=_addresses
)
_Version = _structure("_Version", major=_int, minor=_int)
_Error = _structure("_Error", message=ctypes.c_char_p, code=_int)
_Interface = _structure(
    "_Interface",
    version=_Version,
    internal=_address,
    fail=ctypes.CFUNCTYPE(_address, ctypes.POINTER(_Error)),
)
_Frame = _structure(
    "_Frame",
    interface=ctypes.POINTER(_Interface),
    context=_address,
    stage=_int,
    arguments=_Buffers,
    results=_Buffers,
    attributes=_Attributes,
)
_INTERNAL_ERROR = 13


class _Text(ctypes.Structure):
    _fields_ = [("start", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class _Metadata(ctypes.Structure):
    _fields_ = [("size_of", ctypes.c_size_t), ("version", _Version)]


class _Question(ctypes.Structure):
    """The extension by which XLA asks for the version that we were written for."""

    _fields_ = [
        ("size_of", ctypes.c_size_t),
        ("kind", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("metadata", ctypes.POINTER(_Metadata)),
    ]


class _Memory:
    """Memory of XLA, for `numpy.asarray`."""

    def __init__(self, address: int, shape: tuple[int, ...], itemsize: int) -> None:
        self.__array_interface__ = {
            "version": 3,
            "data": (address, False),
            "shape": shape,
            "typestr": f"|V{itemsize}",
        }


def _arrays(buffers: Any) -> list[Array]:
    found = []
    for i in range(buffers.count):
        buffer = ctypes.cast(buffers.items[i], ctypes.POINTER(_Buffer)).contents
        dtype, shape = _DTYPES[buffer.dtype], tuple(buffer.dims[: buffer.rank])
        found.append(np.asarray(_Memory(buffer.data, shape, dtype.itemsize)).view(dtype))
    return found


@functools.cache
def _read(text: bytes) -> Work:
    name, *rest = json.loads(text)
    return WORKS[name](*rest)


def _compute(frame: Any) -> None:
    text = ctypes.cast(frame.attributes.items[0], ctypes.POINTER(_Text)).contents
    work = _read(ctypes.string_at(text.start, text.length))
    with np.errstate(all="ignore"):
        work(_arrays(frame.arguments), _arrays(frame.results))


@ctypes.CFUNCTYPE(_address, ctypes.POINTER(_Frame))
def _handle(pointer: Any) -> Any:
    """Answer XLA's question for the version, or compute; returns the address of an error."""
    frame = pointer.contents
    interface = frame.interface.contents
    if frame.extension:
        question = ctypes.cast(frame.extension, ctypes.POINTER(_Question)).contents
        version, theirs = question.metadata.contents.version, interface.version
        version.major, version.minor = theirs.major, theirs.minor
        return None
    try:
        _compute(frame)
    except BaseException as error:
        message = f"{type(error).__name__}: {error}".encode()
        return interface.fail(_Error(ctypes.sizeof(_Error), None, message, _INTERNAL_ERROR))
    return None


_REST, _PATIENCE = 0.05, 60.0  # seconds


@functools.cache
def _register() -> bool:
    """Make the kernels known to XLA, where JAX offers that."""
    if not hasattr(jax, "ffi"):
        return False
    jax.ffi.register_ffi_target(_TARGET, jax.ffi.pycapsule(_handle), platform="cpu")
    atexit.register(_finish)
    return True


def _finish() -> None:
    """Wait for what is under way: it may call us, who need the interpreter, and JAX waits for it.

    https://docs.python.org/3.11/c-api/init.html#c.PyGILState_Ensure
    """
    jax.block_until_ready([x for x in jax.live_arrays() if not x.is_deleted()])
    # What nobody holds any more is computed, too, and JAX does not tell: until the process rests.
    latest = time.monotonic() + _PATIENCE
    used, before = time.process_time(), -1.0
    while used - before > _REST / 5 and time.monotonic() < latest:
        time.sleep(_REST)
        used, before = time.process_time(), used
