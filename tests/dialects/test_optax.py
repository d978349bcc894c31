"""Parameters of optax that are arrays: their gradients, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xentropy
from xentropy.dialects import optax
from xentropy.testing import Harness

X = np.array([[1.5, -2.0, 3.0], [0.25, 0.5, -4.0]])
T = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
PARAMETERS: dict[str, tuple[str, Any]] = {
    "huber_loss": ("delta", [[0.5], [2.0]]),
    "sigmoid_focal_loss": ("gamma", [0.5, 1.0, 3.0]),
    "poly_loss_cross_entropy": ("epsilon", [0.5, -1.0]),
    "cosine_similarity": ("epsilon", [[20.0], [0.5]]),
    "cosine_distance": ("epsilon", [[20.0], [30.0]]),
}


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("scalar", [False, True])
def test_the_gradient_by_a_parameter(harness: Harness, name: str, scalar: bool) -> None:
    parameter, values = PARAMETERS[name]
    function = getattr(optax, name)
    p = np.asarray(values)
    p = np.asarray(p.reshape(-1)[0]) if scalar else p
    x, t = (harness.array(a.astype(np.float32)) for a in (X, T))
    given = {parameter: harness.array(p.astype(np.float32))}
    _, gradient = xentropy.value_and_grad(function, parameter)(x, t, **given)
    expected = np.zeros(p.shape)
    for at in np.ndindex(p.shape):
        ends = []
        for step in (1e-6, -1e-6):
            moved = p.copy()
            moved[at] += step
            ends.append(np.sum(function(X, T, **{parameter: moved})))
        expected[at] = (ends[0] - ends[1]) / 2e-6
    np.testing.assert_allclose(harness.numpy(gradient), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(expected).max() > 1e-3


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_that_is_traced(harness: Harness, mode: str, name: str) -> None:
    parameter, values = PARAMETERS[name]
    function = getattr(optax, name)
    x, t, p = (harness.array(np.asarray(a, np.float32)) for a in (X, T, values))
    run = harness.quick(mode)(lambda x, t, p: function(x, t, **{parameter: p}))
    expected = function(X, T, **{parameter: np.asarray(values)})
    np.testing.assert_allclose(harness.numpy(run(x, t, p)), expected, rtol=1e-5, atol=1e-6)


def test_parameters_that_are_refused(harness: Harness) -> None:
    x, t = (harness.array(a.astype(np.float32)) for a in (X, T))
    two = harness.array(np.asarray([1.0, 2.0], np.float32))
    with pytest.raises(TypeError, match="`delta` must be above 0"):
        optax.huber_loss(x, t, delta=harness.array(np.asarray([1.0, 0.0, 1.0], np.float32)))
    with pytest.raises(TypeError, match="`gamma` must be at least 0"):
        optax.sigmoid_focal_loss(x, t, gamma=harness.array(np.asarray([-1.0] * 3, np.float32)))
    with pytest.raises(TypeError, match="must broadcast to one shape"):
        optax.huber_loss(x, t, delta=two)
    for function in (optax.cosine_similarity, optax.cosine_distance):
        with pytest.raises(TypeError, match="`epsilon` must broadcast to the norms"):
            function(x, t, epsilon=two)
        with pytest.raises(TypeError, match="`epsilon` must be a finite number"):
            function(x, t, epsilon=float("nan"))
    with pytest.raises(TypeError, match="`epsilon` must broadcast to the shape of the losses"):
        optax.poly_loss_cross_entropy(x, t, epsilon=harness.array(np.ones((3, 2), np.float32)))


def test_labels_must_be_given() -> None:
    for name in ("softmax_cross_entropy", "softmax_cross_entropy_with_integer_labels"):
        with pytest.raises(TypeError, match=rf"^xentropy.dialects.optax.{name}: `labels` must be"):
            getattr(optax, name)(X, None)
    with pytest.raises(TypeError, match="`targets` must be given"):
        optax.kl_divergence(X, None)
