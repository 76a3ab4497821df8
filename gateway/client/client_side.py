"""What a request in service, its exchange, upload and tunnel see of the connection that the request came on.

Invariant: only what the connection is asked for; what it is asked stands with those who ask.
"""

from __future__ import annotations

from typing import Protocol

from gateway.errors import Refusal
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.outbox import Outbox


class ClientSide(Protocol):
    """The client's connection.

    One implementation, because the connection (connection.py) has what is in service: it stands above it.
    """

    # When the connection's current wait ends, time.monotonic(); the one that begins a wait sets it.
    deadline: float

    @property
    def writable(self) -> bool: ...

    @property
    def room(self) -> int:
        """Bytes that the kernel takes at once; 0: nobody knows."""

    @property
    def closing(self) -> bool: ...

    @property
    def outbox(self) -> Outbox: ...

    # --- an answer ---

    def post(self, data: bytes) -> None: ...

    def write(self, data: bytes) -> None: ...

    def cut(self, refusal: Refusal) -> None:
        """End the connection so that an answer that has begun cannot look whole."""

    def refuse(self, refusal: Refusal) -> None: ...

    def failed(self, error: Exception) -> None:
        """A bug of ours came up; the refusal follows."""

    def redo(self) -> None: ...

    def exchange_ended(self, *, keep_alive: bool) -> None: ...

    def request_ended(self) -> None:
        """It is over, whether or not it was answered."""

    def close(self, *, lingering: bool = False) -> None:
        """Close once what was written is sent. Lingering: what still comes in is read and dropped a while."""

    def abort(self) -> None: ...

    # --- a tunnel ---

    def tunnel_started(self, upstream: UpstreamConnection, early: bytes) -> None: ...

    def write_eof(self) -> None: ...

    def pause_client(self) -> None: ...

    def resume_client(self) -> None: ...

    def limited(self, key: str) -> None:
        """A limit ended this: the configuration's key of it."""

    def tunnel_ended(self, *, broken: bool) -> None: ...
