"""Value and gradient, with one signature everywhere."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np
import pytest

import xentropy
from xentropy.dispatch import describe
from xentropy.testing import Harness

LOGITS = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -3.0]], np.float32)
TARGETS = np.array([[0.25, 0.25, 0.5], [0.0, 1.0, 0.0]], np.float32)
LABELS = [2, 0]
WEIGHTS = np.array([0.5, 2.0], np.float32)

vag = xentropy.value_and_grad
loss = xentropy.softmax_cross_entropy


def given(harness: Harness) -> tuple[Any, Any]:
    return harness.array(LOGITS), harness.array(TARGETS)


def same(harness: Harness, got: Any, want: Any) -> None:
    """Both came from one framework by one way."""
    assert harness.owns(got)
    np.testing.assert_array_equal(harness.numpy(got), harness.numpy(want), strict=True)


def gradients(harness: Harness, f: Any, *primals: Any) -> tuple[Any, ...]:
    """The framework's own gradient of a scalar."""
    try:
        return harness.gradient(f, primals, tuple(range(len(primals))))
    except NotImplementedError:
        pytest.skip("no automatic differentiation: the accuracy tests compare with the oracle")


def near(harness: Harness, got: Any, want: Any) -> None:
    """Both are the library's gradient, in another order of the sums."""
    got, want = harness.numpy(got), harness.numpy(want)
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    assert np.all(np.abs(got - want) <= 4 * np.spacing(np.abs(want).max(initial=1.0)))


def test_the_signature_is_that_of_the_loss() -> None:
    function = vag(loss)
    assert inspect.signature(function) == inspect.signature(loss)
    assert function.__name__ == loss.__name__
    assert function.__doc__ == loss.__doc__


@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "partial"])
def test_every_reduction(harness: Harness, reduction: str) -> None:
    x, t = given(harness)
    value, grad = vag(loss)(x, t, reduction=reduction)
    want = loss(x, t, reduction=reduction)  # type: ignore[arg-type]
    assert type(value) is type(want)
    if isinstance(want, xentropy.Mean):
        near(harness, value.total, want.total)
        near(harness, value.weight, want.weight)
        near(harness, value.value(), want.value())
    else:
        near(harness, value, want)
    divisor = 2 if reduction == "mean" else 1
    _, of_sum = vag(loss)(x, t, reduction="sum")
    near(harness, grad, harness.array(harness.numpy(of_sum) / np.float32(divisor)))


@pytest.mark.parametrize("argnums", [0, "labels", (0,), (1, "logits"), ("labels", "sample_weight")])
def test_argnums(harness: Harness, argnums: Any) -> None:
    x, t = given(harness)
    weight = harness.array(WEIGHTS)
    _, got = vag(loss, argnums)(x, t, sample_weight=weight, reduction="mean")
    names = ["logits", "labels", "sample_weight"]
    all_of_them = vag(loss, tuple(names))(x, t, sample_weight=weight, reduction="mean")[1]
    by_name = dict(zip(names, all_of_them, strict=True))
    wanted = argnums if isinstance(argnums, tuple) else (argnums,)
    assert isinstance(got, tuple) == isinstance(argnums, tuple)
    got = got if isinstance(argnums, tuple) else (got,)
    for grad, target in zip(got, wanted, strict=True):
        near(harness, grad, by_name[target if isinstance(target, str) else names[target]])


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_it_agrees_with_the_framework_s_own_gradient(harness: Harness, reduction: Any) -> None:
    x, t = given(harness)
    weight, classes = harness.array(WEIGHTS), harness.array(np.array([1, 2, 0.5], np.float32))
    names = ("logits", "labels", "sample_weight", "class_weight")
    options: dict[str, Any] = {"reduction": reduction, "label_smoothing": 0.125, "z_loss": 0.5}

    def f(*arrays: Any) -> Any:
        return loss(**dict(zip(names, arrays, strict=True)), **options)

    want = gradients(harness, f, x, t, weight, classes)
    arrays = dict(zip(names, (x, t, weight, classes), strict=True))
    _, got = vag(loss, names)(**arrays, **options)
    for grad, own in zip(got, want, strict=True):
        near(harness, grad, own)


def test_arguments_by_name_and_the_function_again(harness: Harness) -> None:
    x, t = given(harness)
    function = vag(loss, "logits")
    _, want = function(x, t, reduction="sum")
    for _ in range(2):
        same(harness, function(labels=t, logits=x, reduction="sum")[1], want)


def test_partials(harness: Harness) -> None:
    x, t = given(harness)
    _, want = vag(loss)(x, t, reduction="mean", label_smoothing=0.25)
    smooth = functools.partial(functools.partial(loss, reduction="mean"), label_smoothing=0.25)
    same(harness, vag(smooth)(x, t)[1], want)
    # What a partial holds by position is no argument any more, what it holds by name still is.
    _, of_labels = vag(loss, 1)(x, t, reduction="mean")
    same(harness, vag(functools.partial(loss, x, reduction="mean"))(t)[1], of_labels)
    held = functools.partial(loss, sample_weight=harness.array(WEIGHTS), reduction="mean")
    _, of_weight = vag(loss, "sample_weight")(
        x, t, sample_weight=harness.array(WEIGHTS), reduction="mean"
    )
    same(harness, vag(held, "sample_weight")(x, t)[1], of_weight)


def test_one_array_passed_twice(harness: Harness) -> None:
    x = harness.array(np.array([1.0, 3.0], np.float32))
    _, (left, right) = vag(xentropy.squared_error, (0, 1))(x, x, sample_weight=x, reduction="sum")
    np.testing.assert_array_equal(harness.numpy(left), 0.0)
    np.testing.assert_array_equal(harness.numpy(right), 0.0)
    y = harness.array(np.array([0.5, 1.0], np.float32))
    _, grad = vag(xentropy.squared_error)(x, y, sample_weight=x, reduction="sum")
    # Only the argument that was named: 2 x (x - y), not what comes in by the weight.
    np.testing.assert_array_equal(harness.numpy(grad), [1.0, 12.0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_have_the_shape_and_dtype_of_their_argument(harness: Harness, dtype: str) -> None:
    x = harness.array(LOGITS)
    t = harness.array(TARGETS[:1].astype(dtype))
    w = harness.array(np.array(2.0, dtype))
    _, grads = vag(loss, ("logits", "labels", "sample_weight"))(
        x, t, sample_weight=w, reduction="mean"
    )
    for grad, argument in zip(grads, (x, t, w), strict=True):
        assert harness.owns(grad)
        assert harness.numpy(grad).shape == tuple(argument.shape)
        assert harness.numpy(grad).dtype == harness.numpy(argument).dtype


def test_weak_arguments(harness: Harness) -> None:
    x = harness.array(LOGITS)
    _, want = vag(loss)(x, harness.array(TARGETS), reduction="mean")
    for labels in (TARGETS, TARGETS.tolist()):
        same(harness, vag(loss)(x, labels, reduction="mean")[1], want)
    for labels in (TARGETS, TARGETS.tolist()):
        _, grad = vag(loss, "labels")(x, labels, reduction="mean")
        assert harness.owns(grad)
        assert harness.numpy(grad).shape == TARGETS.shape
    for predictions in (LOGITS.tolist(), tuple(LOGITS.tolist())):
        value, grad = vag(loss)(predictions, harness.array(TARGETS), reduction="mean")
        default = xentropy.backend_of(x).default_float()
        assert harness.owns(value)
        assert harness.owns(grad)
        assert harness.numpy(grad).dtype == default


def test_where_all_are_weak_it_is_numpy_s() -> None:
    value, grad = vag(xentropy.squared_error)(3.0, 1.0)
    assert (value, grad) == (4.0, 4.0)
    value, grad = vag(xentropy.squared_error)([3.0], [1.0])
    assert type(grad) is np.ndarray
    assert grad.dtype == np.float64


def test_an_argument_that_the_loss_does_not_depend_on(harness: Harness) -> None:
    x, t = given(harness)
    _, (grad, of_weight) = vag(loss, ("logits", "sample_weight"))(
        x, t, sample_weight=harness.array(np.zeros(2, np.float32)), reduction="mean"
    )
    np.testing.assert_array_equal(harness.numpy(grad), np.zeros((2, 3), np.float32))
    assert np.all(np.isfinite(harness.numpy(of_weight)))


@pytest.mark.parametrize("name", ["logsumexp", "log_softmax"])
def test_the_normalizers(harness: Harness, name: str) -> None:
    x = harness.array(LOGITS)
    function = getattr(xentropy, name)
    value, grad = vag(function)(x)
    near(harness, value, function(x))
    total = harness.numpy(grad).sum(axis=-1)
    want = 1.0 if name == "logsumexp" else 0.0
    assert np.all(np.abs(total - want) <= 8 * np.finfo(np.float32).eps)


def message(function: Any, error: type[Exception]) -> str:
    with pytest.raises(error) as caught:
        function()
    return str(caught.value)


@pytest.mark.parametrize("target", [4, -1, "logit", "where", None, 1.0, (0, "nothing")])
def test_argnums_that_name_nothing(harness: Harness, target: Any) -> None:
    x, t = given(harness)
    text = message(lambda: vag(loss, target)(x, t), xentropy.OptionError)
    shown = target[1] if isinstance(target, tuple) else target
    assert text == (
        "xentropy.value_and_grad: `argnums` must be the position or name of an argument of the "
        "call.\n"
        f"  argnums: {shown!r}\n"
        "Hint: the arrays of the call are logits, labels."
    )


def test_integers_are_not_differentiated(harness: Harness) -> None:
    x, labels = harness.array(LOGITS), harness.array(np.array(LABELS))
    text = message(
        lambda: vag(xentropy.cross_entropy, (0, "labels"))(x, labels), xentropy.DTypeError
    )
    assert text == (
        "xentropy.value_and_grad: `labels` must be floating to be differentiated.\n"
        f"  labels: {describe(labels)}"
    )


@pytest.mark.parametrize("option", [{"reduction": "mean"}, {"axis": -1}, {"z_loss": 0.5}])
def test_options_are_not_differentiated(harness: Harness, option: dict[str, Any]) -> None:
    x = harness.array(LOGITS)
    with pytest.raises(xentropy.XentropyError):
        vag(xentropy.cross_entropy, next(iter(option)))(x, LABELS, **option)


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
        near(harness, grad, harness.array(2 * harness.numpy(of_loss)))
        return
    assert message(differentiate, xentropy.UnsupportedError) == (
        f"xentropy.value_and_grad: on {backend.name} only the library's own losses can be "
        f"differentiated.\n  loss: {function.__module__}.{function.__qualname__}\n"
        "Hint: pass a public loss, a dialect's, or a functools.partial of one."
    )


@pytest.mark.parametrize("function", [3, "cross_entropy", None], ids=repr)
def test_what_is_no_function(function: Any) -> None:
    assert message(lambda: vag(function), xentropy.UnsupportedError) == (
        "xentropy.value_and_grad: `loss` must be a function whose arguments have names.\n"
        f"  loss: {function!r}\n"
        "Hint: pass a public loss, or a function that calls yours."
    )


def test_errors_of_the_loss_come_through(harness: Harness) -> None:
    x = harness.array(LOGITS)
    with pytest.raises(xentropy.LabelError, match=r"labels\[1\] is 3"):
        vag(xentropy.cross_entropy)(x, [0, 3])
    with pytest.raises(TypeError, match="labels"):
        vag(xentropy.cross_entropy)(x)


def test_nothing_is_recorded_outside(harness: Harness) -> None:
    from xentropy import _tape

    x, t = given(harness)
    vag(loss)(x, t)
    assert _tape._active.get() is None
    with pytest.raises(xentropy.OptionError):
        vag(loss)(x, t, reduction="all")
    assert _tape._active.get() is None
