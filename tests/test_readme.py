"""README.md says what is so: its Python runs, on every framework, and its support is declared."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FRAMEWORKS = ("numpy", "torch", "tensorflow", "jax")

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IMPORT = re.compile(r"^>>> import (torch|tensorflow|jax)\b", re.MULTILINE)
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}


def blocks(framework: str) -> list[str]:
    """The Python of the page that needs no framework but this one, in order."""
    found = [text for language, text in FENCED.findall(README) if language == "pycon"]
    needs = [imported.group(1) if (imported := IMPORT.search(text)) else None for text in found]
    return [text for text, need in zip(found, needs, strict=True) if need in (None, framework)]


def run(blocks: list[str], folder: Path) -> str:
    """Run the blocks as one doctest in a process of its own; returns what it complains about."""
    page = folder / "README.txt"
    page.write_text("\n".join(blocks), encoding="utf-8")
    command = [sys.executable, "-m", "doctest", "-o", "ELLIPSIS", str(page)]
    done = subprocess.run(
        command, env=os.environ | QUIET, cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout + (done.stderr if done.returncode else "")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_python_of_the_readme_runs(framework: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    assert run(blocks(framework), tmp_path) == ""


def test_a_wrong_number_would_be_seen(tmp_path: Path) -> None:
    wrong = [text.replace("3.04858735e+00", "3.04858736e+00") for text in blocks("numpy")]
    assert "Expected:" in run(wrong, tmp_path)


def test_every_framework_has_a_block_and_all_python_is_run() -> None:
    assert {language for language, _ in FENCED.findall(README)} <= {"pycon", "sh"}
    for framework in FRAMEWORKS[1:]:
        assert len(blocks(framework)) == len(blocks("numpy")) + 1


def test_the_table_of_support_is_what_the_backends_say() -> None:
    spec = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "readme_tables.py")
    assert spec is not None
    assert spec.loader is not None
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    # If not: python docs/readme_tables.py --support
    assert f"<!-- support:begin -->\n{tables.support()}\n<!-- support:end -->" in README


def test_the_name_on_the_index_is_not_ours_to_recommend() -> None:
    assert not re.search(r"pip install ['\"]?xentropy(?!-losses)", README)
