"""Linear layers for torch.compile, which reads no loop over rows: its passes are operators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch._compile import _disable_dynamo

from xentropy._types import Arrays, Options
from xentropy.formulas import formula as rules
from xentropy.formulas import linear as heads
from xentropy.formulas.formula import Formula
from xentropy.formulas.linear import Head, Layer, Operands
from xentropy.formulas.softmax import cross_entropy_dense, cross_entropy_index
from xentropy.formulas.statistics import Request, evaluate
from xentropy.kernels import linear as on_host

from . import kernels, linear
from .linear import LinearCall, are_plain, in_order, lent, statistics_of_rows
from .namespace import followed
from .rows import OverRows, Rows, over_rows, pull_of

__all__ = ["losses", "statistics"]


def losses(head: Head, given: Operands) -> Any:
    """The losses, (N,)."""
    if kernels.transforming():
        # An operator has no rules for the transforms of torch.func, and what stands for a rule in
        # compiled code is not mapped.
        return heads.losses(followed, head, given)
    kernels.refuse_tangents()
    return torch.ops.xentropy.linear(*given, *_options(head))[0]


def statistics(layer: Layer, given: Operands, request: Request) -> Arrays:
    """Statistics of all rows."""
    if kernels.transforming():
        return heads.ask(followed, layer, given, request, _by_formulas)
    kernels.refuse_tangents()
    names = in_order(request).outputs
    asked = torch.ops.xentropy.linear_statistics(*given, *layer, list(names), request.k)
    found = dict(zip(names, asked, strict=True))
    return tuple(found[name] for name in request.outputs)


def _by_formulas(request: Request) -> Arrays:
    def value(formula: Formula, arrays: Arrays, options: Options) -> Any:
        return rules.value(followed, formula, arrays, options)

    return evaluate(value, followed, request)


_OPERANDS = (
    "Tensor hidden, Tensor weight, Tensor? bias, Tensor? labels, Tensor? class_weight, "
    "Tensor? class_mask, Tensor? sample_weight, Tensor? keep"
)
_COUNT = len(Operands._fields)
_LAYER = "float? scale, float? softcap, str dtype, int max_memory"
_OF_HEAD = f"({_OPERANDS}, bool is_index, float? smoothing, float? z_loss, {_LAYER})"
_OF_ROWS = f"({_OPERANDS}, {_LAYER}, str[] outputs, int k)"
_GRADIENTS = "(bool[] wanted, Tensor[] saved, "


def _wanted_of(wanted: Any, saved: Any, *arguments: Any) -> Any:
    """What the gradients look like."""
    pairs = zip(arguments[:_COUNT], wanted, strict=True)
    return [x.new_empty(x.shape) for x, want in pairs if want]


_library = torch.library.Library("xentropy", "FRAGMENT")


def _define(name: str, schema: str, run: Any, fake: Any, derived: Any, transformed: Any) -> None:
    """An operator, what autograd sees in its place, and the transforms of torch.func.

    `torch.library.custom_op` has no forward mode, and drops tangents in silence:
    https://github.com/pytorch/pytorch/pull/131116. In torch.func it has no gradient either:
    https://github.com/pytorch/pytorch/issues/179652.
    """
    tags = (torch.Tag.pt2_compliant_tag, torch.Tag.needs_fixed_stride_order)
    _library.define(name + schema, tags=tags)
    _library.impl(name, _disable_dynamo(run), "CompositeExplicitAutograd")
    _library.impl(name, derived, "Autograd")
    _library.impl(name, transformed, "FuncTorchDynamicLayerFrontMode")
    torch.library.register_fake(f"xentropy::{name}", fake, lib=_library)


# --- losses -----------------------------------------------------------------------------------


def _called(arguments: Arrays) -> tuple[Head, Operands]:
    """The call that an operator was given."""
    is_index, smoothing, z_loss, *layer = arguments[_COUNT:]
    formula = cross_entropy_index if is_index else cross_entropy_dense
    return Head(Layer(*layer), formula, smoothing, z_loss), Operands(*arguments[:_COUNT])


class _Operators(LinearCall):
    """A call that is evaluated by operators; the one for the losses has more to give."""

    saved: Any = None

    def losses(self, given: Operands) -> Any:
        with torch._C._AutoDispatchBelowAutograd():
            losses, self.saved = torch.ops.xentropy.linear(*given, *_options(self.head))
        return losses

    def gradients(self, wanted: tuple[bool, ...], cotangent: Any, given: Operands) -> Arrays:
        saved = [cotangent, self.saved]
        found = iter(_gradients(list(wanted), saved, *given, *_options(self.head)))
        return tuple(next(found) if want else None for want in wanted)


def _options(head: Head) -> Arrays:
    return (head.is_index, head.smoothing, head.z_loss, *head.layer)


def _losses(*arguments: Any) -> Any:
    """The losses, and what the kernels save for the gradients."""
    head, given = _called(arguments)
    call = LinearCall(head)
    losses = call.losses(given)
    if call.state is not None:
        return losses, torch.from_numpy(call.state.saved)
    return losses, _saved(given.hidden)


def _saved(hidden: Any) -> Any:
    return hidden.new_zeros((hidden.shape[0], on_host.SAVED), dtype=torch.float64)


def _like_losses(*arguments: Any) -> Any:
    head, given = _called(arguments)
    dtype = getattr(torch, head.layer.dtype)
    return given.hidden.new_empty((given.hidden.shape[0],), dtype=dtype), _saved(given.hidden)


def _derived_losses(*arguments: Any) -> Any:
    head, given = _called(arguments)
    call = _Operators(head)
    return linear.of_call(call, given), call.saved


def _transformed_losses(*arguments: Any) -> Any:
    head, given = _called(arguments)
    return linear.losses(head, given), _saved(given.hidden)


@torch.library.custom_op(
    "xentropy::linear_gradients",
    mutates_args=(),
    schema=f"{_GRADIENTS}{_OF_HEAD[1:]} -> Tensor[]",
)
def _gradients(wanted: Any, saved: Any, *arguments: Any) -> Any:
    """The gradients wanted, of the cotangent and of what the kernels saved."""
    (head, given), (cotangent, kept) = _called(arguments), saved
    call = LinearCall(head)
    if are_plain((*given, cotangent)):
        call.state = on_host.restored(head, lent(given), kept.numpy())
    found = call.gradients(tuple(wanted), cotangent, given)
    # Sums are wider than half precision.
    pairs = zip(found, given, strict=True)
    return [x.to(like.dtype).contiguous() for x, like in pairs if x is not None]


_gradients.register_fake(_wanted_of)
_define(
    "linear",
    f"{_OF_HEAD} -> (Tensor, Tensor)",
    _losses,
    _like_losses,
    _derived_losses,
    _transformed_losses,
)


# --- statistics -------------------------------------------------------------------------------


def _asked(arguments: Arrays) -> tuple[Layer, Operands, Request]:
    """The question that an operator was given."""
    *layer, outputs, k = arguments[_COUNT:]
    whole = Layer(*layer)
    request = Request(None, None, None, None, -1, whole.dtype, None, tuple(outputs), k)
    return whole, Operands(*arguments[:_COUNT]), request


def _statistics(*arguments: Any) -> Any:
    """What is asked for; those first that have derivatives."""
    layer, given, asked = _asked(arguments)
    return list(over_rows(statistics_of_rows(layer, given, asked), given))


def _like_statistics(*arguments: Any) -> Any:
    layer, given, asked = _asked(arguments)
    count = given.hidden.shape[0]
    dtypes = {"rank": torch.int64, "correct": torch.bool, "top_k": torch.int64}
    real = getattr(torch, layer.dtype)
    shapes = [(count, asked.k) if name == "top_k" else (count,) for name in asked.outputs]
    pairs = zip(shapes, asked.outputs, strict=True)
    return [given.hidden.new_empty(s, dtype=dtypes.get(name, real)) for s, name in pairs]


def _derived_statistics(*arguments: Any) -> Any:
    """By operators, as a function of rows whose gradients are by operators too."""
    layer, given, asked = _asked(arguments)
    rows, others = statistics_of_rows(layer, given, asked), arguments[_COUNT:]

    def whole(*given: Any) -> Arrays:
        with torch._C._AutoDispatchBelowAutograd():
            return tuple(torch.ops.xentropy.linear_statistics(*given, *others))

    def pulled(moving: list[int]) -> Rows:
        wanted = [i in moving for i in range(_COUNT)]

        def gradients(*arrays: Any) -> Arrays:
            given, cotangents = arrays[:_COUNT], list(arrays[_COUNT:])
            return tuple(_gradients_of_statistics(wanted, cotangents, *given, *others))

        return replace(pull_of(rows, moving), whole=gradients)

    return list(OverRows.apply(replace(rows, whole=whole, pulled=pulled), *given))


def _transformed_statistics(*arguments: Any) -> Any:
    return list(linear.statistics(*_asked(arguments)))


@torch.library.custom_op(
    "xentropy::linear_statistics_gradients",
    mutates_args=(),
    schema=f"{_GRADIENTS}{_OF_ROWS[1:]} -> Tensor[]",
)
def _gradients_of_statistics(wanted: Any, cotangents: Any, *arguments: Any) -> Any:
    """The gradients wanted, of the cotangents of what has derivatives."""
    layer, given, asked = _asked(arguments)
    moving = [i for i, want in enumerate(wanted) if want]
    pull = pull_of(statistics_of_rows(layer, given, asked), moving)
    found = over_rows(pull, (*given, *cotangents))
    # Sums are wider than half precision.
    return [x.to(given[i].dtype).contiguous() for i, x in zip(moving, found, strict=True)]


_gradients_of_statistics.register_fake(_wanted_of)
_define(
    "linear_statistics",
    f"{_OF_ROWS} -> Tensor[]",
    _statistics,
    _like_statistics,
    _derived_statistics,
    _transformed_statistics,
)
