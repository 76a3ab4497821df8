"""Memory pressure: which connections to close when all together exceed the container's memory.

Each connection is bounded by itself; this bounds their sum, which for many stalled connections exceeds what
`listen.max_connections: auto` assumes. Pure except for `resident`.

Invariant: no connection is closed while the sum is within the grant; idle ones go first, then the largest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from gateway.client.connection import ClientConnection
from gateway.client.states import State

# Minimum memory of a connection, and of TLS on top (docs/scaling.md); TLS takes most during a handshake.
_PLAIN, _TLS, _HANDSHAKE = 10 * 1024, 20 * 1024, 48 * 1024
# Read-ahead of an upstream or client that does not keep up, beyond what the connection itself counts.
_SERVED = 24 * 1024
# Maximum memory of a connection; fewer connections than fit at this size are not weighed.
MOST = 128 * 1024
# Fractions of the grant: what is left after closing some; and from where on resident memory is considered.
_LEFT, _MIND_RESIDENT = 0.75, 0.25
# Fraction of the worker's share: more resident memory means that the connections take more than estimated.
_TIGHT = 0.9


def weight(connection: ClientConnection) -> int:
    """Return a connection's approximate memory in bytes."""
    size = (_PLAIN + _TLS if connection.secure else _PLAIN) + connection.held + connection.unsent
    return size + _SERVED if connection.state in {State.SERVING, State.TUNNEL} else size


class Pressure:
    """The memory control of one worker: `grant`, bytes for its connections; `share`, for all of it."""

    def __init__(self, grant: int, share: int, resident: Callable[[], int]) -> None:
        self._grant = grant
        self._share = share
        self._resident = resident

    def victims(self, connections: Collection[ClientConnection], handshakes: int) -> list[ClientConnection]:
        """Return the connections to close now; usually none, at no cost while there are few."""
        if (len(connections) + handshakes) * MOST <= self._grant:
            return []
        weights = {each: weight(each) for each in connections}
        total = sum(weights.values()) + handshakes * _HANDSHAKE
        wanted = self._wanted(total)
        if total <= wanted:
            return []
        chosen: list[ClientConnection] = []
        for each in _in_order(weights):
            chosen.append(each)
            total -= weights[each]
            if total <= wanted:
                break
        return chosen

    def _wanted(self, total: int) -> int:
        """Return the bytes that all connections may hold together."""
        if total > self._grant:
            return int(self._grant * _LEFT)
        least = int(self._grant * _MIND_RESIDENT)
        # Freed memory is not always returned to the system: with little held, it is not the reason.
        if total > least and self._resident() > self._share * _TIGHT:
            return max(int(total * _LEFT), least)
        return total


def _in_order(weights: dict[ClientConnection, int]) -> Iterator[ClientConnection]:
    """Yield idle connections, then those with the most pending data."""
    idle = [each for each in weights if each.state is State.IDLE]
    yield from idle
    busy = [each for each in weights if each.state is not State.IDLE]
    yield from sorted(busy, key=lambda each: each.held + each.unsent, reverse=True)


def resident() -> int:
    """Return this process's resident memory in bytes; 0 if unknown."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
