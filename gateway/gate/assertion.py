"""Assertions: short-lived JWTs about the principal, signed for an upstream that does not trust the network.

One is made for a principal when needed, and reused until a quarter of its life is left: a signature is
computed once in minutes. Invariant: an assertion expires, to the second, no later than the token it was made
from is accepted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from gateway.config.model import AssertionSettings as Settings
from gateway.config.model import Config
from gateway.gate.signing_keys import key_set, read_signing_keys
from gateway.http.answers import Answer
from gateway.tokens import base64url
from gateway.tokens.claims import Claims

# The least remaining share of an assertion's life when it is sent, unless its token expires sooner: for
# requests that wait in the upstream's queue, and for clock skew.
_LEFT = 0.25
# Short, so that a new key is known everywhere within minutes of its publication.
_KEYS_MAX_AGE = b"public, max-age=300"
# The `iss` without a public_url: a name, since the address is unknown.
_NAME = "cognito-gateway"


class Signer:
    """The keys of one configuration, and the claims common to all its assertions. Immutable."""

    def __init__(self, config: Config, settings: Settings) -> None:
        """Raises GatewayError for an unusable key file."""
        keys = read_signing_keys(settings.key_file)
        self.key = keys[0]
        self._header = _part({"alg": self.key.algorithm, "kid": self.key.kid, "typ": "JWT"})
        self._name = settings.header.encode("ascii")
        self._lifetime = settings.lifetime
        self._leeway = config.cognito.clock_leeway
        self._send_unverified = config.identity_headers.send_unverified
        self._common = {
            "iss": config.listen.public_url or _NAME,
            "aud": settings.audience or config.upstream.address,
        }
        self._published = key_set(keys)

    def __eq__(self, other: object) -> bool:
        """Return whether both sign alike."""
        return isinstance(other, Signer) and self._state == other._state

    __hash__ = None  # type: ignore[assignment]  # compared only

    @property
    def _state(self) -> tuple[object, ...]:
        said = self._common, self._send_unverified
        return self._header, self._name, self._lifetime, said, self._published

    def key_set(self) -> Answer:
        """Return the public keys as a JWKS response."""
        return Answer(
            200,
            self._published,
            content_type="application/jwk-set+json",
            headers=[(b"Cache-Control", _KEYS_MAX_AGE)],
        )

    def assertion(self, claims: Claims) -> Assertion:
        return Assertion(self, claims)

    def line_for(self, claims: Claims) -> Callable[[float], bytes]:
        """Return a function from Unix time to the header line of this principal."""
        return self.assertion(claims).line

    def line(self, claims: Claims, now: float) -> tuple[bytes, float]:
        """Return a new assertion's header line, and until when it is sent (Unix time)."""
        end = claims.expires_at + self._leeway
        until = min(now + self._lifetime, end)
        payload: dict[str, object] = {
            **self._common,
            "sub": claims.subject,
            "iat": int(now),
            # Whole seconds, and not expired on arrival.
            "exp": max(int(until), int(now) + 1),
            "jti": base64url.encode(os.urandom(12)).decode("ascii"),
            "pool": claims.pool_id,
            "client_id": claims.client_id,
            "groups": list(claims.groups),
            "scope": " ".join(sorted(claims.scopes)),
        }
        vouched = self._send_unverified or "email" not in claims.unverified
        for name, value in (("username", claims.username), ("email", claims.email if vouched else None)):
            if value is not None:
                payload[name] = value
        signed = self._header + b"." + _part(payload)
        signature = base64url.encode(self.key.sign(signed))
        # Close to the token's expiry a newer one would not last longer.
        renew_at = until if until == end else until - self._lifetime * _LEFT
        return b"%b: %b.%b\r\n" % (self._name, signed, signature), renew_at

    def __repr__(self) -> str:
        return f"<Signer {self.key.algorithm}, key {self.key.kid}>"


class Assertion:
    """One principal's assertion, renewed as it ages. Owned by the principal."""

    __slots__ = ("_claims", "_line", "_renew_at", "_signer")

    def __init__(self, signer: Signer, claims: Claims) -> None:
        self._signer = signer
        self._claims = claims
        self._line = b""
        self._renew_at = 0.0

    def line(self, now: float) -> bytes:
        """Return the header line; `now` is Unix time."""
        if now >= self._renew_at:
            self._line, self._renew_at = self._signer.line(self._claims, now)
        return self._line

    def __repr__(self) -> str:
        return f"<Assertion for {self._claims!r}>"


def _part(value: dict[str, object]) -> bytes:
    # ASCII, since a lone surrogate cannot be encoded as UTF-8; JSON escapes mean the same.
    return base64url.encode(json.dumps(value, separators=(",", ":")).encode("ascii"))
