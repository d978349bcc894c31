"""`value_and_grad` of what is no public loss: wrappers, its own results, other functions."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_close
from tests.gradient_calls import LABELS, LOGITS, TARGETS, given, gradients, loss, message, vag
from xentropy.dispatch import describe
from xentropy.testing import Harness


@functools.wraps(loss)
def twice(*args: Any, **kwargs: Any) -> Any:
    return loss(*args, **kwargs) * 2.0


FOREIGN = [twice, lambda logits, labels, **kwargs: twice(logits, labels, **kwargs)]


@pytest.mark.parametrize("function", FOREIGN, ids=["wrapper", "lambda"])
def test_any_function_where_there_is_autodiff_else_only_ours(
    harness: Harness, function: Any
) -> None:
    x, t = given(harness)
    backend = xentropy.backend_of(x)
    differentiate = functools.partial(vag(function), x, t, reduction="sum")
    if backend.autodiff:
        _, grad = differentiate()
        _, of_loss = vag(loss)(x, t, reduction="sum")
        assert_close(harness, grad, harness.array(2 * harness.numpy(of_loss)))
        return
    assert message(differentiate, xentropy.UnsupportedError) == foreign(backend.name, function)


def foreign(backend: str, function: Any) -> str:
    """What is said of functions where there is no automatic differentiation."""
    around = ", not a function around one" if hasattr(function, "__wrapped__") else ""
    return (
        f"xentropy.value_and_grad: on {backend}, which has no automatic differentiation, only the "
        f"library's own losses can be differentiated{around}.\n"
        f"  loss: {function.__module__}.{function.__qualname__}\n"
        "Hint: pass a public loss, a dialect's, or a functools.partial of one; for second "
        "derivatives arrays of a framework that differentiates."
    )


def test_of_a_gradient(harness: Harness) -> None:
    x, t = given(harness)
    backend = xentropy.backend_of(x)

    def norm(x: Any, t: Any) -> Any:
        _, grad = vag(loss)(x, t, reduction="sum")
        return xentropy.squared_error(grad, 0.0, reduction="sum")

    if not backend.autodiff:
        text = message(lambda: vag(norm)(x, t), xentropy.UnsupportedError)
        assert text == foreign(backend.name, norm)
        return
    value, grad = vag(norm)(x, t)
    # The norm of the gradient p - t, and twice the Hessian times it.
    shares = np.exp(LOGITS.astype(np.float64))
    shares /= shares.sum(axis=1, keepdims=True)
    first = shares - TARGETS
    second = shares * (first - (shares * first).sum(axis=1, keepdims=True))
    assert_close(harness, value, harness.array(np.sum(first**2).astype(np.float32)))
    assert_close(harness, grad, harness.array((2 * second).astype(np.float32)))


def test_of_functions_made_where_a_compiler_reads(harness: Harness, mode: str) -> None:
    x, t = given(harness)
    if not xentropy.backend_of(x).autodiff:
        pytest.skip("no automatic differentiation: see the tests above")

    def call(x: Any, t: Any) -> Any:
        def norm(x: Any, labels: Any, scale: float = 2.0, *, power: int = 1) -> Any:
            _, grad = vag(lambda logits: loss(logits, labels, reduction="sum"))(x)
            return xentropy.squared_error(scale**power * grad, 0.0, reduction="sum")

        return vag(norm)(x, t), vag(norm, ("labels", "x"))(x, labels=t, power=2)

    found = harness.modes[mode](call)(x, t)
    for (got, grads), (want, want_grads) in zip(found, call(x, t), strict=True):
        assert_close(harness, got, want)
        pairs = zip(grads, want_grads, strict=True) if isinstance(grads, tuple) else ()
        for a, b in pairs or [(grads, want_grads)]:
            assert_close(harness, a, b)


def test_of_a_gradient_with_indices(harness: Harness) -> None:
    x, labels = harness.array(LOGITS), harness.array(np.array(LABELS))
    if not xentropy.backend_of(x).autodiff:
        pytest.skip("no automatic differentiation: see the test above")

    def total(x: Any) -> Any:
        _, grad = vag(xentropy.cross_entropy)(x, labels, reduction="mean")
        return xentropy.squared_error(grad, 1.0, reduction="sum")

    _, got = vag(total)(x)
    (want,) = gradients(harness, total, x)
    assert_close(harness, got, want)
    with pytest.raises(xentropy.LabelError, match=r"labels\[1\] is 7"):
        vag(lambda x: vag(xentropy.cross_entropy)(x, [0, 7], reduction="sum")[0])(x)


def test_a_gradient_function_is_no_loss(harness: Harness) -> None:
    x, t = given(harness)
    backend = xentropy.backend_of(x)
    if not backend.autodiff:
        text = message(lambda: vag(vag(loss))(x, t), xentropy.UnsupportedError)
        assert text == foreign(backend.name, vag(loss))
        return
    assert message(lambda: vag(vag(loss))(x, t), xentropy.DTypeError) == (
        f"xentropy.value_and_grad: `loss` must return a floating array of {backend.name}, or a "
        "Mean.\n  value: tuple of length 2\n"
        "Hint: return the loss alone; of what value_and_grad returns, one part."
    )


@pytest.mark.parametrize("returned", [None, 1.0, "int", "numpy"], ids=repr)
def test_what_is_no_loss(harness: Harness, returned: Any) -> None:
    x = harness.array(LOGITS)
    if not xentropy.backend_of(x).autodiff:
        pytest.skip("no automatic differentiation: no function but the library's")
    arrays = {"int": harness.array(np.array(LABELS)), "numpy": LOGITS}
    value = arrays.get(returned, returned) if isinstance(returned, str) else returned
    with pytest.raises(xentropy.DTypeError, match="`loss` must return a floating array") as caught:
        vag(lambda x: value)(x)
    assert f"  value: {describe(value)}\n" in str(caught.value)


def nameless(*arrays: Any) -> Any:
    return loss(*arrays, reduction="sum")


def keywords(**arrays: Any) -> Any:
    return loss(**arrays, reduction="sum")


def test_arguments_without_names(harness: Harness) -> None:
    x, t = given(harness)
    for function, call in [
        (nameless, lambda: vag(nameless)(x, t)),
        (keywords, lambda: vag(keywords, "logits")(logits=x, labels=t)),
    ]:
        assert message(call, xentropy.UnsupportedError) == (
            "xentropy.value_and_grad: `loss` must be a function whose arguments have names.\n"
            f"  loss: {__name__}.{function.__name__}\n"
            "Hint: pass a public loss, or a function that calls yours."
        )


@pytest.mark.parametrize("function", [3, "cross_entropy", None], ids=repr)
def test_what_is_no_function(function: Any) -> None:
    assert message(lambda: vag(function), xentropy.UnsupportedError) == (
        "xentropy.value_and_grad: `loss` must be a function whose arguments have names.\n"
        f"  loss: {function!r}\n"
        "Hint: pass a public loss, or a function that calls yours."
    )
