"""Authentication: from a request's Authorization values to a Principal, or a typed refusal.

`recognise` is the fast path, for a token verified before. Any other token takes the steps of a
`Verification`: header → decode → the pool of the issuer → key → verify → cache; if the key is not known yet,
`authenticate` waits for the key set. Invariant: a Principal is made only from `Claims`, hence after
`claims.verify`, and anything unexpected propagates, so that the request fails closed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256

from gateway.config.model import Config, UserPool
from gateway.errors import (
    ConfigurationError,
    Refusal,
    TokenExpired,
    WrongIssuer,
)
from gateway.keys.key_sets import KeySets
from gateway.mcp.sealed_tokens import PREFIX, SealedTokens
from gateway.observe.metrics import WorkerMetrics
from gateway.revocation.ended_sign_ins import EndedSignIns
from gateway.revocation.watch import Admission, RevocationWatch
from gateway.tokens.bearer import SCHEME_LENGTH, bearer_token, token_hash
from gateway.tokens.cache import TokenCache, weight
from gateway.tokens.claims import Claims, PoolRules, UnverifiedToken, decode, limited, verify
from gateway.tokens.jwk import VerificationKey
from gateway.tokens.principal import NOTHING, Principal
from gateway.tokens.shown import one_of, shown


class Verification:
    """The verification of one token, in steps: `decode`, `verify`, `principal`, in this order.

    A caller with many tokens takes each step for all before the next (client/batch.py). Any step may raise
    InvalidToken or a subclass, which ends the verification.
    """

    __slots__ = (
        "_authenticator",
        "_claims",
        "_key",
        "_known",
        "_now",
        "_rules",
        "_scopes",
        "_token",
        "_unverified",
        "digest",
    )

    def __init__(
        self,
        authenticator: Authenticator,
        token: bytes,
        digest: bytes,
        now: float,
        known: Principal | None,
        *,
        scopes: frozenset[str] | None = None,
    ) -> None:
        """`known`: the cached principal, if the token came in another spelling of its header.

        `scopes`: those of a sealed token; None: it was not sealed.
        """
        self._authenticator = authenticator
        self._token = token
        # The token's SHA-256; of a sealed one the name that `sealed_name` gives it.
        self.digest = digest
        self._scopes = scopes
        self._now = now
        self._known = known
        self._unverified: UnverifiedToken
        self._rules: PoolRules
        # None: the key set has to be fetched first.
        self._key: VerificationKey | None = None
        self._claims: Claims | None = None

    def decode(self) -> None:
        """Decode the token, and look up the pool of its issuer and the key it names."""
        by = self._authenticator
        if self._known is not None:
            by.metrics.token_cache_hits += 1
            return
        by.metrics.token_cache_misses += 1
        self._unverified = unverified = decode(self._token, by.max_token)
        self._rules = rules = by.rules(unverified)
        self._key = by.key_sets.key(rules.pool_id, unverified.jws.kid)

    def verify(self) -> None:
        """Verify the signature, then every claim."""
        if self._key is not None:
            leeway = self._authenticator.leeway
            self._claims = verify(self._unverified, self._key, self._rules, now=self._now, leeway=leeway)

    def principal(self) -> Principal | None:
        """Return the principal; None if keys have to be fetched or Cognito asked, by `finish`."""
        if self._claims is None or self._key is None:
            return self._known
        return self._authenticator.admitted(
            self._claims, self._key, self._token, self.digest, self._now, scopes=self._scopes
        )

    def prepare(self) -> None:
        """Take every step but the last."""
        self.decode()
        self.verify()

    def look_again(self) -> None:
        """Take the steps of `prepare`, unless another request has verified the same token meanwhile."""
        if self._known is None:
            self._known = self._authenticator.remembered(self.digest, self._now)
        self.prepare()

    async def finish(self) -> Principal:
        """Fetch the key set, or ask Cognito, where `principal` returned None.

        Raises UnknownKey, NoKeys and RevocationUnknown too.
        """
        proven = None if self._claims is None or self._key is None else (self._claims, self._key)
        return await self._authenticator.finish(
            self._unverified,
            self._rules,
            self._token,
            self.digest,
            self._now,
            proven=proven,
            scopes=self._scopes,
        )

    @property
    def sealed(self) -> bool:
        """Whether the token is one of ours, with Cognito's inside."""
        return self._scopes is not None

    def __repr__(self) -> str:
        return f"<Verification by {self._authenticator!r}>"


class Authenticator:
    """Authenticates tokens under one configuration, and caches the results."""

    def __init__(
        self,
        config: Config,
        key_sets: KeySets,
        *,
        describe: Callable[[Claims], bytes],
        assertion: Callable[[Claims], Callable[[float], bytes]] | None = None,
        metrics: WorkerMetrics,
        cache: TokenCache[Principal],
        revocation: RevocationWatch | None = None,
        access_of: Callable[[bytes], bytes | None] | None = None,
        sealed: SealedTokens | None = None,
        ended: EndedSignIns | None = None,
    ) -> None:
        """`revocation` watches the tokens of `cache`. `sealed`: None if no sealed tokens are accepted.

        `ended`: sign-ins whose tokens are refused in any case.

        `access_of`: an ID token → the access token issued with it, if a session has both: Cognito can only be
        asked about the access token, and the result applies to both.
        """
        # Public where a Verification reads them.
        self.key_sets = key_sets
        self._describe = describe
        self._assertion = assertion
        self.metrics = metrics
        self.leeway = config.cognito.clock_leeway
        self.max_token = config.cognito.max_token_size
        self._rules_by_issuer = _rules_by_issuer(config.cognito.user_pools)
        self._named = config.claims_in_routes
        self._send_unverified = config.identity_headers.send_unverified
        self.cache = cache
        self._revocation = revocation
        self.sealed = sealed
        self._access_token_of = access_of
        self._ended = EndedSignIns() if ended is None else ended
        self._ended.covers(cache)

    def recognise(self, digest: bytes | None, now: float) -> Principal | None:
        """Return the principal of a token verified before; None: unknown, use `begin`. Never raises.

        `digest` is `token_hash` of the request's only Authorization header, `now` Unix time.
        """
        if digest is None:
            return None
        principal = self.cache.get(digest, now)
        if principal is not None:
            self.metrics.token_cache_hits += 1
        return principal

    def begin(self, authorization: Sequence[bytes], digest: bytes | None, now: float) -> Verification:
        """Start the verification of the token in these Authorization values.

        `digest` is the one `recognise` did not find, `now` the request's Unix time. Raises
        MalformedAuthorization, TwoCredentials, or NoCredentials (no header, or another scheme).
        """
        token, known = bearer_token(authorization), None
        if self.sealed is not None and token.startswith(PREFIX):
            return self._begin_sealed(self.sealed, token, now)
        if digest is None or len(authorization[0]) != len(token) + SCHEME_LENGTH:
            # A spelling that `token_hash` does not handle.
            digest = sha256(token).digest()
            known = self.cache.get(digest, now)
        return Verification(self, token, digest, now, known)

    def _begin_sealed(self, sealed: SealedTokens, token: bytes, now: float) -> Verification:
        """Start the verification of a sealed token: Cognito's token inside takes every step.

        Raises TokenMalformed if it was sealed for another resource.
        """
        name = sealed_name(sha256(token).digest())
        known = self.cache.get(name, now)
        if known is not None:
            return Verification(self, token, name, now, known, scopes=frozenset())
        inside = sealed.open(token, now)
        return Verification(self, inside.token, name, now, None, scopes=inside.scopes)

    def recognise_sealed(self, digest: bytes, now: float) -> Principal | None:
        """Return the principal of a cached sealed token, as `recognise` does for others.

        Sealed tokens are cached under separate names, because the caller has to check where each may be used
        (`Gate`).
        """
        return self.recognise(sealed_name(digest), now)

    def authenticate_now(
        self, authorization: Sequence[bytes], digest: bytes | None, now: float
    ) -> Principal | None:
        """Return the principal of these Authorization values, or None if that needs a fetch.

        Parameters and exceptions as for `begin` and `Verification`.
        """
        verification = self.begin(authorization, digest, now)
        verification.prepare()
        return verification.principal()

    def remembered(self, digest: bytes, now: float) -> Principal | None:
        """Return the principal of a cached token by its SHA-256, without counting a hit."""
        return self.cache.get(digest, now)

    def admitted(
        self,
        claims: Claims,
        key: VerificationKey,
        token: bytes,
        digest: bytes,
        now: float,
        *,
        scopes: frozenset[str] | None = None,
    ) -> Principal | None:
        """Return the principal of a verified token; None if Cognito has to be asked about it first."""
        remember = True
        if self._revocation is not None:
            asked, access = (claims, token), self._access_of(claims, token)
            if access is not None:
                key_of_access = self.key_sets.key(claims.pool_id, decode(access, self.max_token).kid)
                if key_of_access is None:
                    return None
                asked = self._verified(access, key_of_access, now), access
            admission = self._revocation.admit(*asked, digest, now)
            if admission is Admission.ASK:
                return None
            remember = admission is Admission.KNOWN
        return self._principal(claims, key, digest, len(token), remember=remember, now=now, scopes=scopes)

    # --- with waiting ---

    async def authenticate(self, authorization: Sequence[bytes], now: float) -> Principal:
        """Authenticate where `authenticate_now` returned None: fetch the key set, ask Cognito.

        Raises UnknownKey, NoKeys and RevocationUnknown too.
        """
        token = bearer_token(authorization)
        unverified = decode(token, self.max_token)
        return await self.finish(unverified, self.rules(unverified), token, sha256(token).digest(), now)

    async def finish(
        self,
        unverified: UnverifiedToken,
        rules: PoolRules,
        token: bytes,
        digest: bytes,
        now: float,
        *,
        proven: tuple[Claims, VerificationKey] | None = None,
        scopes: frozenset[str] | None = None,
    ) -> Principal:
        """Return the principal of a decoded token.

        `proven` if only Cognito has still to be asked; `scopes` of a sealed token.
        """
        claims, key = proven or await self._checked_slowly(unverified, rules, now)
        remember = await self._stood_by(claims, token, digest, now) is Admission.KNOWN
        return self._principal(claims, key, digest, len(token), remember=remember, now=now, scopes=scopes)

    async def id_claims(self, authorization: Sequence[bytes], now: float) -> Claims:
        """Return the claims of an ID token in a header, whether or not its pool accepts ID tokens.

        The token is not cached, because it would be accepted as a bearer token from then on. Exceptions as
        for `authenticate`.
        """
        token = bearer_token(authorization)
        unverified = decode(token, self.max_token)
        rules = replace(self.rules(unverified), token_uses=frozenset({"id"}))
        claims, _ = await self._checked_slowly(unverified, rules, now)
        self._ended.refuse(claims)
        await self._stood_by(claims, token, sha256(token).digest(), now)
        return claims

    async def _checked_slowly(
        self, unverified: UnverifiedToken, rules: PoolRules, now: float
    ) -> tuple[Claims, VerificationKey]:
        """Verify a token, waiting for its key if it is not known yet."""
        key = await self.key_sets.find(rules.pool_id, unverified.kid)
        return verify(unverified, key, rules, now=now, leeway=self.leeway), key

    async def _stood_by(self, claims: Claims, token: bytes, digest: bytes, now: float) -> Admission:
        """Admit a token as `RevocationWatch.admit` does, waiting if Cognito has to be asked first."""
        if self._revocation is None:
            return Admission.KNOWN
        asked, access = (claims, token), self._access_of(claims, token)
        if access is not None:
            key = await self.key_sets.find(claims.pool_id, decode(access, self.max_token).kid)
            asked = self._verified(access, key, now), access
        admission = self._revocation.admit(*asked, digest, now)
        if admission is Admission.ASK:
            admission = await self._revocation.ask_first(*asked, digest, now)
        return admission

    def holds(self, authorization: Sequence[bytes], now: float) -> bool:
        """Return whether a token accepted earlier still would be, apart from its expiry.

        This counts as a use.

        If that needs waiting, the answer is yes: the token is then being watched by `RevocationWatch`.
        """
        digest = token_hash(authorization[0])
        if self.recognise(digest, now) is not None:
            return True
        try:
            self.authenticate_now(authorization, digest, now)
        except TokenExpired:
            return True
        except Refusal:
            return False
        return True

    def _access_of(self, claims: Claims, token: bytes) -> bytes | None:
        """Return the access token about which Cognito can be asked in place of an ID token, or None."""
        if claims.token_use != "id" or self._access_token_of is None:  # noqa: S105 - not a password
            return None
        return self._access_token_of(token)

    def _verified(self, access: bytes, key: VerificationKey, now: float) -> Claims:
        """Verify an access token, whether or not its pool accepts access tokens. Raises InvalidToken."""
        unverified = decode(access, self.max_token)
        rules = replace(self.rules(unverified), token_uses=frozenset({"access"}))
        return verify(unverified, key, rules, now=now, leeway=self.leeway)

    def rules(self, unverified: UnverifiedToken) -> PoolRules:
        """Return the rules of the token's issuer; `verify` checks the issuer again. Raises WrongIssuer."""
        issuer = unverified.unverified_issuer
        rules = None if issuer is None else self._rules_by_issuer.get(issuer)
        if rules is None:
            raise WrongIssuer(f"iss is {shown(issuer)}, expected {one_of(self._rules_by_issuer)}")
        return rules

    def _principal(
        self,
        claims: Claims,
        key: VerificationKey,
        digest: bytes,
        length: int,
        *,
        remember: bool,
        now: float,
        scopes: frozenset[str] | None,
    ) -> Principal:
        self._ended.refuse(claims)
        # Only now: what Cognito is asked with is the token as it was signed.
        claims = claims if scopes is None else limited(claims, scopes)
        named = NOTHING
        if self._named:
            named = claims.named(self._named, unverified=self._send_unverified)
        assertion = None if self._assertion is None else self._assertion(claims)
        principal = Principal(claims, self._describe(claims), named, assertion)
        if remember:
            # Without a leeway the number object is shared: with 100,000 entries every byte counts.
            until = claims.expires_at + self.leeway if self.leeway else claims.expires_at
            # An assertion is as long as a token.
            length *= 1 if assertion is None else 2
            size = weight(length, principal.identity_lines, claims.scopes, claims.groups, named)
            self.cache.put(digest, size, principal, key=key, pool_id=claims.pool_id, until=until, now=now)
        return principal

    def __repr__(self) -> str:
        return f"<Authenticator of {len(self._rules_by_issuer)} issuers, {self.cache!r}>"


def sealed_name(digest: bytes) -> bytes:
    """Return the cache key of a sealed token, which no other token's SHA-256 equals."""
    return b"sealed " + digest


def _rules_by_issuer(pools: Sequence[UserPool]) -> dict[str, PoolRules]:
    by_issuer: dict[str, PoolRules] = {}
    for pool in pools:
        rules = PoolRules.of(pool)
        for issuer in rules.issuers:
            # With two pools' rules for one issuer, their order in the file would decide.
            if issuer in by_issuer:
                raise ConfigurationError(f"cognito.user_pools: two pools have the issuer {issuer}: keep one")
            by_issuer[issuer] = rules
    return by_issuer
