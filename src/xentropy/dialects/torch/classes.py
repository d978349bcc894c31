"""The classes of torch.nn as callables without state of their own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

from xentropy import _steps as steps
from xentropy.errors import DTypeError, OptionError, ShapeError

from . import binary, likelihood, regression, softmax
from ._call import legacy, of_torch

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "LinearCrossEntropyLoss",
    "MSELoss",
    "NLLLoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
]


class _Module:
    """What training loops call of a module; there is nothing to train here.

    A module that holds such a loss neither moves nor saves its weights.
    """

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The same as a call."""
        return self(*args, **kwargs)  # type: ignore[operator]

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move the weights, if there are any that can be moved."""
        for name, x in vars(self).items():
            if hasattr(x, "to"):
                setattr(self, name, x.to(*args, **kwargs))
        return self

    def cuda(self, device: Any = None) -> Self:
        """Move the weights to a CUDA device."""
        return self.to("cuda" if device is None else device)

    def cpu(self) -> Self:
        """Move the weights to the CPU."""
        return self.to("cpu")

    def train(self, mode: bool = True) -> Self:
        """Nothing: the loss is the same in both modes."""
        return self

    def eval(self) -> Self:
        """Nothing: the loss is the same in both modes."""
        return self


class _Reduces(_Module):
    """A loss of which the deprecated arguments are translated when it is made."""

    size_average: Any
    reduce: Any
    reduction: str

    def __post_init__(self) -> None:
        found = legacy(self.size_average, self.reduce)
        if found is not None:
            self.size_average, self.reduce, self.reduction = None, None, found


@dataclass(eq=False)
class CrossEntropyLoss(_Reduces):
    """``torch.nn.CrossEntropyLoss`` of 2.13.

    * ``weight``: a factor for each class; with indices it also divides the mean.
    * ``size_average``: deprecated there: False is ``reduction="sum"``.
    * ``ignore_index``: the index of rows to leave out.
    * ``reduce``: deprecated there: False is ``reduction="none"``.
    * ``reduction``: "none", "mean" or "sum".
    * ``label_smoothing``: the share that goes to all classes alike, at most 1; below 0 it is
      0.
    """

    weight: Any = None
    size_average: Any = None
    ignore_index: int = -100
    reduce: Any = None
    reduction: str = "mean"
    label_smoothing: float = 0.0

    def __call__(self, input: Any, target: Any) -> Any:
        """The loss of `cross_entropy`."""
        return softmax.cross_entropy(input, target, **vars(self))


@dataclass(eq=False)
class NLLLoss(_Reduces):
    """``torch.nn.NLLLoss`` of 2.13.

    * ``weight``: a factor for each class, which also divides the mean.
    * ``size_average``: deprecated there: False is ``reduction="sum"``.
    * ``ignore_index``: the index of rows to leave out.
    * ``reduce``: deprecated there: False is ``reduction="none"``.
    * ``reduction``: "none", "mean" or "sum".
    """

    weight: Any = None
    size_average: Any = None
    ignore_index: int = -100
    reduce: Any = None
    reduction: str = "mean"

    def __call__(self, input: Any, target: Any) -> Any:
        """The loss of `nll_loss`."""
        return softmax.nll_loss(input, target, **vars(self))


@dataclass(eq=False)
class BCELoss(_Reduces):
    """``torch.nn.BCELoss`` of 2.13.

    * ``weight``: a factor for each element, broadcast to ``input``.
    * ``size_average``: deprecated there: False is ``reduction="sum"``.
    * ``reduce``: deprecated there: False is ``reduction="none"``.
    * ``reduction``: "none", "mean" or "sum".
    """

    weight: Any = None
    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"

    def __call__(self, input: Any, target: Any) -> Any:
        """The loss of `binary_cross_entropy`."""
        return binary.binary_cross_entropy(input, target, **vars(self))


@dataclass(eq=False)
class BCEWithLogitsLoss(_Reduces):
    """``torch.nn.BCEWithLogitsLoss`` of 2.13.

    * ``weight``: a factor for each element, broadcast to ``input``.
    * ``size_average``: deprecated there: False is ``reduction="sum"``.
    * ``reduce``: deprecated there: False is ``reduction="none"``.
    * ``reduction``: "none", "mean" or "sum".
    * ``pos_weight``: a factor for the positive class, broadcast to ``input``.
    """

    weight: Any = None
    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"
    pos_weight: Any = None

    def __call__(self, input: Any, target: Any) -> Any:
        """The loss of `binary_cross_entropy_with_logits`."""
        return binary.binary_cross_entropy_with_logits(input, target, **vars(self))


@dataclass(eq=False)
class MSELoss(_Reduces):
    """``torch.nn.MSELoss`` of 2.13.

    * ``size_average``: deprecated there: False is ``reduction="sum"``.
    * ``reduce``: deprecated there: False is ``reduction="none"``.
    * ``reduction``: "none", "mean" or "sum".
    """

    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"

    def __call__(self, input: Any, target: Any) -> Any:
        """The loss of `mse_loss`."""
        return regression.mse_loss(input, target, **vars(self))


@dataclass(eq=False)
class L1Loss(_Reduces):
    """``torch.nn.L1Loss`` of 2.13.

    * ``size_average``: deprecated there: False is ``reduction="sum"``.
    * ``reduce``: deprecated there: False is ``reduction="none"``.
    * ``reduction``: "none", "mean" or "sum".
    """

    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"

    def __call__(self, input: Any, target: Any) -> Any:
        """The loss of `l1_loss`."""
        return regression.l1_loss(input, target, **vars(self))


@dataclass(eq=False)
class SmoothL1Loss(_Reduces):
    """``torch.nn.SmoothL1Loss`` of 2.13.

    * ``size_average``: deprecated there: False is ``reduction="sum"``.
    * ``reduce``: deprecated there: False is ``reduction="none"``.
    * ``reduction``: "none", "mean" or "sum".
    * ``beta``: where squares turn into absolute errors; 0 has none.
    """

    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"
    beta: float = 1.0

    def __call__(self, input: Any, target: Any) -> Any:
        """The loss of `smooth_l1_loss`."""
        return regression.smooth_l1_loss(input, target, **vars(self))


@dataclass(eq=False)
class HuberLoss(_Module):
    """``torch.nn.HuberLoss`` of 2.13.

    * ``reduction``: "none", "mean" or "sum".
    * ``delta``: where squares turn into absolute errors, above 0.
    """

    reduction: str = "mean"
    delta: float = 1.0

    def __post_init__(self) -> None:
        delta: object = self.delta
        if not isinstance(delta, (float, int)):
            msg = f"`delta` must be a float or an int, not {type(delta).__name__}."
            raise DTypeError(msg)

    def __call__(self, input: Any, target: Any) -> Any:
        """The loss of `huber_loss`."""
        return regression.huber_loss(input, target, **vars(self))


@dataclass(eq=False)
class KLDivLoss(_Reduces):
    """``torch.nn.KLDivLoss`` of 2.13.

    * ``size_average``: deprecated there: False is ``reduction="sum"``.
    * ``reduce``: deprecated there: False is ``reduction="none"``.
    * ``reduction``: "none", "mean", "sum" or "batchmean".
    * ``log_target``: whether ``target`` holds logarithms.
    """

    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"
    log_target: bool = False

    def __call__(self, input: Any, target: Any) -> Any:
        """The loss of `kl_div`."""
        return likelihood.kl_div(input, target, **vars(self))


@dataclass(eq=False)
class PoissonNLLLoss(_Reduces):
    """``torch.nn.PoissonNLLLoss`` of 2.13.

    * ``log_input``: whether ``input`` holds logarithms.
    * ``full``: whether to add Stirling's term.
    * ``size_average``: deprecated there: False is ``reduction="sum"``.
    * ``eps``: added to rates inside the logarithm.
    * ``reduce``: deprecated there: False is ``reduction="none"``.
    * ``reduction``: "none", "mean" or "sum".
    """

    log_input: bool = True
    full: bool = False
    size_average: Any = None
    eps: float = 1e-8
    reduce: Any = None
    reduction: str = "mean"

    def __call__(self, log_input: Any, target: Any) -> Any:
        """The loss of `poisson_nll_loss`."""
        return likelihood.poisson_nll_loss(log_input, target, **vars(self))


@dataclass(eq=False, kw_only=True)
class GaussianNLLLoss(_Module):
    """``torch.nn.GaussianNLLLoss`` of 2.13.

    * ``full``: whether to add the constant.
    * ``eps``: the least variance.
    * ``reduction``: "none", "mean" or "sum".
    """

    full: bool = False
    eps: float = 1e-6
    reduction: str = "mean"

    def __call__(self, input: Any, target: Any, var: Any) -> Any:
        """The loss of `gaussian_nll_loss`."""
        return likelihood.gaussian_nll_loss(input, target, var, **vars(self))


@dataclass(eq=False)
class SoftMarginLoss(_Reduces):
    """``torch.nn.SoftMarginLoss`` of 2.13.

    * ``size_average``: deprecated there: False is ``reduction="sum"``.
    * ``reduce``: deprecated there: False is ``reduction="none"``.
    * ``reduction``: "none", "mean" or "sum".
    """

    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"

    def __call__(self, input: Any, target: Any) -> Any:
        """The loss of `soft_margin_loss`."""
        return binary.soft_margin_loss(input, target, **vars(self))


@dataclass(eq=False)
class _Linear(_Module):
    """The arrays of a linear layer."""

    weight: Any = None
    bias: Any = None


class LinearCrossEntropyLoss(_Module):
    """``torch.nn.LinearCrossEntropyLoss`` of 2.13, with a linear layer that is given.

    Nothing is drawn at random: before the first call assign ``linear.weight``, of shape
    ``(num_classes * prod(out_features), in_features)``, and with ``bias=True`` ``linear.bias``, one
    for each row of it. They are arrays like the input, so ``device`` and ``dtype`` have no effect,
    nor have ``options``. `linear_cross_entropy` has gradients by them everywhere.

    * ``in_features``: the length of a row of the input.
    * ``num_classes``: C.
    * ``out_features``: the other axes of the target.
    * ``bias``: whether the layer has one.
    * ``device``: no effect: arrays are assigned.
    * ``dtype``: no effect: arrays are assigned.
    * ``reduction``: "none", "mean" or "sum".
    * ``weight``: a factor for each class.
    * ``ignore_index``: the index of rows to leave out; None is -100.
    * ``label_smoothing``: the share that goes to all classes alike, in [0, 1].
    * ``options``: no effect: how much memory it takes there.
    """

    @of_torch()
    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Any = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: Any = None,
    ) -> None:
        if weight is not None and tuple(weight.shape) != (num_classes,):
            msg = f"`weight` must be of shape {(num_classes,)}, not {tuple(weight.shape)}."
            raise ShapeError(msg)
        if not 0 <= label_smoothing <= 1:
            msg = f"`label_smoothing` must be in [0, 1], not {label_smoothing!r}."
            raise OptionError(msg)
        self.in_features, self.num_classes = in_features, num_classes
        self.out_features, self.bias = tuple(out_features), bias
        self.weight, self.reduction, self.ignore_index = weight, reduction, ignore_index
        self.label_smoothing, self.options = label_smoothing, options
        self.linear = _Linear()

    def __repr__(self) -> str:
        hidden = ("weight", "linear")
        inside = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if k not in hidden)
        return f"LinearCrossEntropyLoss({inside})"

    @of_torch()
    def __call__(self, input: Any, target: Any) -> Any:
        """The loss of `linear_cross_entropy`, by the arrays of ``linear``."""
        classes = (self.num_classes, *self.out_features)
        rows = math.prod(classes)
        head, bias = self.linear.weight, self.linear.bias
        if head is None or tuple(head.shape) != (rows, self.in_features):
            msg = f"`linear.weight` must be assigned, of shape {(rows, self.in_features)}."
            raise ShapeError(msg)
        if (bias is not None) != self.bias or (self.bias and tuple(bias.shape) != (rows,)):
            shape = f"assigned, of shape {(rows,)}" if self.bias else "None, as `bias` is not True"
            msg = f"`linear.bias` must be {shape}."
            raise ShapeError(msg)
        return softmax.linear_cross_entropy(
            input,
            steps.reshape(head, (*classes, self.in_features)),
            target,
            linear_bias=None if bias is None else steps.reshape(bias, classes),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )
