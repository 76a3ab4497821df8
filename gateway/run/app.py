"""The composition root: one configuration, running. The only file where the parts meet.

The order of the security checks is `Gateway.judge`, from the first line to the last. What it can decide
without waiting it decides at once; the same steps with a wait in them are `judge_slowly`.

Invariant: a request is forwarded only on a `Forward` made here, after `decide` let it pass; whatever raises
refuses the request.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.config.model import Config
from gateway.errors import (
    InvalidToken,
    MalformedAuthorization,
    NoCredentials,
    NotConfigured,
    NotFound,
)
from gateway.observe.logs import Logger
from gateway.observe.metrics import WorkerMetrics
from gateway.policy.decide import VALID_TOKEN, Need, decide
from gateway.policy.readings import readings
from gateway.policy.routes import RouteTable
from gateway.portal.secrets import make_secret
from gateway.proxy.answers import Answer
from gateway.proxy.application import Verdict
from gateway.proxy.assertion import Signer
from gateway.proxy.cors import CorsPolicy
from gateway.proxy.exchange import Forward
from gateway.proxy.forward_auth import allowed, asks, original, stand_for
from gateway.proxy.identity import identity_lines
from gateway.proxy.pool import UpstreamPool
from gateway.proxy.request import Peer, Request, RequestIds
from gateway.proxy.rotation import upstream_tls
from gateway.run.announce import announce_setup
from gateway.run.asking import revocation_of
from gateway.run.aws_signing import signer_of
from gateway.run.limits import Limits
from gateway.run.own_paths import OwnPaths
from gateway.run.peers import Peers
from gateway.run.record import Record
from gateway.run.tracing import tracer_of
from gateway.verify.authenticate import Authenticator, Principal, Verification
from gateway.verify.bearer import token_hash
from gateway.verify.jwks import KeySetReport, KeySets
from gateway.verify.revocation import Revocation

if TYPE_CHECKING:
    from gateway.portal.build import Built
    from gateway.run.tracer import Tracer

# Targets whose route is remembered; clients that ask for ever new ones only make it begin anew.
_REMEMBERED_TARGETS = 4096
# Longer ones are looked up anew each time: 4,096 of the longest heads would be more than 100 MiB.
_REMEMBERED_LENGTH = 256


class Gateway:
    """Everything one configuration needs to serve requests. Owns its key sets and upstream connections.

    From `previous`, the gateway of the configuration before, it takes over what did not change: connections
    to the upstream, key sets, verified tokens.
    """

    def __init__(
        self,
        config: Config,
        *,
        metrics: WorkerMetrics,
        log: Logger,
        secret: bytes | None = None,
        previous: Gateway | None = None,
    ) -> None:
        """`secret`: what cookies are sealed with where the configuration names no file; None: one that
        only this process and its later configurations know."""
        self.config = config
        self.request_ids = RequestIds()
        self._metrics = metrics
        self._log = log
        # None: no spans of ours.
        self._tracer: Tracer | None = tracer_of(
            config,
            metrics=metrics,
            log=log,
            previous=None if previous is None else (previous.config, previous._tracer),
        )
        self.record = Record(metrics, log, public_url=config.listen.public_url, tracer=self._tracer)
        self.pool = self._same_pool(previous) or UpstreamPool(
            config.upstream, tls=upstream_tls(config.upstream, log)
        )
        assertion = config.identity_headers.assertion
        self._signer = None if assertion is None else Signer(config, assertion)
        self.key_sets = self._same_key_sets(previous) or self._new_key_sets(previous)
        before = None if previous is None else previous._revocation
        kept = self._same_authenticator(previous)
        # None: Cognito is never asked. Belongs to the authenticator, whose tokens it watches.
        self._revocation: Revocation | None = (
            before if kept else revocation_of(config, metrics=metrics, log=log, previous=before)
        )
        self._authenticator = kept or Authenticator(
            config,
            self.key_sets,
            describe=lambda claims: identity_lines(claims, config.identity_headers),
            assertion=None if self._signer is None else self._signer.assertion,
            metrics=metrics,
            revocation=self._revocation,
        )
        self._secret: bytes = secret or (previous._secret if previous is not None else make_secret())
        self.portal = self._new_portal(previous) if config.sign_in.enabled else None
        # None: the upstream is not AWS.
        self._aws = signer_of(config, portal=self.portal)
        # None: no limits, and nothing is counted.
        self._limits = self._same_limits(previous) or self._new_limits()
        self._routes = RouteTable(config.routes)
        self._own = OwnPaths(config, self._routes, self._signer)
        self._cors = None if config.cors is None else CorsPolicy(config.cors)
        self._peers = Peers(config, self._cors, self._tracer)
        # (method, raw path) → what its route asks for; never of what `judge` answers itself.
        self._asked: dict[tuple[str, str], Need] = {}
        # Where other proxies ask (forward auth).
        self._endpoint = f"{config.sign_in.prefix}/auth"
        self._forward_token = config.upstream.forward_token
        # Last, since the authenticator may be the one in use, which nothing changes if this fails.
        self._authenticator.access_of = None if self.portal is None else self.portal.sessions.access_of

    async def start(self) -> None:
        """Begin to fetch the key sets and to watch files; does not wait for them. Raises nothing."""
        self.pool.start()
        if self._tracer is not None:
            self._tracer.start()
        await self.key_sets.start()
        if self._revocation is not None:
            await self._revocation.start()

    async def stop(self, keep: Sequence[Gateway] = ()) -> None:
        """End all that is not shared with a gateway of `keep`. Idempotent."""
        if not any(other.pool is self.pool for other in keep):
            self.pool.close()
        if not any(other.key_sets is self.key_sets for other in keep):
            await self.key_sets.stop()
        if self.portal is not None:
            await self.portal.stop([other.portal for other in keep if other.portal is not None])
        if self._revocation is not None and not any(o._revocation is self._revocation for o in keep):
            await self._revocation.stop()
        if self._aws is not None:
            await self._aws.stop()
        if self._limits is not None and not any(other._limits is self._limits for other in keep):
            await self._limits.stop()
        if self._tracer is not None and not any(other._tracer is self._tracer for other in keep):
            await self._tracer.stop()

    def announce(self) -> None:
        """Tell the log what only a gateway that begins has to tell."""
        announce_setup(self.config, self._secret, self._log)

    # --- what a reload keeps ---

    def _same_pool(self, previous: Gateway | None) -> UpstreamPool | None:
        if previous is None or previous.config.upstream != self.config.upstream:
            return None
        return previous.pool

    def _same_key_sets(self, previous: Gateway | None) -> KeySets | None:
        pools = self.config.cognito.user_pools
        if previous is None or previous.config.cognito.user_pools != pools:
            return None
        return previous.key_sets

    def _new_key_sets(self, previous: Gateway | None) -> KeySets:
        made = KeySets(self.config.cognito.user_pools, events=KeySetReport(self._metrics, self._log))
        if previous is not None:
            made.inherit(previous.key_sets)
        return made

    def _same_authenticator(self, previous: Gateway | None) -> Authenticator | None:
        """With the tokens it remembers: all that a verdict over a token depends on is the same."""
        if previous is None:
            return None
        now, before = self.config, previous.config
        same = (
            (now.cognito, now.identity_headers) == (before.cognito, before.identity_headers)
            # Principals hold the claims that routes ask for.
            and now.claims_in_routes == before.claims_in_routes
            and self._signer == previous._signer
        )
        return previous._authenticator if same else None

    def _same_limits(self, previous: Gateway | None) -> Limits | None:
        """With what was counted under them."""
        if previous is None or previous.config.rate_limit != self.config.rate_limit:
            return None
        return previous._limits

    def _new_limits(self) -> Limits | None:
        limit = self.config.rate_limit
        if not limit.requests_per_second:
            return None
        return Limits(limit, metrics=self._metrics, log=self._log)

    def unready(self) -> list[dict[str, str]]:
        """Why no decision can be made yet; empty when it can."""
        return [
            {"component": "keys", "pool": pool, "reason": reason}
            for pool, reason in self.key_sets.ready().items()
        ]

    def peer(self, address: str, *, secure: bool) -> Peer:
        """Who is at the other end of a connection from this address; `secure`: it speaks TLS with us."""
        return self._peers.of(address, secure=secure)

    # --- the order of the checks ---

    def judge(self, request: Request) -> Verdict | Verification | None:
        """The verdict over a request; or a Verification where its token is new, which comes back through
        `judge_verified`; or None where something must be waited for. Raises Refusal."""
        need = self._asked.get((request.method, request.raw_path))  # what is asked
        if need is None:
            if asks(request.raw_path, self._endpoint):
                return self._answer_proxy(request)
            paths = readings(request.raw_path, self.config.paths)
            if self._cors is not None and (preflight := self._cors.preflight(request)) is not None:
                return preflight
            if self._own.hold(paths):  # never proxied, known or not
                if self._limits is not None:
                    self._limits.count_here(request)
                if self.portal is not None and self._own.is_page(paths):
                    return None
                return self._own.answer(request, paths)
            need = self._need(request.method, request.raw_path, paths)
        return self._judge_by(need, request)

    def judge_verified(self, request: Request, verification: Verification) -> Forward | None:
        """The rest of `judge` (application.Application). Raises Refusal."""
        return self._judge_verified(self.need(request.method, request.raw_path), request, verification)

    def _judge_verified(self, need: Need, request: Request, verification: Verification) -> Forward | None:
        principal = verification.principal()
        if principal is None:
            return None
        self.record.proven(request, principal)
        return self._admit(request, need, principal)

    def _judge_at_once(self, need: Need, request: Request) -> Forward | None:
        verdict = self._judge_by(need, request)
        if not isinstance(verdict, Verification):
            return verdict
        verdict.prepare()
        return self._judge_verified(need, request, verdict)

    def _judge_by(self, need: Need, request: Request) -> Forward | Verification | None:
        """`judge` where it is known what is asked: by the request's own target, or by one it asks about."""
        if need.auth == "none":  # credentials are not even looked at
            return self._admit(request, need, None)
        credentials = request.credentials
        if not credentials and request.head.own_cookies and self.portal is not None:
            if not self.portal.by_cookie.recognise(request, time.time()):
                return None
            credentials = request.credentials  # the session's token
        principal = digest = None
        if len(credentials) == 1:  # who asks: most often a token verified before
            digest = _hash_of(request, credentials[0])
            principal = self._authenticator.recognise(digest, time.time())
        if principal is None and credentials:
            self._need_pool()
            if self._limits is not None:
                self._limits.suspect(request)
            try:
                verification = self._authenticator.begin(credentials, digest, time.time())
                if self._limits is None and not request.by_cookie:
                    return verification
                verification.prepare()  # at once: what comes of it matters to more than this request
                principal = verification.principal()
            except NoCredentials:
                return self._admit(request, need, None)  # another scheme proves nothing to us
            except (InvalidToken, MalformedAuthorization):
                if request.by_cookie:  # of a pool or client that is not configured any more
                    request.credentials = ()
                    return self._admit(request, need, None)
                self._disproved(request)
                raise
            if principal is None:
                return None
            self.record.proven(request, principal)
        return self._admit(request, need, principal)  # may they

    async def judge_slowly(self, request: Request) -> Verdict:
        """The rest of `judge` where something must be waited for: a page, a key, Redis. Raises Refusal."""
        if request.wire_method is not None:
            return allowed(request, await self.judge_original_slowly(request))
        paths = readings(request.raw_path, self.config.paths)
        if self.portal is not None and self._own.is_page(paths):
            return await self.portal.answer(request, paths[0])
        return await self.judge_slowly_by(self.need(request.method, request.raw_path), request)

    async def judge_slowly_by(self, need: Need, request: Request) -> Forward:
        """The rest of `_judge_by`."""
        principal = None if need.auth == "none" else await self._who(request)
        if self._limits is not None:
            await self._limits.count_slowly(request, principal)
        return self._decide(request, need, principal)

    async def _who(self, request: Request) -> Principal | None:
        """Who asks, as `_judge_by` finds out, with the waiting. Raises Refusal."""
        if not request.credentials and request.head.own_cookies and self.portal is not None:
            await self.portal.by_cookie.resolve(request)
        credentials, now = request.credentials, time.time()
        if not credentials:
            return None
        digest = _hash_of(request, credentials[0]) if len(credentials) == 1 else None
        principal = self._authenticator.recognise(digest, now)
        if principal is not None:
            return principal
        try:
            principal = await self._authenticator.authenticate(credentials, now)
        except NoCredentials:
            return None
        except InvalidToken:
            if request.by_cookie:
                request.credentials = ()
                return None
            self._disproved(request)
            raise
        self.record.proven(request, principal)
        return principal

    def holds(self, request: Request) -> bool:
        """Of a request that became a tunnel (application.Application)."""
        return self._authenticator.holds(request.credentials, time.time())

    def _disproved(self, request: Request) -> None:
        if self._limits is not None:
            self._limits.disproved(request)

    def need(self, method: str, raw_path: str) -> Need:
        """What the route of this target asks for, whoever serves it. Raises AmbiguousPath."""
        known = self._asked.get((method, raw_path))
        return known or self._need(method, raw_path, readings(raw_path, self.config.paths))

    def _need(self, method: str, raw_path: str, paths: Sequence[str]) -> Need:
        need = self._routes.need(paths, method)
        # `judge` looks at preflights and at what is ours before it comes here.
        kept = not self._own.hold(paths) and (self._cors is None or method != "OPTIONS")
        if kept and len(method) + len(raw_path) <= _REMEMBERED_LENGTH:
            if len(self._asked) >= _REMEMBERED_TARGETS:
                self._asked.clear()
            self._asked[method, raw_path] = need
        return need

    def _admit(self, request: Request, need: Need, principal: Principal | None) -> Forward | None:
        """The decision, or None where Redis must be asked first. Raises Refusal."""
        if self._limits is not None and not self._limits.count(request, principal):
            return None
        return self._decide(request, need, principal)

    def _decide(self, request: Request, need: Need, principal: Principal | None) -> Forward:
        if principal is None and need.auth == "required":
            self._need_pool()
        request.principal = principal
        reason = decide(need, principal)
        if principal is None:
            forward = Forward(b"", "all" if self._forward_token else "other")
        else:
            identity = principal.identity_lines
            # Not for who asks about no request: it would be handed to its own subject, who could go past the
            # routes with it, to an upstream that believes it from anywhere.
            named = request.wire_method is None or request.raw_path != self._endpoint
            if principal.assertion is not None and named:
                identity += principal.assertion.line(time.time())
            forward = Forward(identity, "all" if self._forward_token else "none")
        if self._aws is not None and request.wire_method is None:
            forward = self._aws.forward(request, principal, forward.identity)
        request.decision, request.reason = "allowed", reason
        return forward

    # --- forward auth: the same checks for a request that another proxy serves ---

    def _answer_proxy(self, request: Request) -> Answer | None:
        """The verdict, as an answer to the proxy that asks; None: see `judge_slowly`. Raises Refusal."""
        trusted = request.peer.trusted
        if not trusted and request.raw_path != self._endpoint:
            raise NotFound
        request.wire_method = request.method
        named = original(request, self._endpoint) if trusted else None
        verdict: Verdict | None
        if named is None:
            verdict = self._judge_at_once(VALID_TOKEN, request)
        else:
            stand_for(request, named)
            verdict = self.judge_original(request)
        return None if verdict is None else allowed(request, verdict)

    def judge_original(self, request: Request) -> Verdict | None:
        """The verdict over what a proxy asks about; None: it must be waited for. Raises Refusal."""
        need = self._asked.get((request.method, request.raw_path))
        if need is None:
            paths = readings(request.raw_path, self.config.paths)
            if self._own.hold(paths):
                raise NotFound  # never proxied, whoever proxies
            if self._cors is not None and (preflight := self._cors.preflight(request)) is not None:
                return preflight
            need = self._need(request.method, request.raw_path, paths)
        return self._judge_at_once(need, request)

    async def judge_original_slowly(self, request: Request) -> Forward:
        """The rest of `_answer_proxy` and `judge_original`."""
        nobodys = asks(request.raw_path, self._endpoint)
        need = VALID_TOKEN if nobodys else self.need(request.method, request.raw_path)
        return await self.judge_slowly_by(need, request)

    def _need_pool(self) -> None:
        if not self.config.cognito.user_pools:
            raise NotConfigured

    def _new_portal(self, previous: Gateway | None) -> Built:
        # Whoever has turned the pages off does not pay for them.
        from gateway.portal.build import Built  # noqa: PLC0415

        built = Built(
            self.config,
            authenticator=self._authenticator,
            key_sets=self.key_sets,
            secret=self._secret,
            refuse=self.record.refuse,
            metrics=self._metrics,
            log=self._log,
            previous=None if previous is None else previous.portal,
        )
        self.record.sign_in_at, self.record.portal_at = built.sign_in_at, built.portal_at
        return built


def _hash_of(request: Request, credential: bytes) -> bytes | None:
    """`token_hash`, once for as long as a client says the same."""
    head = request.head
    hashed, digest = head.hashed
    if hashed is not credential:
        digest = token_hash(credential)
        head.hashed = credential, digest
    return digest
