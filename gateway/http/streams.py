"""The open WebSockets and event streams of one process, by user, so that a sign-out can end them.

A stream registers when it begins and leaves when it ends. A sign-out seen by another worker arrives through
the supervisor (serve/worker_main.py); it is remembered, because a request from before it may become a stream
later.

Invariant: after `end`, no stream continues that the sign-out covers and whose request began before it.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gateway.config.model import Config
from gateway.errors import InvalidToken, SignedOut, TokenExpired, TokenRevoked

if TYPE_CHECKING:
    from gateway.tokens.principal import Principal

# Users whose sign-outs are remembered for streams that have yet to begin, 1 KB each, and how many of each. If
# more users sign out while a request waits for its response head, its stream lives until the token expires.
_REMEMBERED_USERS = 4096
_REMEMBERED_SIGN_OUTS = 16


class SignOut(NamedTuple):
    """Which streams end: those of one session, or, if neither is named, all of the user's."""

    pool_id: str
    subject: str
    # A session's ID (sessions/session.py), and the `origin_jti` of its tokens.
    session: str | None = None
    origin_jti: str | None = None
    # time.monotonic(), which all processes of a machine share: streams requested later continue.
    at: float = 0.0


class Opener(Protocol):
    """The request that opens a stream.

    One implementation, because a Request holds its peer, which names the `Streams`: a cycle.
    """

    principal: Principal | None
    credentials: Sequence[bytes]
    # The ID of the session behind the credentials; empty if there is none.
    session: str
    # When the request began, time.monotonic().
    started: float


class Stream(Protocol):
    """A WebSocket or an event stream. Implementations: Tunnel, Exchange."""

    def signed_out(self) -> None:
        """End the stream: its session is over. Raises nothing."""


class StreamEntry:
    """A stream's registration. `leave` is idempotent."""

    __slots__ = ("_key", "_streams", "origin_jti", "session", "started", "stream")

    def __init__(self, streams: Streams, request: Opener, stream: Stream, key: tuple[str, str]) -> None:
        self._streams: Streams | None = streams
        self._key = key
        self.stream = stream
        self.started = request.started
        self.session = request.session or None
        principal = request.principal
        self.origin_jti = None if principal is None else principal.claims.origin_jti

    def covered(self, by: SignOut) -> bool:
        """Return whether this sign-out of the same user ends the stream."""
        if self.started > by.at:
            return False
        if by.session is None and by.origin_jti is None:
            return True
        return (by.session is not None and by.session == self.session) or (
            by.origin_jti is not None and by.origin_jti == self.origin_jti
        )

    def leave(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams.discard(self, self._key)


class Streams:
    """The registry of one process: it outlives configurations, as streams do."""

    def __init__(
        self,
        *,
        holds: Callable[[Sequence[bytes]], bool] = lambda _: True,
        tell: Callable[[SignOut], None] | None = None,
        heard: Callable[[SignOut], None] | None = None,
    ) -> None:
        """`holds`: whether these values of Authorization still let in, by the newest configuration.

        `tell` passes a sign-out here on to the other workers, if there are any; `heard` is called with one
        that another worker saw: the sessions must know of it too (sessions/lifecycle.py).
        """
        self.holds = holds
        self._tell = tell
        self._heard = heard
        self._open: dict[tuple[str, str], set[StreamEntry]] = {}
        self._signed_out: OrderedDict[tuple[str, str], deque[SignOut]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Streams open={len(self)}>"

    def __len__(self) -> int:
        return sum(map(len, self._open.values()))

    def enter(self, request: Opener, stream: Stream) -> StreamEntry | None:
        """Register a stream for sign-outs of the user who opened it; None if it has no user."""
        principal = request.principal
        if principal is None:
            return None
        key = principal.claims.pool_id, principal.claims.subject
        place = StreamEntry(self, request, stream, key)
        self._open.setdefault(key, set()).add(place)
        if any(map(place.covered, self._signed_out.get(key, ()))):
            # Not from within the call that begins the stream.
            asyncio.get_running_loop().call_soon(stream.signed_out)
        return place

    def discard(self, place: StreamEntry, key: tuple[str, str]) -> None:
        places = self._open.get(key)
        if places is not None:
            places.discard(place)
            if not places:
                del self._open[key]

    def end(
        self, pool_id: str, subject: str, *, session: str | None = None, origin_jti: str | None = None
    ) -> None:
        """End the streams of this session, or of the user if no session is named, in all workers."""
        sign_out = SignOut(pool_id, subject, session, origin_jti, time.monotonic())
        self.end_here(sign_out)
        if self._tell is not None:
            self._tell(sign_out)

    def hear(self, sign_out: SignOut) -> None:
        """End the streams of a sign-out that another worker saw."""
        self.end_here(sign_out)
        if self._heard is not None:
            self._heard(sign_out)

    def end_here(self, sign_out: SignOut) -> None:
        """End the streams of a sign-out in this process only."""
        key = sign_out.pool_id, sign_out.subject
        self._signed_out.setdefault(key, deque(maxlen=_REMEMBERED_SIGN_OUTS)).append(sign_out)
        self._signed_out.move_to_end(key)
        if len(self._signed_out) > _REMEMBERED_USERS:
            self._signed_out.popitem(last=False)
        for place in list(self._open.get(key, ())):
            if place.covered(sign_out):
                place.stream.signed_out()


class Lease:
    """How long an event stream may continue: until its token expires or is revoked."""

    __slots__ = (
        "_credentials",
        "_every",
        "_expires_at",
        "_holds",
        "_look_at",
        "_place",
        "_quiet_until",
        "counted",
    )

    def __init__(
        self, request: Opener, stream: Stream, config: Config, streams: Streams, *, counted: bool
    ) -> None:
        """For a request with a principal; `counted`: the response announced its length."""
        self.counted = counted
        principal = request.principal
        assert principal is not None, "checked by the caller"
        self._credentials = request.credentials
        self._holds = streams.holds
        self._place = streams.enter(request, stream)
        self._expires_at = float("inf")
        if config.upstream.streams_end_with_token:
            self._expires_at = principal.claims.expires_at + config.cognito.clock_leeway
        every = config.cognito.revocation.check_every
        # As in tunnel.tunnel_for: the user's other requests are refused within check_every.
        self._every = float("inf") if every is None else every / 10
        self._look_at = time.monotonic() + self._every
        self._quiet_until = 0.0

    def wait(self, quiet_until: float) -> float:
        """Return the next deadline of a wait that times out at `quiet_until` (time.monotonic())."""
        self._quiet_until = quiet_until
        return min(quiet_until, self._look_at, time.monotonic() + max(self._expires_at - time.time(), 0.0))

    def over(self) -> InvalidToken | None:
        """Return at a deadline why the stream has to end, or None."""
        if time.time() >= self._expires_at:
            return TokenExpired("the stream's token expired")
        if time.monotonic() >= self._look_at:
            if not self._holds(self._credentials):
                return TokenRevoked("the stream's token was revoked")
            self._look_at = time.monotonic() + self._every
        return None

    def again(self) -> float | None:
        """Return at a deadline the next one, or None if the wait timed out."""
        return None if time.monotonic() >= self._quiet_until else self.wait(self._quiet_until)

    def end(self) -> None:
        if self._place is not None:
            self._place.leave()


def signed_out() -> SignedOut:
    return SignedOut("the session that opened the stream was signed out")
