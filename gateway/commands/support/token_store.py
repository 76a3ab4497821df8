"""Tokens stored between two commands, only with `--cache`.

Invariant: files are readable only by their owner, one per pool, client and user; stored tokens are used while
the access token is valid for another minute, and otherwise renewed or replaced.
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

# Seconds for which a token must still be valid to be useful to the user.
_LEAST_LIFE = 60
# Bytes; three tokens take about 6 KB, and a longer file is not ours.
_LARGEST = 256 * 1024
# Permissions that others must not have: on a file of tokens, and on its directory.
_READABLE, _WRITABLE = 0o077, 0o022


@dataclass(frozen=True, slots=True)
class KeptTokens:
    """The file with one user's tokens."""

    path: Path

    @classmethod
    def of(cls, address: PoolAddress, username: str | None, environ: Mapping[str, str]) -> KeptTokens:
        """Return the file in the user's state directory (XDG Base Directory Specification:
        $XDG_STATE_HOME)."""
        home = environ.get("XDG_STATE_HOME") or (
            f"{environ['HOME']}/.local/state" if environ.get("HOME") else ""
        )
        if not home:
            raise GatewayError("--cache: no directory for the tokens: set HOME or XDG_STATE_HOME")
        if username is None:
            raise GatewayError("--cache stores tokens by user: pass --username")
        whose = "\n".join((address.user_pool_id, address.client_id, username, address.endpoint_url or ""))
        return cls(Path(home) / "cognito-gateway" / f"{sha256(whose.encode()).hexdigest()[:32]}.json")

    def read(self, now: float) -> Tokens | None:
        """Return the tokens if the access token is valid for another minute at `now` (Unix time), else
        None."""
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
        """Return the key of the device that the refresh token is bound to; empty if devices are not
        tracked."""
        kept = self._load()
        return "" if kept is None else kept["device_key"]

    def internal_name(self) -> str:
        """Return the user's internal name, for renewals: with a client secret, an alias is not accepted."""
        return str(self._unverified().get("username", ""))

    def signed_in_at(self) -> float:
        """Return when the user of the stored tokens signed in (auth_time, Unix time); 0 if it is unknown."""
        at = self._unverified().get("auth_time")
        return float(at) if isinstance(at, int | float) else 0.0

    def _unverified(self) -> dict[str, Any]:
        import jwt

        kept = self._load() or {}
        try:
            # Not verified: it is our own copy of Cognito's response, and Cognito or the API checks the token.
            return dict(jwt.decode(kept.get("access", ""), options={"verify_signature": False}))
        except jwt.InvalidTokenError:
            return {}

    def write(self, tokens: Tokens, now: float) -> None:
        """Replace the stored tokens. Raises GatewayError if they cannot be written."""
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
            # Created with mode 0600, so that it is never readable by others.
            file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "w", encoding="utf-8") as out:
                json.dump(content, out)
            beside.replace(self.path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise GatewayError(f"{self.path}: cannot be written: {system_said(error)}") from None

    def _read(self) -> bytes:
        """Read the file if only its owner can read or write it. Raises OSError and GatewayError."""
        with contextlib.suppress(FileNotFoundError):
            _check_owned(self.path.parent, self.path.parent.stat(), _WRITABLE)
        # O_NOFOLLOW: a symbolic link could name any file. O_NONBLOCK: it could be a pipe.
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
            # Incomplete: treated as missing, and replaced by the next sign-in.
            return None
        whole = isinstance(kept, dict) and {"access", "id", "refresh", "expires_at"} <= kept.keys()
        # A file of an earlier version has no device key.
        return {"device_key": "", **kept} if whole else None


def _check_owned(path: Path, found: os.stat_result, forbidden: int) -> None:
    """Raise GatewayError unless the file is ours and its mode has none of the forbidden bits.

    Tokens planted by others would sign in as someone else; tokens readable by others can be used by them.
    """
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != os.geteuid():
        raise GatewayError(f"{path}: belongs to another user (uid {found.st_uid}): move it elsewhere")
    if mode & forbidden:
        which = "700" if stat.S_ISDIR(found.st_mode) else "600"
        do = "read" if forbidden == _READABLE else "write"
        raise GatewayError(
            f"{path}: others may {do} it (mode {mode:04o}): chmod {which} it, or, if they may have done so, "
            "delete it and sign in again"
        )
