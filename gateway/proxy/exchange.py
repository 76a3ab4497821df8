"""One request through to the upstream and its answer back, streaming both ways with back-pressure.

The answer's head and what came of its body in the same read go to the client in one write. A request body
that had not arrived whole with its head is pumped by a task that the exchange owns.

Invariant: an answer that ended early is never shown as whole (the client's connection is aborted), and
whatever ends an exchange (answer, failure, client gone, time limit) ends it once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Literal, Protocol

from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from gateway.config.model import Config
from gateway.errors import BadRequest, BodyTooLarge, InternalError, Refusal, SlowClient, UpstreamSilent
from gateway.proxy.answers import connection_line, private
from gateway.proxy.headers import bearer_free, upstream_head
from gateway.proxy.outbox import Outbox
from gateway.proxy.parser import BodyBroken
from gateway.proxy.request import Request, RequestSigner
from gateway.proxy.upstream import UpstreamConnection
from gateway.proxy.upstream_reading import AnswerHead

# RFC 9110 section 9.2.2: doing these twice has the effect of once.
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})

# How long an upstream that was asked `Expect: 100-continue` may think before the client is told to go on
# (RFC 9110 section 10.1.1 leaves it to us; curl gives up waiting after 1 s as well).
CONTINUE_AFTER = 1.0


class Client(Protocol):
    """The client's connection, as an exchange sees it."""

    # When the connection's current wait ends, time.monotonic(); whoever begins a wait sets it.
    deadline: float

    @property
    def writable(self) -> bool: ...

    @property
    def closing(self) -> bool: ...

    @property
    def outbox(self) -> Outbox: ...

    def write(self, data: bytes) -> None: ...

    def post(self, data: bytes) -> None: ...

    def cut(self, refusal: Refusal) -> None:
        """End the connection so that an answer that has begun cannot look whole."""

    def refuse(self, refusal: Refusal) -> None: ...

    def failed(self, error: Exception) -> None:
        """A bug of ours came up; the refusal follows."""

    def redo(self) -> None: ...

    def exchange_ended(self, *, keep_alive: bool) -> None: ...

    def tunnel_started(self, upstream: UpstreamConnection, early: bytes) -> None: ...


class Forward:
    """The verdict that a request may go on, and with what."""

    __slots__ = ("authorization", "identity")

    # None: nothing has to be signed, as nearly everywhere (signing.SignedForward).
    signer: RequestSigner | None = None

    def __init__(self, identity: bytes, authorization: Literal["all", "other", "none"]) -> None:
        # Header lines that say who the principal is.
        self.identity = identity
        # Which Authorization values travel on; `other`: those that are no bearer token.
        self.authorization = authorization


class Exchange:
    """One forwarded request. Hears the upstream's answer (AnswerListener) and writes it to the client."""

    __slots__ = (
        "_chunked_out",
        "_client",
        "_config",
        "_continue",
        "_ended",
        "_forward",
        "_keep_alive",
        "_opening",
        "_pump",
        "_repeatable",
        "_request",
        "_room",
        "_upstream",
        "answering",
        "uploading",
    )

    def __init__(self, client: Client, request: Request, forward: Forward, config: Config) -> None:
        self._client = client
        self._request = request
        self._forward = forward
        self._config = config
        self._upstream: UpstreamConnection | None = None
        self._opening = b""
        self._pump: asyncio.Task[None] | None = None
        # What the pump waits for: the upstream's 100, or room in its write buffer.
        self._continue: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._repeatable = False
        self._keep_alive = request.keep_alive
        self._chunked_out = False
        self._ended = False
        # Whether a byte of the final answer went to the client: from then on it is abort or nothing.
        self.answering = False
        # Whether some of the request's body is still to come.
        self.uploading = False

    # --- the request, towards the upstream ---

    def start(self, upstream: UpstreamConnection) -> None:
        """Send the request on this connection, with its body if that is here already; `prepare` comes first.

        May be called a second time, with a fresh connection, after `Client.redo`.
        """
        request = self._request
        self._upstream = upstream
        upstream.lend(
            self,
            head_only=request.method == "HEAD",
            request_complete=not self.uploading,
            upgrade=request.upgrade,
        )
        request.sent_at = now = time.monotonic()
        self._client.deadline = now + self._config.upstream.response_timeout
        upstream.post(self._opening, self._client.outbox)
        if self.uploading:
            self._pump = asyncio.get_running_loop().create_task(self._pump_body(request.body))

    def prepare(self) -> None:
        """Lay out the bytes that go first: the head, and a body that is whole with it.

        Raises Refusal for a body over the limit or already broken, before the upstream hears of it.
        """
        request, body = self._request, self._request.body
        self._repeatable = request.method in _IDEMPOTENT
        if body is EMPTY_PAYLOAD and not request.head.chunked:
            self._opening = self._head()
            return
        limit, announced = self._config.listen.max_body_size, request.head.content_length
        if limit and announced is not None and int(announced) > limit:
            raise BodyTooLarge(f"body over {limit} bytes")
        broken = body.exception()
        if broken is not None:
            raise body_refusal(broken)
        self._opening = self._head()
        if not body.is_eof():
            self.uploading = True
            self._repeatable = False
            return
        data = b"" if body.at_eof() else body.read_nowait(-1)
        self._count_upload(len(data))
        self._opening += self._framed(data)
        if request.head.chunked:
            self._opening += b"0\r\n\r\n"

    def _head(self) -> bytes:
        request, forward, head = self._request, self._forward, self._request.head
        passed: Sequence[bytes] = ()
        if forward.authorization == "all":
            passed = request.credentials
        elif forward.authorization == "other":
            passed = bearer_free(request.credentials)
        ours, tracing = forward.identity, request.peer.tracing
        if tracing is not None:
            ours += tracing.upstream_lines(request)
        return upstream_head(
            head,
            request_line=f"{request.method} {request.raw_path}{request.query} HTTP/1.1\r\n".encode("ascii"),
            identity=ours,
            authorization=passed,
            request_id=request.request_id,
            client=request.peer.address_bytes,
            proto=request.peer.proto,
            host=request.peer.upstream_host,
            expects_continue=head.expects_continue and not request.body.is_eof() and not request.http10,
            upgrade=request.upgrade,
        )

    def _framed(self, data: bytes) -> bytes:
        if not data or not self._request.head.chunked:
            return data
        return b"%x\r\n%b\r\n" % (len(data), data)

    def _count_upload(self, size: int) -> None:
        self._request.request_bytes += size
        limit = self._config.listen.max_body_size
        if limit and self._request.request_bytes > limit:
            raise BodyTooLarge(f"body over {limit} bytes")

    async def _pump_body(self, body: StreamReader) -> None:
        upstream, client, config = self._upstream, self._client, self._config
        assert upstream is not None, "start comes first"
        try:
            if self._request.head.expects_continue and not self._request.http10:
                await self._wait_for_continue()
            while True:
                # Silence from here on is the client's.
                client.deadline = time.monotonic() + config.listen.idle_timeout
                data = await body.readany()
                # Reading on may have brought the framing's end to light.
                if self._ended:
                    return
                if not data:
                    break
                self._count_upload(len(data))
                upstream.write(self._framed(data))
                if not upstream.writable:
                    client.deadline = time.monotonic() + config.upstream.idle_timeout
                    self._room = asyncio.get_running_loop().create_future()
                    await self._room
                    self._room = None
        except Refusal as refusal:
            self.body_failed(refusal)
            return
        except BodyBroken as broken:
            self.body_failed(body_refusal(broken))
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody shall wait for the deadline
            client.failed(error)
            self.body_failed(InternalError())
            return
        if self._request.head.chunked:
            upstream.write(b"0\r\n\r\n")
        self.uploading = False
        upstream.request_complete = True
        if not self.answering:
            client.deadline = time.monotonic() + config.upstream.response_timeout

    async def _wait_for_continue(self) -> None:
        """RFC 9110 section 10.1.1: the body waits for the upstream's word, but not for ever."""
        self._continue = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(CONTINUE_AFTER):
                await self._continue
        except TimeoutError:
            if not self.answering:
                self._client.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def body_failed(self, refusal: Refusal) -> None:
        """The request's body cannot be had: its framing broke, it is too large, or too slow."""
        if self._ended:
            return
        self._release()
        self._give_up(refusal)

    def _give_up(self, refusal: Refusal) -> None:
        """Say why while the client can still hear it; else cut the answer off visibly."""
        self._ended = True
        if self.answering:
            self._client.cut(refusal)
        else:
            self._client.refuse(refusal)

    # --- the answer, towards the client ---

    def answer_interim(self, head: AnswerHead) -> None:
        """RFC 9110 section 15.2: 1xx answers are passed on to who can understand them (not HTTP/1.0)."""
        if head.status == 100:
            waiting = self._continue
            if waiting is None or waiting.done():
                return
            waiting.set_result(None)
        if not self._request.http10:
            self._client.write(b"".join((head.status_line, *head.lines, b"\r\n")))

    def answer_started(self, head: AnswerHead, body: list[bytes], end: list[bytes] | None) -> None:
        request = self._request
        request.status = head.status
        request.upstream_seconds = time.monotonic() - request.sent_at
        if self.uploading or request.upgrade or self._client.closing:
            self._keep_alive = False
        parts = [head.status_line, *head.lines]
        if request.method == "HEAD" or head.status in {204, 304}:
            # RFC 9110 section 8.6: a length may stand here, of the body a GET would get; not on a 204.
            if head.content_length is not None and head.status != 204:
                parts.append(b"Content-Length: %b\r\n" % head.content_length)
        elif head.content_length is not None:
            parts.append(b"Content-Length: %b\r\n" % head.content_length)
        elif request.http10:
            # RFC 9112 section 6.1: no chunks for HTTP/1.0; the end of the connection ends the body.
            self._keep_alive = False
        else:
            self._chunked_out = True
            parts.append(b"Transfer-Encoding: chunked\r\n")
        if request.peer.cors is not None:
            parts.append(request.peer.cors.proxied_lines(request, head.lines))
        if request.answer_lines:
            parts.append(private(request.answer_lines))
        parts.append(connection_line(keep_alive=self._keep_alive, http10=request.http10))
        parts.append(b"\r\n")
        self.answering = True
        self._send(parts, body, end)

    def answer_continued(self, body: list[bytes], end: list[bytes] | None) -> None:
        self._send([], body, end)

    def _send(self, parts: list[bytes], body: list[bytes], end: list[bytes] | None) -> None:
        client = self._client
        if body:
            size = len(body[0]) if len(body) == 1 else sum(map(len, body))
            self._request.response_bytes += size
            if self._chunked_out:
                parts.append(b"%x\r\n" % size)
                parts += body
                parts.append(b"\r\n")
            else:
                parts += body
        if end is not None and self._chunked_out:
            # RFC 9112 section 7.1.2: the last chunk, the trailers, an empty line.
            parts += (b"0\r\n", *end, b"\r\n")
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        if end is not None:
            client.post(data)
            self._finish()
            return
        client.write(data)
        if client.writable:
            client.deadline = time.monotonic() + self._config.upstream.idle_timeout
        elif self._upstream is not None:
            # The client does not keep up: nothing more is read for it until it does.
            self._upstream.pause_reading()
            client.deadline = time.monotonic() + self._config.listen.idle_timeout

    def _finish(self) -> None:
        self._upstream = None
        self._ended = True
        if self._pump is not None:
            self._pump.cancel()
        self._client.exchange_ended(keep_alive=self._keep_alive)

    def answer_upgraded(self, head: AnswerHead, early: bytes) -> None:
        """RFC 6455 section 4.2.2: the 101 goes on as it is; what follows is not HTTP any more."""
        request = self._request
        request.status = head.status
        request.upstream_seconds = time.monotonic() - request.sent_at
        ours = request.answer_lines + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        lines = (head.status_line, *head.lines, ours)
        self._client.write(b"".join(lines))
        upstream, self._upstream = self._upstream, None
        self._ended = True
        if upstream is not None:
            self._client.tunnel_started(upstream, early)

    def answer_failed(self, refusal: Refusal) -> None:
        """The upstream broke off. A reused connection that died in silence is no fault: ask again, once."""
        upstream, self._upstream = self._upstream, None
        if self._ended:
            return
        if upstream is not None and upstream.reused and not upstream.answered and self._repeatable:
            self._client.redo()
            return
        self._release()
        self._give_up(refusal)

    def upload_resumed(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    # --- the client's side of it ---

    def client_drained(self) -> None:
        """The client reads again."""
        if self._upstream is not None:
            self._client.deadline = time.monotonic() + self._config.upstream.idle_timeout
            self._upstream.resume_reading()

    def client_gone(self) -> None:
        """Nobody wants the answer any more: the upstream hears so at once."""
        self._ended = True
        self._release()

    def expired(self) -> None:
        """The client's deadline passed: decide whose silence it was."""
        if self._ended:
            return
        uploads = self.uploading and self._room is None and self._continue_heard
        self._release()
        if uploads or not self._client.writable:
            self._give_up(SlowClient("silence while sending the request or taking the answer"))
        elif self.answering or self._room is not None:
            self._give_up(UpstreamSilent("silence inside a body", limit="upstream.idle_timeout"))
        else:
            self._give_up(UpstreamSilent("silence"))

    @property
    def _continue_heard(self) -> bool:
        return self._continue is None or self._continue.done()

    def _release(self) -> None:
        """Let go of the upstream and of the pump."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()
        pump, self._pump = self._pump, None
        if pump is not None and pump is not asyncio.current_task():
            pump.cancel()


def body_refusal(broken: BaseException) -> Refusal:
    """For a body that parser.BodyBroken, or another exception, ended."""
    return BadRequest(f"body: {type(broken.__cause__ or broken).__name__}")
