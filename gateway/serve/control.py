"""The control protocol of supervisor and workers: length-prefixed JSON objects over a socket pair.

To a worker: `start` (what to serve, on which descriptors, with which keys), `keys` (those it lacks),
`configuration` (a reload), `ask` (report at once), `signed_out` (a sign-out at another worker), `claim` (the
answer to one), `leave` (every answer closes its connection), `drain`. From a worker: `report`, four times a
second and when asked, with the key sets read since the last one, `signed_out`, `revocation` (claims and
outcomes of checks: sharing.py), and `failed` (it cannot start, in one sentence).

Invariant: an end that receives a malformed message, or the end of the stream, is informed once and receives
nothing more.
"""

from __future__ import annotations

import asyncio
import base64
import json
import pickle
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, cast

from gateway.config.model import Config

Message: TypeAlias = dict[str, Any]

# Seconds between two reports of a worker.
BEAT = 0.25
_LENGTH = 4
# A configuration with 10,000 routes takes about 2 MB.
MAX_MESSAGE = 64 * 1024 * 1024


class ControlError(ValueError):
    """The other end does not speak this protocol."""


def encode(message: Message) -> bytes:
    body = json.dumps(message, separators=(",", ":")).encode("ascii")
    return len(body).to_bytes(_LENGTH, "big") + body


class Decoder:
    """Splits a byte stream into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that `data` completes. Raises ControlError."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH:
            length = int.from_bytes(self._buffer[:_LENGTH], "big")
            if length > MAX_MESSAGE:
                raise ControlError("the message is too long")
            end = _LENGTH + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH:end])
            del self._buffer[:end]
            try:
                message = json.loads(body)
            except ValueError:
                raise ControlError("the message is not JSON") from None
            if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
                raise ControlError("the message is not an object with a kind")
            yield message


def pack(config: Config) -> str:
    """Serialise a configuration: the one that the supervisor checked, since the file may change again."""
    return base64.b64encode(pickle.dumps(config)).decode("ascii")


def unpack(text: str) -> Config:
    config = pickle.loads(base64.b64decode(text))  # noqa: S301 - from our own parent, over a pair of sockets
    assert isinstance(config, Config)
    return config


class Channel(asyncio.Protocol):
    """One end of the socket pair. `received` gets each message; `ended` is called once at the end."""

    def __init__(self, received: Callable[[Message], None], ended: Callable[[], None]) -> None:
        self._received = received
        self._ended = ended
        self._decoder = Decoder()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asserted: uvloop's transports are not subclasses.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._decoder.feed(data):
                self._received(message)
        except ControlError:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._ended()

    def send(self, message: Message) -> None:
        """Queue a message. Does nothing if the other end is gone, which `ended` reports."""
        if self._transport is not None:
            self._transport.write(encode(message))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
