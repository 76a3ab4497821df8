"""Tokens that Cognito has just given us, verified before a session is made of them.

They came over TLS from Cognito itself; they are checked all the same, by the rules of every other token, so
that no session holds what the next request would refuse. Invariant: both tokens are this pool's, this
client's, and one user's.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.config.model import UserPool
from gateway.errors import TokenPayloadRefused
from gateway.keys.key_sets import KeySets
from gateway.tokens.claims import Claims, PoolRules, decode, verify


class Proven(NamedTuple):
    access: Claims
    id: Claims


class Prover:
    """Verifies against the pools' key sets; `leeway` and `max_token` as in the section `cognito`."""

    def __init__(self, key_sets: KeySets, *, leeway: float, max_token: int) -> None:
        self._key_sets = key_sets
        self._leeway = leeway
        self._max_token = max_token

    async def pair(self, pool: UserPool, access: str, id_token: str, *, now: float) -> Proven:
        """The claims of an access and an ID token. Raises InvalidToken or NoKeys."""
        proven = Proven(
            await self.verified(pool, access, "access", now=now),
            await self.verified(pool, id_token, "id", now=now),
        )
        # OpenID Connect Core section 5.3.2, of userinfo: two documents about one user name the same sub.
        if proven.access.subject != proven.id.subject or proven.access.client_id != proven.id.client_id:
            raise TokenPayloadRefused("access and ID token speak of different users or clients")
        return proven

    async def verified(self, pool: UserPool, token: str, use: str, *, now: float) -> Claims:
        """One token's claims, whichever kinds `token_use` lets in for requests."""
        unverified = decode(token.encode("ascii", "replace"), self._max_token)
        key = await self._key_sets.find(pool.id, unverified.kid)
        return verify(unverified, key, PoolRules.of(pool, use), now=now, leeway=self._leeway)
