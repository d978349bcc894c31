"""The command line: what it prints, what it writes, how it ends."""

from __future__ import annotations

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
from xentropy.parity import frameworks, processes
from xentropy.parity.cases import LOSSES
from xentropy.parity.commands import run
from xentropy.parity.report import data

PASSED, BEYOND, BAD_INPUT = 0, 1, 2
BLOCKED = ("jax", "jaxlib", "ml_dtypes", "optax", "scipy", "sklearn", "tensorflow", "torch")
BLOCK = f"""
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Nothing())
"""
FAULT = """
import sys
import numpy as np
from xentropy.parity import worker
ours = worker._Call.ours
def off(self, mode):
    found = ours(self, mode)
    found[{what!r}] = found[{what!r}] * np.float32(1 + {ulps} * 2.0**-23)
    return found
worker._Call.ours = off
worker.main(sys.argv[1:])
"""


class Ran(NamedTuple):
    status: int
    out: str
    err: str


def parity(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Ran:
    status = run(["parity", *map(str, arguments)])
    out, err = capsys.readouterr()
    return Ran(status, str(out), str(err))


def save(folder: Path, **arrays: Any) -> dict[str, Path]:
    paths = {}
    for name, array in arrays.items():
        paths[name] = folder / f"{name}.npy"
        np.save(paths[name], np.asarray(array))
    return paths


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    logits = np.array([[2, 0.5, 6], [0.1, 0, 3]], np.float32)
    return save(tmp_path, logits=logits, labels=[2, 1], wrong=[2, 3], three=[0, 1, 2])


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
    table = quick.out.partition("\nulp of the result")[0]
    assert "\x1b" not in quick.out
    assert max(map(len, table.splitlines())) <= 80
    assert set(LOSSES) <= set(table.splitlines())
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
    assert sorted(result["errors"]["value"]) == ["count", "max", "median", "worst"]


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


def test_markdown_replaces_what_is_between_the_markers(quick: Quick) -> None:
    lines = quick.markdown.splitlines()
    assert lines[:2] + lines[-2:] == ["before", data.BEGIN, data.END, "after"]
    assert "old" not in lines
    assert [line.split("`")[1] for line in lines if line.startswith("| `")] == list(LOSSES)
    assert "| loss | numpy |" in lines
    assert f"numpy {np.__version__}" in quick.markdown


def test_numpy_alone_is_enough(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCK, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "xentropy.parity", "parity", "--quick"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (PASSED, ""), ran.stdout
    assert (
        "digits left out: scikit-learn is not installed: pip install 'xentropy-losses[parity]'"
        in ran.stdout
    )
    assert "not installed: jax, torch, tensorflow" in ran.stdout


@pytest.mark.parametrize("missing", ["typer", "mpmath", "rich"])
def test_a_missing_extra_is_named_in_one_line(missing: str, tmp_path: Path) -> None:
    block = BLOCK.replace(repr(BLOCKED), repr((missing,)))
    (tmp_path / "sitecustomize.py").write_text(block, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "xentropy.parity", "backends"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    line = f"xentropy: {missing} is not installed: pip install 'xentropy-losses[parity]'\n"
    assert (ran.returncode, ran.stdout, ran.stderr) == (BAD_INPUT, "", line)


@pytest.mark.parametrize(("what", "ulps"), [("value", 60), ("gradient", 120)])
def test_a_planted_fault_is_seen_in_every_loss(
    what: str,
    ulps: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = FAULT.format(what=what, ulps=ulps)
    monkeypatch.setattr(processes, "command", lambda *args: [sys.executable, "-c", code, *args])
    out = tmp_path / "all.json"
    ran = parity(capsys, "--quick", "--backends", "numpy", "--dtype", "float32", "--json", out)
    table = json.loads(out.read_text(encoding="utf-8"))["table"]
    assert ran.status == BEYOND
    assert {row["loss"] for row in table if row["passed"]} == set()


def test_a_fault_of_a_few_ulp_is_named(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = FAULT.format(what="value", ulps=6)
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
    assert ran.out.rstrip().endswith("all within their bounds; ended early: array_api_strict")


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


MESSAGES = {
    "missing": (
        ("--logits", "gone.npy"),
        "--logits: no such file: gone.npy",
    ),
    "no npy": (
        ("--logits", "text.npy"),
        "--logits: text.npy is not an .npy file",
    ),
    "objects": (
        ("--logits", "objects.npy"),
        "--logits: objects.npy cannot be read: it holds Python objects",
    ),
    "no labels": (
        ("--logits", "logits.npy"),
        "--labels: softmax_cross_entropy needs them",
    ),
    "labels too many": (
        ("--logits", "logits.npy", "--labels", "labels.npy", "--loss", "logsumexp"),
        "--labels: logsumexp takes none",
    ),
    "loss": (
        ("--logits", "logits.npy", "--loss", "xent"),
        f"--loss: no loss is called 'xent'; there are {', '.join(LOSSES)}",
    ),
    "option": (
        ("--logits", "logits.npy", "--loss", "logsumexp", "--option", "gamma=2"),
        "--option: logsumexp has no option 'gamma'; it has axis, where, keepdims",
    ),
    "option form": (
        ("--logits", "logits.npy", "--loss", "logsumexp", "--option", "axis"),
        "--option: 'axis' is not NAME=VALUE",
    ),
    "option value": (
        ("--logits", "logits.npy", "--loss", "logsumexp", "--option", "axis=first"),
        "--option axis: 'first' is not a number, true, false, none or @FILE.npy",
    ),
    "option file": (
        ("--logits", "logits.npy", "--loss", "logsumexp", "--option", "where=@gone.npy"),
        "--option where: no such file: gone.npy",
    ),
    "option alone": (
        ("--option", "gamma=2"),
        "--option needs --logits",
    ),
    "backend": (
        ("--backends", "caffe"),
        f"--backends: no backend is called 'caffe'; there are {', '.join(frameworks.KNOWN)}",
    ),
    "dtype": (
        ("--dtype", "float8"),
        "--dtype: no dtype is called 'float8'; there are float64, float32, float16, bfloat16",
    ),
    "markers": (
        ("--markdown", "text.npy"),
        f"--markdown: text.npy has no {data.BEGIN} and {data.END}",
    ),
    "folder": (
        ("--json", "gone/all.json"),
        "--json: gone/all.json cannot be written: no such directory, or it is one",
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_bad_input_gets_one_line(
    name: str,
    files: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.npy").write_text("1 2 3", encoding="utf-8")
    np.save("objects.npy", np.array([None]))
    arguments, line = MESSAGES[name]
    assert parity(capsys, *arguments) == (BAD_INPUT, "", f"xentropy: {line}\n")


def no_fit(*arguments: Any, loss: str = "sparse_softmax_cross_entropy", **options: Any) -> str:
    """The first line of what the library says about a call."""
    with pytest.raises(xentropy.XentropyError) as caught:
        getattr(xentropy, loss)(*arguments, **options)
    return str(caught.value).splitlines()[0]


@pytest.mark.parametrize(
    ("labels", "options"),
    [
        ("three.npy", {"loss": "cross_entropy"}),
        ("wrong.npy", {}),
        ("labels.npy", {"label_smoothing": 2}),
        ("labels.npy", {"loss": "huber"}),
    ],
    ids=["shape", "range", "option", "rank"],
)
def test_what_does_not_fit_is_said_in_the_words_of_the_library(
    labels: str,
    options: dict[str, Any],
    files: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    line = no_fit(np.load("logits.npy"), np.load(labels), **options)
    flags = ["--loss", options["loss"]] if "loss" in options else []
    for name, value in options.items():
        flags += ["--option", f"{name}={value}"] if name != "loss" else []
    ran = parity(capsys, "--logits", "logits.npy", "--labels", labels, *flags)
    assert ran == (BAD_INPUT, "", f"{line}\n")


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
