"""The classes of torch.nn as callables without state of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xentropy.errors import DTypeError

from . import binary, likelihood, regression, softmax
from ._call import legacy

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "NLLLoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
]


class _Reduces:
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
    """``torch.nn.CrossEntropyLoss`` of 2.13."""

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
    """``torch.nn.NLLLoss`` of 2.13."""

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
    """``torch.nn.BCELoss`` of 2.13."""

    weight: Any = None
    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"

    def __call__(self, input: Any, target: Any) -> Any:
        """The loss of `binary_cross_entropy`."""
        return binary.binary_cross_entropy(input, target, **vars(self))


@dataclass(eq=False)
class BCEWithLogitsLoss(_Reduces):
    """``torch.nn.BCEWithLogitsLoss`` of 2.13."""

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
    """``torch.nn.MSELoss`` of 2.13."""

    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"

    def __call__(self, input: Any, target: Any) -> Any:
        """The loss of `mse_loss`."""
        return regression.mse_loss(input, target, **vars(self))


@dataclass(eq=False)
class L1Loss(_Reduces):
    """``torch.nn.L1Loss`` of 2.13."""

    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"

    def __call__(self, input: Any, target: Any) -> Any:
        """The loss of `l1_loss`."""
        return regression.l1_loss(input, target, **vars(self))


@dataclass(eq=False)
class SmoothL1Loss(_Reduces):
    """``torch.nn.SmoothL1Loss`` of 2.13."""

    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"
    beta: float = 1.0

    def __call__(self, input: Any, target: Any) -> Any:
        """The loss of `smooth_l1_loss`."""
        return regression.smooth_l1_loss(input, target, **vars(self))


@dataclass(eq=False)
class HuberLoss:
    """``torch.nn.HuberLoss`` of 2.13."""

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
    """``torch.nn.KLDivLoss`` of 2.13."""

    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"
    log_target: bool = False

    def __call__(self, input: Any, target: Any) -> Any:
        """The loss of `kl_div`."""
        return likelihood.kl_div(input, target, **vars(self))


@dataclass(eq=False)
class PoissonNLLLoss(_Reduces):
    """``torch.nn.PoissonNLLLoss`` of 2.13."""

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
class GaussianNLLLoss:
    """``torch.nn.GaussianNLLLoss`` of 2.13."""

    full: bool = False
    eps: float = 1e-6
    reduction: str = "mean"

    def __call__(self, input: Any, target: Any, var: Any) -> Any:
        """The loss of `gaussian_nll_loss`."""
        return likelihood.gaussian_nll_loss(input, target, var, **vars(self))


@dataclass(eq=False)
class SoftMarginLoss(_Reduces):
    """``torch.nn.SoftMarginLoss`` of 2.13."""

    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"

    def __call__(self, input: Any, target: Any) -> Any:
        """The loss of `soft_margin_loss`."""
        return binary.soft_margin_loss(input, target, **vars(self))
