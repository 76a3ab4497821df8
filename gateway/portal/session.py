"""A session: what is kept for a signed-in browser, and its form in a cookie or a store. Pure.

Invariant: a session is made only of tokens whose signatures were verified (sessions.py), and neither its repr
nor an error shows one of them.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, field

# The access token is renewed so long before it ends (seconds), or in the last tenth of its life, whatever
# is less: Cognito's shortest life is 5 minutes.
_AHEAD, _SHARE = 60.0, 0.1
# Bytes of JSON behind a sealed session: Cognito's three tokens take 5,000, its largest possible ones less.
_MOST = 256 * 1024


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

    @property
    def refresh_at(self) -> float:
        """From when on its tokens should be renewed."""
        return self.expires - min(_AHEAD, _SHARE * (self.expires - self.renewed))


def encode(session: Session) -> bytes:
    """Compressed, because base64 inside base64 would take two cookies where one will do."""
    return zlib.compress(json.dumps(asdict(session), separators=(",", ":")).encode("ascii"), 6)


def decode(data: bytes) -> Session | None:
    """What `encode` made, or None: another version of this program may have written it."""
    try:
        inflate = zlib.decompressobj()
        text = inflate.decompress(data, _MOST)
        return Session(**json.loads(text)) if inflate.eof else None
    except (zlib.error, ValueError, TypeError):
        return None
