"""A request's body on its way to the upstream: reframed, counted, sent as fast as the upstream takes it.

An exchange has an Upload only where the body had not arrived whole with its head.

Invariant: what cannot be had of a body, or is too much of it, ends the exchange, and a stopped Upload neither
sends nor says anything more.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from aiohttp.streams import StreamReader

from gateway.client.client_side import ClientSide
from gateway.config.model import Config
from gateway.errors import BadRequest, BodyTooLarge, InternalError, Refusal
from gateway.http.request import Request
from gateway.http.request_parser import BodyBroken
from gateway.upstream.connection import UpstreamConnection

# How long an upstream that was asked `Expect: 100-continue` may think before the client is told to go on
# (RFC 9110 section 10.1.1 leaves it to us; curl gives up waiting after 1 s as well).
CONTINUE_AFTER = 1.0


class UploadOwner(Protocol):
    """The exchange that the body belongs to.

    One implementation, because the exchange (exchange.py) has the upload: it stands above it.
    """

    # Whether a byte of the final answer went to the client.
    answering: bool

    def body_sent(self) -> None: ...

    def body_failed(self, refusal: Refusal) -> None: ...


class Upload:
    """One body. Started once, on the connection that the request's head went to."""

    __slots__ = ("_client", "_config", "_continue", "_owner", "_request", "_room", "_stopped", "_task")

    def __init__(self, owner: UploadOwner, client: ClientSide, request: Request, config: Config) -> None:
        self._owner = owner
        self._client = client
        self._request = request
        self._config = config
        self._task: asyncio.Task[None] | None = None
        # What is waited for: the upstream's 100, or room in its write buffer.
        self._continue: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._stopped = False

    def start(self, upstream: UpstreamConnection) -> None:
        pump = self._pump(self._request.body, upstream)
        self._task = asyncio.get_running_loop().create_task(pump)

    def stop(self) -> None:
        """Idempotent."""
        self._stopped = True
        # A task that was cancelled refers to its frames, hence to this.
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    @property
    def waits_for_room(self) -> bool:
        """Whether the upstream does not keep up."""
        return self._room is not None

    @property
    def waits_for_client(self) -> bool:
        return self._room is None and (self._continue is None or self._continue.done())

    def continued(self) -> bool:
        """The upstream said 100; False where nobody waits for that."""
        if self._continue is None or self._continue.done():
            return False
        self._continue.set_result(None)
        return True

    def resumed(self) -> None:
        """The upstream has room again."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    async def _pump(self, body: StreamReader, upstream: UpstreamConnection) -> None:
        request, client, config = self._request, self._client, self._config
        try:
            if request.head.expects_continue and not request.http10:
                await self._wait_for_continue()
            while True:
                # Silence from here on is the client's.
                client.deadline = time.monotonic() + config.listen.idle_timeout
                # Of `read(n)` the body would take it that it may hold twice as much.
                data = await body.readany()
                # Reading on may have brought the framing's end to light.
                if self._stopped:
                    return
                if not data:
                    break
                count(request, len(data), config)
                upstream.write(framed(request, data))
                # What the kernel did not take is held by the connection, and by nobody else.
                data = b""
                if not upstream.writable:
                    client.deadline = time.monotonic() + config.upstream.idle_timeout
                    self._room = asyncio.get_running_loop().create_future()
                    await self._room
                    self._room = None
        except Refusal as refusal:
            self._owner.body_failed(refusal)
            return
        except BodyBroken as broken:
            self._owner.body_failed(body_refusal(broken))
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody shall wait for the deadline
            client.failed(error)
            self._owner.body_failed(InternalError())
            return
        if request.head.chunked:
            upstream.write(b"0\r\n\r\n")
        upstream.request_complete = True
        self._owner.body_sent()

    async def _wait_for_continue(self) -> None:
        """RFC 9110 section 10.1.1: the body waits for the upstream's word, but with a limit."""
        self._continue = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(CONTINUE_AFTER):
                await self._continue
        except TimeoutError:
            if not self._owner.answering:
                self._client.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def framed(request: Request, data: bytes) -> bytes:
    """A piece of the body as it goes to the upstream: a chunk where the client sent chunks."""
    if not data or not request.head.chunked:
        return data
    return b"%x\r\n%b\r\n" % (len(data), data)


def count(request: Request, size: int, config: Config) -> None:
    """So many bytes more. Raises BodyTooLarge."""
    request.request_bytes += size
    limit = config.listen.max_body_size
    if limit and request.request_bytes > limit:
        raise BodyTooLarge(f"body over {limit} bytes")


def body_refusal(broken: BaseException) -> Refusal:
    """For a body that parser.BodyBroken, or another exception, ended."""
    return BadRequest(f"body: {type(broken.__cause__ or broken).__name__}")
