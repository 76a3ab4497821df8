"""A session: what is kept for a signed-in browser, and its form in a cookie or a store. Pure.

Invariant: a session is made only of tokens whose signatures were verified (sessions.py), and neither its repr
nor an error shows one of them.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, field, fields

# The access token is renewed so long before it ends (seconds), or in the last tenth of its life, whatever
# is less: Cognito's shortest life is 5 minutes.
_AHEAD, _SHARE = 60.0, 0.1
# Bytes of JSON behind a sealed session: Cognito's three tokens take 5,000, its largest possible ones less.
_MOST = 256 * 1024
_TIMES = ("created", "renewed", "expires")
# The year 2286; JSON also knows Infinity and NaN.
_END_OF_TIME = 1e10


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in, since when, and the tokens that say so. Times are Unix times."""

    # New at each sign-in; the name by which it is ended.
    id: str
    pool_id: str
    client_id: str
    subject: str
    # The internal name, which Cognito's SECRET_HASH wants.
    username: str
    created: float
    # When its tokens were issued to us, and when the first of access and ID token ends.
    renewed: float
    expires: float
    access: str = field(repr=False)
    id_token: str = field(repr=False)
    # Empty where Cognito gave none: then it lives as long as its access token.
    refresh: str = field(repr=False)
    # Of the device that the refresh token is tied to, in pools that remember devices; else empty.
    device_key: str = ""

    @property
    def refresh_at(self) -> float:
        """From when on its tokens should be renewed."""
        return self.expires - min(_AHEAD, _SHARE * (self.expires - self.renewed))


def encode(session: Session) -> bytes:
    """Compressed, because base64 inside base64 would take two cookies where one will do."""
    return zlib.compress(json.dumps(asdict(session), separators=(",", ":")).encode("ascii"), 6)


def decode(data: bytes) -> Session | None:
    """What `encode` made, or None: another version of this program may have written it, or somebody else."""
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
    """Whether every field is of its type, and the times are some of this world's."""
    for name in _TIMES:
        value = getattr(session, name)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < _END_OF_TIME:
            return False
    texts = (getattr(session, each.name) for each in fields(session) if each.name not in _TIMES)
    # Tokens go into header lines.
    return all(isinstance(text, str) for text in texts) and all(
        token.isascii() and token.isprintable()
        for token in (session.access, session.id_token, session.refresh)
    )
