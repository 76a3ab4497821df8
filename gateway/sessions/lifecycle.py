"""The life of sessions, from sign-in to sign-out, and their look-up by a request's cookies.

`recognise` is the fast path, for cookies seen before; `find` is the slow one: it unseals or looks up, and
renews when due. Both return what a bearer client would have sent, so that a session's tokens pass the same
checks and caches as any other token. Invariant: only verified tokens make a session, each sign-in makes a new
one, and an ended session authenticates nobody here from that moment on.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from gateway.aws.values import Tokens
from gateway.config.model import Config, UserPool
from gateway.errors import SessionsUnavailable
from gateway.http.request import Request
from gateway.http.streams import SignOut, Streams
from gateway.observe.logs import Logger
from gateway.observe.metrics import WorkerMetrics
from gateway.sessions import session_cookies
from gateway.sessions.active import Live
from gateway.sessions.cognito import Users
from gateway.sessions.cookies import Cookies, beginning
from gateway.sessions.ended import Ended
from gateway.sessions.ending import Ending, SignOutResult
from gateway.sessions.page_request import PageRequest
from gateway.sessions.proof import Prover
from gateway.sessions.renewing import Renewing
from gateway.sessions.replicas import StoreUnavailable
from gateway.sessions.revoking import Revoking
from gateway.sessions.session import Session
from gateway.sessions.stores import Store

Result = TypeVar("Result")

# Sessions cached by cookie, 6 KiB each. A miss costs one unsealing per request, 50 µs.
_REMEMBERED = 1024
# Seconds a request waits for new tokens while the old ones are valid, and when they are not: Cognito takes
# 0.1 s, and one attempt of its adapter times out after 20 (gateway/aws/cognito_client.py makes two).
_PATIENCE, _LONG_PATIENCE = 5.0, 25.0
# Seconds between a failed renewal and the next attempt.
_RETRY = 5.0
# Seconds for renewals in progress at shutdown: Cognito may already have used up the old refresh token.
_GRACE = 2.0
_ID_BYTES = 16
# Seconds. A sign-out of all sessions covers those that began before it, and other workers convert its time
# between two clocks: the session that goes on begins clearly later.
_APART = 0.1


class Sessions:
    """The sessions of one configuration. Owns the renewals in progress."""

    def __init__(
        self,
        config: Config,
        store: Store,
        users: Users,
        prover: Prover,
        *,
        ended: Ended,
        streams: Streams,
        metrics: WorkerMetrics,
        log: Logger,
        previous: Sessions | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`previous`: sessions of a configuration with the same session settings; they and their renewals in
        progress are adopted.
        """
        self._pools = {pool.id: pool for pool in config.cognito.sign_in_pools}
        self._max_age = config.sign_in.session.max_age
        self._base = base = config.sign_in.session.cookie_name
        # The prefixes of session cookies, by whether the browser uses https.
        self._starts = {
            secure: (beginning(base, secure=secure) + session_cookies.COOKIE).encode("ascii")
            for secure in (False, True)
        }
        self._store = store
        self._prover = prover
        self._ended = ended
        self._streams = streams
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self.renewing = Renewing(store, users, prover, clock)
        self.revoking = Revoking(users, log)
        # By the digest of the cookies: the session, and the ticket they carried.
        self._seen: OrderedDict[bytes, tuple[Live, str]] = (
            OrderedDict() if previous is None else previous._seen
        )
        # All sessions in `_seen`, by ID: a sign-out has to find them.
        self.live: WeakValueDictionary[str, Live] = (
            WeakValueDictionary() if previous is None else previous.live
        )
        self._tasks: set[asyncio.Task[Any]] = set() if previous is None else previous._tasks
        self._ending: Ending = Ending(
            store,
            self.revoking,
            ended,
            drop=self._drop,
            spawn=self._task,
            max_age=self._max_age,
            metrics=metrics,
            log=log,
            previous=None if previous is None else previous._ending,
            clock=clock,
        )

    async def stop(self, keep: Sequence[Sessions] = ()) -> None:
        """Stop tasks in progress, unless one of `keep` shares them. Idempotent."""
        if any(other._tasks is self._tasks for other in keep):
            return
        tasks = set(self._tasks)
        if tasks:
            _, tasks = await asyncio.wait(tasks, timeout=_GRACE)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._ending.stop()

    # --- look-up ---

    def recognise(self, request: Request, *, secure: bool, now: float) -> list[bytes] | None:
        """Return the Authorization values for this request's cookies, if nothing has to be awaited."""
        digest = self._digest(request, secure=secure)
        seen = self._seen.get(digest)
        if seen is None:
            return None
        live, ticket = seen
        authorization = live.authorization(now)
        if authorization is not None:
            self._seen.move_to_end(digest)
            request.session = live.id
            if ticket != live.ticket:
                self._hand_over(request, live, secure=secure, now=now)
        return authorization

    def known(self, request: Request, *, secure: bool) -> Session | None:
        """Return the session of cookies seen before, without any other effect."""
        seen = self._seen.get(self._digest(request, secure=secure))
        return None if seen is None else seen[0].session

    async def find(self, request: Request, *, secure: bool, our_page: bool = False) -> Session | None:
        """Return the session of this request's cookies, with valid tokens. Raises SessionsUnavailable.

        A renewed ticket is sent with the response (request.answer_lines). `our_page`: also clear cookies of
        sessions that are over.
        """
        cookies = self._cookies(request, secure=secure)
        sent = session_cookies.sent(cookies)
        live = dead = None
        if sent is not None:
            live, over = await self._found(request, *sent, secure=secure)
            dead = sent[0] if over else None
        if our_page:
            request.answer_lines += b"".join(session_cookies.left_over(cookies, dead=dead))
        if live is None or sent is None:
            return None
        request.session = live.id
        if live.ticket != sent[1]:
            self._hand_over(request, live, secure=secure, now=self._clock())
        return live.session

    async def _found(
        self, request: Request, name: str, ticket: str, *, secure: bool
    ) -> tuple[Live | None, bool]:
        """Return the live session of this name and ticket; or None, and whether one of ours is over."""
        digest, now = self._digest(request, secure=secure), self._clock()
        live = await self._looked_up(digest, name, ticket, now)
        if live is None:
            return None, self._store.made(ticket)
        if now >= live.due:
            await self._renew(live, now)
            now = self._clock()
        alive = live.alive(now)
        if alive or live.may_come_back(now):
            # Also where Cognito did not respond: otherwise each request would ask it again.
            self._remember(digest, live, ticket)
        return (live, False) if alive else (None, not live.may_come_back(now))

    def bearer(self, session: Session) -> list[bytes]:
        """Return the Authorization values for a session just found."""
        live = self.live.get(session.id)
        return self._bearer_of(session) if live is None or live.session is None else live.bearer

    def access_of(self, id_token: bytes) -> bytes | None:
        """Return the access token that came with an ID token, if a session in use here has both.

        Called when an ID token is verified, not when it is cached: so a linear search suffices.
        """
        text = id_token.decode("latin-1")
        for live in list(self.live.values()):
            if live.session is not None and live.session.id_token == text:
                # In an idle session it may have expired before the ID token: then it cannot be used.
                return live.session.access.encode("ascii") if self._clock() < live.session.expires else None
        return None

    async def _looked_up(self, digest: bytes, name: str, ticket: str, now: float) -> Live | None:
        seen = self._seen.get(digest)
        known = seen[0] if seen is not None else None
        if self._ending.covers(ticket):
            return None  # not yet recorded in the store
        try:
            session = await self._store.find(ticket, now=now)
        except StoreUnavailable as unavailable:
            if known is not None and known.alive(now):
                # Its tokens were valid a moment ago and still are: a restart of the store signs nobody out.
                known.wait_until(now + _RETRY)
                return known
            raise SessionsUnavailable(str(unavailable)) from None
        if session is not None and session_cookies.name_of(session) != name:
            return None  # the ticket belongs to another session than the browser's
        if session is not None and self._ended.covers(session):
            return None
        if session is None or self._pools.get(session.pool_id) is None or now >= self._ends(session):
            if known is not None:
                known.ended()
            return None
        return self._known(session, ticket, now)

    def _known(self, session: Session, ticket: str, now: float) -> Live:
        """Return the one object for this session, with the newer of the known and the given tokens."""
        uses_id, checked = self._uses_id(session), now + self._store.recheck
        live = self.live.get(session.id)
        if live is None or live.session is None:
            live = Live(session, ticket, uses_id=uses_id, ends=self._ends(session), checked=checked)
            self.live[session.id] = live
            return live
        if session.renewed > live.session.renewed:
            live.take(session, ticket, uses_id=uses_id, checked=checked)
        elif live.renewal is None:
            live.take(live.session, live.ticket, uses_id=uses_id, checked=checked)
        else:
            live.wait_until(checked)
        return live

    def _remember(self, digest: bytes, live: Live, ticket: str) -> None:
        # The same object where equal: identity is faster to compare than 5,000 characters.
        self._seen[digest] = live, live.ticket if ticket == live.ticket else ticket
        self._seen.move_to_end(digest)
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    def _hand_over(self, request: Request, live: Live, *, secure: bool, now: float) -> None:
        """Send the browser the ticket that replaced its own."""
        if live.session is not None:
            left = self._ends(live.session) - now
            cookies = self._cookies(request, secure=secure)
            lines = session_cookies.renewed(cookies, live.session, live.ticket, max_age=left)
            request.answer_lines += b"".join(lines)

    # --- renewing ---

    async def _renew(self, live: Live, now: float) -> None:
        session = live.session
        if session is None or (live.renewal is None and now < live.renew_at):
            return
        if live.renewal is None:
            # Meanwhile other requests use the current tokens, and check for sign-outs elsewhere as usual.
            live.wait_until(now + self._store.recheck)
            live.renewal = self._task(self._renewed(live, session))
        patience = _PATIENCE if live.alive(now) else _LONG_PATIENCE
        done, _ = await asyncio.wait((live.renewal,), timeout=patience)
        for task in done:
            if not task.cancelled():  # at shutdown
                task.result()

    async def _renewed(self, live: Live, session: Session) -> None:
        pool = self._pools[session.pool_id]
        try:
            until = self._ends(session)
            outcome = await self.renewing.renew(session, live.ticket, pool, until=until)
        finally:
            live.renewal = None
            now = self._clock()
            live.retry_at = now + _RETRY
            live.wait_until(min(live.retry_at, now + self._store.recheck))
        if live.session is None:
            return  # signed out during the renewal
        self._metrics.session_renewals[outcome.result] += 1
        if outcome.result in {"refused", "failure"}:
            self._log.event(
                "refresh_failed",
                level="warning",
                pool=session.pool_id,
                subject=session.subject,
                result=outcome.result,
                exact=outcome.exact,
            )
        if outcome.session is None:
            await self._ending.over(live.ticket, session)
            self._metrics.sessions["expired"] += 1
        elif outcome.session is not session:
            live.retry_at = 0.0
            checked = self._clock() + self._store.recheck
            live.take(outcome.session, outcome.ticket, uses_id=self._uses_id(session), checked=checked)

    async def refresh(self, request: Request, session: Session, secure: bool) -> Session | None:
        """Renew a session now; return it with its new tokens, or None if Cognito issues none."""
        live = self.live.get(session.id)
        if live is None or live.session is None or not live.session.refresh:
            return None
        before = live.session.renewed
        if live.renewal is None:
            live.renewal = self._task(self._renewed(live, live.session))
        await asyncio.wait((live.renewal,), timeout=_LONG_PATIENCE)
        # Gone if it has ended meanwhile.
        now = self.live.get(session.id)
        if now is None or now.session is None or now.session.renewed <= before:
            return None
        self._hand_over(request, live, secure=secure, now=self._clock())
        return live.session

    def goes_on(self, session: Session) -> bool:
        """Return whether a session has not ended since it was found."""
        live = self.live.get(session.id)
        return live is not None and live.session is not None

    def _task(self, work: Coroutine[None, None, Result]) -> asyncio.Task[Result]:
        """Start a task that continues when its requester is cancelled; owned by this object."""
        task = asyncio.create_task(work, name="session")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- sign in, sign out ---

    async def begin(self, page: PageRequest, pool: UserPool, tokens: Tokens) -> Session:
        """Start a session with tokens that Cognito has just issued to this browser, and end its old one.

        Its cookies are added to the page's response. Raises InvalidToken, NoKeys or SessionsUnavailable.
        """
        session = await self._made(pool, tokens)
        try:
            ticket = await self._store.keep(session, until=self._ends(session))
        except StoreUnavailable as unavailable:
            raise SessionsUnavailable(str(unavailable)) from None
        before = session_cookies.sent(page.cookies)
        if before is not None:
            # Against session fixation (OWASP): the browser's previous session becomes invalid.
            await self._ending.end_ticket(before[1])
        page.set_cookies += session_cookies.begun(page.cookies, session, ticket, max_age=self._max_age)
        page.session = session
        self._metrics.sessions["signed_in"] += 1
        self._log.event(
            "sign_in",
            request_id=page.request_id,
            client=page.client,
            pool=pool.id,
            subject=session.subject,
        )
        return session

    async def _made(self, pool: UserPool, tokens: Tokens) -> Session:
        # Not the request's time: a global sign-out by this very request has to be earlier.
        now = self._clock()
        proven = await self._prover.pair(pool, tokens.access, tokens.id, now=now)
        return Session(
            id=secrets.token_hex(_ID_BYTES),
            pool_id=pool.id,
            client_id=proven.access.client_id,
            subject=proven.access.subject,
            username=proven.access.username or proven.access.subject,
            created=now,
            renewed=now,
            expires=min(proven.access.expires_at, proven.id.expires_at),
            access=tokens.access,
            id_token=tokens.id,
            refresh=tokens.refresh,
            device_key=tokens.device_key,
        )

    async def end_all(self, page: PageRequest, pool: UserPool, tokens: Tokens) -> bool:
        """Sign the user of these tokens out everywhere, including these; return whether Cognito did.

        Raises InvalidToken or NoKeys.
        """
        return await self._ending.everywhere(page, await self._made(pool, tokens))

    async def end_others(self, page: PageRequest) -> bool:
        """End all sessions of the page's user in this gateway but this browser's, which gets a new one with
        the same tokens; return whether the store has recorded its end. Cognito is not told.

        Raises SessionsUnavailable; then this browser's has ended too.
        """
        session, sent = page.session, session_cookies.sent(page.cookies)
        assert session is not None, "only signed-in users have others"
        assert sent is not None, "the session came with its cookies"
        stored = await self._ending.over(sent[1], session, everywhere=True)
        new = replace(session, id=secrets.token_hex(_ID_BYTES), created=self._clock() + _APART)
        try:
            ticket = await self._store.keep(new, until=self._ends(new))
        except StoreUnavailable as unavailable:
            raise SessionsUnavailable(str(unavailable)) from None
        page.set_cookies += session_cookies.begun(page.cookies, new, ticket, max_age=self._max_age)
        page.session = new
        return stored

    def others(self, session: Session) -> list[Session]:
        """Return the other sessions of this session's user that this process has in use."""
        user = session.pool_id, session.subject
        found = [live.session for live in list(self.live.values()) if live.session is not None]
        return [each for each in found if (each.pool_id, each.subject) == user and each.id != session.id]

    async def end_other(self, session: Session) -> None:
        """End a session that `others` returned, which Cognito has ended; what the store cannot record now is
        retried."""
        live = self.live.get(session.id)
        if live is not None and live.session is not None:
            await self._ending.over(live.ticket, live.session)

    async def sign_out(self, page: PageRequest, *, everywhere: bool = False) -> SignOutResult:
        """End the browser's session here, whatever is unavailable; return what else was reached.

        Raises nothing.

        `everywhere`: all of the user's sessions and tokens.
        """
        return await self._ending.sign_out(page, everywhere=everywhere)

    async def end(self, page: PageRequest, *, everywhere: bool = False) -> bool:
        """Sign out like `sign_out`; return whether Cognito did what was requested."""
        return (await self.sign_out(page, everywhere=everywhere)).revoked

    def heard(self, sign_out: SignOut) -> None:
        """Apply a sign-out seen by another worker of this gateway."""
        if sign_out.session is not None:
            self._ended.add(sign_out.session)
        elif sign_out.origin_jti is None:
            # Converts monotonic time to Unix time by the present value of both clocks.
            at = self._clock() - (time.monotonic() - sign_out.at)
            self._ended.add_user(sign_out.pool_id, sign_out.subject, at=at)
        for live in list(self.live.values()):
            if live.session is not None and self._ended.covers(live.session):
                live.ended()

    def _drop(self, session: Session, everywhere: bool) -> None:
        """Drop the session from those in use, and end its streams; `everywhere`: all of the user's."""
        for live in list(self.live.values()):
            if live.session is not None and self._ended.covers(live.session):
                live.ended()
        # Without revocation its WebSockets and event streams would otherwise last as long as the token.
        self._streams.end(session.pool_id, session.subject, session=None if everywhere else session.id)

    # --- configuration ---

    def _ends(self, session: Session) -> float:
        return session.created + self._max_age

    def _uses_id(self, session: Session) -> bool:
        pool = self._pools.get(session.pool_id)
        return pool is not None and "access" not in pool.token_use

    def _bearer_of(self, session: Session) -> list[bytes]:
        token = session.id_token if self._uses_id(session) else session.access
        return [b"Bearer " + token.encode("ascii")]

    # --- cookies ---

    def _cookies(self, request: Request, *, secure: bool) -> Cookies:
        return Cookies(request.head.own_cookies, secure=secure, base=self._base)

    def _digest(self, request: Request, *, secure: bool) -> bytes:
        """Return a digest of the session's cookies only: our other cookies make no difference."""
        start = self._starts[secure]
        mine = [pair for pair in request.head.own_cookies if pair.startswith(start)]
        return sha256(b";".join(mine)).digest()

    def __repr__(self) -> str:
        return f"<Sessions in {self._store!r}>"
