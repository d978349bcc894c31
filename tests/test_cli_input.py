"""What the command line says about bad input: one line."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import xentropy
from tests.command import BAD_INPUT, PASSED, example, parity, save
from xentropy.parity import frameworks
from xentropy.parity.cases import LOSSES
from xentropy.parity.report import data, page

LOGITS, LABELS = ("--logits", "logits.npy"), ("--labels", "labels.npy")
OPTION = (*LOGITS, "--loss", "logsumexp", "--option")
ENTROPY = "linear_softmax_statistics.entropy"
HOLDS = "not bool, integers or float16 to float64"
SHAPES = "indices are integers of shape (2,), distributions have shape (2, 3)"
MESSAGES = {
    "missing": (("--logits", "gone.npy"), "--logits: no such file: gone.npy"),
    "directory": (("--logits", "."), "--logits: not a file: ."),
    "no npy": (("--logits", "text.npy"), "--logits: text.npy is not an .npy file"),
    "objects": (
        ("--logits", "objects.npy"),
        "--logits: objects.npy cannot be read: it holds Python objects",
    ),
    "strings": (
        (*LOGITS, "--labels", "strings.npy"),
        f"--labels: strings.npy holds str32, {HOLDS}",
    ),
    "complex numbers": (
        (*LOGITS, *LABELS, "--option", "class_weight=@complex.npy"),
        f"--option class_weight: complex.npy holds complex128, {HOLDS}",
    ),
    "bfloat16, which no .npy knows": (
        ("--logits", "brain.npy"),
        f"--logits: brain.npy holds void16, {HOLDS}",
    ),
    "no labels": (LOGITS, "--labels: softmax_cross_entropy needs them"),
    "labels too many": (
        (*LOGITS, *LABELS, "--loss", "logsumexp"),
        "--labels: logsumexp takes none",
    ),
    "more labels than rows": (
        (*LOGITS, "--labels", "three.npy"),
        f"--labels: int64[3] for --logits float32[2, 3]: {SHAPES}",
    ),
    "labels in a column": (
        (*LOGITS, "--labels", "column.npy"),
        f"--labels: int64[2, 1] for --logits float32[2, 3]: {SHAPES}",
    ),
    "floating indices": (
        (*LOGITS, "--labels", "floats.npy"),
        f"--labels: float64[2] for --logits float32[2, 3]: {SHAPES}",
    ),
    "labels along another axis": (
        (*LOGITS, *LABELS, "--option", "axis=0"),
        "--labels: int64[2] for --logits float32[2, 3]: "
        "indices are integers of shape (3,), distributions have shape (2, 3)",
    ),
    "no examples": (
        ("--logits", "empty.npy", "--labels", "none.npy"),
        "nothing to compare: --logits float32[0, 3] holds no numbers",
    ),
    "no elements": (
        ("--logits", "empty.npy", "--labels", "empty.npy", "--loss", "huber"),
        "nothing to compare: --logits float32[0, 3] holds no numbers",
    ),
    "no classes": (
        (
            *("--logits", "classless.npy", "--labels", "classless.npy"),
            *("--loss", "sigmoid_cross_entropy", "--option", "reduction=mean"),
            *("--option", "pos_weight=@nothing.npy"),
        ),
        "nothing to compare: --logits float64[2, 0] holds no numbers",
    ),
    "loss": (
        (*LOGITS, "--loss", "xent"),
        f"--loss: no loss is called 'xent'; there are {', '.join(LOSSES)}",
    ),
    "no loss": (("--loss", " ,"), "--loss: nothing is named"),
    "option": (
        (*OPTION, "gamma=2"),
        "--option: logsumexp has no option 'gamma'; it has axis, where, keepdims",
    ),
    "option form": ((*OPTION, "axis"), "--option: 'axis' is not NAME=VALUE"),
    "option value": (
        (*OPTION, "axis=first"),
        "--option axis: 'first' is not a number, true, false, none or @FILE.npy",
    ),
    "option expression": (
        (*OPTION, "axis={[]: 1}"),
        "--option axis: '{[]: 1}' is not a number, true, false, none or @FILE.npy",
    ),
    "option truth": ((*OPTION, "keepdims=2"), "--option keepdims: neither true nor false"),
    "option file": ((*OPTION, "where=@gone.npy"), "--option where: no such file: gone.npy"),
    "option reduction": (
        (*LOGITS, *LABELS, "--option", "reduction=@labels.npy"),
        "--option reduction: '@labels.npy' is none of none, sum, mean",
    ),
    "option left out": (
        (*LOGITS, "--labels", "logits.npy", "--loss", "weighted_sigmoid_cross_entropy"),
        "weighted_sigmoid_cross_entropy needs --option pos_weight=NUMBER or pos_weight=@FILE.npy",
    ),
    "weight left out": (
        (*LOGITS, *LABELS, "--loss", "linear_cross_entropy"),
        "linear_cross_entropy needs --option weight=@FILE.npy",
    ),
    "weights too many": (
        (*LOGITS, "--loss", ENTROPY, "--option", "weight=@long.npy"),
        f"--option weight: no oracle for a {ENTROPY} of 393216 weights",
    ),
    "labels of no use": (
        (*LOGITS, *LABELS, "--loss", ENTROPY, "--option", "weight=@long.npy"),
        f"--labels: {ENTROPY} takes none",
    ),
    "option alone": (("--option", "gamma=2"), "--option needs --logits"),
    "backend": (
        ("--backends", "caffe"),
        f"--backends: no backend 'caffe' can run this; there are {', '.join(frameworks.KNOWN)}",
    ),
    "dtype": (
        ("--dtype", "float8"),
        "--dtype: no dtype is called 'float8'; there are float64, float32, float16, bfloat16",
    ),
    "no case": (
        ("--loss", "log_cosh", "--dtype", "bfloat16"),
        "nothing to run: no case of log_cosh in bfloat16",
    ),
    "markers": (
        ("--markdown", "text.npy"),
        f"--markdown: text.npy has no {data.BEGIN} and {data.END}",
    ),
    "markdown": (
        ("--markdown", "gone.md"),
        "--markdown: gone.md cannot be written: there is no such file",
    ),
    "folder": (
        ("--json", "gone/all.json"),
        "--json: gone/all.json cannot be written: there is no directory gone",
    ),
    "no folder": (
        ("--html", "text.npy/page.html"),
        "--html: text.npy/page.html cannot be written: there is no directory text.npy",
    ),
    "a folder": (("--html", "."), "--html: . cannot be written: it is a directory"),
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return example(tmp_path)


@pytest.fixture
def folder(files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the files, in which the command is run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", MESSAGES)
def test_bad_input_gets_one_line(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("text.npy").write_text("1 2 3", encoding="utf-8")
    np.save("objects.npy", np.array([None]))
    save(folder, strings=["a", "b"], complex=[1j, 2, 3], column=[[2], [1]], floats=[2.0, 1.0])
    save(folder, empty=np.zeros((0, 3), np.float32), none=np.zeros(0, int))
    save(folder, brain=np.zeros((2, 3), ml_dtypes.bfloat16))
    save(folder, classless=np.zeros((2, 0)), nothing=np.zeros(0), long=np.zeros((2**17, 3)))
    arguments, line = MESSAGES[name]
    assert parity(capsys, *arguments) == (BAD_INPUT, "", f"xentropy: {line}\n")


def test_a_file_that_is_cut_off_is_named(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = files["logits"]
    path.write_bytes(path.read_bytes()[:-4])
    ran = parity(capsys, "--logits", path)
    assert (ran.status, ran.out) == (BAD_INPUT, "")
    assert ran.err.startswith(f"xentropy: --logits: {path} cannot be read: ")
    assert ran.err.count("\n") == 1


def denied(*arguments: Any, **options: Any) -> Any:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def denied_for(path: Path, call: Any) -> Any:
    """A method of `Path` that is denied for one of them."""
    return lambda self, *args, **kwargs: (denied if self == path else call)(self, *args, **kwargs)


def test_a_file_that_may_not_be_read_is_named(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, why = files["logits"], os.strerror(errno.EACCES)
    for call in (Path.open, Path.is_file):
        monkeypatch.setattr(Path, call.__name__, denied_for(path, call))
        line = f"xentropy: --logits: {path} cannot be read: {why}\n"
        assert parity(capsys, "--logits", path) == (BAD_INPUT, "", line)
        monkeypatch.undo()


def test_a_page_that_is_no_text_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "README.md"
    path.write_bytes(b"\xff")
    ran = parity(capsys, "--markdown", path)
    assert (ran.status, ran.out) == (BAD_INPUT, "")
    assert ran.err.startswith(f"xentropy: --markdown: {path} cannot be read: 'utf-8' codec")


@pytest.mark.parametrize("flag", ["json", "html", "markdown"])
def test_a_file_that_may_not_be_written_is_named(
    flag: str,
    files: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, why = tmp_path / "out", os.strerror(errno.EACCES)
    path.write_text(f"{data.BEGIN}{data.END}", encoding="utf-8")
    given = (f"--{flag}", path, "--backends", "numpy", "--logits", files["logits"])
    line = f"xentropy: --{flag}: {path} cannot be written: "
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
        assert parity(capsys, *given) == (BAD_INPUT, "", f"{line}permission denied\n")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "is_dir", denied)
        assert parity(capsys, *given) == (BAD_INPUT, "", f"{line}{why}\n")
    for module, name in ((data, "write_json"), (page, "write_html"), (data, "write_markdown")):
        monkeypatch.setattr(module, name, denied)  # the disk is full, say
    ran = parity(capsys, *given, "--labels", files["labels"])
    assert (ran.status, ran.err) == (BAD_INPUT, f"{line}{why}\n")
    assert "all within their bounds" in ran.out


def no_fit(*arguments: Any, loss: str = "sparse_softmax_cross_entropy", **options: Any) -> str:
    """What the library says about a call, without the hint, in one line."""
    with pytest.raises(xentropy.XentropyError) as caught:
        getattr(xentropy, loss)(*arguments, **options)
    rule, *lines = str(caught.value).splitlines()
    came = [line.strip().removesuffix(" numpy cpu") for line in lines if line[:2] == "  "]
    return "; ".join([rule.removesuffix("."), *came])


CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    # logits, labels and options that do not fit
    "shape": ("logits", "three", {"loss": "cross_entropy"}),
    "range": ("logits", "wrong", {}),
    "option": ("logits", "labels", {"label_smoothing": 2}),
    "axis": ("logits", "labels", {"axis": None, "loss": "cross_entropy"}),
    "nan": ("logits", "labels", {"z_loss": float("nan")}),
    "rank": ("logits", "labels", {"loss": "huber"}),
    "integer logits": ("whole", "labels", {}),
    "bool logits": ("truths", "labels", {}),
    "0-d logits": ("number", "number", {"loss": "softmax_cross_entropy"}),
    "no class": ("classless", "labels", {}),
    "3-d logits": ("block", "labels", {"loss": "cross_entropy"}),
}


@pytest.mark.parametrize("call", CALLS)
def test_what_does_not_fit_is_said_in_the_words_of_the_library(
    call: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(folder, whole=np.eye(2, 3, dtype=int), truths=np.eye(2, 3, dtype=bool), number=0.5)
    save(folder, classless=np.zeros((2, 0)), block=np.zeros((2, 2, 3)))
    first, second, options = CALLS[call]
    logits, labels = f"{first}.npy", f"{second}.npy"
    line = no_fit(np.load(logits), np.load(labels), **options)
    flags = ["--loss", options["loss"]] if "loss" in options else []
    for name, value in options.items():
        flags += ["--option", f"{name}={value}"] if name != "loss" else []
    ran = parity(capsys, "--logits", logits, "--labels", labels, *flags)
    assert ran == (BAD_INPUT, "", f"{line}\n")


@pytest.mark.parametrize("axis", ["7", "none", "0.5"])
def test_an_axis_that_is_none_is_said_in_the_words_of_the_library(
    axis: str, files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--logits", files["logits"], "--labels", files["labels"], "--option", f"axis={axis}")
    line = "xentropy.softmax_cross_entropy: `axis` must be an int in [-2, 2); "
    assert parity(capsys, *given).err.startswith(line)


def test_both_shapes_are_named(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    loss = "sparse_softmax_cross_entropy"
    given = ("--loss", loss, "--logits", files["logits"], "--labels", files["three"])
    assert parity(capsys, *given).err == (
        f"xentropy.{loss}: `labels` must have the shape of `logits` without axis -1, (2,); "
        "logits: float32[2, 3]; labels: int64[3]\n"
    )


def test_the_axis_is_one_to_guess_the_loss_by(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    t = save(tmp_path, t=[0, 1, 1])["t"]
    given = ("--backends", "numpy", "--logits", files["logits"], "--labels", t)
    ran = parity(capsys, *given, "--option", "axis=0", "--option", "class_weight=none")
    assert ran.status == PASSED
    assert ran.out.splitlines()[2] == "sparse_softmax_cross_entropy"
