"""The settings stored by the set-up page, a small file in `sign_in.state_dir`, used as `cognito.user_pools`.

A second file records that somebody has signed in with them. Invariant: neither contains anything but pool and
client IDs and a digest of them; a configuration file that names pools itself takes precedence; both are
written atomically.
"""

from __future__ import annotations

import contextlib
import hashlib
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
# Beside it, from the first sign-in on: the digest of the connection with which somebody signed in.
_PROVEN = "signed-in"
_POOLS = "cognito.user_pools"
# Only this program reads it.
_MODE = 0o600


def stored_file(state_dir: Path) -> Path:
    return state_dir / STORED


def with_stored(typed: Typed, folder: Path, report: Report) -> tuple[Typed, bool]:
    """Return the values with the stored pools, if the file names none, and whether there were any."""
    sign_in, cognito = typed.values["sign_in"], typed.values["cognito"]
    if not sign_in or not sign_in["state_dir"] or cognito is None or cognito["user_pools"] is None:
        return typed, False
    path = stored_file(folder / sign_in["state_dir"])
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return typed, False
    except OSError as error:
        message = f"{path}: {system_said(error)}"
        report.mistake(typed.place("sign_in.state_dir"), "sign_in.state_dir", message)
        return typed, False
    if cognito["user_pools"]:
        message = f"{path} is not used: this file names user pools itself"
        report.warning(typed.place(_POOLS), _POOLS, message)
        return typed, False
    return _merged(typed, data, path, report), True


def _merged(typed: Typed, data: bytes, path: Path, report: Report) -> Typed:
    # Without an environment: stored values contain no references.
    stored = validate(source.read(data, str(path), report), str(path), {}, report)
    for place in sorted(stored.places):
        if place and place != "cognito" and not place.startswith(_POOLS):
            report.mistake(stored.places[place], place, "only cognito.user_pools is allowed in this file")
    pools = (stored.values["cognito"] or {}).get("user_pools")
    cognito = {**typed.values["cognito"], "user_pools": pools}
    places = {place: where for place, where in stored.places.items() if place.startswith(_POOLS)}
    return replace(typed, values={**typed.values, "cognito": cognito}, places={**typed.places, **places})


def connection_text(pool: Mapping[str, Any]) -> str:
    """Return the YAML of one pool's connection, to store or for a person to copy."""
    document = {"cognito": {"user_pools": [{name: value for name, value in pool.items() if value}]}}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def store(state_dir: Path, text: str) -> None:
    """Replace the stored file atomically, also across a crash. Raises GatewayError."""
    _write(stored_file(state_dir), "# Written by the set-up page.\n" + text)


def proven(state_dir: Path) -> bool:
    """Return whether somebody has signed in with the stored connection; true if there is none."""
    try:
        digest = _digest(stored_file(state_dir))
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        return (state_dir / _PROVEN).read_text("ascii", "replace").strip() == digest
    except OSError:
        return False


def record_proof(state_dir: Path) -> None:
    """Record that somebody has signed in with the stored connection. Raises GatewayError."""
    try:
        digest = _digest(stored_file(state_dir))
    except OSError:
        return  # deleted in the meantime
    _write(state_dir / _PROVEN, digest + "\n")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write(path: Path, text: str) -> None:
    state_dir = path.parent
    try:
        number, temporary = tempfile.mkstemp(dir=state_dir, prefix=".connection-")
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(text)
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
