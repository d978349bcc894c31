"""What a formula is: a value and its partial derivatives, and the three ways to run it.

The mathematics of a loss is two functions on a namespace ``xp``: ``value``, and ``partials``, the
derivative of each output by the inputs that it depends on. Reverse mode multiplies the partials
by a cotangent, forward mode by tangents; both are ordinary array code, so that a framework can
differentiate them again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from xentropy._types import Arrays, Namespace, Options

__all__ = [
    "Formula",
    "Role",
    "along",
    "coupling",
    "jvp",
    "push_coupled",
    "shape_of_output",
    "unbroadcast",
    "value",
    "vjp",
]

# elements: broadcasts against the prediction.
# classes:  0-d or (C,).
# examples: broadcasts against the per-example losses.
# constant: passed as it is, never differentiated.
# summands: like examples, and left in their dtype.
Role: TypeAlias = Literal["elements", "classes", "examples", "constant", "summands"]


@dataclass(frozen=True, eq=False)
class Formula:
    """A function of arrays, with its derivatives.

    Parameters
    ----------
    name : str
        What a backend's override is looked up by.
    roles : mapping of str to Role
        The array arguments, in order. A missing optional argument is None.
    reduces : {"axis", "none", "all"}
        Whether one output belongs to a whole row along the option ``axis``, to one element, or
        to everything.
    value : callable
        ``value(xp, **arrays, **options)``: the outputs, with reduced axes kept as length 1.
    partials : callable
        ``partials(xp, wrt, **arrays, **options)``: for each argument named in ``wrt`` the
        derivative of the output that the element belongs to, broadcastable to the elements.
    coupled : bool
        The outputs are elements of a row and each depends on the whole row. Then ``partials`` gives
        ``(d, r, 1 - r)`` of the Jacobian ``diag(d) (I - outer(1, r))`` with respect to the first
        argument, the last with all its digits.
    """

    name: str
    roles: Mapping[str, Role]
    reduces: Literal["axis", "none", "all"]
    value: Callable[..., Any]
    partials: Callable[..., Mapping[str, Any]]
    coupled: bool = False

    def __repr__(self) -> str:
        return f"<formula {self.name}>"


def value(xp: Namespace, formula: Formula, arrays: Arrays, options: Options) -> Any:
    """Evaluate ``formula`` on arrays as the caller gave them."""
    return _lower_output(
        xp, formula, formula.value(xp, **_lift(xp, formula, arrays, options), **options), options
    )


def vjp(
    xp: Namespace,
    formula: Formula,
    arrays: Arrays,
    options: Options,
    wrt: Sequence[bool],
    cotangent: Any,
) -> tuple[Any, ...]:
    """Pull ``cotangent`` back to the arguments marked in ``wrt``; None for the others."""
    names = tuple(formula.roles)
    wanted = tuple(name for name, want in zip(names, wrt, strict=True) if want)
    partials = formula.partials(xp, wanted, **_lift(xp, formula, arrays, options), **options)
    cotangent = _lift_one(xp, _cast(xp, cotangent, options), "examples", formula, 0, options)
    gradients: list[Any] = []
    for name, array in zip(names, arrays, strict=True):
        if name not in wanted:
            gradients.append(None)
            continue
        if formula.coupled:
            diagonal, row, rest = partials[name]
            gradient = diagonal * cotangent
            others = _sum(xp, gradient, options["axis"]) - gradient
            gradient = gradient * rest - row * others
        else:
            gradient = partials[name] * cotangent
        gradients.append(_lower_gradient(xp, formula, gradient, name, array, options))
    return tuple(gradients)


def jvp(xp: Namespace, formula: Formula, arrays: Arrays, options: Options, tangents: Arrays) -> Any:
    """Push ``tangents`` forward; None stands for a zero tangent, in the result too."""
    names = tuple(formula.roles)
    moving = tuple(n for n, t in zip(names, tangents, strict=True) if t is not None)
    if not moving:
        return None
    partials = formula.partials(xp, moving, **_lift(xp, formula, arrays, options), **options)
    lifted = _lift(xp, formula, tangents, options, ndim=arrays[0].ndim, kept=("constant",))
    pieces = [_push(xp, formula, name, partials[name], lifted[name], options) for name in moving]
    total = pieces[0]
    for piece in pieces[1:]:
        total = total + piece
    total = _lower_output(xp, formula, total, options)
    result = str(options.get("result", options["dtype"]))
    return xp.astype(total, getattr(xp, result))


def coupling(
    xp: Namespace, formula: Formula, arrays: Arrays, options: Options
) -> tuple[Any, Any, Any]:
    """The partials of a coupled formula."""
    (first, *_) = formula.roles
    lifted = _lift(xp, formula, arrays, options)
    diagonal, row, rest = formula.partials(xp, (first,), **lifted, **options)[first]
    return diagonal, row, rest


def push_coupled(
    xp: Namespace, diagonal: Any, row: Any, rest: Any, tangent: Any, options: Options
) -> Any:
    """Push a tangent forward through a coupled formula."""
    each = row * tangent
    pushed = rest * tangent - (_sum(xp, each, options["axis"]) - each)
    return diagonal * xp.where(diagonal == 0, 0.0, pushed)


def _push(
    xp: Namespace, formula: Formula, name: str, partial: Any, tangent: Any, options: Options
) -> Any:
    if formula.coupled:
        diagonal, row, rest = partial
        return push_coupled(xp, diagonal, row, rest, tangent, options)
    piece = partial * tangent
    if formula.reduces == "axis" and formula.roles[name] in ("elements", "classes"):
        return _sum(xp, piece, options["axis"])
    if formula.reduces == "all" and piece.ndim:
        return xp.sum(piece, axis=None, keepdims=False)
    return piece


def _sum(xp: Namespace, x: Any, axis: int) -> Any:
    return xp.sum(x, axis=axis, keepdims=True)


def _cast(xp: Namespace, x: Any, options: Options) -> Any:
    dtype: str = options["dtype"]
    return xp.astype(x, getattr(xp, dtype))


def _lift(
    xp: Namespace,
    formula: Formula,
    arrays: Arrays,
    options: Options,
    ndim: int | None = None,
    kept: tuple[Role, ...] = ("constant", "summands"),
) -> dict[str, Any]:
    """Name the arrays, cast them to the compute dtype, shape them to broadcast by element."""
    rank = int(arrays[0].ndim) if ndim is None else ndim
    return {
        name: array
        if array is None or role in kept
        else _lift_one(xp, _cast(xp, array, options), role, formula, rank, options)
        for (name, role), array in zip(formula.roles.items(), arrays, strict=True)
    }


def _lift_one(
    xp: Namespace, array: Any, role: Role, formula: Formula, ndim: int, options: Options
) -> Any:
    if role == "examples" and formula.reduces == "axis" and not options.get("keepdims", False):
        # A 0-d weight is shared by all examples; the 0-d loss of a single row gets its axis.
        return xp.expand_dims(array, axis=options["axis"]) if array.ndim or ndim == 0 else array
    if role == "classes" and array.ndim == 1:
        return xp.reshape(array, along(options.get("axis", -1), ndim))
    return array


def along(axis: int, ndim: int) -> tuple[int, ...]:
    """The shape that lays a vector along ``axis``, negative, of an array of rank ``ndim``."""
    return (1,) * (ndim + axis) + (-1,) + (1,) * (-1 - axis)


def _lower_output(xp: Namespace, formula: Formula, output: Any, options: Options) -> Any:
    if formula.reduces == "axis" and not options.get("keepdims", False):
        return xp.squeeze(output, options["axis"])
    return output


def _lower_gradient(
    xp: Namespace, formula: Formula, gradient: Any, name: str, array: Any, options: Options
) -> Any:
    """Sum a gradient to the shape of its argument, and give it the argument's dtype."""
    role = formula.roles[name]
    if role == "examples" and formula.reduces == "axis" and array.ndim:
        gradient = xp.squeeze(gradient, options["axis"])
    if role == "classes" and array.ndim == 1:
        axis = options.get("axis", -1)
        others = tuple(i for i in range(-gradient.ndim, 0) if i != axis)
        gradient = xp.sum(gradient, axis=others, keepdims=False) if others else gradient
    gradient = xp.astype(unbroadcast(xp, gradient, array), array.dtype)
    # A sum has the same slope by each of its terms.
    return gradient if gradient.ndim == array.ndim else xp.broadcast_like(gradient, array)


def shape_of_output(formula: Formula, shape: tuple[int, ...], options: Options) -> tuple[int, ...]:
    """The shape of what a formula makes of a prediction, unless it reduces everything."""
    if formula.reduces == "none":
        return shape
    axis, kept = options["axis"] % len(shape), (1,) if options.get("keepdims") else ()
    return shape[:axis] + kept + shape[axis + 1 :]


def unbroadcast(xp: Namespace, gradient: Any, array: Any) -> Any:
    """Sum a gradient to the shape of what was broadcast."""
    extra = gradient.ndim - array.ndim
    axes = tuple(
        i
        for i in range(gradient.ndim)
        if i < extra or (array.shape[i - extra] == 1 and gradient.shape[i] != 1)
    )
    if axes:
        gradient = xp.sum(gradient, axis=axes, keepdims=True)
    for _ in range(extra):
        gradient = xp.squeeze(gradient, 0)
    return gradient
