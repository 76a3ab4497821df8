"""Upload of a request body: reframed, counted, and sent as fast as the upstream accepts it.

An exchange has an Upload only if the body did not arrive complete with its head.

Invariant: a body that breaks off or exceeds the limit ends the exchange, and a stopped Upload sends nothing
more.
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

# Seconds to wait for an upstream's 100 before the client gets a 100 (RFC 9110 section 10.1.1 leaves
# this to us; curl stops waiting after 1 s as well).
CONTINUE_AFTER = 1.0


class UploadOwner(Protocol):
    """The exchange that the body belongs to.

    One implementation, because the exchange (exchange.py), which owns the upload, stands above it.
    """

    # Whether any byte of the final answer was sent to the client.
    answering: bool

    def body_sent(self) -> None: ...

    def body_failed(self, refusal: Refusal) -> None: ...


class Upload:
    """The upload of one body. Started once, on the connection that the request's head was sent on."""

    __slots__ = ("_client", "_config", "_continue", "_owner", "_request", "_room", "_stopped", "_task")

    def __init__(self, owner: UploadOwner, client: ClientSide, request: Request, config: Config) -> None:
        self._owner = owner
        self._client = client
        self._request = request
        self._config = config
        self._task: asyncio.Task[None] | None = None
        # Awaited: the upstream's 100 response, or room in its write buffer.
        self._continue: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._stopped = False

    def start(self, upstream: UpstreamConnection) -> None:
        pump = self._pump(self._request.body, upstream)
        self._task = asyncio.get_running_loop().create_task(pump)

    def stop(self) -> None:
        """Stop the upload. Idempotent."""
        self._stopped = True
        # A cancelled task refers to its frames, and so to this.
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    @property
    def waits_for_room(self) -> bool:
        """Whether the upload waits for the upstream to accept more."""
        return self._room is not None

    @property
    def waits_for_client(self) -> bool:
        return self._room is None and (self._continue is None or self._continue.done())

    def continued(self) -> bool:
        """Handle the upstream's 100 response; return whether it was awaited."""
        if self._continue is None or self._continue.done():
            return False
        self._continue.set_result(None)
        return True

    def resumed(self) -> None:
        """Resume: the upstream's buffer has room again."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    async def _pump(self, body: StreamReader, upstream: UpstreamConnection) -> None:
        request, client, config = self._request, self._client, self._config
        try:
            if request.head.expects_continue and not request.http10:
                await self._wait_for_continue()
            while True:
                # From here on, silence is the client's.
                client.deadline = time.monotonic() + config.listen.idle_timeout
                # Not `read(n)`, which would let the body hold twice as much.
                data = await body.readany()
                # Reading may have revealed that the framing is broken.
                if self._stopped:
                    return
                if not data:
                    break
                count(request, len(data), config)
                upstream.write(framed(request, data))
                # Data that the kernel did not accept must be held by the connection alone.
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
        except Exception as error:  # noqa: BLE001 - otherwise the client would wait for the deadline
            client.failed(error)
            self._owner.body_failed(InternalError())
            return
        if request.head.chunked:
            upstream.write(b"0\r\n\r\n")
        upstream.request_complete = True
        self._owner.body_sent()

    async def _wait_for_continue(self) -> None:
        """Wait for the upstream's 100 response, within a limit (RFC 9110 section 10.1.1)."""
        self._continue = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(CONTINUE_AFTER):
                await self._continue
        except TimeoutError:
            if not self._owner.answering:
                self._client.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def framed(request: Request, data: bytes) -> bytes:
    """Return a piece of the body as sent upstream: as a chunk if the client sent chunks."""
    if not data or not request.head.chunked:
        return data
    return b"%x\r\n%b\r\n" % (len(data), data)


def count(request: Request, size: int, config: Config) -> None:
    """Count `size` bytes of the request's body. Raises BodyTooLarge."""
    request.request_bytes += size
    limit = config.listen.max_body_size
    if limit and request.request_bytes > limit:
        raise BodyTooLarge(f"body over {limit} bytes")


def body_refusal(broken: BaseException) -> Refusal:
    """Return the refusal for a body that ended with parser.BodyBroken or another exception."""
    return BadRequest(f"body: {type(broken.__cause__ or broken).__name__}")
