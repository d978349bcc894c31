"""A compiler may be the first to see an array, in a process where nothing has been called yet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from xentropy.testing import Harness

FIRST = """
import numpy as np
import xentropy
from xentropy.testing import load_harness

harness = load_harness({name!r})
x = harness.array(np.array([[1.0, 2.0, 0.5]], np.float32))
run = harness.ways[{way!r}]["hessian"](lambda x: xentropy.{loss})
assert np.isfinite(harness.numpy(run(x))).all()
"""


@pytest.mark.parametrize("loss", ["logsumexp(x)", "linear_cross_entropy(x, x, [0])"])
def test_inside_of_torch_compile(harness: Harness, loss: str) -> None:
    way = "torch.compile of torch.func"
    if way not in harness.ways:
        pytest.skip("the framework has no such compiler")
    script = FIRST.format(name=str(harness), way=way, loss=loss)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# A child of a process that has imported everything, and called nothing: threads would not be there.
INSIDE = """
import os
import sys
import warnings

import numpy as np
import xentropy
from xentropy import dialects
from xentropy.testing import load_harness

harness = load_harness("tensorflow")
loss = xentropy.logsumexp
{functions}
for f in [{names}]:
    child = os.fork()
    if not child:
        warnings.simplefilter("error")
        x = harness.array(np.array([[1.0, 2.0, 0.5]], np.float32))
        harness.ways["tf.function"]["gradient"](f)(x)
        harness.ways["tf.function with XLA"]["value"](f)(x)
        sys.stderr.flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, f.__name__
"""
CALLS = (
    "loss(x)",
    "loss(xentropy.backend_of(x).xp.abs(x))",
    "xentropy.linear_cross_entropy(x, x, [0])",
    "xentropy.linear_softmax_statistics(x, x, None, outputs='entropy').entropy",
    "xentropy.softmax_statistics(x, None, outputs='entropy').entropy",
    "xentropy.value_and_grad(loss)(x)[1]",
    "xentropy.Mean(x, 1.0).value()",
    "xentropy.Mean.sum([xentropy.Mean(x, 1.0)]).perplexity()",
    "dialects.torch.mse_loss(x, x)",
)


def test_inside_of_tf_function(tf: Any, tmp_path: Path) -> None:
    """It has nothing to warn of, though an adapter is imported within."""
    names = {f"f{i}": call for i, call in enumerate(CALLS)}
    # In a file, or AutoGraph does not read them.
    functions = (f"def {f}(x):\n    return {call}\n" for f, call in names.items())
    script = tmp_path / "first.py"
    text = INSIDE.format(functions="\n".join(functions), names=", ".join(names))
    script.write_text(text, encoding="utf-8")
    command = [sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "AutoGraph" not in done.stderr
