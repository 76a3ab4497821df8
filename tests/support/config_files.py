"""A configuration from a text, and the report about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.config import source
from gateway.config.load import examine
from gateway.config.model import Config
from gateway.config.report import Report
from gateway.config.validate import Typed, validate

POOL = """\
cognito:
  user_pools:
    - id: ap-south-1_TestPool1
      client_ids: [1testing23456789]
"""


def said(
    folder: Path,
    text: str | bytes,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> list[str]:
    """Return every line of the report, with the file's path shortened to `F`."""
    path, report = _examined(folder, text, environ or {}, flags or {})[1:]
    return [line.replace(str(path), "F").replace(f"{folder}/", "") for line in report.lines]


def config(folder: Path, text: str | bytes, environ: Mapping[str, str] | None = None, **flags: str) -> Config:
    found, _, report = _examined(
        folder, text, environ or {}, {k.replace("__", "."): v for k, v in flags.items()}
    )
    assert found is not None, report.lines
    return found


def refusal(parse: Callable[[str], object], text: str) -> str | None:
    """Return the error of `parse` for the text; None if it is accepted."""
    try:
        parse(text)
    except ValueError as error:
        return str(error)
    return None


def typed(text: str) -> Typed:
    """Return the typed values of a text without mistakes."""
    report = Report()
    values = validate(source.read(text.encode(), "F", report), "F", {}, report)
    assert not report.findings, report.lines
    return values


def _examined(
    folder: Path, text: str | bytes, environ: Mapping[str, str], flags: Mapping[str, str]
) -> tuple[Config | None, Path, Report]:
    path = folder / "gateway.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found, report = examine(path, environ, flags)
    return found, path, report
