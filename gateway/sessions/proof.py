"""Verification of tokens just issued by Cognito, before they become a session.

They came over TLS from Cognito itself, but are verified by the same rules as any token, so that no session
holds what the next request would refuse. Invariant: both tokens are of this pool, this client and one user.
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
    """Verifies with the pools' key sets; `leeway` and `max_token` as in the section `cognito`."""

    def __init__(self, key_sets: KeySets, *, leeway: float, max_token: int) -> None:
        self._key_sets = key_sets
        self._leeway = leeway
        self._max_token = max_token

    async def pair(self, pool: UserPool, access: str, id_token: str, *, now: float) -> Proven:
        """Return the claims of an access and an ID token. Raises InvalidToken or NoKeys."""
        proven = Proven(
            await self.verified(pool, access, "access", now=now),
            await self.verified(pool, id_token, "id", now=now),
        )
        # OpenID Connect Core section 5.3.2, about userinfo: two documents about one user have the same sub.
        if proven.access.subject != proven.id.subject or proven.access.client_id != proven.id.client_id:
            raise TokenPayloadRefused("access and ID token are of different users or clients")
        return proven

    async def verified(self, pool: UserPool, token: str, use: str, *, now: float) -> Claims:
        """Return one token's claims, whatever `token_use` accepts for requests.

        Raises InvalidToken or NoKeys.
        """
        unverified = decode(token.encode("ascii", "replace"), self._max_token)
        key = await self._key_sets.find(pool.id, unverified.kid)
        return verify(unverified, key, PoolRules.of(pool, use), now=now, leeway=self._leeway)
