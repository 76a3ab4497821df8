"""The portal of one configuration, and what it takes over from the configuration before it.

Invariant: a reload keeps the sessions whose settings it does not change: those in memory, the list of ended
ones, the latest tokens of those in cookies, and the connection to Redis.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from urllib.parse import urlencode

from gateway.config.model import Config
from gateway.errors import (
    InsufficientAuthentication,
    NoCredentials,
    NotConfigured,
    RateLimited,
    Refusal,
)
from gateway.gate.authenticate import Authenticator
from gateway.gate.record import ForPeople
from gateway.http.answers import Answer
from gateway.http.navigation import navigates
from gateway.http.request import Asked, Request
from gateway.http.resource_metadata import public_origin
from gateway.http.streams import Streams
from gateway.keys.key_sets import KeySets
from gateway.mcp.authorization_codes import Codes, MemoryCodes, RedisCodes
from gateway.mcp.front_door import FrontDoor
from gateway.mcp.grant_ends import GrantEnds
from gateway.mcp.sealed_tokens import SealedTokens
from gateway.observe.logs import Logger
from gateway.observe.metrics import WorkerMetrics
from gateway.pages.aws_credentials import CredentialsCache
from gateway.pages.dispatch import Dispatcher, Refuse
from gateway.pages.error_page import error_page
from gateway.pages.once import Once
from gateway.pages.portal import Portal, Sealers
from gateway.pages.return_to import return_path, with_return
from gateway.pages.shared import Pages
from gateway.redis.redis_client import Redis
from gateway.revocation.ended_sign_ins import EndedSignIns, SharedEnds
from gateway.sessions.cognito import Users
from gateway.sessions.ended import Ended
from gateway.sessions.from_cookie import ByCookie
from gateway.sessions.lifecycle import Sessions
from gateway.sessions.proof import Prover
from gateway.sessions.secrets import secrets_of
from gateway.sessions.session import Session
from gateway.sessions.stores import CookieStore, MemoryStore, Store
from gateway.sessions.threads import Threads

# Seconds. Signing in takes a moment; a user who returns within this with too weak a sign-in is refused, not
# redirected again.
_JUST_SIGNED_IN = 60.0


class Built:
    """The portal and its parts. `answer` serves pages, `by_cookie` forwarded requests. Owned by the
    application."""

    def __init__(
        self,
        config: Config,
        *,
        authenticator: Authenticator,
        key_sets: KeySets,
        secret: bytes,
        once: Once,
        refuse: Refuse,
        streams: Streams,
        sealed: SealedTokens | None,
        ended_sign_ins: EndedSignIns,
        metrics: WorkerMetrics,
        log: Logger,
        previous: Built | None,
    ) -> None:
        """Build it. `secret`: used without a secret_file; `sealed`: None without MCP. Raises GatewayError."""
        self.config = config
        self._metrics = metrics
        self._secrets = secrets_of(config, secret)
        self.sealers = sealers = Sealers.of(self._secrets)
        self.threads: Threads = previous.threads if previous is not None else Threads()
        self.redis = self._same_redis(previous) or self._new_redis(log)
        self.ended: Ended = previous.ended if previous is not None else Ended()
        self.store = self._same_store(previous) or self._new_store(sealers)
        users = Users(config.cognito, self.threads)
        prover = Prover(key_sets, leeway=config.cognito.clock_leeway, max_token=config.cognito.max_token_size)
        self.sessions: Sessions = Sessions(
            config,
            self.store,
            users,
            prover,
            ended=self.ended,
            streams=streams,
            metrics=metrics,
            log=log,
            previous=self._same_sessions(previous),
        )
        pages = None if previous is None else previous.pages
        self.pages: Pages = Pages(
            config, self.threads, log, secret=secret, once=once, sealer=sealers.outcome, previous=pages
        )
        self.credentials = self._new_credentials(previous)
        self._codes: Codes = self._same_codes(previous) or self._new_codes()
        self.mcp = self._new_door(sealed, ended_sign_ins, users, prover, log)
        portal = Portal(
            config,
            mcp=self.mcp,
            authenticator=authenticator,
            sealers=sealers,
            sessions=self.sessions,
            prover=prover,
            users=users,
            credentials=self.credentials,
            threads=self.threads,
            pages=self.pages,
        )
        self.answer = Dispatcher(portal, refuse).answer
        self.by_cookie = ByCookie(self.sessions, config.listen.public_url, config.cors)
        self.for_people = ForPeople(self.sign_in_at, self.sign_in_again_at, self.portal_at, self.page_of)

    def sign_in_at(self, asked: Asked, refusal: NoCredentials | NotConfigured) -> str | None:
        """Return the URL where this person signs in and then returns here; None if this is not a
        navigation."""
        prefix, pools = self.config.sign_in.prefix, self.config.cognito.sign_in_pools
        if self._is_ours(asked) or not navigates(asked):
            return None
        if not pools:
            return f"{prefix}/"
        # With several pools, the user chooses one first.
        page = "/start" if len(pools) == 1 and pools[0].managed else "/sign_in"
        address = with_return(prefix + page, asked.raw_path + asked.query)
        if isinstance(refusal, NoCredentials) and refusal.acr_values:
            mark = "&" if "?" in address else "?"
            return f"{address}{mark}{urlencode({'acr_values': refusal.acr_values})}"
        return address

    def sign_in_again_at(self, asked: Asked, refusal: InsufficientAuthentication) -> str | None:
        """Return where a signed-in user gets a more recent or stronger sign-in (RFC 9470); None if nowhere.

        A user who has only just signed in is refused: another round would prove nothing more. Where the
        sign-in is merely too old, that is a user whose session is younger than the route allows.
        """
        session = self._session_of_a_person(asked)
        young = _JUST_SIGNED_IN
        if refusal.max_age is not None and not refusal.weak:
            young = min(young, refusal.max_age)
        if session is None or time.time() - session.created < young:
            return None
        return self._again_at(asked, refusal, session)

    def _session_of_a_person(self, asked: Asked) -> Session | None:
        return self.by_cookie.known(asked) if asked.request.by_cookie and navigates(asked) else None

    def _again_at(self, asked: Asked, refusal: InsufficientAuthentication, session: Session) -> str | None:
        pool = next((each for each in self.config.cognito.sign_in_pools if each.id == session.pool_id), None)
        if pool is None:
            return None
        fields = {"return_to": return_path(asked.raw_path + asked.query), "pool": pool.id}
        if refusal.acr_values:
            fields["acr_values"] = refusal.acr_values
        if not pool.managed:
            return f"{self.config.sign_in.prefix}/sign_in?{urlencode({**fields, 'again': '1'})}"
        if refusal.max_age is not None:
            fields["max_age"] = str(refusal.max_age)
        return f"{self.config.sign_in.prefix}/start?{urlencode(fields)}"

    def page_of(self, request: Request, refusal: Refusal, plain: Answer) -> Answer | None:
        """Return a refusal as a page for a person; None for programs, and for our own pages, which render
        it."""
        if self._is_ours(request) and not isinstance(refusal, RateLimited):
            return None
        again = None
        if isinstance(refusal, InsufficientAuthentication) and refusal.weak:
            asked = request.asked()
            session = self._session_of_a_person(asked)
            again = None if session is None else self._again_at(asked, refusal, session)
        return error_page(
            self.pages.look,
            request,
            refusal,
            plain,
            prefix=self.config.sign_in.prefix,
            origin=public_origin(request, self.config.listen.public_url) or "",
            cookie_name=self.config.sign_in.session.cookie_name,
            again=again,
        )

    def _is_ours(self, request: Request | Asked) -> bool:
        prefix = self.config.sign_in.prefix
        return request.raw_path == prefix or request.raw_path.startswith(f"{prefix}/")

    def portal_at(self, request: Request | Asked) -> str | None:
        """Return the portal's absolute URL; None if the request has no usable Host."""
        origin = public_origin(request, self.config.listen.public_url)
        return None if origin is None else f"{origin}{self.config.sign_in.prefix}/"

    def start(self, ready: Callable[[], bool]) -> None:
        """Start what runs beside requests. `ready`: whether the gateway can decide about requests."""
        self.pages.start(ready)
        if self.mcp is not None:
            self.mcp.start()

    async def stop(self, keep: Sequence[Built]) -> None:
        """Release everything that is not shared with one of `keep`. Idempotent."""
        await self.sessions.stop([other.sessions for other in keep])
        self.pages.close()
        if self.mcp is not None:
            await self.mcp.stop()
        await self.credentials.stop()
        if self.redis is not None and not any(other.redis is self.redis for other in keep):
            await self.redis.close()
        if not any(other.threads is self.threads for other in keep):
            self.threads.close()

    def _same_sessions(self, previous: Built | None) -> Sessions | None:
        """Return the previous sessions if those that they cache are valid under this configuration."""
        if previous is None:
            return None
        now, before = self.config, previous.config
        if (now.cognito, now.sign_in.session) != (before.cognito, before.sign_in.session):
            return None
        # A secret that was removed, perhaps because it leaked, opens no cookie any more; sessions it opened
        # before must not stay cached either.
        kept = now.sign_in.session.store != "cookie" or set(previous._secrets) <= set(self._secrets)
        return previous.sessions if kept else None

    def _new_credentials(self, previous: Built | None) -> CredentialsCache:
        """Return a cache with the credentials of the previous one, if they are for the same pools."""
        same = previous is not None and previous.config.cognito == self.config.cognito
        kept = previous.credentials if previous is not None and same else None
        return CredentialsCache(self.config.cognito, self.threads, previous=kept)

    def _same_redis(self, previous: Built | None) -> Redis | None:
        if previous is None:
            return None
        now, before = self.config.sign_in.session, previous.config.sign_in.session
        same = _redis_of(now) == _redis_of(before)
        return previous.redis if same else None

    def _new_redis(self, log: Logger) -> Redis | None:
        session = self.config.sign_in.session
        if session.redis_url is None or session.store == "memory":
            return None
        return Redis(session.redis_url, password_file=session.redis_password_file, log=log)

    def _new_door(
        self,
        sealed: SealedTokens | None,
        ended: EndedSignIns,
        users: Users,
        prover: Prover,
        log: Logger,
    ) -> FrontDoor | None:
        """None: no MCP client signs in here."""
        mcp = self.config.mcp
        if mcp is None or sealed is None:
            return None
        return FrontDoor(
            self.config,
            mcp,
            tokens=sealed,
            codes=self._codes,
            ending=GrantEnds(
                ended,
                None if self.redis is None else SharedEnds(self.redis, ended),
                self.sessions.revoking,
                self.config.cognito.max_token_size,
                log,
            ),
            users=users,
            prover=prover,
            metrics=self._metrics,
            log=log,
        )

    def _same_codes(self, previous: Built | None) -> Codes | None:
        """Those in memory outlive a reload, as their clients do."""
        if previous is None or self.redis is not None or not isinstance(previous._codes, MemoryCodes):
            return None
        return previous._codes

    def _new_codes(self) -> Codes:
        return MemoryCodes() if self.redis is None else RedisCodes(self.redis)

    def _same_store(self, previous: Built | None) -> Store | None:
        """Return the previous memory store. Other stores hold no state and are rebuilt, perhaps with new
        keys."""
        if previous is None or self.config.sign_in.session.store != "memory":
            return None
        return previous.store if isinstance(previous.store, MemoryStore) else None

    def _new_store(self, sealers: Sealers) -> Store:
        kept = self.config.sign_in.session.store
        if kept == "memory":
            return MemoryStore()
        if self.redis is None:
            return CookieStore(sealers.session, self.ended)
        # Optional dependency: loaded only if configured.
        from gateway.sessions.redis_store import RECHECK, RedisStore  # noqa: PLC0415
        from gateway.sessions.replicas import SharedEnded  # noqa: PLC0415

        if kept == "redis":
            return RedisStore(self.redis)
        return CookieStore(sealers.session, self.ended, SharedEnded(self.redis), recheck=RECHECK)


def _redis_of(session: object) -> tuple[object, ...]:
    return tuple(getattr(session, name) for name in ("store", "redis_url", "redis_password_file"))
