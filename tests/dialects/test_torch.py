"""What the dialect torch does beside its values: classes, warnings, modules that are given."""

from __future__ import annotations

import warnings
from typing import Any
from unittest import mock

import numpy as np
import pytest

import xentropy
from xentropy.dialects import torch as ours
from xentropy.testing import Harness

R = np.random.default_rng(3)
X = R.normal(size=(4, 5)).astype(np.float32)
HEAD, BIAS = R.normal(size=(6, 5)).astype(np.float32), R.normal(size=6).astype(np.float32)
T = np.array([[0, 2], [1, -100], [2, 2], [1, 0]])
OPTIONS: dict[str, Any] = {"out_features": (2,), "bias": True, "reduction": "sum"}


def linear_loss(harness: Harness) -> Any:
    loss = ours.LinearCrossEntropyLoss(5, 3, **OPTIONS)
    loss.linear.weight, loss.linear.bias = harness.array(HEAD), harness.array(BIAS)
    return loss


def test_a_linear_loss_computes_by_what_is_assigned(harness: Harness) -> None:
    loss = linear_loss(harness)
    x, t = harness.array(X), harness.array(T)
    value, gradient = xentropy.value_and_grad(loss)(x, t)
    head, bias = harness.array(HEAD.reshape(3, 2, 5)), harness.array(BIAS.reshape(3, 2))
    by = {"linear_bias": bias, "reduction": "sum"}
    expected, slope = xentropy.value_and_grad(ours.linear_cross_entropy)(x, head, t, **by)
    np.testing.assert_array_equal(harness.numpy(value), harness.numpy(expected))
    np.testing.assert_array_equal(harness.numpy(gradient), harness.numpy(slope))


def test_a_linear_loss_is_that_of_torch(harness: Harness) -> None:
    if harness.name != "torch":
        pytest.skip("torch runs where torch does")
    import torch

    there = torch.nn.LinearCrossEntropyLoss(5, 3, **OPTIONS)
    x, t = harness.array(X), harness.array(T)
    with torch.no_grad(), warnings.catch_warnings(action="ignore"):
        there.linear.weight.copy_(harness.array(HEAD))
        there.linear.bias.copy_(harness.array(BIAS))
        expected = there(x, t)
    torch.testing.assert_close(linear_loss(harness)(x, t), expected)


def test_a_linear_loss_holds_no_logits(harness: Harness) -> None:
    """It is that of the core; only weights of more than two axes make logits."""
    x, t = harness.array(X), harness.array(T[:, 0])
    with mock.patch.object(xentropy, "linear_cross_entropy", side_effect=ZeroDivisionError) as core:
        with pytest.raises(ZeroDivisionError):
            ours.linear_cross_entropy(x, harness.array(HEAD), t)
        assert core.call_count == 1
        deep = harness.array(HEAD.reshape(3, 2, 5))
        assert harness.numpy(ours.linear_cross_entropy(x, deep, harness.array(T))) > 0


def test_what_the_core_says_of_a_layer_is_in_the_words_of_torch(harness: Harness) -> None:
    x, head = harness.array(X), harness.array(HEAD)
    with pytest.raises(xentropy.LabelError) as caught:
        ours.linear_cross_entropy(x, head, harness.array(T[:, 0] + 7))
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("xentropy.dialects.torch.linear_cross_entropy: `target` must lie in")
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "input",
        "linear_weight",
        "target",
    ]
    for shape in ((4, 1), (4, 5)):
        with pytest.raises(xentropy.ShapeError, match="in the shape of the logits"):
            ours.linear_cross_entropy(x, head, harness.array(np.zeros(shape, np.int64)))


def test_a_linear_loss_wants_its_layer(harness: Harness) -> None:
    loss = ours.LinearCrossEntropyLoss(5, 3, bias=True)
    x, t = harness.array(X), harness.array(T[:, 0])
    with pytest.raises(RuntimeError, match=r"`linear.weight` must be assigned, of shape \(3, 5\)"):
        loss(x, t)
    loss.linear.weight = harness.array(HEAD)
    with pytest.raises(RuntimeError, match=r"`linear.weight` must be assigned"):
        loss(x, t)
    loss.linear.weight = harness.array(HEAD[:3])
    with pytest.raises(RuntimeError, match=r"`linear.bias` must be assigned, of shape \(3,\)"):
        loss(x, t)
    loss.bias, loss.linear.bias = False, harness.array(BIAS[:3])
    with pytest.raises(RuntimeError, match=r"`linear.bias` must be None"):
        loss(x, t)
    assert repr(loss).startswith("LinearCrossEntropyLoss(in_features=5, num_classes=3, out_feat")


def test_warnings_point_at_the_caller() -> None:
    x: Any = np.full((2, 2), 0.5)
    calls: tuple[tuple[Any, tuple[Any, ...], dict[str, Any]], ...] = (
        (ours.kl_div, (x, x), {}),
        (ours.mse_loss, (x, x[0]), {}),
        (ours.l1_loss, (x, x, True), {}),
        (ours.huber_loss, (x, x), {"reduction": "elementwise_mean"}),
        (ours.MSELoss, (False,), {}),
    )
    for function, args, options in calls:
        named: Any = function
        with pytest.warns(UserWarning) as found:  # noqa: PT030
            named(*args, **options)
        assert [w.filename for w in found] == [__file__], function


def test_what_training_loops_call(harness: Harness) -> None:
    x, t = harness.array(X), harness.array(T[:, 0])
    loss = ours.CrossEntropyLoss(weight=harness.array(BIAS[:5] ** 2))
    expected = harness.numpy(loss(x, t))
    assert loss.train().eval() is loss
    np.testing.assert_array_equal(harness.numpy(loss.forward(x, t)), expected)
    plain = ours.MSELoss()
    assert plain.to("cuda").cuda(1).cpu() is plain
    if harness.name == "torch":
        import torch

        assert loss.cpu() is loss
        np.testing.assert_array_equal(harness.numpy(loss(x, t)), expected)
        assert loss.to(torch.float64).weight.dtype == torch.float64
        linear = linear_loss(harness)
        linear.to(torch.float64)
        assert linear.linear.weight.dtype == linear.linear.bias.dtype == torch.float64


@pytest.mark.filterwarnings("ignore:.*batchmean:UserWarning")
@pytest.mark.parametrize("name", [n for n in ours.__all__ if n[0].islower()])
def test_what_must_be_given(name: str) -> None:
    given = [np.full((2, 2), 0.5)] * 3 if "gauss" in name or "linear" in name else [X, X]
    for i in range(len(given)):
        args = [None if i == k else x for k, x in enumerate(given)]
        with pytest.raises(TypeError, match=r"must be given|no backend knows"):
            getattr(ours, name)(*args)
