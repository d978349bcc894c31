"""The command line: what it prints, what it writes, how it ends."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import xentropy
from tests.command import (
    BAD_INPUT,
    BEYOND,
    BLOCK,
    BLOCKED,
    FAULT,
    PASSED,
    example,
    parity,
    save,
    ulps_off,
)
from xentropy.kernels.engine import has_numba
from xentropy.parity import frameworks, processes
from xentropy.parity.cases import LOSSES, of_layer
from xentropy.parity.commands import run
from xentropy.parity.report import data


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return example(tmp_path)


class Quick(NamedTuple):
    status: int
    out: str
    json: dict[str, Any]
    html: str
    markdown: str


def no_constant(text: str) -> None:
    raise AssertionError(text)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Quick:
    folder = tmp_path_factory.mktemp("quick")
    paths = [folder / name for name in ("all.json", "page.html", "README.md")]
    paths[2].write_text(f"before\n{data.BEGIN}\nold\n{data.END}\nafter\n", encoding="utf-8")
    flags = [
        x
        for flag, path in zip(("json", "html", "markdown"), paths, strict=True)
        for x in (f"--{flag}", path)
    ]
    command = [sys.executable, "-m", "xentropy.parity", "parity", "--quick", "--backends", "numpy"]
    ran = subprocess.run(
        [*command, *map(str, flags)], capture_output=True, encoding="utf-8", check=False
    )
    assert ran.stderr == ""
    everything, page, readme = (path.read_text(encoding="utf-8") for path in paths)
    content = json.loads(everything, parse_constant=no_constant)
    return Quick(ran.returncode, ran.stdout, content, page, readme)


def test_the_standing_cases_pass_on_numpy(quick: Quick) -> None:
    assert quick.status == PASSED, quick.out
    assert quick.out.rstrip().endswith("all within their bounds")


def test_a_file_gets_plain_text_of_80_columns(quick: Quick) -> None:
    lines = quick.out.splitlines()
    assert "\x1b" not in quick.out
    assert max(map(len, lines)) <= 80
    assert set(LOSSES) <= set(lines)
    assert "…" not in quick.out


def test_json_holds_everything_under_stable_keys(quick: Quick) -> None:
    content = quick.json
    assert sorted(content) == [
        "backends",
        "command",
        "crashes",
        "notes",
        "passed",
        "platform",
        "results",
        "schema",
        "seconds",
        "table",
        "versions",
    ]
    assert (content["schema"], content["passed"]) == (1, True)
    assert content["versions"]["numpy"] == np.__version__
    assert content["versions"]["xentropy"] == xentropy.__version__
    assert {row["loss"] for row in content["table"]} == set(LOSSES)
    result = content["results"][0]
    assert sorted(result) == [
        "backend",
        "bounds",
        "case",
        "dtype",
        "errors",
        "failures",
        "left_out",
        "loss",
        "mode",
        "native_error",
        "options",
        "oracle",
        "passed",
        "shape",
    ]
    assert sorted(result["errors"]["value"]) == ["count", "finite", "max", "median", "worst"]


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "line", "circle"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("line", "circle"):
            assert self.open.pop() == tag


def test_html_is_one_page_without_links(quick: Quick) -> None:
    page = _Page()
    page.feed(quick.html)
    assert (page.open, page.links) == ([], [])
    assert all(f">{loss}</th>" in quick.html for loss in LOSSES)


def test_html_shows_the_bound_of_each_loss(quick: Quick) -> None:
    for loss in [name for name in LOSSES if not of_layer(name)]:
        bound = 12 if "focal" in loss else 4
        assert f'aria-label="{loss}: largest errors, bound {bound} ulp"' in quick.html
    assert quick.html.count("<small>bound 12</small>") == 2
    assert quick.html.count("<small>bound 1.") == sum(map(of_layer, LOSSES))


def test_html_keeps_the_words_of_the_command_whole(quick: Quick) -> None:
    assert "<span>--quick</span> <span>--backends</span> <span>numpy</span>" in quick.html


def test_html_counts_one_as_one(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    html = tmp_path / "page.html"
    given = ("--logits", files["logits"], "--labels", files["labels"], "--html", html)
    assert parity(capsys, "--backends", "numpy", *given).status == PASSED
    text = html.read_text(encoding="utf-8")
    for what in ("case", "framework", "0 of 1 comparison beyond"):
        assert f"<span>{what}</span>" in text


def test_markdown_replaces_what_is_between_the_markers(quick: Quick) -> None:
    lines = quick.markdown.splitlines()
    assert lines[:2] + lines[-2:] == ["before", data.BEGIN, data.END, "after"]
    assert "old" not in lines
    assert [line.split("`")[1] for line in lines if line.startswith("| `")] == list(LOSSES)
    assert "| loss | numpy |" in lines
    assert f"numpy {np.__version__}" in quick.markdown


def test_numba_is_named_where_it_computes(quick: Quick) -> None:
    known = quick.json["versions"]
    assert ("numba" in known) is has_numba()
    if has_numba():
        stand = f"numba {importlib.metadata.version('numba')}"
        assert stand in quick.markdown
        assert stand in quick.html.replace("&nbsp;", " ")


def without(modules: tuple[str, ...], folder: Path) -> dict[str, str]:
    """An environment in which these modules are not found."""
    block = BLOCK.replace(repr(BLOCKED), repr(modules))
    (folder / "sitecustomize.py").write_text(block, encoding="utf-8")
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def test_numpy_alone_is_enough(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "xentropy.parity", "parity", "--quick"],
        env=without(BLOCKED, tmp_path),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (PASSED, ""), ran.stdout
    assert (
        'digits left out: scikit-learn is not installed: it comes with the extra "parity"'
        in ran.stdout
    )
    assert "not installed: jax, torch, tensorflow" in ran.stdout


@pytest.mark.parametrize("missing", ["typer", "mpmath", "rich", "jinja2"])
def test_a_missing_extra_is_named_in_one_line(missing: str, tmp_path: Path) -> None:
    html = ("parity", "--html", str(tmp_path / "page.html")) if missing == "jinja2" else ()
    ran = subprocess.run(
        [sys.executable, "-m", "xentropy.parity", *(html or ("backends",))],
        env=without((missing,), tmp_path),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    what = f"--html: {missing}" if html else missing
    line = f'xentropy: {what} is not installed: it comes with the extra "parity"\n'
    assert (ran.returncode, ran.stdout, ran.stderr) == (BAD_INPUT, "", line)


@pytest.mark.parametrize(("what", "ulps"), [("value", 60), ("gradient", 120)])
def test_a_planted_fault_is_seen_in_every_loss(
    what: str,
    ulps: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = FAULT.format(what=what, change=ulps_off(ulps))
    monkeypatch.setattr(processes, "command", lambda *args: [sys.executable, "-c", code, *args])
    out = tmp_path / "all.json"
    ran = parity(capsys, "--quick", "--backends", "numpy", "--dtype", "float32", "--json", out)
    table = json.loads(out.read_text(encoding="utf-8"))["table"]
    without = {row["loss"] for row in table if not row["errors"][what]}
    assert ran.status == BEYOND
    assert {row["loss"] for row in table if row["passed"]} == without
    assert without == ({loss for loss in LOSSES if "." in loss} if what == "gradient" else set())


@pytest.mark.parametrize("what", ["value", "gradient"])
@pytest.mark.parametrize("kind", ["i", "f"])
def test_a_fault_in_one_kind_of_labels_is_seen(
    kind: str, what: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    change = f"x * np.float32(1.001 if self.case.labels.dtype.kind == {kind!r} else 1)"
    code = FAULT.format(what=what, change=change)
    monkeypatch.setattr(processes, "command", lambda *args: [sys.executable, "-c", code, *args])
    given = ("--quick", "--backends", "numpy", "--dtype", "float32", "--loss", "cross_entropy")
    ran = parity(capsys, *given)
    assert ran.status == BEYOND
    assert ran.out.rstrip().endswith("1 beyond a bound")


def test_a_fault_of_a_few_ulp_is_named(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = FAULT.format(what="value", change=ulps_off(6))
    monkeypatch.setattr(processes, "command", lambda *args: [sys.executable, "-c", code, *args])
    ran = parity(
        capsys, "--backends", "numpy", "--logits", files["logits"], "--labels", files["labels"]
    )
    assert ran.status == BEYOND
    where = "sparse_softmax_cross_entropy on numpy, float32, yours: value"
    assert re.search(rf"^{where} \d+\.?\d* ulp > 4 at \[[01]\]: got ", ran.out, re.MULTILINE)
    assert ran.out.rstrip().endswith("1 beyond a bound")


def test_a_process_that_dies_hides_no_other(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = processes.command

    def command(backend: str, *more: str) -> list[str]:
        dies = [sys.executable, "-c", "import os; os.abort()"]
        return dies if backend == "array_api_strict" else usual(backend, *more)

    monkeypatch.setattr(processes, "command", command)
    both = ("--backends", "numpy,array_api_strict")
    ran = parity(capsys, *both, "--logits", files["logits"], "--labels", files["labels"])
    assert ran.status == BEYOND
    assert "array_api_strict: the process ended early, signal SIGABRT" in ran.out
    assert "  numpy               f32" in ran.out
    ending = " ".join(ran.out.split())
    assert ending.endswith("all within their bounds; ended early: array_api_strict")
    alone = ("--backends", "array_api_strict", "--logits", files["logits"])
    ran = parity(capsys, *alone, "--labels", files["labels"])
    assert ran.status == BEYOND
    assert ran.out.rstrip().endswith("nothing compared; ended early: array_api_strict")


def test_the_users_own_arrays(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weight = save(tmp_path, w=[0.5, 1.0, 2.0])["w"]
    ran = parity(
        capsys,
        *("--backends", "numpy", "--logits", files["logits"], "--labels", files["labels"]),
        *("--option", "label_smoothing=0.1", "--option", f"class_weight=@{weight}"),
        *("--loss", "cross_entropy,sparse_softmax_cross_entropy", "--dtype", "float64"),
    )
    assert ran.status == PASSED
    assert ran.out.rstrip().endswith(": all within their bounds")
    assert ran.out.count("f64") == 2


def test_the_users_own_layer(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weight = save(tmp_path, w=np.arange(12).reshape(4, 3) / 8)["w"]
    given = ("--backends", "numpy", "--logits", files["logits"], "--option", f"weight=@{weight}")
    losses = ("--loss", "linear_cross_entropy,linear_softmax_statistics.log_prob")
    ran = parity(capsys, *given, *losses, "--labels", files["labels"], "--dtype", "float16,float64")
    assert ran.status == PASSED
    assert ran.out.count("f16") == ran.out.count("f64") == 2
    ran = parity(capsys, *given, "--loss", "linear_softmax_statistics.entropy")
    assert ran.status == PASSED


NAN = np.full((2, 3), np.nan, np.float32)
HALF = np.where(np.arange(2)[:, None] == 0, NAN, np.float32(0.5))


@pytest.mark.parametrize("large", [False, True])
def test_nan_throughout_is_nothing_to_compare(
    large: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = 2000 if large else 1
    paths = save(tmp_path, x=np.tile(NAN, (rows, 1)), t=np.tile([2, 1], rows))
    given = ("--backends", "numpy", "--logits", paths["x"], "--labels", paths["t"])
    line = "xentropy: nothing to compare: every true loss and gradient is NaN\n"
    assert parity(capsys, *given) == (BAD_INPUT, "", line)


def test_a_framework_that_is_wrong_where_all_is_nan_is_beyond(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = FAULT.format(what="value", change="np.zeros_like(x)")
    monkeypatch.setattr(processes, "command", lambda *args: [sys.executable, "-c", code, *args])
    paths = save(tmp_path, x=NAN, t=[2, 1])
    given = ("--backends", "numpy", "--logits", paths["x"], "--labels", paths["t"])
    ran = parity(capsys, *given)
    assert ran.status == BEYOND
    assert "value inf ulp > 4 at [0]: got 0, true nan" in ran.out


def test_what_is_not_finite_in_part_is_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = save(tmp_path, x=HALF, t=[2, 1])
    numpy, out, html = ("--backends", "numpy"), tmp_path / "all.json", tmp_path / "page.html"
    given = ("--logits", paths["x"], "--labels", paths["t"], "--json", out, "--html", html)
    ran = parity(capsys, *numpy, *given)
    note = "* 4 NaN of 8 true numbers: compared by place and sign"
    assert ran.status == PASSED
    assert re.search(r"^  numpy +f32\* +\d", ran.out, re.MULTILINE)
    assert note in ran.out.splitlines()
    content = json.loads(out.read_text(encoding="utf-8"))
    assert content["notes"] == [note]
    assert content["results"][0]["errors"]["value"]["finite"] == 1
    text = html.read_text(encoding="utf-8")
    assert note in text
    assert "<td>float32*</td>" in text
    flipped = save(tmp_path, p=[[0.0, 1.0]], y=[[1, 0]])
    loss = ("--loss", "binary_cross_entropy", "--logits", flipped["p"], "--labels", flipped["y"])
    ran = parity(capsys, *numpy, *loss)
    assert ran.status == PASSED
    assert re.search(r"^  numpy +f64\*( +-){8}$", ran.out, re.MULTILINE)
    assert "* 4 infinite of 4 true numbers: compared by place and sign\n" in ran.out


def test_an_empty_batch_has_a_mean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = save(tmp_path, x=np.zeros((0, 3)), t=np.zeros(0, int))
    given = ("--backends", "numpy", "--logits", paths["x"], "--labels", paths["t"])
    ran = parity(capsys, *given, "--option", "reduction=mean")
    assert ran.status == PASSED
    assert re.search(r"^  numpy +f64 +0 +0 ", ran.out, re.MULTILINE)
    assert ran.out.endswith("s: all within their bounds\n")


def test_what_is_left_out_is_told(
    files: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = BLOCK.replace(repr(BLOCKED), "('ml_dtypes',)") + FAULT.format(what="value", change="x")
    monkeypatch.setattr(processes, "command", lambda *args: [sys.executable, "-c", code, *args])
    given = ("--backends", "numpy", "--logits", files["logits"], "--labels", files["labels"])
    why = "bfloat16 on numpy: ml_dtypes is not installed"
    line = f"xentropy: nothing to compare: {why}\n"
    assert parity(capsys, *given, "--dtype", "bfloat16") == (BAD_INPUT, "", line)
    ran = parity(capsys, *given, "--dtype", "bfloat16,float32")
    assert ran.status == PASSED
    assert f"left out, {why}" in ran.out.splitlines()
    assert "\n1 comparison, 1 framework, " in ran.out


def test_a_named_framework_that_is_missing_is_bad_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = {"torch": frameworks.Framework("torch", None)}
    monkeypatch.setattr(frameworks, "find", lambda: absent)
    line = "xentropy: --backends: torch is not installed\n"
    assert parity(capsys, "--backends", "torch") == (BAD_INPUT, "", line)


def test_backends_lists_what_is_there_and_what_is_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {
        "numpy": frameworks.Framework("numpy", np.__version__),
        "torch": frameworks.Framework("torch", None),
    }
    monkeypatch.setattr(frameworks, "find", lambda: known)
    status = run(["backends"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert status == PASSED
    assert lines[0] == ["backend", "version", "devices", "kernels"]
    assert lines[1][:3] == ["numpy", np.__version__, "cpu"]
    assert lines[2] == ["torch", "not", "installed"]


def test_an_unknown_flag_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    ran = parity(capsys, "--bogus")
    assert ran.status == BAD_INPUT
    assert ran.err.startswith("xentropy: No such option: --bogus")
    assert ran.err.count("\n") == 1
