"""Checks of the secret files that a configuration names: existence and permissions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.commands.checkup.finding import Finding, broken, good, warning
from gateway.config.model import Config
from gateway.errors import system_said
from gateway.serve.reload import files_of


def look_at_files(config: Config) -> Iterator[Finding]:
    """Yield a finding for each file: whether it can be read, and by whom."""
    tls = [each for each in (config.listen.tls, config.upstream.tls) if each is not None]
    keys = [each.key_file for each in tls if each.key_file is not None]
    for path in dict.fromkeys([*files_of(config), *keys]):
        yield _file(path)


def _file(path: Path) -> Finding:
    try:
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        return broken(
            str(path), f"cannot be read: {system_said(error)}", "the configuration names it", "create it"
        )
    if mode & 0o077:
        why = "every user of this machine can read the secret"
        return warning(str(path), f"can be read by others (mode {mode:04o})", why, f"chmod 600 {path}")
    return good(str(path), "is readable only by its owner")
