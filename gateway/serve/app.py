"""The composition root: builds everything that one configuration needs, and connects the rooms.

Invariant: what a gateway shares with its predecessor is stopped by the last of them that uses it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gateway.config.model import Config
from gateway.gate.assertion import Signer
from gateway.gate.authenticate import Authenticator
from gateway.gate.identity import identity_lines
from gateway.gate.judge import Gate
from gateway.gate.limits import Limits
from gateway.gate.own_paths import OwnPaths
from gateway.gate.record import Record
from gateway.gate.tracing import tracer_of
from gateway.gate.trust import Peers
from gateway.http.cors import CorsPolicy
from gateway.http.request import Peer, RequestIds
from gateway.http.streams import SignOut, Streams
from gateway.keys.key_sets import KeySetReport, KeySets
from gateway.mcp.endpoints import McpEndpoints
from gateway.observe.logs import Logger
from gateway.observe.metrics import WorkerMetrics
from gateway.pages.once import Once
from gateway.policy.routes import RouteTable
from gateway.revocation.ended_sign_ins import EndedSignIn, EndedSignIns
from gateway.revocation.sharing import SharedVerdicts
from gateway.revocation.watch import RevocationWatch
from gateway.serve.announce import announce_setup
from gateway.serve.aws_signing import signer_of
from gateway.serve.revocation_wiring import revocation_of
from gateway.sessions.secrets import make_secret, secrets_of
from gateway.tls.rotation import upstream_tls
from gateway.tokens.cache import TokenCache
from gateway.tokens.principal import Principal
from gateway.upstream.connection_pool import UpstreamPool

if TYPE_CHECKING:
    from gateway.gate.tracer import Tracer
    from gateway.mcp.sealed_tokens import SealedTokens
    from gateway.pages.build import Built


AccessOf = Callable[[bytes], bytes | None]


class Gateway:
    """All parts that serve requests under one configuration. Owns its key sets and upstream connections.

    From `previous`, the gateway of the previous configuration, it takes over what has not changed:
    upstream connections, key sets, verified tokens.
    """

    def __init__(
        self,
        config: Config,
        *,
        metrics: WorkerMetrics,
        log: Logger,
        secret: bytes | None = None,
        once: Once | None = None,
        previous: Gateway | None = None,
        streams: Streams | None = None,
        access_of: AccessOf | None = None,
        verdicts: SharedVerdicts | None = None,
        token_cache_size: int | None = None,
    ) -> None:
        """`token_cache_size`: replaces the configured one if memory is short. `secret`: seals cookies if the
        configuration names no file; None: one shared by this process's gateways.

        `streams`, `access_of` and `verdicts` are process-wide: with `previous`, its own are used.
        """
        self.config = config
        self.request_ids = RequestIds()
        # Process-wide: open streams outlive the configuration under which they began.
        if previous is not None:
            streams = previous.streams
        self.streams: Streams = Streams() if streams is None else streams
        self._metrics = metrics
        self._log = log
        # None: tracing is off.
        self.tracer: Tracer | None = self._new_tracer(previous)
        self.record = self._new_record()
        self.pool = self._same_pool(previous) or self._new_pool()
        assertion = config.identity_headers.assertion
        self._signer = None if assertion is None else Signer(config, assertion)
        self.key_sets = self._same_key_sets(previous) or self._new_key_sets(previous)
        # Verdicts on revocation shared between workers; None: there are no other workers.
        self._verdicts: SharedVerdicts | None = previous._verdicts if previous is not None else verdicts
        # Asks the sessions of the newest configuration: the authenticator may outlive this one.
        self._access_of: AccessOf | None = previous._access_of if previous is not None else access_of
        self._secret: bytes = secret or (previous._secret if previous is not None else make_secret())
        self._sealed = self._new_sealed()
        self._ended_sign_ins = self._same_ends(previous) or EndedSignIns(self._end_streams)
        kept = self._same_authenticator(previous)
        # None: revocation is not checked. Belongs to the authenticator, whose tokens it watches.
        before: RevocationWatch | None = None if previous is None else previous.revocation
        cache: TokenCache[Principal] = TokenCache(
            self.key_sets.key, max_size=token_cache_size or config.cognito.token_cache_size
        )
        self.revocation: RevocationWatch | None = before if kept else self._new_revocation(cache, before)
        self.authenticator = kept or self._new_authenticator(cache)
        self._once: Once = once or (previous._once if previous is not None else Once.make())
        self.portal = self._new_portal(previous) if config.sign_in.enabled else None
        # None: the upstream is not an AWS service.
        self.aws = signer_of(config, portal=self.portal)
        # None: rate limiting is off.
        self.limits = self._same_limits(previous) or self._new_limits()
        cors = None if config.cors is None else CorsPolicy(config.cors)
        self._peers = Peers(config, cors, self.tracer, self.streams)
        self.gate = self._new_gate(cors)

    async def start(self) -> None:
        """Start fetching the key sets and watching files, without waiting for them. Raises nothing."""
        self.pool.start()
        if self.tracer is not None:
            self.tracer.start()
        await self.key_sets.start()
        if self.portal is not None:
            self.portal.start(lambda: not self.unready())
        if self.revocation is not None:
            await self.revocation.start()

    async def stop(self, keep: Sequence[Gateway] = ()) -> None:
        """Stop everything that is not shared with a gateway in `keep`. Idempotent."""
        if not any(other.pool is self.pool for other in keep):
            self.pool.close()
        if not any(other.key_sets is self.key_sets for other in keep):
            await self.key_sets.stop()
        if self.portal is not None:
            await self.portal.stop([other.portal for other in keep if other.portal is not None])
        if self.revocation is not None and not any(o.revocation is self.revocation for o in keep):
            await self.revocation.stop()
        if self.aws is not None:
            await self.aws.stop()
        if self.limits is not None and not any(other.limits is self.limits for other in keep):
            await self.limits.stop()
        if self.tracer is not None and not any(other.tracer is self.tracer for other in keep):
            await self.tracer.stop()

    def announce(self, before: Config | None = None) -> None:
        """Log what a new gateway has to announce."""
        announce_setup(self.config, self._secret, self._once, self._log, before=before)

    # --- what a reload keeps ---

    def _same_pool(self, previous: Gateway | None) -> UpstreamPool | None:
        if previous is None or previous.config.upstream != self.config.upstream:
            return None
        return previous.pool

    def _new_pool(self) -> UpstreamPool:
        upstream = self.config.upstream
        return UpstreamPool(upstream, tls=upstream_tls(upstream, self._log, self._metrics))

    def _same_key_sets(self, previous: Gateway | None) -> KeySets | None:
        if previous is None:
            return None
        now, before = self.config.cognito, previous.config.cognito
        same = (now.user_pools, now.egress) == (before.user_pools, before.egress)
        return previous.key_sets if same else None

    def _new_key_sets(self, previous: Gateway | None) -> KeySets:
        cognito = self.config.cognito
        return KeySets(
            cognito.user_pools,
            cognito.egress,
            events=KeySetReport(self._metrics, self._log),
            previous=None if previous is None else previous.key_sets,
        )

    def _same_authenticator(self, previous: Gateway | None) -> Authenticator | None:
        """With its cached tokens, if everything that their verdicts depend on is unchanged."""
        if previous is None:
            return None
        now, before = self.config, previous.config
        same = (
            (now.cognito, now.identity_headers) == (before.cognito, before.identity_headers)
            # Principals contain the claims that routes require.
            and now.claims_in_routes == before.claims_in_routes
            and self._signer == previous._signer
            # What a secret sealed that was taken away opens nothing, remembered or not.
            and self._sealed == previous._sealed
        )
        return previous.authenticator if same else None

    def _new_sealed(self) -> SealedTokens | None:
        """Return what opens the tokens of MCP clients; None: there are none. Raises GatewayError."""
        mcp = self.config.mcp
        if mcp is None or not mcp.signs_in or not self.config.sign_in.enabled:
            return None
        from gateway.mcp.sealed_tokens import SealedTokens  # noqa: PLC0415 - only where it is configured

        return SealedTokens(secrets_of(self.config, self._secret), mcp.resource)

    def _same_ends(self, previous: Gateway | None) -> EndedSignIns | None:
        """Process-wide, as streams are."""
        return None if previous is None else previous._ended_sign_ins

    def _same_limits(self, previous: Gateway | None) -> Limits | None:
        """With their counters."""
        if previous is None or previous.config.rate_limit != self.config.rate_limit:
            return None
        return previous.limits

    def _new_tracer(self, previous: Gateway | None) -> Tracer | None:
        before = None if previous is None else (previous.config, previous.tracer)
        return tracer_of(self.config, metrics=self._metrics, log=self._log, previous=before)

    def _new_record(self) -> Record:
        return Record(
            self._metrics,
            self._log,
            public_url=self.config.listen.public_url,
            mcp=self.config.mcp,
            tracer=self.tracer,
            people=lambda: None if self.portal is None else self.portal.for_people,
        )

    def _new_authenticator(self, cache: TokenCache[Principal]) -> Authenticator:
        # Not the gateway itself, which the authenticator may outlive.
        headers = self.config.identity_headers
        return Authenticator(
            self.config,
            self.key_sets,
            describe=lambda claims: identity_lines(claims, headers),
            assertion=None if self._signer is None else self._signer.line_for,
            metrics=self._metrics,
            cache=cache,
            revocation=self.revocation,
            access_of=self._access_of,
            sealed=self._sealed,
            ended=self._ended_sign_ins,
        )

    def _new_revocation(
        self, cache: TokenCache[Principal], before: RevocationWatch | None
    ) -> RevocationWatch | None:
        return revocation_of(
            self.config,
            cache,
            metrics=self._metrics,
            log=self._log,
            previous=before,
            verdicts=self._verdicts,
        )

    def _end_streams(self, ended: EndedSignIn) -> None:
        """End the streams of an ended sign-in in this process: each worker learns of it."""
        # Without origin_jti it would cover all of the user's.
        if ended.origin_jti is not None:
            sign_out = SignOut(ended.pool_id, ended.subject, origin_jti=ended.origin_jti, at=time.monotonic())
            self.streams.end_here(sign_out)

    def _new_limits(self) -> Limits | None:
        limit = self.config.rate_limit
        if not limit.requests_per_second:
            return None
        return Limits(limit, metrics=self._metrics, log=self._log)

    @property
    def shows_certificate(self) -> bool:
        """Whether the upstream is presented with a client certificate."""
        tls = self.config.upstream.tls
        return tls is not None and tls.certificate_file is not None

    def unready(self) -> list[dict[str, str]]:
        """Return why no decision can be made yet; empty if ready."""
        return [
            {"component": "keys", "pool": pool, "reason": reason}
            for pool, reason in self.key_sets.ready().items()
        ]

    def peer(self, address: str, *, secure: bool) -> Peer:
        """Return the peer of a connection from this address; `secure`: it uses TLS."""
        return self._peers.of(address, secure=secure)

    def _new_gate(self, cors: CorsPolicy | None) -> Gate:
        routes, portal = RouteTable(self.config.routes), self.portal
        door = None if portal is None else portal.mcp
        return Gate(
            self.config,
            routes=routes,
            own=OwnPaths(self.config, routes, self._signer),
            authenticator=self.authenticator,
            record=self.record,
            limits=self.limits,
            cors=cors,
            sessions=None if portal is None else portal.by_cookie,
            page=None if portal is None else portal.answer,
            sign=None if self.aws is None else self.aws.forward,
            mcp=None if door is None else McpEndpoints(self.config, door, routes),
        )

    def _new_portal(self, previous: Gateway | None) -> Built:
        # Imported here: without pages it is not needed.
        from gateway.pages.build import Built  # noqa: PLC0415

        return Built(
            self.config,
            authenticator=self.authenticator,
            key_sets=self.key_sets,
            secret=self._secret,
            once=self._once,
            refuse=self.record.refuse,
            streams=self.streams,
            sealed=self._sealed,
            ended_sign_ins=self._ended_sign_ins,
            metrics=self._metrics,
            log=self._log,
            previous=None if previous is None else previous.portal,
        )
