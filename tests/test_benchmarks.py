"""The benchmarks of the repository: their cases, what is asked of them, what is recorded."""

from __future__ import annotations

import csv
import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from packaging.requirements import Requirement

from benchmarks import __main__ as harness_main
from benchmarks import importing, joined, judge, picture, record, table
from benchmarks.cases import CASES, LONG, LONGEST, PICTURE
from tests.command import BAD_INPUT, PASSED
from xentropy.bench import adapters, inputs
from xentropy.bench.case import LINEAR, Ask, Case, Run, as_json, from_json
from xentropy.bench.processes import Measured
from xentropy.bench.timing import Times
from xentropy.parity.cases import LOSSES

ROOT = Path(__file__).resolve().parent.parent


# --- cases --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case", [*CASES, *LONG, *LONGEST, *PICTURE], ids=lambda c: f"{c.framework}: {c.name}"
)
def test_a_case_is_data(case: Case) -> None:
    assert from_json(json.loads(json.dumps(as_json(case)))) == case
    assert case.framework in adapters.ADAPTERS
    assert {run.loss for run in case.runs} <= set(inputs.KINDS) <= {*LOSSES, LINEAR}


def test_cases_are_told_apart_by_name() -> None:
    names = [(case.framework, case.name) for case in [*CASES, *LONG, *LONGEST, *PICTURE]]
    assert len(set(names)) == len(names)


def test_long_cases_share_their_runs() -> None:
    groups = joined.join(LONG)
    assert [len(case.runs) for case, _ in groups] == [7, 10, 6, 2, 2, 1, 1, 10]
    for number, (whole, cases) in enumerate(groups):
        times: list[Times | None] = [Times(1, [float(n)]) for n in range(len(whole.runs))]
        found = Measured(whole, times, list(range(len(times))), [""] * len(times))
        for one, case in zip(joined.split(found, cases), cases, strict=True):
            assert one.case == case
            assert [whole.runs[peak or 0] for peak in one.peaks] == list(case.runs)
            assert [t and t.median for t in one.times] == one.peaks
        failed = joined.split(Measured(whole, error=f"{number}"), cases)
        assert [one.error for one in failed] == [f"{number}"] * len(cases)
    assert [case for _, cases in groups for case in cases] == list(LONG)


# --- judging ------------------------------------------------------------------------------------


def measured(ask: Ask, *seconds: float, shapes: tuple[tuple[int, int], ...] = ()) -> Measured:
    runs = [Run(shape=shape) for shape in shapes or ((2, 3),) * len(seconds)]
    times: list[Times | None] = [Times(1, [each]) for each in seconds]
    case = Case("a case", "numpy", tuple(runs), ask, memory=0.5)
    return Measured(case, times, [6] * len(runs), [""] * len(runs))


class Judged(NamedTuple):
    ask: Ask
    seconds: tuple[float, ...]
    reached: float
    met: bool | None


@pytest.mark.parametrize(
    "judged",
    [
        Judged(Ask("faster", 4), (1.0, 4.0), 4.0, True),
        Judged(Ask("faster", 4), (1.0, 3.0), 3.0, False),
        Judged(Ask("within", 1.5), (3.0, 2.0), 1.5, True),
        Judged(Ask("within", 1.4), (3.0, 2.0), 1.5, False),
        Judged(Ask("even", 1.25), (6.0, 7.5, 6.5), 1.25, True),
        Judged(Ask("even", 1.2), (6.0, 7.5, 6.5), 1.25, False),
        Judged(Ask("ms", 500), (0.5,), 500.0, True),
        Judged(Ask("none"), (1.0, 2.0), 2.0, None),
    ],
    ids=str,
)
def test_what_is_reached_is_judged(judged: Judged) -> None:
    found = measured(judged.ask, *judged.seconds)
    time, weight = judge.outcomes([found])
    assert judge.reached(found) == judged.reached
    assert time.met is judged.met
    assert (weight.reached, weight.met) == ("25.00%", True)


def test_growth_is_in_time_per_element() -> None:
    found = measured(Ask("even", 1.25), 1.0, 10.0, shapes=((1, 10), (10, 10)))
    assert judge.reached(found) == 1.0


def test_what_could_not_be_measured_is_not_met() -> None:
    found = Measured(measured(Ask("faster", 4), 1.0, 1.0).case, error="it ended")
    time, _ = judge.outcomes([found])
    assert (time.met, time.reached) == (False, "it ended")


# --- results ------------------------------------------------------------------------------------


def test_csv_grows_by_a_row_per_run(tmp_path: Path) -> None:
    path = tmp_path / "results" / "all.csv"
    found = measured(Ask("faster", 4), 1.0, 4.0)
    record.append(path, [found], 2)
    record.append(path, [importing.measure(1)], 2)
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        rows = list(reader)
    assert tuple(reader.fieldnames or ()) == record.COLUMNS
    assert [row["run"] for row in rows] == ["0", "1", "0"]
    assert rows[0]["time_p50_us"] == "1e+06"
    assert float(rows[1]["time_per_row_ns"]) == 2e9
    assert (rows[0]["peak_memory_bytes"], rows[0]["logits_bytes"]) == ("6", "24")
    known = ("date", "commit", "device", "threads", "python", "xentropy", "versions", "case")
    assert all(row[name] for row in rows for name in known)


def test_the_table_replaces_what_is_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n", encoding="utf-8")
    lines = judge.outcomes([measured(Ask("faster", 4), 1.0, 3.0)])
    assert table.has_markers(page)
    table.write_markdown(page, table.markdown(lines, 2))
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{table.BEGIN}\nMedians on ")
    assert "\n| numpy | a case | ≥ 4x faster | **3x** | 25.00% / 25.00% |\n" in text
    assert text.endswith(f"\n{table.END}\nafter\n")
    assert not table.has_markers(tmp_path / "absent.md")


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_a_picture_is_drawn(suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = []
    for case in PICTURE:
        times: list[Times | None] = [Times(1, [run.elements * 1e-9]) for run in case.runs]
        if case.framework == "numpy" and case.runs[0].gradient:
            times[1] = None
        found.append(Measured(case, times, [None, None], ["", ""]))
    picture.draw(tmp_path / f"time.{suffix}", found)
    assert (tmp_path / f"time.{suffix}").stat().st_size > 10_000


def test_labels_of_lines_do_not_overlap() -> None:
    placed = picture._spread([0.5, 0.1, 0.5, 0.51])
    assert np.diff(sorted(placed)).min() >= 0.99 * picture._APART
    assert placed[1] == pytest.approx(0.1)


def test_the_harness_runs_from_end_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = Case("tiny", "numpy", (Run(shape=(4, 3)), Run("max", shape=(4, 3))), Ask("faster", 1e9))
    threads = tuple(Run(shape=(4, 3), threads=n) for n in (2, 1))
    across = Case("tiny in two processes", "numpy", threads)
    bare = Case("tiny without Numba", "numpy", (Run(shape=(4, 3)),), numba=False)
    monkeypatch.setattr(harness_main, "CASES", (tiny, across, bare))
    runs = tuple(Run(what, LINEAR, (4, 2, 3), gradient=True) for what in ("xentropy", "products"))
    monkeypatch.setattr(harness_main, "LONG", (Case("tiny layer", "numpy", runs),))
    monkeypatch.setattr(harness_main, "LONGEST", (Case("tiny layer, once", "numpy", runs[:1]),))
    path = tmp_path / "all.csv"
    assert harness_main.main(["--quick", "--only", "tiny", "--csv", str(path)]) == PASSED
    out = capsys.readouterr().out
    assert "0 of 1 met" in out
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["case"], row["run"], row["threads"]) for row in rows] == [
        ("tiny", "0", "2"),
        ("tiny", "1", "2"),
        ("tiny in two processes", "0", "2"),
        ("tiny in two processes", "1", "1"),
        ("tiny without Numba", "0", "2"),
        ("tiny layer", "0", "2"),
        ("tiny layer", "1", "2"),
        ("tiny layer, once", "0", "2"),
    ]
    assert [row["samples_count"] for row in rows[-3:]] == ["3", "3", "1"]
    assert all(float(row["time_p50_us"]) > 0 for row in rows)
    assert "numba=none" in rows[-4]["versions"]


def test_a_page_without_markers_is_refused_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        harness_main.main(["--markdown", str(tmp_path / "absent.md")])
    assert ended.value.code == BAD_INPUT
    assert "has no <!-- bench:begin -->" in capsys.readouterr().err


def test_fewer_rows_are_told() -> None:
    large = Case("a case", "numpy", (Run(shape=(2000, 30000)),))
    small = replace(large, runs=(Run(shape=(32, 10)),))
    fewer = harness_main._smaller(large)
    assert (fewer.name, fewer.runs[0].shape) == ("a case, rows / 10", (200, 30000))
    assert harness_main._smaller(small) == small


def test_the_group_and_its_pins_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    declared = [Requirement(text).name for text in project["dependency-groups"]["bench"]]
    lines = (ROOT / "requirements" / "bench.txt").read_text(encoding="utf-8").splitlines()
    assert declared == [Requirement(line).name for line in lines if not line.startswith("#")]
