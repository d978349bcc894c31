"""The losses of torch that are likelihoods of distributions, and its divergence."""

from __future__ import annotations

from typing import Any

from xentropy import _steps as steps
from xentropy._call import Call
from xentropy._options import flag, number
from xentropy.dialects._speech import warn
from xentropy.errors import DTypeError, OptionError, ShapeError
from xentropy.formulas.gaussian import gaussian
from xentropy.formulas.poisson import poisson
from xentropy.formulas.relative_entropy import relative_entropy
from xentropy.validation import elementwise

from ._call import (
    NAN,
    arguments,
    broadcast,
    of_torch,
    promoted,
    reduced,
    reduction_of,
    values,
    widened,
)

__all__ = ["gaussian_nll_loss", "kl_div", "poisson_nll_loss"]


@of_torch()
def kl_div(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Any:
    """``torch.nn.functional.kl_div`` of 2.13, from log-probabilities.

    The mean divides by the number of elements, of which torch warns; ``"batchmean"`` by the length
    of the first axis. A target of 0 has loss 0 whatever the input.

    * ``input``: log-probabilities.
    * ``target``: probabilities, broadcast with ``input``.
    * ``size_average``: deprecated there: False is ``reduction="sum"``.
    * ``reduce``: deprecated there: False is ``reduction="none"``.
    * ``reduction``: "none", "mean", "sum" or "batchmean".
    * ``log_target``: whether ``target`` holds logarithms.
    """
    if reduction == "mean" and size_average is None and reduce is None:
        text = "reduction='mean' divides by all elements: 'batchmean' is the divergence."
        warn(input, text, stacklevel=3)
    how = reduction_of(input, reduction, size_average, reduce, "batchmean")
    call, x, t = arguments("kl_div", input=input, target=target)
    for name, array in (("input", x), ("target", t)):
        if call.kind(array) != "float":
            call.fail(DTypeError, f"`{name}` must be floating.", name)
    dtype = promoted(call, "input", "target", by_rank=True)
    n = None if how != "batchmean" or not x.ndim else call.backend.xp.size(x, 0)
    x, t = broadcast(call, widened(call, x, dtype), t)
    call = Call("kl_div", input=x, target=t)
    elementwise(call, "target", "values")
    losses = call.apply(relative_entropy, log_target=flag(call, "log_target", log_target))
    if how != "batchmean":
        return reduced(losses, how, dtype)
    total = steps.total(losses)
    if n is None:
        return steps.cast(total, dtype)
    one = call.backend.xp.ones_like(call.backend.xp.stop_gradient(total))
    return steps.cast(steps.mean(losses, None, one * n, of_none=NAN), dtype)


@of_torch()
def poisson_nll_loss(
    input: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    size_average: Any = None,
    eps: float = 1e-8,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """``torch.nn.functional.poisson_nll_loss`` of 2.13.

    A target of 0 drops an infinite logarithm.

    * ``input``: rates, or their logarithms.
    * ``target``: counts, broadcast with ``input``.
    * ``log_input``: whether ``input`` holds logarithms.
    * ``full``: whether to add Stirling's term.
    * ``size_average``: deprecated there: False is ``reduction="sum"``.
    * ``eps``: added to rates inside the logarithm.
    * ``reduce``: deprecated there: False is ``reduction="none"``.
    * ``reduction``: "none", "mean" or "sum".
    """
    how = reduction_of(input, reduction, size_average, reduce, old_name=False)
    call, x, t = arguments("poisson_nll_loss", input=input, target=target)
    dtype = promoted(call, "input", "target", by_rank=True)
    x, t = broadcast(call, widened(call, x, dtype), t)
    call = Call("poisson_nll_loss", input=x, target=t)
    elementwise(call, "target", "values")
    options = {
        "log_input": flag(call, "log_input", log_input),
        "eps": number(call, "eps", eps),
        "full": "above 1" if flag(call, "full", full) else "",
    }
    return reduced(call.apply(poisson, **options), how, dtype)


@of_torch()
def gaussian_nll_loss(
    input: Any,
    target: Any,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Any:
    """``torch.nn.functional.gaussian_nll_loss`` of 2.13.

    The gradient by ``var`` is that at ``max(var, eps)``, not 0 below ``eps``. A negative variance
    that cannot be read gives NaN.

    * ``input``: means.
    * ``target``: what was observed, broadcast with ``input``.
    * ``var``: variances: a number, or an array like ``input``, without its last axis or with
      one of 1.
    * ``full``: whether to add the constant.
    * ``eps``: the least variance.
    * ``reduction``: "none", "mean" or "sum".
    """
    how = reduction_of(input, reduction, old_name=False)
    call, x, t, v = arguments("gaussian_nll_loss", input=input, target=target, var=var)
    dtype = promoted(call, "input", "target", "var", by_rank=True)
    host = values(call, v)
    if host is not None and (host < 0).any():
        call.fail(OptionError, "`var` must not be negative.", "var")
    if not isinstance(call.given["var"], (int, float)):
        v = _laid_along(call, x, v)
    x, t = broadcast(call, widened(call, x, dtype), t)
    call = Call("gaussian_nll_loss", input=x, target=t)
    elementwise(call, "target", "values")
    options = {
        "dtype": call.dtype,
        "eps": number(call, "eps", eps),
        "full": flag(call, "full", full),
    }
    losses = call.backend.apply(gaussian, (call.x, call.labels, v), options)
    return reduced(losses, how, dtype)


def _laid_along(call: Call, x: Any, v: Any) -> Any:
    """The variance with the axes of the input: its own, all but the last, or one of length 1."""
    mine, want = tuple(v.shape), tuple(x.shape)
    if mine == want:
        return v
    if mine == want[:-1]:
        return steps.reshape(v, (*mine, 1))
    odd = [n for n, m in zip(mine, want, strict=False) if n != m]
    if len(mine) != len(want) or sum(odd) != 1:
        rule = "`var` must have the shape of `input`, without its last axis or with one of 1."
        call.fail(ShapeError, rule, "input", "var")
    return v
