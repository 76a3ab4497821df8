"""Tokens kept on disk between two commands, only where `--cache` asks for it.

Invariant: a file only its owner can read, one per pool, client and user; what it holds is used while the
access token has a minute left, else renewed or replaced.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from gateway.aws.values import PoolAddress, Tokens
from gateway.errors import GatewayError, system_said

# Seconds a token must still live to be worth printing: somebody is going to paste it.
_LEAST_LIFE = 60
# Bytes; three tokens take some 6 KB, and what is longer is not ours.
_LARGEST = 256 * 1024
# What others may not do: with a file of tokens, and with the folder it is in.
_READABLE, _WRITABLE = 0o077, 0o022


@dataclass(frozen=True, slots=True)
class KeptTokens:
    """Where one user's tokens are kept."""

    path: Path

    @classmethod
    def of(cls, address: PoolAddress, username: str | None, environ: Mapping[str, str]) -> KeptTokens:
        """In the user's state folder (XDG Base Directory Specification: $XDG_STATE_HOME)."""
        home = environ.get("XDG_STATE_HOME") or (
            f"{environ['HOME']}/.local/state" if environ.get("HOME") else ""
        )
        if not home:
            raise GatewayError("--cache needs a place: set HOME or XDG_STATE_HOME")
        if username is None:
            raise GatewayError("--cache keeps tokens by user: name one with --username")
        whose = "\n".join((address.user_pool_id, address.client_id, username, address.endpoint_url or ""))
        return cls(Path(home) / "cognito-gateway" / f"{sha256(whose.encode()).hexdigest()[:32]}.json")

    def read(self, now: float) -> Tokens | None:
        """Tokens whose access token lives for another minute at `now` (Unix time), else None."""
        kept = self._load()
        if kept is None or kept["expires_at"] - now < _LEAST_LIFE:
            return None
        return Tokens(
            access=kept["access"],
            id=kept["id"],
            refresh=kept["refresh"],
            expires_in=int(kept["expires_at"] - now),
            device_key=kept["device_key"],
        )

    def refresh_token(self) -> str | None:
        kept = self._load()
        return None if kept is None else kept["refresh"] or None

    def device_key(self) -> str:
        """Of the device that the refresh token is tied to; empty where the pool does not track devices."""
        kept = self._load()
        return "" if kept is None else kept["device_key"]

    def internal_name(self) -> str:
        """The name that a renewal must use: an alias would not do where the client has a secret."""
        import jwt

        kept = self._load() or {}
        try:
            # Only read: this is our own copy of what Cognito gave us, and Cognito checks what comes of it.
            unverified = jwt.decode(kept.get("access", ""), options={"verify_signature": False})
        except jwt.InvalidTokenError:
            return ""
        return str(unverified.get("username", ""))

    def write(self, tokens: Tokens, now: float) -> None:
        """Replaces what is kept. Raises GatewayError where it cannot be written."""
        content = {
            "access": tokens.access,
            "id": tokens.id,
            "refresh": tokens.refresh,
            "expires_at": now + tokens.expires_in,
            "device_key": tokens.device_key,
        }
        beside = self.path.with_suffix(f".{os.getpid()}")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Never readable by others, not even for a moment.
            file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "w", encoding="utf-8") as out:
                json.dump(content, out)
            beside.replace(self.path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise GatewayError(f"{self.path}: cannot be written: {system_said(error)}") from None

    def _read(self) -> bytes:
        """The file, if nobody else could have read or written it. Raises OSError and GatewayError."""
        with contextlib.suppress(FileNotFoundError):
            _check_owned(self.path.parent, self.path.parent.stat(), _WRITABLE)
        # O_NOFOLLOW: a link leads to a file of somebody's choice. O_NONBLOCK: it may be a pipe.
        file = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(file, "rb") as opened:
            found = os.fstat(opened.fileno())
            _check_owned(self.path, found, _READABLE)
            if not stat.S_ISREG(found.st_mode):
                raise GatewayError(f"{self.path}: is not a regular file: delete it")
            return opened.read(_LARGEST)

    def _load(self) -> dict[str, Any] | None:
        try:
            kept = json.loads(self._read())
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            # Half of it: as good as none, and the next sign-in replaces it.
            return None
        whole = isinstance(kept, dict) and {"access", "id", "refresh", "expires_at"} <= kept.keys()
        # A file of an earlier build has no device key.
        return {"device_key": "", **kept} if whole else None


def _check_owned(path: Path, found: os.stat_result, forbidden: int) -> None:
    """Tokens of somebody else's making sign in somebody else; tokens that others can read are theirs too."""
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != os.geteuid():
        raise GatewayError(f"{path}: belongs to another user (uid {found.st_uid}): move it away")
    if mode & forbidden:
        which = "700" if stat.S_ISDIR(found.st_mode) else "600"
        do = "read" if forbidden == _READABLE else "write"
        raise GatewayError(
            f"{path}: others may {do} it (mode {mode:04o}): chmod {which} it, or delete it and sign "
            "in again if they may have done so"
        )
