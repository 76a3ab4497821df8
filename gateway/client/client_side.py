"""The interface of a client's connection for the request in service, its exchange, upload and tunnel.

Invariant: it lists only what they call; what the connection calls is defined by them.
"""

from __future__ import annotations

from typing import Protocol

from gateway.errors import Refusal
from gateway.upstream.connection import UpstreamConnection
from gateway.upstream.outbox import Outbox


class ClientSide(Protocol):
    """The client's connection.

    One implementation, because the connection (connection.py), which owns the request in service, stands
    above it.
    """

    # When the connection's current wait ends, time.monotonic(); set by whatever starts to wait.
    deadline: float

    @property
    def writable(self) -> bool: ...

    @property
    def room(self) -> int:
        """Bytes that the kernel accepts at once; 0: unknown."""

    @property
    def closing(self) -> bool: ...

    @property
    def outbox(self) -> Outbox: ...

    # --- an answer ---

    def post(self, data: bytes) -> None: ...

    def write(self, data: bytes) -> None: ...

    def cut(self, refusal: Refusal) -> None:
        """Reset the connection, so that an answer that has begun cannot look complete."""

    def refuse(self, refusal: Refusal) -> None: ...

    def failed(self, error: Exception) -> None:
        """Record a bug of ours; the refusal follows."""

    def redo(self) -> None: ...

    def exchange_ended(self, *, keep_alive: bool) -> None: ...

    def request_ended(self) -> None:
        """End the request, whether or not it was answered."""

    def close(self, *, lingering: bool = False) -> None:
        """Close once everything written is sent. Lingering: discard further input for a while."""

    def abort(self) -> None: ...

    # --- a tunnel ---

    def tunnel_started(self, upstream: UpstreamConnection, early: bytes) -> None: ...

    def write_eof(self) -> None: ...

    def pause_client(self) -> None: ...

    def resume_client(self) -> None: ...

    def limited(self, key: str) -> None:
        """Count a limit that ended this, by its configuration key."""

    def tunnel_ended(self, *, broken: bool) -> None: ...
