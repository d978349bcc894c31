"""What importing and calling the library imports: no framework that the caller has not."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = sorted((ROOT / "src" / "xentropy").rglob("*.py"))
ROOMS = ROOT / "backends" / "xentropy_backends"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FRAMEWORKS = PROJECT["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-module-level-imports"]

REPORT = f"""
import sys
found = sorted(set({FRAMEWORKS!r}) & {{name.partition(".")[0] for name in sys.modules}})
print(*found)
"""
CALL_EVERYTHING_ON_NUMPY = """
import numpy as np
x, labels = np.zeros((2, 3)), np.array([0, 1])
xentropy.cross_entropy(x, labels, reduction="mean")
xentropy.value_and_grad(xentropy.softmax_cross_entropy)(x, x, reduction="sum")
with xentropy.strict():
    xentropy.squared_error([1.0], [2.0], reduction="partial").value()
try:
    xentropy.cross_entropy(x, [0, 9])
except xentropy.LabelError:
    pass
try:
    xentropy.squared_error(object(), x)
except xentropy.DTypeError:
    pass
"""


def frameworks_after(script: str) -> list[str]:
    """The frameworks that a process has imported at its end."""
    result = subprocess.run(
        [sys.executable, "-c", script + REPORT], capture_output=True, text=True, check=True
    )
    return result.stdout.split()


# The kernels that Numba compiles, loaded where it is installed; it looks for SciPy itself.
COMPILED = {
    f"{name}.py"
    for name in (
        "compiled",
        "elementary",
        "elements",
        "layout",
        "machine",
        "rows",
        "statistics",
        "sums",
        "terms",
        "writing",
    )
}


@pytest.mark.parametrize(
    ("script", "allowed"),
    [
        ("import xentropy", set()),
        ("import xentropy" + CALL_EVERYTHING_ON_NUMPY, {"numba", "scipy"}),
    ],
    ids=["import", "calls on NumPy"],
)
def test_no_framework_is_imported(script: str, allowed: set[str]) -> None:
    assert set(frameworks_after(script)) <= allowed


def test_every_public_module_can_be_imported_without_a_framework() -> None:
    names = [".".join(path.relative_to(ROOT / "src").with_suffix("").parts) for path in CORE]
    compiled = {f"xentropy.kernels.{name.removesuffix('.py')}" for name in COMPILED}
    apart = ("xentropy.parity", "xentropy.bench", *compiled)
    wanted = [name for name in names if not name.startswith(apart)]
    assert frameworks_after("".join(f"import {name}\n" for name in wanted)) == []


def test_the_check_sees_a_framework() -> None:
    assert "scipy" in frameworks_after("import xentropy, scipy")


def imports(tree: ast.AST, *, top_level_only: bool) -> Iterator[str]:
    """The names of the modules that a file imports."""
    pending = [tree]
    while pending:
        for node in ast.iter_child_nodes(pending.pop()):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield node.module or ""
            if top_level_only and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
                pending.append(node)


def imported(path: Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {name.partition(".")[0] for name in imports(tree, top_level_only=top_level_only)}


def test_the_core_imports_no_adapter() -> None:
    users = [path for path in CORE if "xentropy_backends" in imported(path, top_level_only=True)]
    assert users == []


# What compares with the frameworks imports them, when asked to.
STANDS_ON_TOP = {"parity", "testing", "dialects"}


def test_only_what_stands_on_top_of_the_core_imports_frameworks_at_all() -> None:
    # The fused kernels take Numba where it is installed.
    banned = set(FRAMEWORKS) - {"numba"}
    users = {
        path.relative_to(ROOT / "src" / "xentropy").parts[0]
        for path in CORE
        if imported(path) & banned
    }
    assert users <= STANDS_ON_TOP


def test_no_file_of_the_core_imports_a_framework_at_module_level() -> None:
    users = {path for path in CORE if imported(path, top_level_only=True) & set(FRAMEWORKS)}
    assert {path.name for path in users} == {"elementary.py", "machine.py"}
    assert {path.parent.name for path in users} == {"kernels"}


def test_a_room_imports_its_own_framework_only() -> None:
    # `native.py` calls what the framework's users call besides: its ecosystem's losses.
    for room in (path.parent for path in ROOMS.glob("*/adapter.py")):
        allowed = {"array_api_strict"} if room.name == "array_api" else {room.name}
        files = [path for path in room.glob("*.py") if path.name != "native.py"]
        strays = {str(path): imported(path) & set(FRAMEWORKS) - allowed for path in files}
        assert not any(strays.values()), strays


def test_the_check_of_files_sees_an_import(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import jax\n"
        "try:\n    import torch.nn\nexcept ImportError:\n    pass\n"
        "def f():\n    from tensorflow import constant\n"
    )
    assert imported(path) & set(FRAMEWORKS) == {"torch", "tensorflow"}
    assert imported(path, top_level_only=True) & set(FRAMEWORKS) == {"torch"}
