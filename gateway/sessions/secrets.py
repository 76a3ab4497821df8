"""The secrets that seal values: from `sign_in.session.secret_file`, or generated at start.

Invariant: a secret has at least 32 bytes, and no error text contains any of it.
"""

from __future__ import annotations

import os
from pathlib import Path

from gateway.config.model import Config
from gateway.errors import GatewayError, system_said
from gateway.observe.logs import Logger

# 256 bits, like the keys derived from it; `openssl rand -base64 32` prints 44 characters.
_LEAST = 32


def make_secret() -> bytes:
    """Generate the secret of a gateway without secret_file: once, in the first process, for all workers."""
    return os.urandom(_LEAST)


def warn_of_made_secret(config: Config, log: Logger) -> None:
    """Warn at start of what a restart and a second replica will do, if browsers can sign in at all."""
    sign_in = config.sign_in
    if sign_in.enabled and config.cognito.user_pools and sign_in.session.secret_file is None:
        log.event(
            "session_secret_generated",
            level="warning",
            exact="sign_in.session.secret_file is not set: pending sign-ins and cookie sessions end with "
            "this process, and other replicas do not accept them",
        )


def secrets_of(config: Config, made: bytes) -> tuple[bytes, ...]:
    """Return the secrets in force, newest first: those of the file, or the one that was `made`.

    Raises GatewayError."""
    file = config.sign_in.session.secret_file
    return (made,) if file is None else read_secrets(file)


def read_secrets(path: Path) -> tuple[bytes, ...]:
    """Return the file's keys, newest first; blank lines are ignored. Raises GatewayError."""
    where = f"sign_in.session.secret_file: {path}"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise GatewayError(f"{where}: cannot be read: {system_said(error)}") from error
    secrets = tuple(line.strip() for line in content.splitlines() if line.strip())
    how = "write one with 'openssl rand -base64 32'"
    if not secrets:
        raise GatewayError(f"{where}: contains no key: {how}")
    for number, secret in enumerate(secrets, 1):
        if len(secret) < _LEAST:
            raise GatewayError(f"{where}: key {number} is shorter than {_LEAST} characters: {how}")
    return secrets
