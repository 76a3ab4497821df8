"""A client's connection: heads parsed by aiohttp's request parser, requests served in order, limits kept.

aiohttp's own `RequestHandler` is not used: it starts a task and builds a request and a response object for
each request, which costs more than all this gateway does with one (docs/performance.md). What can be decided
without waiting is decided right here in the parser's callback; a task is started only for the long way.

Invariant: one request at a time, answers in the order of the requests; after a head or body whose framing is
in doubt nothing more is read from this connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from gateway.errors import InternalError, Refusal, SlowClient, TooManyConnections
from gateway.proxy.answers import Answer, render
from gateway.proxy.application import Application, Verdict
from gateway.proxy.batch import Batch
from gateway.proxy.exchange import Exchange, Forward
from gateway.proxy.headers import Scanned
from gateway.proxy.outbox import Outbox
from gateway.proxy.request import Peer, Request
from gateway.proxy.signing import SignedExchange
from gateway.proxy.transport import ClientTransport
from gateway.proxy.tunnel import GOING_AWAY, Tunnel, tunnel_for
from gateway.proxy.upstream import UpstreamConnection
from gateway.verify.authenticate import Verification

if TYPE_CHECKING:
    from aiohttp.http import RawRequestMessage
    from aiohttp.streams import StreamReader

# Heads beyond either are read anew each time: strangers who keep thousands of connections would else have
# thousands of the largest heads kept for them. With these one takes at most 20 KiB.
_KEPT_BYTES = 4096
_KEPT_FIELDS = 32
# A client that owes nothing but the closure alert of TLS delays the exit for so long.
_GOODBYE = 1.0


class Server(Protocol):
    """Who accepted the connection."""

    @property
    def app(self) -> Application: ...

    @property
    def connections(self) -> set[ClientConnection]: ...

    @property
    def draining(self) -> bool: ...

    @property
    def outbox(self) -> Outbox: ...

    @property
    def batch(self) -> Batch: ...


class ClientConnection(ClientTransport):
    """One client. Created for each accepted connection; lives in `server.connections` until it is lost."""

    __slots__ = (
        "_app",
        "_exchange",
        "_peer",
        "_request",
        "_said",
        "_serving",
        "_task",
        "_tunnel",
        "address",
        "secure",
        "server",
    )

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
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
        # Set after a 101; then this connection only carries bytes.
        self._tunnel: Tunnel | None = None
        self._serving = False

    def __repr__(self) -> str:
        state = "lost" if self.transport is None else "idle" if self._request is None else "serving"
        return f"<ClientConnection {state}>"

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

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peername = transport.get_extra_info("peername")
        # A unix socket has no peer address; whoever may open it is as near as loopback.
        self.address = peername[0] if isinstance(peername, tuple) else "127.0.0.1"
        self.secure = transport.get_extra_info("ssl_object") is not None
        connections, listen = self.server.connections, self.server.app.config.listen
        connections.add(self)
        self.deadline = time.monotonic() + listen.header_timeout
        if listen.max_connections and len(connections) > listen.max_connections:
            self.refuse_next(TooManyConnections(f"more than {listen.max_connections} connections"))

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self.server.connections.discard(self)
        tunnel, self._tunnel = self._tunnel, None
        if tunnel is not None:
            tunnel.client_gone()
        elif self._exchange is not None:
            self._exchange.client_gone()
        if self._request is not None:
            if tunnel is None:
                self._request.failure = "client_gone"
            self._end_request()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._tunnel is not None:
            self._tunnel.client_drained()
        elif self._exchange is not None:
            self._exchange.client_drained()
        else:
            self.arrived()

    def eof_received(self) -> bool:
        """The client sends nothing more: gone, unless half of a tunnel (nginx sees it the same way)."""
        if self._tunnel is None or self.transport is None or not self.transport.can_write_eof():
            return False
        self._tunnel.client_eof()
        return True

    # --- what reading tells (reading.RequestReader) ---

    def max_head(self) -> int:
        return self.server.app.config.listen.max_header_size

    def head_began(self) -> None:
        if self._request is None:
            self.deadline = time.monotonic() + self.server.app.config.listen.header_timeout

    def body_broke(self, refusal: Refusal) -> bool:
        if self._exchange is None or not self._exchange.uploading:
            return False
        self._exchange.body_failed(refusal)
        return True

    def behind_upgrade(self, data: bytes) -> bool:
        if self._tunnel is None:
            return False
        self._tunnel.client_data(data)
        return True

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

    def _idle(self) -> None:
        if self.server.draining and not self._queue:
            self._close()
            return
        listen = self.server.app.config.listen
        # A head that began while the request before it was served has its time from now on.
        wait = listen.header_timeout if self._head_bytes else listen.idle_timeout
        self.deadline = time.monotonic() + wait

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
                    connection = app.pool.take()
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
            connection = (None if again else app.pool.take()) or await app.pool.connect()
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

    def _close(self, *, lingering: bool = False) -> None:
        """Close once what was written is sent. Lingering: what still comes in is read and dropped a while."""
        self._broken = True
        self._queue.clear()
        if lingering:
            self.linger()
        else:
            # TLS waits for the client's closure alert meanwhile, TCP for a client that reads slowly.
            owed = self.unsent or not self.server.draining
            self.close_within(self.server.app.config.listen.idle_timeout if owed else _GOODBYE)

    # --- a tunnel (tunnel.TunnelClient) ---

    def tunnel_started(self, upstream: UpstreamConnection, early: bytes) -> None:
        request, app = self._request, self._app
        if request is None or app is None:
            upstream.abort()
            return
        self._exchange = None
        # Not the parser's any more, whether or not it saw the upgrade coming.
        self._upgraded = True
        # Looked at by the newest configuration: one that was replaced asks Cognito no more in the end.
        holds = partial(self._holds, request)
        tunnel = self._tunnel = tunnel_for(self, upstream, request.principal, app.config, holds=holds)
        upstream.tunnel_to(tunnel)
        if early:
            tunnel.upstream_data(early)
        early, self._early = self._early, b""
        if early:
            tunnel.client_data(early)
        self.resume_client()

    def _holds(self, request: Request) -> bool:
        return self.server.app.checks.holds(request)

    def tunnel_ended(self, *, broken: bool) -> None:
        # From now on a connection that closes as any other: the tunnel has no say over its deadline.
        self._tunnel = None
        self._end_request()
        if broken:
            self.abort()
        else:
            self._close()

    # --- time and shutdown ---

    def expired(self) -> None:
        """`deadline` has passed (the worker's sweep calls this)."""
        if self._tunnel is not None:
            self._tunnel.expired()
        elif self.still_sending():
            self.deadline = time.monotonic() + self.server.app.config.listen.idle_timeout
        elif self._exchange is not None:
            self._exchange.expired()
        elif self._broken:
            # Closing: nobody is owed an answer.
            self.abort()
        elif self._head_bytes:
            self.refuse_next(SlowClient("head not complete in time", limit="listen.header_timeout"))
        else:
            # Idle, or never said a word.
            self.limited("listen.header_timeout" if self._app is None else "listen.idle_timeout")
            self.abort()

    def drain(self) -> None:
        """The server stops: close if idle; a request being served is finished first."""
        if self._tunnel is not None:
            self._tunnel.close(GOING_AWAY)
        elif self._request is None and not self._queue and not self.lingering:
            self._close()
