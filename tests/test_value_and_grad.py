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
    partial = functools.partial(loss, LOGITS)
    assert inspect.signature(vag(partial)) == inspect.signature(partial)


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


def test_in_every_mode(harness: Harness, mode: str) -> None:
    """Also by the weights, which enter the denominator of the mean."""
    x, t = given(harness)
    weight = harness.array(np.array([1.0, 2.0], np.float32))

    def call(*arrays: Any) -> Any:
        f = vag(loss, (0, 1, "sample_weight"))
        return f(arrays[0], arrays[1], sample_weight=arrays[2], reduction="mean")

    value, grads = harness.modes[mode](call)(x, t, weight)
    want, want_grads = call(x, t, weight)
    near(harness, value, want)
    for got, eager in zip(grads, want_grads, strict=True):
        near(harness, got, eager)


@pytest.mark.parametrize("reduction", ["sum", "mean", "partial"])
def test_one_loss(harness: Harness, reduction: str) -> None:
    """A loss without dimensions is its own sum."""
    x = harness.array(np.array(3.0))
    value, grad = vag(xentropy.squared_error)(x, 1.0, reduction=reduction)
    assert float(value.value() if isinstance(value, xentropy.Mean) else value) == 4
    assert float(grad) == 4
    row = harness.array(np.zeros(2))
    _, grad = vag(xentropy.cross_entropy)(row, 0, reduction=reduction)
    assert harness.numpy(grad).tolist() == [-0.5, 0.5]


def test_by_a_weight_of_0_with_a_masked_class(harness: Harness) -> None:
    """The loss is finite whatever stands on a class that is removed."""
    x = harness.array(np.array([[1.0, 1.0, np.nan]]))
    weight = harness.array(np.array([0.0]))
    given: dict[str, Any] = {"class_mask": [True, True, False], "sample_weight": weight}
    f = vag(xentropy.cross_entropy, "sample_weight")
    _, grad = f(x, harness.array(np.array([0])), **given)
    near(harness, grad, harness.array(np.log([2.0])))


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


@pytest.mark.parametrize(
    "target", [4, 20, -1, "logit", "where", None, 1.0, True, [0, 1], (0, "nothing")]
)
def test_argnums_that_name_nothing(harness: Harness, target: Any) -> None:
    x, t = given(harness)
    text = message(lambda: vag(loss, target)(x, t), xentropy.OptionError)
    shown = target[1] if isinstance(target, tuple) else target
    assert text == (
        "xentropy.value_and_grad: `argnums` must be the position or name of an argument of the "
        "call, or a tuple of these.\n"
        f"  argnums: {describe(shown)}\n"
        "Hint: the floating arrays of the call are logits, labels."
    )


def test_no_argnums() -> None:
    assert message(lambda: vag(loss, ()), xentropy.OptionError) == (
        "xentropy.value_and_grad: `argnums` must name an argument at least.\n"
        "  argnums: tuple of length 0\n"
        "Hint: 0 stands for the predictions."
    )


def test_an_argument_that_is_named_twice(harness: Harness) -> None:
    x, t = given(harness)
    _, want = vag(loss)(x, t, reduction="mean")
    position: Any = np.int64(0)
    _, (first, second) = vag(loss, (position, "logits"))(x, t, reduction="mean")
    same(harness, first, want)
    same(harness, second, want)


NOT_FLOATING: list[tuple[str, dict[str, Any]]] = [
    ("labels", {"labels": np.array(LABELS)}),
    ("sample_weight", {"labels": LABELS, "sample_weight": np.array([1, 2])}),
    ("sample_weight", {"labels": LABELS, "sample_weight": True}),
    ("where", {"labels": LABELS, "where": np.array([True, False])}),
    ("where", {"labels": LABELS, "where": [True, False]}),
    ("class_mask", {"labels": LABELS, "class_mask": (True, True, True)}),
    ("reduction", {"labels": LABELS}),
]


@pytest.mark.parametrize("own", [True, False], ids=["own", "weak"])
@pytest.mark.parametrize(("name", "options"), NOT_FLOATING)
def test_only_floats_are_differentiated(
    harness: Harness, name: str, options: dict[str, Any], own: bool
) -> None:
    x = harness.array(LOGITS)
    if own:
        options = {
            k: harness.array(v) if isinstance(v, np.ndarray) else v for k, v in options.items()
        }
    function = vag(xentropy.cross_entropy, (0, name))
    shown = describe(options.get(name, "none"))
    assert message(lambda: function(x, **options), xentropy.DTypeError) == (
        f"xentropy.value_and_grad: `{name}` must be floating to be differentiated.\n"
        f"  {name}: {shown}\n"
        "Hint: the floating arrays of the call are logits."
    )


TAKEN_AS_THEY_COME: list[tuple[str, str, Any, dict[str, Any]]] = [
    ("cross_entropy", "labels", LABELS, {}),
    ("sparse_softmax_cross_entropy", "labels", LABELS, {}),
    ("cross_entropy", "axis", LABELS, {"axis": -1}),
    ("cross_entropy", "axis", LABELS, {}),
    ("cross_entropy", "ignore_index", LABELS, {"ignore_index": -100}),
    ("cross_entropy", "label_smoothing", LABELS, {"label_smoothing": 0.125}),
    ("cross_entropy", "label_smoothing", LABELS, {}),
    ("cross_entropy", "z_loss", LABELS, {"z_loss": 0.5}),
    ("poly_cross_entropy", "epsilon", LABELS, {}),
    ("softmax_focal_cross_entropy", "gamma", LABELS, {"gamma": 2}),
    ("kl_divergence", "temperature", [[1, 0, 0]], {}),
    ("huber", "delta", 0, {}),
    ("smooth_l1", "beta", 0, {}),
]


@pytest.mark.parametrize("case", TAKEN_AS_THEY_COME, ids=lambda case: f"{case[0]} {case[1]}")
def test_options_and_lists_of_indices_are_not_differentiated(
    harness: Harness, case: tuple[str, str, Any, dict[str, Any]]
) -> None:
    name, target, labels, options = case
    function = getattr(xentropy, name)
    first = next(iter(inspect.signature(function).parameters))
    bound = inspect.signature(function).bind(harness.array(LOGITS), labels, **options)
    bound.apply_defaults()
    text = message(
        lambda: vag(function, (0, target))(*bound.args, **bound.kwargs), xentropy.DTypeError
    )
    assert text == (
        f"xentropy.value_and_grad: `{target}` cannot be differentiated: the loss takes no floating "
        f"array for it.\n  {target}: {describe(bound.arguments[target])}\n"
        f"Hint: the floating arrays of the call are {first}."
    )


def test_keepdims_is_no_number(harness: Harness) -> None:
    with pytest.raises(xentropy.DTypeError, match="`keepdims` must be floating"):
        vag(xentropy.logsumexp, "keepdims")(harness.array(LOGITS))


NUMBERS: list[tuple[str, str, dict[str, Any]]] = [
    ("sigmoid_cross_entropy", "labels", {"labels": 1}),
    ("sigmoid_cross_entropy", "pos_weight", {"labels": TARGETS, "pos_weight": 2.0}),
    ("sigmoid_cross_entropy", "pos_weight", {"labels": TARGETS, "pos_weight": [1, 2, 3]}),
    ("weighted_sigmoid_cross_entropy", "pos_weight", {"labels": TARGETS, "pos_weight": 2}),
    ("sigmoid_focal_cross_entropy", "alpha", {"labels": TARGETS, "alpha": 0.25}),
    ("softmax_focal_cross_entropy", "alpha", {"labels": LABELS, "alpha": (1.0, 2.0, 3.0)}),
    ("cross_entropy", "class_weight", {"labels": LABELS, "class_weight": [1, 2, 4]}),
    ("cross_entropy", "sample_weight", {"labels": LABELS, "sample_weight": 2}),
    (
        "cross_entropy",
        "denominator",
        {"labels": LABELS, "denominator": 4, "reduction": "mean"},
    ),
]


@pytest.mark.parametrize(("name", "target", "options"), NUMBERS)
def test_numbers_and_lists_for_weights_are_differentiated(
    harness: Harness, name: str, target: str, options: dict[str, Any]
) -> None:
    x = harness.array(LOGITS)
    function = vag(getattr(xentropy, name), target)
    value, grad = function(x, **options)
    default = np.dtype(xentropy.backend_of(x).default_float())
    as_array = harness.array(np.array(options[target], default))
    want_value, want = function(x, **{**options, target: as_array})
    same(harness, value, want_value)
    same(harness, grad, want)
    assert np.any(harness.numpy(grad) != 0)


def test_what_is_wrong_anyway_is_said_by_the_loss(harness: Harness) -> None:
    x, t = given(harness)
    ragged = [[1.0], [2.0, 3.0]]
    for labels, error, rule in [
        (ragged, xentropy.ShapeError, "`labels` must be a regular array"),
        (["a", "b"], xentropy.DTypeError, "`labels` must hold real numbers"),
        ([None, 2], xentropy.DTypeError, "`labels` must hold real numbers"),
        (1j, xentropy.DTypeError, "`labels` must be real"),
        (np.ma.masked_array(TARGETS), xentropy.DTypeError, "`labels` is a masked array"),
    ]:
        with pytest.raises(error, match=f"softmax_cross_entropy: {rule}"):
            vag(loss, "labels")(x, labels)
    with pytest.raises(xentropy.DTypeError, match="`logits` is a masked array"):
        vag(loss)(np.ma.masked_array(LOGITS), t)
    with pytest.raises(xentropy.OptionError, match="`reduction` must be one of"):
        vag(loss, ("labels", "label_smoothing"))(x, TARGETS.tolist(), reduction="all")
    with pytest.raises(xentropy.OptionError, match=r"in \[0, 1\]\.\n  label_smoothing: 3\.0"):
        vag(loss, "label_smoothing")(x, t, label_smoothing=3.0)


@pytest.mark.parametrize("layout", ["big-endian", "reversed", "Fortran"])
def test_layouts_of_weak_arrays(harness: Harness, layout: str) -> None:
    arrays = {
        "big-endian": TARGETS.astype(">f4"),
        "reversed": TARGETS[::-1].copy()[::-1],
        "Fortran": np.asfortranarray(TARGETS),
    }
    x, t = given(harness)
    _, want = vag(loss, "labels")(x, t, reduction="mean")
    _, got = vag(loss, "labels")(x, arrays[layout], reduction="mean")
    np.testing.assert_array_equal(harness.numpy(got), harness.numpy(want))


def test_what_a_partial_holds_decides_on_the_family(harness: Harness) -> None:
    x, t = given(harness)
    _, want = vag(loss, "labels")(x, t, reduction="mean")
    held = functools.partial(functools.partial(loss, x), reduction="mean")
    same(harness, vag(held)(TARGETS)[1], want)


def test_numpy_predictions_are_not_converted(harness: Harness) -> None:
    _, t = given(harness)
    if harness.owns(LOGITS):
        pytest.skip("one family: NumPy's are its own")
    with pytest.raises(xentropy.MixedBackendError, match="`labels` must be of the family"):
        vag(loss)(LOGITS, t)
    with pytest.raises(xentropy.MixedBackendError, match="`labels` must be of the family"):
        vag(loss, "labels")(LOGITS, t)


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
    near(harness, value, harness.array(np.sum(first**2).astype(np.float32)))
    near(harness, grad, harness.array((2 * second).astype(np.float32)))


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
        near(harness, got, want)
        pairs = zip(grads, want_grads, strict=True) if isinstance(grads, tuple) else ()
        for a, b in pairs or [(grads, want_grads)]:
            near(harness, a, b)


def test_of_a_gradient_with_indices(harness: Harness) -> None:
    x, labels = harness.array(LOGITS), harness.array(np.array(LABELS))
    if not xentropy.backend_of(x).autodiff:
        pytest.skip("no automatic differentiation: see the test above")

    def total(x: Any) -> Any:
        _, grad = vag(xentropy.cross_entropy)(x, labels, reduction="mean")
        return xentropy.squared_error(grad, 1.0, reduction="sum")

    _, got = vag(total)(x)
    (want,) = gradients(harness, total, x)
    near(harness, got, want)
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
