"""``xentropy bench``, and how it measures: that it measures what it says; no time is judged."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.command import BAD_INPUT, PASSED, bench
from xentropy.bench import adapters, command, inputs, memory, processes
from xentropy.bench.case import LINEAR, Run
from xentropy.bench.timing import Effort, Timed, alternate
from xentropy.parity import frameworks

FAILED = 1
INSTALLED = [n for n, f in frameworks.find().items() if n in adapters.ADAPTERS and f.version]


# --- times --------------------------------------------------------------------------------------


class FakeClock:
    """A clock that only moves when a function that is timed says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def __call__(self) -> float:
        return self.now

    def function(self, name: str, seconds: list[float]) -> Callable[[], None]:
        """Return a function that takes these times in turn, then the last one."""
        left = list(seconds)

        def call() -> None:
            self.calls.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return call


def test_functions_take_turns() -> None:
    clock = FakeClock()
    both = [Timed(clock.function(name, [1.0])) for name in "AB"]
    alternate(both, Effort(least=3, most=3), clock)
    assert "".join(clock.calls) == "ABAB" + "AB" + "ABABAB"  # warm-up, how long one takes, rounds


def test_median_and_quantiles_are_those_of_the_samples() -> None:
    clock = FakeClock()
    seconds = [9.0, 9.0, 9.0, 3.0, 1.0, 2.0, 5.0, 4.0]  # the first three are no samples
    (times,) = alternate([Timed(clock.function("A", seconds))], Effort(least=5, most=5), clock)
    assert times.samples == [3.0, 1.0, 2.0, 5.0, 4.0]
    assert (times.quantile(0.2), times.median, times.quantile(0.8)) == (1.8, 3.0, 4.2)


def test_a_short_call_is_repeated_within_a_sample() -> None:
    clock = FakeClock()
    effort = Effort(least=2, most=2, sample=1.0)
    (times,) = alternate([Timed(clock.function("A", [2.0**-6]))], effort, clock)
    assert times.number == 64
    assert times.samples == [2.0**-6] * 2


def test_rounds_end_with_the_time_given_but_not_before_the_least() -> None:
    clock = FakeClock()
    count = [
        len(alternate([Timed(clock.function("A", [1.0]))], effort, clock)[0].samples)
        for effort in (Effort(2, 9, 5.0), Effort(7, 9, 5.0), Effort(2, 4, 5.0))
    ]
    assert count == [5, 7, 4]


def test_arguments_are_made_anew_for_each_call_and_not_timed() -> None:
    clock = FakeClock()
    made: list[int] = []

    def prepare() -> tuple[int]:
        clock.now += 100.0
        made.append(len(made))
        return (made[-1],)

    def call(n: int) -> None:
        assert n == made[-1]
        clock.now += 0.25

    (times,) = alternate([Timed(call, prepare)], Effort(least=3, most=3), clock)
    assert times.samples == [0.25] * 3
    assert len(made) == 5


def test_memory_beyond_the_result_is_seen() -> None:
    if memory.beyond(Timed(lambda: None)) is None:
        pytest.skip("no high-water mark that can be set back: not Linux")
    size = 2**25

    def scratch() -> Any:
        return np.ones(size, np.uint8) + np.ones(size, np.uint8)

    found = memory.beyond(Timed(scratch))
    assert found is not None
    assert size < found < 2.5 * size
    assert memory.beyond(Timed(lambda: np.ones(size, np.uint8))) in range(size // 4)


# --- what is timed ------------------------------------------------------------------------------


def test_arguments_are_what_the_loss_takes() -> None:
    options = {"class_weight": "random", "ignore_index": -100}
    given = inputs.make(Run(shape=(300, 5), options=options))
    logits, labels = given.arrays
    assert (logits.shape, labels.shape) == ((300, 5), (300,))
    assert logits.dtype == np.float32
    assert np.count_nonzero(labels == -100) == 3
    assert given.options["class_weight"].shape == (5,)
    dense = inputs.make(Run(loss="softmax_cross_entropy", shape=(4, 5))).arrays[1]
    np.testing.assert_allclose(dense.sum(axis=-1), 1, rtol=1e-6)


def test_a_large_array_repeats_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_DRAWN", 7)
    logits = inputs.make(Run(shape=(5, 4))).arrays[0]
    assert np.isfinite(logits).all()
    assert sorted(set(logits.ravel())) == sorted(set(logits.ravel()[:7]))


def test_the_processes_get_a_clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        monkeypatch.setenv(name, "1")
        assert name not in processes.environment()
    assert processes.environment(2)["OMP_NUM_THREADS"] == "2"


def test_arguments_of_a_layer() -> None:
    run = Run(loss=LINEAR, shape=(4, 2, 3))
    hidden, weight, labels = inputs.make(run).arrays
    assert (hidden.shape, weight.shape, labels.shape) == ((4, 2), (3, 2), (4,))
    assert (run.elements, run.nbytes) == (12, 48)


@pytest.mark.parametrize("name", INSTALLED)
def test_what_stands_beside_a_layer(name: str) -> None:
    """In a process of its own: a framework that has threads must not be forked later."""
    calls = "; ".join(f"check({name!r}, {rows})" for rows in (200, 512))
    code = f"from tests.beside_a_layer import check; {calls}"
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


# --- the command --------------------------------------------------------------------------------

TINY = ("--rows", "4", "--classes", "3", "--repeat", "2")


def test_each_backend_has_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    ran = bench(capsys, *TINY)
    assert (ran.status, ran.err) == (PASSED, "")
    lines = ran.out.splitlines()
    assert lines[0].split() == ["backend", "what", "xentropy", "native", "ratio", "GB/s"]
    first = [line.split()[0] for line in lines[1:]]
    for name in INSTALLED:
        assert first.count(name) == (4 if name == "jax" else 2)
    assert "sparse_softmax_cross_entropy, 4 x 3, float32: medians of 2" in lines
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("loss", sorted(inputs.KINDS))
def test_every_loss_can_be_timed(loss: str) -> None:
    native = adapters.ADAPTERS["numpy"]()
    for gradient in (False, True):
        shape = (4, 2, 3) if loss == LINEAR else (4, 3)
        ours = Run(loss=loss, shape=shape, gradient=gradient)
        assert native.timed(ours, inputs.make(ours)).once() is not None


def test_one_backend_in_another_dtype(capsys: pytest.CaptureFixture[str]) -> None:
    ran = bench(capsys, *TINY, "--backend", "numpy", "--dtype", "float64", "--loss", "huber")
    assert ran.status == PASSED
    assert [line.split()[0] for line in ran.out.splitlines()[1:3]] == ["numpy", "numpy"]
    assert "huber, 4 x 3, float64: medians of 2" in ran.out


def test_a_layer_has_features(capsys: pytest.CaptureFixture[str]) -> None:
    ran = bench(capsys, *TINY, "--features", "2", "--backend", "numpy", "--loss", LINEAR)
    assert ran.status == PASSED
    assert f"{LINEAR}, 4 x 2 x 3, float32: medians of 2" in ran.out


BAD = [
    (("--rows", "0"), "--rows: 0 is not a positive number"),
    (("--classes", "-3"), "--classes: -3 is not a positive number"),
    (("--features", "0"), "--features: 0 is not a positive number"),
    (("--repeat", "0"), "--repeat: 0 is not a positive number"),
    (
        ("--dtype", "int8"),
        "--dtype: no dtype is called 'int8'; there are float16, bfloat16, float32, float64",
    ),
    (("--loss", "hinge"), "--loss: no loss 'hinge' can be timed; there are cross_entropy, "),
    (
        ("--backend", "numpy,caffe"),
        "--backend: no backend 'caffe' can run this; there are numpy, torch, tensorflow, jax",
    ),
    (("--backend", ","), "--backend: nothing is named"),
    (("--rows", "1000000", "--classes", "100000000"), "--rows, --classes: takes 2000000.0 GB of "),
    (("--rows", "many"), "Invalid value for '--rows'"),
]


@pytest.mark.parametrize(("given", "line"), BAD, ids=lambda part: str(part))
def test_bad_input_is_one_line(
    given: tuple[str, ...],
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 10**10)
    ran = bench(capsys, *given)
    assert (ran.status, ran.out, ran.err.count("\n")) == (BAD_INPUT, "", 1)
    assert ran.err.startswith(f"xentropy: {line}")


def test_a_framework_that_is_missing_is_bad_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = {name: frameworks.Framework(name, None) for name in adapters.ADAPTERS}
    monkeypatch.setattr(frameworks, "find", lambda: absent)
    line = "xentropy: --backend: torch is not installed\n"
    assert bench(capsys, "--backend", "torch") == (BAD_INPUT, "", line)


def test_a_process_that_dies_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_START", "import os; os.abort()")
    ran = bench(capsys, *TINY, "--backend", "numpy")
    assert ran.status == FAILED
    assert "numpy: the process ended early, status -6" in ran.out


def test_an_op_that_is_missing_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    ran = bench(capsys, *TINY, "--backend", "numpy", "--loss", "log_cosh")
    assert ran.status == PASSED
    assert " is not installed" in ran.out or "scipy has no op for log_cosh" in ran.out


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.0, "2 s"), (0.0123456, "12.3 ms"), (4.5e-6, "4.5 us"), (3e-9, "3 ns")]
)
def test_a_duration_has_its_unit(seconds: float, text: str) -> None:
    assert command.duration(seconds) == text
