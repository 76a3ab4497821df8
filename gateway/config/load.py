"""Entry point of the configuration: a file, the environment and flags in; a `Config` or every mistake out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

from gateway.config import source
from gateway.config.complete import complete
from gateway.config.cross_checks import check as check_values
from gateway.config.cross_checks import check_egress
from gateway.config.files import check_files
from gateway.config.model import Config
from gateway.config.overrides import override
from gateway.config.report import Report
from gateway.config.stored import with_stored
from gateway.config.validate import validate
from gateway.errors import ConfigurationError, system_said

# In place of a file: the environment alone. Compared by identity; its text is used in messages.
ENVIRONMENT: Final = Path("the environment")
# Standard input, by its usual name.
STANDARD_INPUT: Final = Path("-")

_NO_FLAGS: Mapping[str, str] = MappingProxyType({})

# Checks the contents of files that a configuration names: key path, problem, whether it is a warning.
Contents: TypeAlias = Callable[[Config], Iterable[tuple[str, str, bool]]]


@dataclass(frozen=True, slots=True)
class Loaded:
    config: Config
    warnings: tuple[str, ...]  # "FILE:LINE: warning: key.path: …"


def load(path: Path, environ: Mapping[str, str], overrides: Mapping[str, str] = _NO_FLAGS) -> Loaded:
    """Return the completed configuration of a file, or of ENVIRONMENT.

    `overrides` are flags, {"listen.workers": "4"}: they override the environment, which overrides the file.
    Raises ConfigurationError with every mistake and warning, one per line, in the order of the file.
    """
    config, report = examine(path, environ, overrides)
    if config is None:
        raise ConfigurationError("\n".join(report.lines))
    return Loaded(config, report.warnings)


def examine(
    path: Path,
    environ: Mapping[str, str],
    overrides: Mapping[str, str] = _NO_FLAGS,
    *,
    contents: Contents | None = None,
) -> tuple[Config | None, Report]:
    """Return the configuration, if it is valid, and the report of mistakes and warnings.

    `contents` checks a configuration that is otherwise valid. Raises ConfigurationError if the file cannot be
    read at all.
    """
    report = Report()
    tree = source.read(_bytes(path), str(path), report)
    tree = override(tree, environ, overrides, report)
    typed = validate(tree, str(path), environ, report)
    folder = Path.cwd() if path is ENVIRONMENT else path.resolve().parent
    typed, stored = with_stored(typed, folder, report)
    # A file cut short says nothing about what belongs together.
    if tree.complete:
        check_values(typed, report)
        check_files(typed, folder, report)
        check_egress(typed, environ, report)
    if report.mistakes:
        return None, report
    config = complete(typed.values, folder, environ, stored=stored)
    for key, message, is_warning in contents(config) if contents is not None else ():
        (report.warning if is_warning else report.mistake)(typed.place(key), key, message)
    return (None if report.mistakes else config), report


def _bytes(path: Path) -> bytes:
    if path is ENVIRONMENT:
        return b""
    try:
        # One byte more than is accepted, so that an endless file (a device) ends too.
        if path == STANDARD_INPUT:
            return sys.stdin.buffer.read(source.LARGEST_FILE + 1)
        with path.open("rb") as file:
            return file.read(source.LARGEST_FILE + 1)
    except OSError as error:
        told = f"{path}: cannot read the configuration: {system_said(error)}{_instead(path, error)}"
        raise ConfigurationError(told) from None


def _instead(path: Path, error: OSError) -> str:
    """Return what to do where another file is needed."""
    if isinstance(error, IsADirectoryError):
        return ": name a file in it"
    if isinstance(error, FileNotFoundError):
        return f": name the file with --config, or have `cognito-gateway setup --write {path}` write one"
    return ""
