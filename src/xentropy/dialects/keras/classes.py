"""The classes of keras.losses, as callables."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar, Self

from xentropy.errors import OptionError

from . import crossentropy, regression
from ._inputs import dtype_named
from ._reduction import REDUCTIONS, reduced
from ._trained import as_keras

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
]


class _Loss:
    """A loss function with its options, and the reduction of what it returns.

    Predictions are cast to ``dtype``, float32 by default, which is that of the result too.
    """

    _function: ClassVar[Callable[..., Any]]
    _of_indices: ClassVar[bool] = False

    def __init__(self, reduction: Any, name: Any, dtype: Any, **options: Any) -> None:
        if reduction not in REDUCTIONS:
            known = ", ".join(map(repr, REDUCTIONS))
            msg = f"`reduction` must be one of {known}, not {reduction!r}."
            raise OptionError(msg)
        self.reduction = reduction
        self.name = name or re.sub("(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()
        self.dtype = dtype_named(dtype)
        self._options = options

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return as_keras(type(self))

    def __reduce__(self) -> Any:
        return object.__new__, (type(self),), self.__dict__

    def _obj_type(self) -> str:
        """What Keras saves it as."""
        return "Loss"

    def __getattr__(self, name: str) -> Any:
        options = self.__dict__.get("_options", {})
        if name in options:
            return options[name]
        msg = f"{type(self).__name__!r} object has no attribute {name!r}"
        raise AttributeError(msg)

    def __repr__(self) -> str:
        shown = {**self._options, "reduction": self.reduction, "dtype": self.dtype}
        inside = ", ".join(f"{name}={value!r}" for name, value in shown.items())
        return f"{type(self).__name__}({inside})"

    def get_config(self) -> dict[str, Any]:
        """The arguments that make such a loss again; also those that Keras leaves out of them."""
        dtype = {} if self.dtype == "float32" else {"dtype": self.dtype}
        return {"name": self.name, "reduction": self.reduction, **self._options, **dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The loss that `get_config` describes."""
        return cls(**config)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The losses as the function returns them: without casts, weights and reduction."""
        return type(self)._function(y_true, y_pred, **self._options)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The losses of a batch, reduced.

        ``sample_weight`` has a factor for each loss, which divides as ``reduction`` says; a mask of
        Keras on ``y_pred`` leaves examples out.
        """
        return reduced(
            self.call,
            y_true,
            y_pred,
            sample_weight,
            name=type(self)._function.__name__,
            options=self._options,
            reduction=self.reduction,
            dtype=self.dtype,
            of_indices=self._of_indices,
        )


class MeanSquaredError(_Loss):
    """``keras.losses.MeanSquaredError`` of 3.15.

    * ``reduction``: "sum_over_batch_size" or "mean", "mean_with_sample_weight", "sum", "none"
      or None.
    * ``name``: kept as an attribute; no other effect.
    * ``dtype``: what is computed and returned, by its name; None is float32.
    """

    _function = regression.mean_squared_error

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)


class MeanAbsoluteError(_Loss):
    """``keras.losses.MeanAbsoluteError`` of 3.15.

    * ``reduction``: "sum_over_batch_size" or "mean", "mean_with_sample_weight", "sum", "none"
      or None.
    * ``name``: kept as an attribute; no other effect.
    * ``dtype``: what is computed and returned, by its name; None is float32.
    """

    _function = regression.mean_absolute_error

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)


class MeanAbsolutePercentageError(_Loss):
    """``keras.losses.MeanAbsolutePercentageError`` of 3.15.

    * ``reduction``: "sum_over_batch_size" or "mean", "mean_with_sample_weight", "sum", "none"
      or None.
    * ``name``: kept as an attribute; no other effect.
    * ``dtype``: what is computed and returned, by its name; None is float32.
    """

    _function = regression.mean_absolute_percentage_error

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)


class MeanSquaredLogarithmicError(_Loss):
    """``keras.losses.MeanSquaredLogarithmicError`` of 3.15.

    * ``reduction``: "sum_over_batch_size" or "mean", "mean_with_sample_weight", "sum", "none"
      or None.
    * ``name``: kept as an attribute; no other effect.
    * ``dtype``: what is computed and returned, by its name; None is float32.
    """

    _function = regression.mean_squared_logarithmic_error

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)


class Huber(_Loss):
    """``keras.losses.Huber`` of 3.15.

    * ``delta``: where squares turn into absolute errors, above 0.
    * ``reduction``: "sum_over_batch_size" or "mean", "mean_with_sample_weight", "sum", "none"
      or None.
    * ``name``: kept as an attribute; no other effect.
    * ``dtype``: what is computed and returned, by its name; None is float32.
    """

    _function = regression.huber

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype, delta=delta)


class LogCosh(_Loss):
    """``keras.losses.LogCosh`` of 3.15.

    * ``reduction``: "sum_over_batch_size" or "mean", "mean_with_sample_weight", "sum", "none"
      or None.
    * ``name``: kept as an attribute; no other effect.
    * ``dtype``: what is computed and returned, by its name; None is float32.
    """

    _function = regression.log_cosh

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "log_cosh",
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)


class KLDivergence(_Loss):
    """``keras.losses.KLDivergence`` of 3.15.

    * ``reduction``: "sum_over_batch_size" or "mean", "mean_with_sample_weight", "sum", "none"
      or None.
    * ``name``: kept as an attribute; no other effect.
    * ``dtype``: what is computed and returned, by its name; None is float32.
    """

    _function = regression.kl_divergence

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "kl_divergence",
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)


class Poisson(_Loss):
    """``keras.losses.Poisson`` of 3.15.

    * ``reduction``: "sum_over_batch_size" or "mean", "mean_with_sample_weight", "sum", "none"
      or None.
    * ``name``: kept as an attribute; no other effect.
    * ``dtype``: what is computed and returned, by its name; None is float32.
    """

    _function = regression.poisson

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "poisson",
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)


class BinaryCrossentropy(_Loss):
    """``keras.losses.BinaryCrossentropy`` of 3.15.

    * ``from_logits``: whether ``y_pred`` holds logits, not probabilities.
    * ``label_smoothing``: the share that goes to all classes alike, in [0, 1].
    * ``axis``: along which the mean is taken; None is all.
    * ``reduction``: "sum_over_batch_size" or "mean", "mean_with_sample_weight", "sum", "none"
      or None.
    * ``name``: kept as an attribute; no other effect.
    * ``dtype``: what is computed and returned, by its name; None is float32.
    """

    _function = crossentropy.binary_crossentropy

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int | None = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(reduction, name, dtype, **options)


class BinaryFocalCrossentropy(_Loss):
    """``keras.losses.BinaryFocalCrossentropy`` of 3.15.

    * ``apply_class_balancing``: whether ``alpha`` has an effect.
    * ``alpha``: the weight of the positive class; the other has ``1 - alpha``.
    * ``gamma``: the power of ``1 - p``, at least 0.
    * ``from_logits``: whether ``y_pred`` holds logits, not probabilities.
    * ``label_smoothing``: the share that goes to all classes alike, in [0, 1].
    * ``axis``: along which the mean is taken; None is all.
    * ``reduction``: "sum_over_batch_size" or "mean", "mean_with_sample_weight", "sum", "none"
      or None.
    * ``name``: kept as an attribute; no other effect.
    * ``dtype``: what is computed and returned, by its name; None is float32.
    """

    _function = crossentropy.binary_focal_crossentropy

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int | None = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        focus = {"apply_class_balancing": apply_class_balancing, "alpha": alpha, "gamma": gamma}
        super().__init__(reduction, name, dtype, **focus, **options)


class CategoricalCrossentropy(_Loss):
    """``keras.losses.CategoricalCrossentropy`` of 3.15.

    * ``from_logits``: whether ``y_pred`` holds logits, not probabilities.
    * ``label_smoothing``: the share that goes to all classes alike, in [0, 1].
    * ``axis``: that of the classes.
    * ``reduction``: "sum_over_batch_size" or "mean", "mean_with_sample_weight", "sum", "none"
      or None.
    * ``name``: kept as an attribute; no other effect.
    * ``dtype``: what is computed and returned, by its name; None is float32.
    """

    _function = crossentropy.categorical_crossentropy

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(reduction, name, dtype, **options)


class CategoricalFocalCrossentropy(_Loss):
    """``keras.losses.CategoricalFocalCrossentropy`` of 3.15.

    * ``alpha``: a factor for the classes: a number, or one for each.
    * ``gamma``: the power of ``1 - p``, at least 0.
    * ``from_logits``: whether ``y_pred`` holds logits, not probabilities.
    * ``label_smoothing``: the share that goes to all classes alike, in [0, 1].
    * ``axis``: that of the classes.
    * ``reduction``: "sum_over_batch_size" or "mean", "mean_with_sample_weight", "sum", "none"
      or None.
    * ``name``: kept as an attribute; no other effect.
    * ``dtype``: what is computed and returned, by its name; None is float32.
    """

    _function = crossentropy.categorical_focal_crossentropy

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(reduction, name, dtype, alpha=alpha, gamma=gamma, **options)


class SparseCategoricalCrossentropy(_Loss):
    """``keras.losses.SparseCategoricalCrossentropy`` of 3.15.

    Labels are never cast: in 16 bits too they are the indices that came. The mean with an
    ``ignore_class`` is over the others.

    * ``from_logits``: whether ``y_pred`` holds logits, not probabilities.
    * ``ignore_class``: the label of examples to leave out.
    * ``reduction``: "sum_over_batch_size" or "mean", "mean_with_sample_weight", "sum", "none"
      or None.
    * ``axis``: that of the classes.
    * ``name``: kept as an attribute; no other effect.
    * ``dtype``: what is computed and returned, by its name; None is float32.
    """

    _function = crossentropy.sparse_categorical_crossentropy
    _of_indices = True

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        options = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        super().__init__(reduction, name, dtype, **options)


class CategoricalGeneralizedCrossEntropy(_Loss):
    """``keras.losses.CategoricalGeneralizedCrossEntropy`` of 3.15.

    * ``q``: in (0, 1): towards 0 the cross-entropy, towards 1 the absolute error.
    * ``reduction``: "sum_over_batch_size" or "mean", "mean_with_sample_weight", "sum", "none"
      or None.
    * ``name``: kept as an attribute; no other effect.
    * ``dtype``: what is computed and returned, by its name; None is float32.
    """

    _function = crossentropy.categorical_generalized_cross_entropy
    _of_indices = True

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ) -> None:
        if not 0 < q < 1:
            msg = f"`q` must be in the interval (0, 1), not {q!r}."
            raise OptionError(msg)
        super().__init__(reduction, name, dtype, q=q)
