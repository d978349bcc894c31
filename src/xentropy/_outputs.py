"""What a call of statistics asks for, and the tuples that it returns."""

from __future__ import annotations

import copyreg
import difflib
import numbers
from collections import namedtuple
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeAlias

from ._types import A, Arrays
from .dispatch import message
from .errors import OptionError
from .formulas.statistics import OUTPUTS

if TYPE_CHECKING:
    from ._call import Call

__all__ = ["Output", "Outputs", "Statistics", "check_k", "named", "parsed"]

Output: TypeAlias = str | tuple[str, int]
Outputs: TypeAlias = Output | tuple[Output, ...] | list[Output]


class Statistics(tuple[A, ...], Generic[A]):
    """What type checkers know of a result; of the fields it has those that were asked for."""

    log_prob: A
    logsumexp: A
    entropy: A
    rank: A
    correct: A
    top_k: A


def parsed(call: Call, outputs: Any) -> tuple[tuple[str, ...], int | None]:
    """The names of what is asked for, and the k of ``top_k``."""
    if isinstance(outputs, str) or _is_top_k(outputs):
        outputs = (outputs,)
    if not isinstance(outputs, (tuple, list)) or not outputs:
        rule = "`outputs` must name an output, or be a tuple of some."
        raise OptionError(message(call.name, rule, {"outputs": outputs}, _known()))
    names: list[str] = []
    k = None
    for output in outputs:
        name = output
        if _is_top_k(output):
            name, k = output[0], int(output[1])
        elif not isinstance(output, str) or output not in OUTPUTS or output == "top_k":
            _refuse(call, output)
        if name in names:
            rule = f"`outputs` must name each output once, not {name!r} twice."
            raise OptionError(message(call.name, rule, {}))
        names.append(name)
    return tuple(names), k


def _is_top_k(output: Any) -> bool:
    if not isinstance(output, (tuple, list)) or len(output) != 2 or output[0] != "top_k":
        return False
    return isinstance(output[1], numbers.Integral) and not isinstance(output[1], bool)


def check_k(call: Call, k: int | None, n: Any) -> None:
    """Refuse a ``k`` that is none of ``n`` classes, where their number is known."""
    if k is not None and (k < 1 or (isinstance(n, int) and k > n)):
        rule = f"the k of 'top_k' must lie in [1, {n}], up to the number of classes."
        raise OptionError(message(call.name, rule, {"k": k, call.first: call.x}))


def _known() -> str:
    return f"there are {', '.join(map(repr, OUTPUTS[:-1]))} and ('top_k', k)."


def _refuse(call: Call, output: Any) -> NoReturn:
    near = difflib.get_close_matches(output, OUTPUTS, 1) if isinstance(output, str) else []
    hint = f"did you mean {near[0]!r}?" if near else _known()
    if near == ["top_k"] or (isinstance(output, (tuple, list)) and "top_k" in output):
        hint = "pass ('top_k', k), with k an int."
    rule = f"`outputs` names {output!r}, which is no output."
    raise OptionError(message(call.name, rule, {}, hint))


_classes: dict[str, type] = {}


def named(names: tuple[str, ...], values: Arrays) -> Any:
    """Values as a NamedTuple, whose class is one for each tuple of names, as traces want it."""
    return _classes[_known_as(names)](*values)


def _known_as(names: tuple[str, ...]) -> str:
    """The key of the class of these names, which is made if it is missing."""
    key = " ".join(names)
    if key not in _classes:
        made: Any = namedtuple("SoftmaxStatistics", [*names])  # type: ignore[misc]
        # Pickle does not find it by its name.
        copyreg.pickle(made, lambda found: (named, (names, tuple(found))))
        _classes[key] = made
    return key


# torch.compile takes the answer, which can be a string; it cannot read how a class is made.
_known_as._dynamo_marked_constant = True  # type: ignore[attr-defined]
