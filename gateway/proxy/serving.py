"""A client's requests, served one after the other: judged, forwarded or answered, recorded.

What can be decided without waiting is decided right here in the parser's callback; new tokens are verified at
the end of the event loop's turn (batch.py); a task is started only for the long way.

Invariant: one request at a time, answers in the order of the requests; whatever breaks refuses its request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from gateway.errors import InternalError, Refusal
from gateway.proxy.answers import Answer, render
from gateway.proxy.application import Application, Verdict
from gateway.proxy.batch import Batch
from gateway.proxy.exchange import Exchange, Forward
from gateway.proxy.headers import Scanned
from gateway.proxy.outbox import Outbox
from gateway.proxy.request import Peer, Request
from gateway.proxy.signing import SignedExchange
from gateway.proxy.transport import ClientTransport
from gateway.proxy.upstream import UpstreamConnection
from gateway.verify.authenticate import Verification

if TYPE_CHECKING:
    from aiohttp.http import RawRequestMessage
    from aiohttp.streams import StreamReader

# Heads beyond either are read anew each time: strangers who keep thousands of connections would else have
# thousands of the largest heads kept for them. With these one takes at most 20 KiB.
_KEPT_BYTES = 4096
_KEPT_FIELDS = 32


class Serves(Protocol):
    """Who accepted the connection, as its requests see it."""

    @property
    def app(self) -> Application: ...

    @property
    def draining(self) -> bool: ...

    @property
    def outbox(self) -> Outbox: ...

    @property
    def batch(self) -> Batch: ...


class ServingConnection(ClientTransport):
    """The serving half of a client's connection; its life (connection.py) is built on it."""

    __slots__ = (
        "_app",
        "_exchange",
        "_peer",
        "_request",
        "_said",
        "_serving",
        "_task",
        "address",
        "secure",
        "server",
    )

    def __init__(self, server: Serves, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop, server.outbox, max_head=server.app.config.listen.max_header_size)
        self.server = server
        self.address = ""
        # Whether the client speaks TLS with us.
        self.secure = False
        self._app: Application | None = None
        self._peer: Peer | None = None
        # What the client said last, for it may say the same again.
        self._said: Scanned | None = None
        # Set from the start of a request until its answer is written, whatever way it goes.
        self._request: Request | None = None
        self._exchange: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._serving = False

    # --- what the connection's life answers ---

    def _idle(self) -> None:
        """Nothing is being served any more."""
        raise NotImplementedError

    def _close(self, *, lingering: bool = False) -> None:
        """Close once what was written is sent. Lingering: what still comes in is read and dropped a while."""
        raise NotImplementedError

    def tunnel_started(self, upstream: UpstreamConnection, early: bytes) -> None:
        """The upstream took the upgrade; `early` came behind its answer."""
        raise NotImplementedError

    # --- what an exchange needs (exchange.Client) ---

    @property
    def closing(self) -> bool:
        """Whether the answer that begins now is the last: whole requests before a doubtful one are served."""
        return self.server.draining or (self._broken and not self._queue)

    def failed(self, error: Exception) -> None:
        if self._request is not None and self._app is not None:
            self._app.record.failed(self._request, error)

    def cut(self, refusal: Refusal) -> None:
        if self._request is not None:
            self._request.failure = refusal.reason
        if refusal.limit is not None:
            self.limited(refusal.limit)
        self.abort()

    def limited(self, key: str) -> None:
        self.server.app.record.limited(key)

    def abort(self) -> None:
        """End the connection so that a cut answer cannot look whole."""
        cut = self._exchange is not None and self._exchange.answering
        self._end_request()
        # A reset, for an answer whose end is the connection's would be ended by any other end.
        self.drop(reset=cut)

    # --- one request after the other ---

    def arrived(self) -> None:
        """Serve what is queued until something has to wait. Not re-entered: an answer may come at once."""
        if self._serving:
            return
        self._serving = True
        try:
            # A client that does not read its answers gets no more of them.
            while self._queue and self._request is None and not self._paused and self.transport is not None:
                item = self.next_item()
                if isinstance(item, Refusal):
                    self._refuse_unread(item)
                    return
                self._begin(*item)
        finally:
            self._serving = False
        if self._request is None and self.transport is not None and not self.lingering:
            self._idle()

    def _begin(self, message: RawRequestMessage, body: StreamReader) -> None:
        app = self.server.app
        if app is not self._app or self._peer is None:
            self._app, self._peer, self._said = app, app.peer(self.address, secure=self.secure), None
        request = self._request = Request(self._peer, app.request_ids.next(), time.monotonic())
        app.record.began(request)
        try:
            request.read_head(message, body, self._said)
            if request.head is not self._said:
                self._said = request.head if self._worth_keeping(request) else None
            verdict = app.checks.judge(request)
        except Exception as error:  # noqa: BLE001 - whatever it is, fail closed
            self._stop(request, error)
            return
        if isinstance(verdict, Verification):
            # Over at the end of this turn; the connection's own limit may end at this very moment.
            self.deadline = request.started + app.config.listen.header_timeout
            self.server.batch.add(self, request, verdict)
        else:
            self._follow(app, request, verdict)

    def _follow(self, app: Application, request: Request, verdict: Verdict | None) -> None:
        """Do with a request as was decided; None: not yet, the way there is long."""
        try:
            if isinstance(verdict, Forward):
                if verdict.signer is None:
                    exchange = self._exchange = Exchange(self, request, verdict, app.config)
                    exchange.prepare()
                    connection = app.pool.take(request, request.started)
                    if connection is not None:
                        exchange.start(connection)
                        return
                else:
                    self._exchange = SignedExchange(self, request, verdict, app.config)
            elif verdict is not None:
                self._answer(verdict)
                return
        except Exception as error:  # noqa: BLE001 - whatever it is, fail closed
            self._stop(request, error)
            return
        self._task = self._loop.create_task(self._long_way(app, request))

    def _stop(self, request: Request, error: Exception) -> None:
        """Refuse the request being served, for a reason or for a bug of ours."""
        if isinstance(error, Refusal):
            self.refuse(error)
        elif self._app is not None:
            self._app.record.failed(request, error)
            self.refuse(InternalError())

    # --- a token that is verified together with others (batch.Waiting) ---

    def try_step(self, request: Request, step: Callable[[], None]) -> None:
        if self._request is not request:
            return  # the client left, or a step before this one failed
        try:
            step()
        except Exception as error:  # noqa: BLE001 - whatever it is, fail closed
            self._stop(request, error)

    def verified(self, request: Request, verification: Verification | None) -> None:
        app = self._app
        if self._request is not request or app is None:
            return
        checks = app.checks
        try:
            if verification is not None:
                verdict = checks.judge_verified(request, verification)
            elif isinstance(again := checks.judge(request), Verification):
                # The other one's was not remembered.
                again.prepare()
                verdict = checks.judge_verified(request, again)
            else:
                verdict = again
        except Exception as error:  # noqa: BLE001 - whatever it is, fail closed
            self._stop(request, error)
            return
        self._follow(app, request, verdict)

    def _worth_keeping(self, request: Request) -> bool:
        """Whether what was said is kept while the connection is idle."""
        # A trusted proxy brings requests of many, and forward auth writes into what it said.
        trusted = request.peer.trusted
        return not trusted and self._came_with <= _KEPT_BYTES and len(request.head.raw) <= _KEPT_FIELDS

    async def _long_way(self, app: Application, request: Request, *, again: bool = False) -> None:
        """What has to be waited for: keys, a page, a signature, a connection to the upstream.

        `again`: not one of the idle connections, which may all be as dead; and never a third time.
        """
        try:
            # Nothing expires meanwhile but what the waits below limit themselves.
            self.deadline = float("inf")
            if self._exchange is None:
                verdict = await app.checks.judge_slowly(request)
                if isinstance(verdict, Answer):
                    self._answer(verdict)
                    return
                made = Exchange if verdict.signer is None else SignedExchange
                self._exchange = made(self, request, verdict, app.config)
                if verdict.signer is None:
                    self._exchange.prepare()
            if isinstance(self._exchange, SignedExchange) and not again:
                await self._exchange.sign()
            connection = None if again else app.pool.take(request, time.monotonic())
            if connection is None:
                connection = await app.pool.connect(request)
            if again:
                connection.reused = False
            self._exchange.start(connection)
        except Exception as error:  # noqa: BLE001 - whatever it is, fail closed
            self._stop(request, error)

    def redo(self) -> None:
        """Send the request again, on a connection that is new: a reused one had died in silence."""
        request, app = self._request, self._app
        if request is not None and app is not None:
            self._task = self._loop.create_task(self._long_way(app, request, again=True))

    # --- how a request ends ---

    def refuse(self, refusal: Refusal) -> None:
        """Answer the request being served with a refusal."""
        request, app = self._request, self._app
        if request is None or app is None:
            return
        self._answer(app.record.refuse(request, refusal))

    def _answer(self, answer: Answer) -> None:
        """Answer the request being served with an answer of our own."""
        request = self._request
        if request is None:
            return
        # A body that is still on its way would be taken for the next request.
        whole = request.body.is_eof()
        keep_alive = request.keep_alive and whole and not answer.close and not self.closing
        request.status = answer.status
        head_only = (request.wire_method or request.method) == "HEAD"
        request.response_bytes = 0 if head_only else len(answer.body)
        more = request.answer_lines
        if request.peer.cors is not None:
            more += request.peer.cors.own_lines(request, answer)
        data = render(answer, keep_alive=keep_alive, http10=request.http10, head_only=head_only, more=more)
        self.post(data)
        if answer.close:
            # Who sends what cannot be understood may well go on sending.
            self._end_request()
            self._close(lingering=True)
        else:
            self.exchange_ended(keep_alive=keep_alive)

    def exchange_ended(self, *, keep_alive: bool) -> None:
        """The answer is written: on to the next request, or close."""
        whole = self._request is None or self._request.body.is_eof()
        self._end_request()
        if not keep_alive:
            self._close(lingering=not whole)
        elif self._queue:
            self.arrived()
        elif not self._serving and self.transport is not None and not self.lingering:
            self._idle()

    def _end_request(self) -> None:
        request, app, task = self._request, self._app, self._task
        self._request = self._exchange = self._task = None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        if request is not None and app is not None:
            app.record.ended(request)

    def _refuse_unread(self, refusal: Refusal) -> None:
        """Answer a request whose head never came whole: nothing is known of it."""
        app = self.server.app
        peer = app.peer(self.address, secure=self.secure)
        request = Request(peer, app.request_ids.next(), time.monotonic())
        app.record.began(request)
        answer = app.record.refuse(request, refusal)
        request.status = answer.status
        request.response_bytes = len(answer.body)
        self.write(render(answer, keep_alive=False, http10=False, head_only=False))
        app.record.ended(request)
        self._close(lingering=True)
