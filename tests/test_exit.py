"""Programs that end while their last losses are being computed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from xentropy.testing import Harness

PROGRAM = """
import jax.numpy as jnp, xentropy
hidden, weight = jnp.ones((64, 16)), jnp.ones((131072, 16))
outputs = ("log_prob", "logsumexp", "entropy", "rank")
{found}xentropy.linear_softmax_statistics(hidden, weight, jnp.zeros(64, int), outputs=outputs)
"""


@pytest.mark.parametrize("found", ["found = ", ""], ids=["held", "dropped"])
def test_a_program_ends(harness: Harness, found: str) -> None:
    if str(harness) != "jax":
        pytest.skip("of JAX, which computes while Python goes on")
    command = [sys.executable, "-c", PROGRAM.format(found=found)]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert "Error" not in ran.stderr
