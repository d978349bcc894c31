"""What AutoGraph, which rewrites the functions that TensorFlow traces, makes of the library."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest

import xentropy
from tests.dialects.case import Case
from tests.dialects.test_modes import CALLS, WARNINGS, prepared
from tests.matrix import ENTRIES, Entry
from xentropy.testing import Harness

ALL = [entry for entries in ENTRIES.values() for entry in entries]
# A class has a line of its own, which calls one of these.
DIALECTS = [(dialect, case) for dialect, case in CALLS if case.call is None]


@pytest.mark.parametrize("entry", ALL, ids=str)
def test_it_leaves_losses_alone(harness: Harness, tf: Any, entry: Entry) -> None:
    """Of three seconds a first call spent most in them."""
    given = tuple(entry.case.give(harness, "float32").values())
    assert [name for name in converted(tf, entry.function, given) if ".losses." in name] == []


@pytest.mark.filterwarnings(WARNINGS)
@pytest.mark.parametrize(("dialect", "case"), DIALECTS, ids=str)
def test_it_leaves_dialects_alone(harness: Harness, tf: Any, dialect: str, case: Case) -> None:
    run, given = prepared(harness, dialect, case)
    found = converted(tf, run, tuple(given))
    assert [name for name in found if name.startswith("xentropy.")] == []


def test_it_converts_what_is_differentiated(harness: Harness, tf: Any) -> None:
    """A function of the caller's, whose branches depend on numbers."""

    def loss(x: Any) -> Any:
        if x > 0:
            return xentropy.squared_error(x, 0.0)
        return xentropy.absolute_error(x, 0.0)

    grad = xentropy.value_and_grad(loss)
    both = tf.function(lambda x: grad(x)[1])
    assert [float(both(harness.array(np.float32(x)))) for x in (3.0, -3.0)] == [6.0, -1.0]


def converted(tf: Any, f: Any, given: tuple[Any, ...]) -> list[str]:
    """The functions that are rewritten while another is traced."""
    api = pytest.importorskip("tensorflow.python.autograph.impl.api")
    with mock.patch.object(api, "_convert_actual", wraps=api._convert_actual) as convert:
        tf.function(f)(*given)
    found = [call.args[0] for call in convert.call_args_list]
    assert f in found
    return [f"{each.__module__}.{each.__qualname__}" for each in found]
