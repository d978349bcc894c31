"""The files that a run writes: checked before it starts, written when it has ended."""

from __future__ import annotations

import os
from pathlib import Path

from .comparison import Comparison
from .report import data
from .userdata import BadInputError

__all__ = ["check", "write"]


def check(json: Path | None, html: Path | None, markdown: Path | None) -> None:
    """Refuse before a long run what could not be written after it."""
    for flag, path in (("--json", json), ("--html", html), ("--markdown", markdown)):
        if path is not None:
            _check_path(flag, path, exists=flag == "--markdown")
    if markdown is not None:
        _check_markers(markdown)
    if html is not None:
        try:
            from .report import page  # noqa: F401 - whether its extra is there
        except ModuleNotFoundError as error:
            msg = f'--html: {error.name} is not installed: it comes with the extra "parity"'
            raise BadInputError(msg) from None


def _check_path(flag: str, path: Path, exists: bool) -> None:
    try:
        why = _hindrance(path, exists)
    except OSError as error:
        why = _text(error)
    if why:
        msg = f"{flag}: {path} cannot be written: {why}"
        raise BadInputError(msg)


def _hindrance(path: Path, exists: bool) -> str:
    folder = path.parent
    if path.is_dir():
        return "it is a directory"
    if not folder.is_dir():
        return f"there is no directory {folder}"
    if exists and not path.is_file():
        return "there is no such file"
    return "" if os.access(path if path.exists() else folder, os.W_OK) else "permission denied"


def _check_markers(markdown: Path) -> None:
    try:
        text = markdown.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"--markdown: {markdown} cannot be read: {_text(error)}"
        raise BadInputError(msg) from None
    if not 0 <= text.find(data.BEGIN) < text.find(data.END):
        msg = f"--markdown: {markdown} has no {data.BEGIN} and {data.END}"
        raise BadInputError(msg)


def write(
    found: Comparison, command: str, json: Path | None, html: Path | None, markdown: Path | None
) -> None:
    """Write what was asked for."""
    for flag, path, writer in (
        ("--json", json, data.write_json),
        ("--html", html, _write_html),
        ("--markdown", markdown, data.write_markdown),
    ):
        if path is not None:
            try:
                writer(path, found, command)
            except OSError as error:
                msg = f"{flag}: {path} cannot be written: {_text(error)}"
                raise BadInputError(msg) from None


def _write_html(path: Path, found: Comparison, command: str) -> None:
    from .report import page  # its extra may be missing

    page.write_html(path, found, command)


def _text(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
