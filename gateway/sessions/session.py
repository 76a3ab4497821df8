"""A session: the data kept for a signed-in browser, and its encoding for a cookie or a store. Pure.

Invariant: a session is made only from tokens whose signatures were verified (lifecycle.py), and neither its
repr nor an error shows one of them.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, field, fields

# The access token is renewed this many seconds before it expires, or in the last tenth of its life, whichever
# is less: Cognito's shortest life is 5 minutes.
_AHEAD, _SHARE = 60.0, 0.1
# Bytes of JSON in a session: Cognito's three tokens take 5,000; even its largest possible ones fit.
_MOST = 256 * 1024
_TIMES = ("created", "renewed", "expires")
# The year 2286; JSON also allows Infinity and NaN.
_END_OF_TIME = 1e10


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in user, and the tokens that prove it. Times are Unix times."""

    # New at each sign-in; sign-outs refer to it.
    id: str
    pool_id: str
    client_id: str
    subject: str
    # Cognito's internal user name, needed for SECRET_HASH.
    username: str
    created: float
    # When its tokens were issued to us, and when the first of access and ID token expires.
    renewed: float
    expires: float
    access: str = field(repr=False)
    id_token: str = field(repr=False)
    # Empty if Cognito issued none: then the session lasts as long as its access token.
    refresh: str = field(repr=False)
    # The device that the refresh token is tied to, in pools that remember devices; else empty.
    device_key: str = ""

    @property
    def refresh_at(self) -> float:
        """The time from which its tokens should be renewed."""
        return self.expires - min(_AHEAD, _SHARE * (self.expires - self.renewed))


def encode(session: Session) -> bytes:
    """Encode a session, compressed: base64 inside base64 would otherwise take two cookies instead of one."""
    return zlib.compress(json.dumps(asdict(session), separators=(",", ":")).encode("ascii"), 6)


def decode(data: bytes) -> Session | None:
    """Return what `encode` encoded; None for anything else, such as another version's format."""
    try:
        inflate = zlib.decompressobj()
        text = inflate.decompress(data, _MOST)
        return of_members(json.loads(text)) if inflate.eof else None
    except (zlib.error, ValueError, RecursionError):
        return None


def of_members(members: object) -> Session | None:
    """Return the session that these members of a JSON object are, or None where they are not one."""
    try:
        session = Session(**members) if isinstance(members, dict) else None
    except TypeError:
        return None
    return session if session is not None and _is_whole(session) else None


def _is_whole(session: Session) -> bool:
    """Return whether every field has its type, and the times are plausible."""
    for name in _TIMES:
        value = getattr(session, name)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < _END_OF_TIME:
            return False
    texts = (getattr(session, each.name) for each in fields(session) if each.name not in _TIMES)
    # Tokens become header lines.
    return all(isinstance(text, str) for text in texts) and all(
        token.isascii() and token.isprintable()
        for token in (session.access, session.id_token, session.refresh)
    )
