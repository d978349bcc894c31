"""The losses of torch themselves, in its process."""

from __future__ import annotations

import warnings
from typing import Any

import ml_dtypes
import numpy as np

from tests.dialects import torch_truth
from tests.dialects.case import Array, Case

__all__ = ["CLASSES", "ORIGINALS", "original"]

FUNCTIONS = tuple(sorted(torch_truth.ALL))
CLASSES = {
    "BCELoss": "binary_cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits",
    "CrossEntropyLoss": "cross_entropy",
    "GaussianNLLLoss": "gaussian_nll_loss",
    "HuberLoss": "huber_loss",
    "KLDivLoss": "kl_div",
    "L1Loss": "l1_loss",
    "LinearCrossEntropyLoss": "linear_cross_entropy",
    "MSELoss": "mse_loss",
    "NLLLoss": "nll_loss",
    "PoissonNLLLoss": "poisson_nll_loss",
    "SmoothL1Loss": "smooth_l1_loss",
    "SoftMarginLoss": "soft_margin_loss",
}


def ORIGINALS() -> dict[str, Any]:
    """The functions and classes of the original."""
    import torch
    import torch.nn.functional as F

    found = {name: getattr(F, name, sigmoid_focal_loss) for name in FUNCTIONS}
    return {**found, **{name: getattr(torch.nn, name) for name in CLASSES}}


def sigmoid_focal_loss(
    inputs: Any, targets: Any, alpha: float = 0.25, gamma: float = 2, reduction: str = "none"
) -> Any:
    """``torchvision.ops.sigmoid_focal_loss`` as its sources describe it."""
    import torch
    import torch.nn.functional as F

    if not 0 <= alpha <= 1 and alpha != -1:
        raise ValueError(alpha)
    p = torch.sigmoid(inputs)
    loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    loss = loss * (1 - (p * targets + (1 - p) * (1 - targets))) ** gamma
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    if reduction == "none":
        return loss
    if reduction not in ("mean", "sum"):
        raise ValueError(reduction)
    return loss.mean() if reduction == "mean" else loss.sum()


def original(case: Case) -> tuple[Any, tuple[Any, ...]]:
    """What the original makes of a case."""
    import torch

    def tensor(x: Any) -> Any:
        if not isinstance(x, (np.ndarray, np.generic)):
            return x
        if x.dtype == ml_dtypes.bfloat16:
            return torch.from_numpy(np.array(x).view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(np.array(x))

    def plain(x: Any) -> Array:
        x = x.detach()
        if x.dtype == torch.bfloat16:
            found: Array = x.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
            return found
        found = x.numpy()
        return found

    args = [tensor(x) for x in case.args]
    options = {name: tensor(x) for name, x in case.options.items()}
    with warnings.catch_warnings(action="ignore"):
        function = ORIGINALS()[case.function]
        if case.call is not None:
            function, options = function(**options), {k: tensor(x) for k, x in case.call.items()}
        wanted = [args[k].requires_grad_() for k in case.wrt]
        value = function(*args, **options)
        gradients = torch.autograd.grad(value.sum(), wanted) if wanted else ()
    return plain(value), tuple(map(plain, gradients))
