"""Gradients of what forward mode finds, in a graph of TensorFlow: a tape around an accumulator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.matrix import COLUMN_TESTS, Entry
from tests.test_matrix import ALL
from xentropy.testing import Harness


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "XLA"])
@pytest.mark.parametrize("entry", ALL, ids=str)
def test_second_derivatives(harness: Harness, tf: Any, entry: Entry, compiled: bool) -> None:
    @tf.function(jit_compile=compiled)
    def along(direction: Any, x: Any, *rest: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            with tf.autodiff.ForwardAccumulator(x, direction) as forward:
                total = tf.reduce_sum(entry.function(x, *rest))
            tangent = forward.jvp(total)
        return tape.gradient(tangent, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    def hessian(x: Any, *rest: Any) -> Any:
        units = np.eye(x.shape.num_elements()).reshape(-1, *x.shape)
        columns = [along(tf.constant(unit, x.dtype), x, *rest) for unit in units]
        return tf.reshape(tf.stack(columns, -1), (*x.shape, *x.shape))

    assert_hessian = COLUMN_TESTS["hessian"]
    assert_hessian(harness, hessian, entry, "float64")
