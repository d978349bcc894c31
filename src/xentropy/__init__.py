"""One API of loss functions, computed on arrays of any framework where they are."""

from __future__ import annotations

from typing import Any as _Any

from .dispatch import backend_of as backend_of
from .dispatch import register_backend as register_backend
from .errors import DTypeError as DTypeError
from .errors import InputError as InputError
from .errors import LabelError as LabelError
from .errors import MixedBackendError as MixedBackendError
from .errors import OptionError as OptionError
from .errors import ShapeError as ShapeError
from .errors import UnsupportedError as UnsupportedError
from .errors import XentropyError as XentropyError
from .gradients import value_and_grad as value_and_grad
from .losses.divergence import kl_divergence as kl_divergence
from .losses.focal import sigmoid_focal_cross_entropy as sigmoid_focal_cross_entropy
from .losses.focal import softmax_focal_cross_entropy as softmax_focal_cross_entropy
from .losses.linear import linear_cross_entropy as linear_cross_entropy
from .losses.normalization import log_softmax as log_softmax
from .losses.normalization import logsumexp as logsumexp
from .losses.probability import binary_cross_entropy as binary_cross_entropy
from .losses.probability import categorical_cross_entropy as categorical_cross_entropy
from .losses.probability import (
    sparse_categorical_cross_entropy as sparse_categorical_cross_entropy,
)
from .losses.regression import absolute_error as absolute_error
from .losses.regression import huber as huber
from .losses.regression import log_cosh as log_cosh
from .losses.regression import mean_absolute_error as mean_absolute_error
from .losses.regression import mean_squared_error as mean_squared_error
from .losses.regression import smooth_l1 as smooth_l1
from .losses.regression import squared_error as squared_error
from .losses.sigmoid import sigmoid_cross_entropy as sigmoid_cross_entropy
from .losses.sigmoid import weighted_sigmoid_cross_entropy as weighted_sigmoid_cross_entropy
from .losses.softmax import cross_entropy as cross_entropy
from .losses.softmax import poly_cross_entropy as poly_cross_entropy
from .losses.softmax import softmax_cross_entropy as softmax_cross_entropy
from .losses.softmax import sparse_softmax_cross_entropy as sparse_softmax_cross_entropy
from .losses.statistics import linear_softmax_statistics as linear_softmax_statistics
from .losses.statistics import softmax_statistics as softmax_statistics
from .reduction import Mean as Mean
from .strict import strict as strict

__version__ = "0.1.0.dev0"

__all__ = [
    "DTypeError",
    "InputError",
    "LabelError",
    "Mean",
    "MixedBackendError",
    "OptionError",
    "ShapeError",
    "UnsupportedError",
    "XentropyError",
    "absolute_error",
    "backend_of",
    "binary_cross_entropy",
    "categorical_cross_entropy",
    "cross_entropy",
    "huber",
    "kl_divergence",
    "linear_cross_entropy",
    "linear_softmax_statistics",
    "log_cosh",
    "log_softmax",
    "logsumexp",
    "mean_absolute_error",
    "mean_squared_error",
    "poly_cross_entropy",
    "register_backend",
    "sigmoid_cross_entropy",
    "sigmoid_focal_cross_entropy",
    "smooth_l1",
    "softmax_cross_entropy",
    "softmax_focal_cross_entropy",
    "softmax_statistics",
    "sparse_categorical_cross_entropy",
    "sparse_softmax_cross_entropy",
    "squared_error",
    "strict",
    "value_and_grad",
    "weighted_sigmoid_cross_entropy",
]

# Nothing in a loss is for TensorFlow's AutoGraph to rewrite, which took seconds of a first call;
# nor is what imports an adapter, of which it warns.
# It leaves alone what carries the mark of `tf.autograph.experimental.do_not_convert`:
# https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/autograph/impl/api.py#L291
for _name in __all__:
    _public: _Any = globals()[_name]
    if _public.__module__.startswith(("xentropy.losses.", "xentropy.dispatch")):
        _public.autograph_info__ = None
