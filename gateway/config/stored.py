"""The set-up page's answer: a small file in `sign_in.state_dir` that stands in for `cognito.user_pools`.

Invariant: it says which pool and client, and nothing else; a configuration file that names pools itself is
not touched by it; it is written whole or not at all.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from gateway.config import source
from gateway.config.report import Report
from gateway.config.validate import Typed, validate
from gateway.errors import GatewayError, system_said

STORED = "connection.yaml"
_POOLS = "cognito.user_pools"
# Read by this program alone.
_MODE = 0o600


def stored_file(state_dir: Path) -> Path:
    return state_dir / STORED


def with_stored(typed: Typed, folder: Path, report: Report) -> tuple[Typed, bool]:
    """The values with the stored pools in them, where there are some and the file names none; whether so."""
    sign_in, cognito = typed.values["sign_in"], typed.values["cognito"]
    if not sign_in or not sign_in["state_dir"] or cognito is None or cognito["user_pools"] is None:
        return typed, False
    path = stored_file(folder / sign_in["state_dir"])
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return typed, False
    except OSError as error:
        told = f"{path}: {system_said(error)}"
        report.mistake(typed.place("sign_in.state_dir"), "sign_in.state_dir", told)
        return typed, False
    if cognito["user_pools"]:
        told = f"{path} is not used: this file names user pools itself"
        report.warning(typed.place(_POOLS), _POOLS, told)
        return typed, False
    return _merged(typed, data, path, report), True


def _merged(typed: Typed, data: bytes, path: Path, report: Report) -> Typed:
    # Without an environment: what a page wrote refers to nothing.
    stored = validate(source.read(data, str(path), report), str(path), {}, report)
    for place in sorted(stored.places):
        if place and place != "cognito" and not place.startswith(_POOLS):
            report.mistake(stored.places[place], place, "only cognito.user_pools may stand in this file")
    pools = (stored.values["cognito"] or {}).get("user_pools")
    cognito = {**typed.values["cognito"], "user_pools": pools}
    places = {place: where for place, where in stored.places.items() if place.startswith(_POOLS)}
    return replace(typed, values={**typed.values, "cognito": cognito}, places={**typed.places, **places})


def connection_text(pool: Mapping[str, Any]) -> str:
    """The YAML of one pool's connection: for the file, or for a person to copy."""
    document = {"cognito": {"user_pools": [{name: value for name, value in pool.items() if value}]}}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def store(state_dir: Path, text: str) -> None:
    """Put it in the place of what was there, so that a crash leaves one of the two. Raises GatewayError."""
    path = stored_file(state_dir)
    try:
        number, temporary = tempfile.mkstemp(dir=state_dir, prefix=".connection-")
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write("# Written by the set-up page.\n" + text)
                file.flush()
                os.fchmod(file.fileno(), _MODE)
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(temporary).unlink()
            raise
        folder = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        why = system_said(error)
        raise GatewayError(f"sign_in.state_dir: {path}: cannot be written: {why}") from error
