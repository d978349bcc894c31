"""Which backend a call belongs to: one dictionary look-up by the type of its arrays.

No framework is imported that the caller has not imported: on the first sight of a type, the
backends whose framework is already in ``sys.modules`` are asked whether it is theirs.
"""

from __future__ import annotations

import functools
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ._tape import active, record
from ._types import Arrays, Namespace, Options
from .errors import DTypeError, MixedBackendError, OptionError
from .formulas import linear as heads
from .formulas.formula import Formula, value
from .formulas.statistics import Request, evaluate

if TYPE_CHECKING:
    import importlib.metadata

__all__ = [
    "AutodiffBackend",
    "Backend",
    "LayoutError",
    "backend_of",
    "check_devices",
    "describe",
    "installed_backends",
    "is_weak",
    "known_backend",
    "register_backend",
    "registered_backends",
    "resolve",
]

_GROUP = "xentropy.backends"
_GENERIC = "array_api"


class LayoutError(Exception):
    """What `Backend.unwrap` raises of an array that it cannot read: what it must be, and a hint."""

    def __init__(self, rule: str, hint: str) -> None:
        super().__init__(rule, hint)
        self.rule, self.hint = rule, hint


class Backend(ABC):
    """What the library asks of a framework; an adapter overrides what its framework does otherwise.

    The defaults serve namespaces of the array API standard without automatic differentiation.

    Parameters
    ----------
    name : str
        The name of the framework in messages.
    xp : Namespace
        The functions that the formulas use.
    """

    #: Whether arrays carry derivatives, as those of an `AutodiffBackend` do.
    autodiff = False
    #: Whether `apply` has a use for cotangents that must be computed first, and compiles nothing
    #: anew for another number.
    reads_weights = False
    #: Whether a length may be None, which only `agreeing` can compare then.
    opens_lengths = False
    #: Types of which every array is this backend's: of these an array need not be seen.
    types: frozenset[type] = frozenset()

    def __init__(self, name: str, xp: Namespace) -> None:
        self.name = name
        self.xp = xp

    def __repr__(self) -> str:
        return f"<xentropy backend {self.name}>"

    @abstractmethod
    def owns(self, x: object) -> bool:
        """Whether ``x`` is an array of this framework."""

    def bind(self, x: Any) -> Backend:
        """The backend for the type of ``x``: itself, unless it serves several families."""
        return self

    def unwrap(self, x: Any) -> Any:
        """An array as the library is to see it: a variable as what it holds now.

        `LayoutError` refuses one whose layout the formulas cannot read.
        """
        return x

    def dtype_name(self, x: Any) -> str:
        """The dtype as NumPy spells it: ``float32``, ``bfloat16``, ``int64``."""
        return str(x.dtype).rpartition(".")[2]

    def device(self, x: Any) -> Any:
        """Where ``x`` lies; None where it has no place yet."""
        return getattr(x, "device", None)

    def default_float(self) -> str:
        """The dtype that lists and numbers become as predictions."""
        return "float64"

    @abstractmethod
    def asarray(self, x: np.ndarray[Any, Any], like: Any | None) -> Any:
        """A NumPy array as an array of this family, on the device of ``like``."""

    def concrete(self, x: Any, *, sync: bool = False) -> np.ndarray[Any, Any] | None:
        """The values of ``x`` where reading them costs nothing: no trace, no sync, no compute.

        With ``sync`` an eager array on an accelerator is waited for and copied.
        """
        return None

    def of_shape(self, x: Any, shape: tuple[Any, ...]) -> Any:
        """``x`` of a graph, some lengths of which are known only now; None stands for others."""
        return x

    def agreeing(self, x: Any, beside: list[tuple[Any, int] | None], *, exact: bool) -> Any:
        """``x`` of a graph, which fails when it runs if the lengths of ``x`` are others.

        They are to be those of an array along an axis each, or, unless ``exact``, 1. Of axes with
        None all is known.
        """
        return x

    def eager(self) -> bool:
        """Whether this call runs now; False where a compiler reads it."""
        return True

    def followed(self, x: Any) -> bool:
        """Whether a derivative of the result ``x`` may be asked for, as far as is known now.

        Then it must stay an array. Traced arrays do so anyway: they have no values.
        """
        return active() is not None

    def index_dtype(self, x: Any) -> str:
        """The widest signed integer dtype where ``x`` lies; index labels are compared in it."""
        return "int64"

    def number(self, n: int, beside: Any) -> Any:
        """An integer to compare an array with, whose dtype holds it."""
        return n

    def first(self, x: Any) -> Any:
        """The first number of each row."""
        return x[..., 0]

    def accumulator(self, x: Any) -> str:
        """The dtype for sums over examples: float64 where the device of ``x`` has it."""
        return "float64"

    def apply(
        self, formula: Formula, arrays: Arrays, options: Options, upstream: float | None = None
    ) -> Any:
        """Evaluate a formula so that its partials become its derivative.

        ``upstream`` is the cotangent that each element of the result will most likely get, for
        kernels that compute the gradient with the value; None where nothing is known.
        """
        # Infinities and NaN are results here; underflow is a probability of 0.
        with np.errstate(all="ignore"):
            output = value(self.xp, formula, arrays, options)
        record(self.xp, formula, arrays, options, output)
        return output

    def plain_cross_entropy(self, x: Any, labels: Any, reduction: str) -> Any:
        """The cross-entropy of index labels without options, where there is a shorter way to it.

        None where there is none, or anything is unusual or wrong. Its checks are all there are.
        """
        return None

    def linear(self, head: heads.Head, given: heads.Operands) -> Any:
        """The losses of a linear layer, shape (N,), whose logits are never held all at once."""
        with np.errstate(all="ignore"):
            output = heads.evaluate(self.xp, head, given)

        def pull(wanted: tuple[bool, ...], cotangent: Any) -> Arrays:
            return heads.differentiate(self.xp, head, given, wanted, cotangent)

        record(self.xp, heads.on_tape(head), given, {}, output, pull)
        return output

    def statistics(self, request: Request) -> Arrays:
        """Statistics of rows, as `xentropy.formulas.statistics.evaluate` gives them."""
        return evaluate(self.apply, self.xp, request)

    def linear_statistics(
        self, layer: heads.Layer, given: heads.Operands, request: Request
    ) -> Arrays:
        """Statistics of the logits of a linear layer, which are never held all at once."""

        def answer(part: heads.Operands) -> Arrays:
            with np.errstate(all="ignore"):
                return heads.ask(self.xp, layer, part, request, self.statistics)

        return heads.statistics(self.xp, layer, given, answer)

    def kernels(self) -> list[str]:
        """What computes, for ``xentropy backends``."""
        return ["formulas"]

    def versions(self) -> dict[str, str]:
        """What this backend stands on, for ``xentropy backends``."""
        return {}

    def devices(self) -> list[str]:
        """The devices at hand, for ``xentropy backends``."""
        return ["cpu"]


class AutodiffBackend(Backend):
    """A `Backend` whose arrays carry derivatives; elsewhere the formulas' own are run."""

    autodiff = True

    @abstractmethod
    def value_and_grad(self, function: Callable[..., Any], primals: Arrays) -> tuple[Any, Arrays]:
        """The framework's own derivative: of the first of the scalars that ``function`` returns.

        ``function(*primals)`` returns a scalar and whatever else the caller is to get back.
        """

    def linear(self, head: heads.Head, given: heads.Operands) -> Any:
        """The same, by formulas that carry their derivatives."""
        return heads.evaluate(self.xp, head, given, self.apply)


_by_type: dict[type, Backend] = {}
_loaded: dict[str, Backend] = {}
_registered: dict[str, Backend] = {}
_entry_points: dict[str, importlib.metadata.EntryPoint] | None = None


def register_backend(framework: str, backend: Backend) -> None:
    """Teach the library an array family.

    A distribution can do the same without a call, by an entry point in the group
    ``xentropy.backends`` whose name is the framework's module and whose object is the backend.

    Parameters
    ----------
    framework : str
        The name of the module that defines the arrays, as in ``sys.modules``.
    backend : xentropy.dispatch.Backend
        The adapter. It takes precedence over an installed one of the same name.

    Raises
    ------
    OptionError
        If ``backend`` is not a `xentropy.dispatch.Backend`.
    """
    given: object = backend
    if not isinstance(given, Backend):
        rule = "`backend` must be a xentropy.dispatch.Backend."
        hint = "derive your adapter from it."
        raise OptionError(message("register_backend", rule, {"backend": given}, hint))
    _registered[framework] = backend
    _by_type.clear()


def backend_of(x: Any) -> Backend:
    """Return the backend that serves arrays of the type of ``x``.

    Parameters
    ----------
    x : array
        An array of any family.

    Returns
    -------
    xentropy.dispatch.Backend
        Its ``name`` and ``xp`` say what computes.

    Raises
    ------
    DTypeError
        If no installed backend knows the type.
    """
    backend = known_backend(type(x))
    if backend is None:
        backend = _loaded[_told(type(x)) or _find(x)]
        # Where a compiler reads this, what it has read must not change before it has compiled.
        if backend.eager():
            _by_type[type(x)] = backend
    return backend


def known_backend(kind: type) -> Backend | None:
    """Return the backend that has served this type of array before."""
    name = _known(kind)
    return None if name is None else _loaded[name]


def installed_backends() -> dict[str, Callable[[], Backend]]:
    """Return the names of all backends, with a function that loads each."""
    return {name: functools.partial(_load, name) for name in (*_entries(), *_registered)}


def registered_backends() -> dict[str, Backend]:
    """Return what `register_backend` was given, by the name of the framework."""
    return dict(_registered)


def is_weak(x: object) -> bool:
    """Whether ``x`` adopts the family and device of the predictions."""
    return isinstance(x, (bool, int, float, list, tuple, np.generic, np.ndarray))


def describe(x: Any) -> str:
    """Say what ``x`` is: ``float32[8, 128] torch cpu``, or the value of a number."""
    if isinstance(x, (bool, int, float, complex, str)) or x is None:
        return repr(x)
    if isinstance(x, (list, tuple)):
        return f"{type(x).__name__} of length {len(x)}"
    name = getattr(x, "__qualname__", None)  # of a function or a class
    if isinstance(name, str):
        return f"{getattr(x, '__module__', 'builtins')}.{name}"
    try:
        backend = backend_of(x)
    except DTypeError:
        return f"{type(x).__module__}.{type(x).__qualname__}".removeprefix("builtins.")
    try:
        shape = ", ".join("?" if n is None or n != n else str(n) for n in x.shape)
    except RuntimeError:  # of a nested tensor
        shape = "..."
    device = backend.device(x)
    place = "" if device is None else f" {device}"
    return f"{backend.dtype_name(x)}[{shape}] {backend.name}{place}"


def resolve(call: str, given: dict[str, Any]) -> Backend:
    """Find the backend of a call, whose first argument are the predictions.

    Raises
    ------
    MixedBackendError
        If the arguments belong to two families.
    DTypeError
        If an argument is of a type that no backend knows.
    """
    (first, predictions), *others = given.items()
    kind = type(predictions)
    backend = known_backend(kind)
    if backend is None or isinstance(predictions, (list, tuple, bool, int, float, np.generic)):
        backend = _family(call, given)
    for name, x in others:
        if x is not None and type(x) is not kind and not (type(x) is float or type(x) is int):
            _check_family(call, backend, given, first, name)
    return backend


def _family(call: str, given: dict[str, Any]) -> Backend:
    """The backend of the predictions, or of the first strong argument where they are weak."""
    predictions = next(iter(given.values()))
    for name, x in given.items():
        if x is not None or x is predictions:
            _refuse_unknown(call, name, x)
    strong = [x for x in given.values() if x is not None and not is_weak(x)]
    if isinstance(predictions, np.ndarray) or not is_weak(predictions):
        return backend_of(predictions)
    return backend_of(strong[0] if strong else np.empty(0))


def _refuse_unknown(call: str, name: str, x: Any) -> None:
    if isinstance(x, (list, tuple, bool, int, float, np.generic)):
        return
    if isinstance(x, complex):
        raise DTypeError(message(call, f"`{name}` must be real.", {name: x}))
    if isinstance(x, np.ma.MaskedArray):
        rule = f"`{name}` is a masked array, whose mask would be lost."
        hint = f"pass {name}.data with where=~{name}.mask."
        raise DTypeError(message(call, rule, {name: x}, hint))
    try:
        backend_of(x)
    except DTypeError as error:
        rule = f"`{name}` is of a type that no backend knows."
        hint = str(error).partition("Hint: ")[2]
        if hasattr(x, "to_numpy"):
            hint = f"pass {name}.to_numpy()."
        elif hasattr(x, "to_tensor"):
            hint = f"pass {name}.to_tensor(), and say with `where` what it fills up."
        raise DTypeError(message(call, rule, {name: x}, hint)) from None


def _check_family(
    call: str, backend: Backend, given: dict[str, Any], first: str, name: str
) -> None:
    x = given[name]
    _refuse_unknown(call, name, x)
    if is_weak(x) and not isinstance(x, np.ndarray):
        return
    other = backend_of(x)
    if other is backend or isinstance(x, np.ndarray):
        return
    raise MixedBackendError(
        message(
            call,
            f"`{name}` must be of the family of `{first}`, {backend.name}.",
            {first: given[first], name: x},
            hint="convert one; only numbers, lists and NumPy arrays follow the predictions.",
        )
    )


def check_devices(call: str, backend: Backend, given: dict[str, Any]) -> None:
    """Refuse arrays on two devices, 0-d arrays on the CPU excepted."""
    home: tuple[str, Any] | None = None
    for name, x in given.items():
        if x is None or is_weak(x):
            continue
        device = backend.device(x)
        if device is None or (x.ndim == 0 and str(device) == "cpu"):
            continue
        if home is None:
            home = name, device
        elif device != home[1]:
            raise MixedBackendError(
                message(
                    call,
                    f"`{name}` must lie on the device of `{home[0]}`, {home[1]}.",
                    {home[0]: given[home[0]], name: x},
                    hint="move one of them.",
                )
            )


def message(call: str, rule: str, arrays: dict[str, Any], hint: str = "") -> str:
    """The three parts of an error: the rule, what came, what to do."""
    lines = [f"xentropy.{call}: {rule}"]
    lines += [f"  {name}: {describe(x)}" for name, x in arrays.items()]
    return "\n".join([*lines, f"Hint: {hint}"] if hint else lines)


def _entries() -> dict[str, importlib.metadata.EntryPoint]:
    global _entry_points  # read once, on the first miss: it takes 2.5 ms, and as long to import
    if _entry_points is None:
        import importlib.metadata

        _entry_points = {e.name: e for e in importlib.metadata.entry_points(group=_GROUP)}
    return _entry_points


def _known(kind: type) -> str | None:
    """The key of the backend that has served this type of array before."""
    backend = _by_type.get(kind)
    return None if backend is None else backend.name


def _names() -> list[str]:
    """The modules of all frameworks that a backend is for."""
    return list({**_registered, **_entries()})


def _load(framework: str) -> Backend:
    """The backend of a framework: what was registered goes before what is installed."""
    if framework in _registered:
        return _registered[framework]
    backend: Backend = _entries()[framework].load()
    return backend


def _told(kind: type) -> str | None:
    """The key of the backend that tells by the type alone that an array is its own."""
    framework = kind.__module__.partition(".")[0]
    if framework not in _names():
        return None
    backend = _load(framework)
    if kind not in backend.types:
        return None
    _loaded[backend.name] = backend
    return backend.name


def _find(x: Any) -> str:
    """Ask the backends of loaded frameworks, the generic one last; returns a key of `_loaded`."""
    names, masked = _names(), isinstance(x, np.ma.MaskedArray)
    for framework in () if masked else sorted(names, key=lambda n: n == _GENERIC):
        if framework != _GENERIC and framework not in sys.modules:
            continue
        backend = _load(framework)
        if backend.owns(x):
            found = backend.bind(x)
            _loaded[found.name] = found
            return found.name
    kind = type(x)
    hint = f"pass an array of one of: {', '.join(sorted(names))}."
    if masked:
        hint = "pass its data, with where=~a.mask."
    msg = f"xentropy: no backend knows {kind.__module__}.{kind.__qualname__}.\nHint: {hint}"
    raise DTypeError(msg)


# torch.compile may be the first to see a tensor: it is to take the answer, not to trace the search,
# and it can take a string; by the type, of which it knows more inside of torch.func than of the
# tensor (graph break GB2922). Nor is it to compile again because the type is known the next time.
# torch.compiler.assume_constant_result sets this; torch is not imported.
_find._dynamo_marked_constant = True  # type: ignore[attr-defined]
_told._dynamo_marked_constant = True  # type: ignore[attr-defined]
_known._dynamo_marked_constant = True  # type: ignore[attr-defined]
