"""Checks of files that the configuration names: they exist, are readable, and secrets are private.

The only part of the configuration that touches the machine; no more than a file's first byte is read.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.config import shapes
from gateway.config.report import Report
from gateway.config.shapes import Key, Kind, ListOf, Section
from gateway.config.stored import STORED
from gateway.config.table import SCHEMA
from gateway.config.validate import Typed
from gateway.errors import system_said

# Group and others: a reader of a secret file can seal cookies, or impersonate our app client or Redis user.
_OTHERS = 0o077
_SECRET = ("secret_file", "key_file", "password_file")
# A secret pasted in place of a file name must not appear in a log.
_UNNAMED = "the file (its name is not shown: without a / or a dot it may be the secret itself)"
# Base64 may contain /, but no dot.
_BASE64 = re.compile(r"[A-Za-z0-9+/=]{32,}")


def check_files(typed: Typed, folder: Path, report: Report) -> None:
    """Report mistakes for unusable files, and warnings for secrets that others can read."""
    for path, key, text in _named(SCHEMA, typed.values, ""):
        file = folder / text
        problem = _unusable_folder(file) if key.shape is shapes.FOLDER else _unreadable(file)
        if problem is not None:
            named = _UNNAMED if key.name.endswith(_SECRET) and not _is_path(str(text)) else str(file)
            report.mistake(typed.place(path), path, f"{named}: {problem}")
        elif key.shape is shapes.FOLDER:
            _warn_of_writers(typed, path, file, report)
        elif key.name.endswith(_SECRET) and _open_to_others(file.stat()):
            mode = f"{stat.S_IMODE(file.stat().st_mode):04o}"
            message = f"{file} contains a secret and is readable by others (mode {mode}): chmod 600 {file}"
            report.warning(typed.place(path), path, message)


def _is_path(text: str) -> bool:
    """Return whether this is a file name and not a secret pasted in its place."""
    named = "/" in text or "." in text
    encoded = _BASE64.fullmatch(text) is not None and any(each.isupper() for each in text)
    return named and not encoded


def _warn_of_writers(typed: Typed, path: str, folder: Path, report: Report) -> None:
    """Warn of writable state: the contents of the folder decide which user pool is trusted."""
    for each in (folder, folder / STORED):
        try:
            mode = stat.S_IMODE(each.stat().st_mode)
        except OSError:
            continue  # the file is not there yet
        if mode & stat.S_IWOTH:
            message = f"{each} is writable by everyone (mode {mode:04o}), who can then choose the user pool"
            report.warning(typed.place(path), path, f"{message}: chmod o-w {each}")


def _named(section: Section[Any], values: dict[str, Any] | None, path: str) -> Iterator[tuple[str, Key, str]]:
    """Yield every file and folder that is set: its key's path, the key, the text."""
    for key in section.keys:
        value = (values or {}).get(key.name)
        where = f"{path}{key.name}"
        if value is None:
            continue
        if isinstance(key.shape, Section):
            yield from _named(key.shape, value, f"{where}.")
        elif isinstance(key.shape, ListOf) and isinstance(key.shape.of, Section):
            for index, item in enumerate(value):
                yield from _named(key.shape.of, item, f"{where}[{index}].")
        elif isinstance(key.shape, Kind) and key.shape in (shapes.FILE, shapes.FOLDER):
            yield where, key, value


def _open_to_others(found: os.stat_result) -> bool:
    """Return whether others can read the file.

    Kubernetes mounts secrets as root's, mode 0440, for a group (fsGroup) that only the pod has.
    """
    ours = found.st_uid == os.geteuid()
    allowed = 0 if ours else stat.S_IRGRP
    return bool(stat.S_IMODE(found.st_mode) & _OTHERS & ~allowed)


def _unreadable(file: Path) -> str | None:
    try:
        with file.open("rb") as opened:
            opened.read(1)
    except OSError as error:
        return system_said(error)
    return None


def _unusable_folder(folder: Path) -> str | None:
    if not folder.is_dir():
        return "not a folder: create it first"
    return None if os.access(folder, os.W_OK | os.X_OK) else "not writable by this user"
