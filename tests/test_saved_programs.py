"""Programs that return a `Mean`, saved and read back by another process of the same library."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

import xentropy
from xentropy import Mean
from xentropy.testing import Harness, load_harness


def partial(x: Any) -> Any:
    return xentropy.cross_entropy(x, [1, 0], reduction="partial")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_by_torch_export(torch: Any, dtype: str) -> None:
    class Module(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return partial(x)

    x = load_harness("torch").array(np.eye(2, 3, dtype=dtype))
    file = io.BytesIO()
    torch.export.save(torch.export.export(Module(), (x,)), file)
    file.seek(0)
    found = torch.export.load(file).module()(x)
    assert type(found) is type(partial(x))
    assert found == partial(x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_by_jax_export(harness: Harness, dtype: str) -> None:
    if str(harness) != "jax":
        pytest.skip("of jax")
    import jax
    import jax.export

    x = harness.array(np.eye(2, 3, dtype=dtype))
    data = jax.export.export(jax.jit(partial))(x).serialize()
    call: Any = jax.export.deserialize(data).call
    found = call(x)
    assert isinstance(found, Mean)
    assert type(found) is type(partial(x))
    assert found.value() == partial(x).value()
