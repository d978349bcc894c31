"""The errors: each is a `XentropyError` and the builtin that a caller would catch."""

from __future__ import annotations

__all__ = [
    "DTypeError",
    "InputError",
    "LabelError",
    "MixedBackendError",
    "OptionError",
    "ShapeError",
    "UnsupportedError",
    "XentropyError",
]


class XentropyError(Exception):
    """Base of all errors raised on purpose by xentropy."""

    # TensorFlow's AutoGraph keeps the type of an error only if its class has this `__init__`; else
    # it raises a StagingError (tensorflow/python/autograph/pyct/error_utils.py, create_exception).
    __init__ = Exception.__init__


class ShapeError(XentropyError, ValueError):
    """An argument has the wrong shape or rank."""


class DTypeError(XentropyError, TypeError):
    """An argument has a dtype that the function does not take."""


class LabelError(XentropyError, ValueError, IndexError):
    """An index label lies outside ``[0, C)`` and is not left out."""


class InputError(XentropyError, ValueError):
    """`xentropy.strict` refuses the values of the predictions or of the weights."""


class MixedBackendError(XentropyError, TypeError):
    """The arguments belong to different array families or lie on different devices."""


class OptionError(XentropyError, ValueError):
    """An option has a value that the function does not take."""


class UnsupportedError(XentropyError, NotImplementedError):
    """The framework cannot do what was asked; the message says why."""
