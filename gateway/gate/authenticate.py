"""Who asks: the values of a request's Authorization headers to a Principal, or a typed refusal.

`recognise` is the hot way, for a token verified before. Whatever it does not know takes the steps of a
`Verification`: header → decode → the pool of the issuer → key → verify → remember; where the key is not known
yet, `authenticate` waits for the key set. Invariant: a Principal is made only from `Claims`, that is after
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
from gateway.revocation.watch import Admission, RevocationWatch
from gateway.tokens.bearer import SCHEME_LENGTH, bearer_token, token_hash
from gateway.tokens.cache import TokenCache, weight
from gateway.tokens.claims import Claims, PoolRules, UnverifiedToken, decode, limited, verify
from gateway.tokens.jwk import VerificationKey
from gateway.tokens.principal import NOTHING, Principal
from gateway.tokens.shown import one_of, shown


class Verification:
    """One token on its way to a principal, in steps: `decode`, `verify`, `principal`, in this order.

    A caller with many takes each step with all before the next one (client/batch.py). Any of them may
    raise InvalidToken or one of its kind, and then there is no next.
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
        """`known`: whom the token proved before, in another spelling of its header. `scopes`: those of a
        sealed token; None: it was not sealed."""
        self._authenticator = authenticator
        self._token = token
        # The token's SHA-256; of a sealed one the name that `sealed_name` gives it.
        self.digest = digest
        self._scopes = scopes
        self._now = now
        self._known = known
        self._unverified: UnverifiedToken
        self._rules: PoolRules
        # None: the key set must be fetched first.
        self._key: VerificationKey | None = None
        self._claims: Claims | None = None

    def decode(self) -> None:
        """Find out whose token it says it is, and the key of the name it gives."""
        by = self._authenticator
        if self._known is not None:
            by.metrics.token_cache_hits += 1
            return
        by.metrics.token_cache_misses += 1
        self._unverified = unverified = decode(self._token, by.max_token)
        self._rules = rules = by.rules(unverified)
        self._key = by.key_sets.key(rules.pool_id, unverified.jws.kid)

    def verify(self) -> None:
        """Check the signature, then every claim."""
        if self._key is not None:
            leeway = self._authenticator.leeway
            self._claims = verify(self._unverified, self._key, self._rules, now=self._now, leeway=leeway)

    def principal(self) -> Principal | None:
        """Whom it proves; None where keys must be fetched or Cognito asked: `Authenticator.authenticate`."""
        if self._claims is None or self._key is None:
            return self._known
        return self._authenticator.admitted(
            self._claims, self._key, self._token, self.digest, self._now, scopes=self._scopes
        )

    def prepare(self) -> None:
        """Take all steps but the last."""
        self.decode()
        self.verify()

    def look_again(self) -> None:
        """Do what `prepare` does, where another request may have proven the same token meanwhile."""
        if self._known is None:
            self._known = self._authenticator.remembered(self.digest, self._now)
        self.prepare()

    async def finish(self) -> Principal:
        """Wait for what `principal` lacked: fetch the key set, ask Cognito.

        Raises UnknownKey, NoKeys, RevocationUnknown too.
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
    """One configuration's way from a token to a principal, and what it remembers."""

    def __init__(
        self,
        config: Config,
        key_sets: KeySets,
        *,
        describe: Callable[[Claims], bytes],
        assertion: Callable[[Claims], Callable[[float], bytes]] | None = None,
        metrics: WorkerMetrics,
        revocation: RevocationWatch | None = None,
        cache_size: int | None = None,
        sealed: SealedTokens | None = None,
    ) -> None:
        """`cache_size`: bytes of tokens remembered, where fewer are there than configured. `sealed`: None
        where no tokens of ours are accepted."""
        # What a Verification needs of these, it reads itself.
        self.key_sets = key_sets
        self._describe = describe
        self._assertion = assertion
        self.metrics = metrics
        self.leeway = config.cognito.clock_leeway
        self.max_token = config.cognito.max_token_size
        self._rules_by_issuer = _rules_by_issuer(config.cognito.user_pools)
        self._named = config.claims_in_routes
        self._send_unverified = config.identity_headers.send_unverified
        self.cache: TokenCache[Principal] = TokenCache(
            key_sets.key, max_size=cache_size or config.cognito.token_cache_size
        )
        self._revocation = revocation
        self.sealed = sealed
        # An ID token → the access token that came with it, where a session holds both: Cognito can be asked
        # about no ID token, and about this one it answers for both.
        self.access_of: Callable[[bytes], bytes | None] | None = None
        if revocation is not None:
            revocation.watch_over(self.cache)

    def recognise(self, digest: bytes | None, now: float) -> Principal | None:
        """The principal of a token verified before; None = unknown here, go the long way. Never raises.

        `digest` is `token_hash` of the request's only Authorization header, `now` Unix time.
        """
        if digest is None:
            return None
        principal = self.cache.get(digest, now)
        if principal is not None:
            self.metrics.token_cache_hits += 1
        return principal

    def begin(self, authorization: Sequence[bytes], digest: bytes | None, now: float) -> Verification:
        """The way to the principal of the token that these values of Authorization headers hold.

        `digest` is what `recognise` looked for in vain, `now` the Unix time of the request. Raises
        MalformedAuthorization, TwoCredentials, or NoCredentials (no header, or another scheme).
        """
        token, known = bearer_token(authorization), None
        if self.sealed is not None and token.startswith(PREFIX):
            return self._begin_sealed(self.sealed, token, now)
        if digest is None or len(authorization[0]) != len(token) + SCHEME_LENGTH:
            # A spelling that `token_hash` leaves to us.
            digest = sha256(token).digest()
            known = self.cache.get(digest, now)
        return Verification(self, token, digest, now, known)

    def _begin_sealed(self, sealed: SealedTokens, token: bytes, now: float) -> Verification:
        """The way of one of our own tokens: Cognito's, which is inside, takes every step of its own.

        Raises TokenMalformed where it was sealed for somebody else."""
        name = sealed_name(sha256(token).digest())
        known = self.cache.get(name, now)
        if known is not None:
            return Verification(self, token, name, now, known, scopes=frozenset())
        inside = sealed.open(token, now)
        return Verification(self, inside.token, name, now, None, scopes=inside.scopes)

    def recognise_sealed(self, digest: bytes, now: float) -> Principal | None:
        """`recognise` for tokens of ours, which are remembered under names of their own: whoever asks for one
        has to look where it may be used (`Gate`)."""
        return self.recognise(sealed_name(digest), now)

    def authenticate_now(
        self, authorization: Sequence[bytes], digest: bytes | None, now: float
    ) -> Principal | None:
        """The principal that these values of Authorization headers prove, if that needs no fetch; else None.

        Parameters and refusals as of `begin`, and those of `Verification`.
        """
        verification = self.begin(authorization, digest, now)
        verification.prepare()
        return verification.principal()

    def remembered(self, digest: bytes, now: float) -> Principal | None:
        """Return whom the token of this SHA-256 proved before; `recognise` without counting."""
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
        """The principal of a token that was verified; None where Cognito must be asked about it first."""
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

    # --- the long way ---

    async def authenticate(self, authorization: Sequence[bytes], now: float) -> Principal:
        """The rest where `authenticate_now` gave None: fetch the key set, ask Cognito.

        Raises UnknownKey, NoKeys, RevocationUnknown too.
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
        """Return the principal of a decoded token; `proven` where only Cognito must still be asked,
        `scopes` of a token that was sealed."""
        claims, key = proven or await self._checked_slowly(unverified, rules, now)
        remember = await self._stood_by(claims, token, digest, now) is Admission.KNOWN
        return self._principal(claims, key, digest, len(token), remember=remember, now=now, scopes=scopes)

    async def id_claims(self, authorization: Sequence[bytes], now: float) -> Claims:
        """What the ID token in a header says, whether or not its pool lets ID tokens in.

        Not remembered, or it would be a bearer from then on. Refusals as of `authenticate`.
        """
        token = bearer_token(authorization)
        unverified = decode(token, self.max_token)
        rules = replace(self.rules(unverified), token_uses=frozenset({"id"}))
        claims, _ = await self._checked_slowly(unverified, rules, now)
        await self._stood_by(claims, token, sha256(token).digest(), now)
        return claims

    async def _checked_slowly(
        self, unverified: UnverifiedToken, rules: PoolRules, now: float
    ) -> tuple[Claims, VerificationKey]:
        """Verify, and wait where the key is not known yet."""
        key = await self.key_sets.find(rules.pool_id, unverified.kid)
        return verify(unverified, key, rules, now=now, leeway=self.leeway), key

    async def _stood_by(self, claims: Claims, token: bytes, digest: bytes, now: float) -> Admission:
        """`Revocation.admit`, and the waiting where Cognito is to be asked first."""
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
        """Whether a token that was let in earlier would be now, but for its end; asking is using it.

        What would have to be waited for counts as yes: `RevocationWatch` has been told of the token by then.
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
        """What Cognito can be asked about in place of an ID token; None: nobody has it."""
        if claims.token_use != "id" or self.access_of is None:  # noqa: S105 - a kind of token
            return None
        return self.access_of(token)

    def _verified(self, access: bytes, key: VerificationKey, now: float) -> Claims:
        """An access token's claims, whether or not its pool lets access tokens in. Raises InvalidToken."""
        unverified = decode(access, self.max_token)
        rules = replace(self.rules(unverified), token_uses=frozenset({"access"}))
        return verify(unverified, key, rules, now=now, leeway=self.leeway)

    def rules(self, unverified: UnverifiedToken) -> PoolRules:
        """Whose rules and keys the token is held against; `verify` checks the issuer again."""
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
        # Only now: what Cognito is asked with is the token as it was signed.
        claims = claims if scopes is None else limited(claims, scopes)
        named = NOTHING
        if self._named:
            named = claims.named(self._named, unverified=self._send_unverified)
        assertion = None if self._assertion is None else self._assertion(claims)
        principal = Principal(claims, self._describe(claims), named, assertion)
        if remember:
            # Without a leeway they share one number, as with 100,000 of them everything counts.
            until = claims.expires_at + self.leeway if self.leeway else claims.expires_at
            # An assertion is a token itself.
            length *= 1 if assertion is None else 2
            size = weight(length, principal.identity_lines, claims.scopes, claims.groups, named)
            self.cache.put(digest, size, principal, key=key, pool_id=claims.pool_id, until=until, now=now)
        return principal

    def __repr__(self) -> str:
        return f"<Authenticator of {len(self._rules_by_issuer)} issuers, {self.cache!r}>"


def sealed_name(digest: bytes) -> bytes:
    """Under which name a token of ours is remembered: no other token's SHA-256."""
    return b"sealed " + digest


def _rules_by_issuer(pools: Sequence[UserPool]) -> dict[str, PoolRules]:
    by_issuer: dict[str, PoolRules] = {}
    for pool in pools:
        rules = PoolRules.of(pool)
        for issuer in rules.issuers:
            # Two pools' rules for one issuer would let the order of the file decide who gets in.
            if issuer in by_issuer:
                raise ConfigurationError(f"cognito.user_pools: two pools have the issuer {issuer}: keep one")
            by_issuer[issuer] = rules
    return by_issuer
