"""The distribution: what it contains, and that pins, groups and entry points agree."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ROOT / "backends" / "xentropy_backends"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pins(path: Path) -> dict[NormalizedName, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    for requirement in found:
        assert str(requirement.specifier).startswith("=="), f"{path}: {requirement} is not pinned"
    return {canonicalize_name(r.name): str(r.specifier).removeprefix("==") for r in found}


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing to compare the distributions with")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


def test_wheel_and_sdist_hold_every_tracked_file(distributions: tuple[Path, Path]) -> None:
    wheel, sdist = distributions
    assert script("check_dist").check(wheel, sdist) == []


def test_the_comparison_sees_a_missing_and_a_stray_file(distributions: tuple[Path, Path]) -> None:
    check_wheel = script("check_dist").check_wheel
    wheel, _ = distributions
    version = "src/xentropy/__init__.py"
    wrong = check_wheel(wheel, {version, "src/xentropy/absent.py"}, {version})
    assert "src/xentropy/absent.py: not in the wheel" in wrong
    assert "xentropy/py.typed: in the wheel, but not a file for it" in wrong


def test_every_adapter_has_an_entry_point_and_every_entry_point_an_adapter() -> None:
    announced = PROJECT["project"]["entry-points"]["xentropy.backends"]
    folders = [path.parent.name for path in ROOMS.glob("*/adapter.py")]
    assert announced == {name: f"xentropy_backends.{name}.adapter:backend" for name in folders}


@pytest.mark.parametrize("group", ["test", "lint", "docs", "dist"])
def test_a_group_and_its_pins_agree(group: str) -> None:
    declared = {
        canonicalize_name(requirement.name): requirement
        for requirement in map(Requirement, PROJECT["dependency-groups"][group])
    }
    pinned = pins(ROOT / "requirements" / f"{group}.txt")
    assert declared.keys() == pinned.keys()
    for name, requirement in declared.items():
        assert requirement.specifier.contains(pinned[name]), f"{requirement}: pinned {pinned[name]}"


def test_one_version_is_pinned_of_each_package() -> None:
    found: dict[NormalizedName, set[str]] = {}
    for path in [*(ROOT / "requirements").glob("*.txt"), *ROOMS.glob("*/requirements.txt")]:
        for name, version in pins(path).items():
            found.setdefault(name, set()).add(version)
    assert {name: versions for name, versions in found.items() if len(versions) > 1} == {}


@pytest.mark.parametrize("floor", sorted(ROOMS.glob("*/requirements-floor.txt")), ids=str)
def test_the_floor_is_the_lower_bound_of_the_extra(floor: Path) -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    declared = [
        *PROJECT["project"]["dependencies"],
        *extras.get(floor.parent.name, []),
        *extras["all"],
        *PROJECT["dependency-groups"]["test"],
    ]
    bounds = {
        canonicalize_name(requirement.name): requirement.specifier
        for requirement in map(Requirement, declared)
    }
    for name, version in pins(floor).items():
        if name in bounds:
            lowest = {s.version for s in bounds[name] if s.operator == ">="}
            assert lowest <= {version, version.removesuffix(".0")}, f"{name}: {lowest}, {version}"


OUTPUTS = [
    ("==== 5 passed, 1 skipped in 0.10s ====\n", 0, "5 passed, 0 failed, 1 skipped"),
    ("4 passed, 2 xfailed, 3 warnings in 61.20s (0:01:01)\n", 0, "4 passed, 0 failed, 2 skipped"),
    ("1 failed, 9 passed, 7 subtests passed in 1.5s\n", 1, "9 passed, 1 failed, 0 skipped"),
    ("!!! Interrupted !!!\n=== 2 errors in 0.31s ===\n", 2, "0 passed, 2 failed, 0 skipped"),
    ("=== no tests ran in 0.01s ===\n", 5, "0 passed, 1 failed, 0 skipped"),
    ("=== 3 deselected in 0.01s ===\n", 5, "0 passed, 1 failed, 0 skipped"),
    ("=== 3 skipped in 0.01s ===\n", 0, "0 passed, 1 failed, 3 skipped"),
    ("ERROR: usage\n", 4, "0 passed, 1 failed, 0 skipped"),
    ("....Fatal Python error: Segmentation fault\n", -11, "0 passed, 1 failed, 0 skipped"),
    ("=== 6 passed in 0.5s ===\nSegmentation fault\n", -11, "6 passed, 1 failed, 0 skipped"),
]


@pytest.mark.parametrize(("output", "status", "expected"), OUTPUTS)
def test_counts_of_a_run(output: str, status: int, expected: str) -> None:
    run_tests = script("run_tests")
    assert run_tests.line(run_tests.counts(output, status)) == expected


def test_the_suite_is_run_on_every_backend_and_on_none() -> None:
    names = script("run_tests").backends()
    assert len(names) == len(set(names)) == len(list(ROOMS.glob("*/requirements.txt"))) + 1
    assert {"array_api_strict", "none"} <= set(names)
