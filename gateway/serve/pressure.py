"""When connections together hold more than the container grants: whom to end, so that the rest are served.

Each connection is bounded by itself; this bounds their sum, which for many stalled ones is more than what
`listen.max_connections: auto` reckons with. Pure but for `resident`.

Invariant: nobody is ended while the sum is within the grant; idle ones go first, then those that hold most.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from gateway.client.connection import ClientConnection
from gateway.client.states import State

# What a connection takes at the least, and TLS on top (docs/scaling.md); a handshake takes the most of TLS.
_PLAIN, _TLS, _HANDSHAKE = 10 * 1024, 20 * 1024, 48 * 1024
# What is read ahead of an upstream, or of a client, that does not keep up, beyond what the connection counts.
_SERVED = 24 * 1024
# The most that one takes; fewer connections than fit at this size are not looked at.
MOST = 128 * 1024
# Of the grant: what is left after some were ended; and from how much on the process's resident memory counts.
_LEFT, _MIND_RESIDENT = 0.75, 0.25
# Of the worker's share: resident memory beyond this means that the connections take more than was reckoned.
_TIGHT = 0.9


def weight(connection: ClientConnection) -> int:
    """Bytes that it takes, about."""
    size = (_PLAIN + _TLS if connection.secure else _PLAIN) + connection.held + connection.unsent
    return size + _SERVED if connection.state in {State.SERVING, State.TUNNEL} else size


class Pressure:
    """Of one worker: `grant`, bytes for its connections, and `share`, for all of it."""

    def __init__(self, grant: int, share: int, resident: Callable[[], int]) -> None:
        self._grant = grant
        self._share = share
        self._resident = resident

    def victims(self, connections: Collection[ClientConnection], handshakes: int) -> list[ClientConnection]:
        """Whom to end now; empty as long as all is well, which costs nothing where there are few."""
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
        """What they may hold together."""
        if total > self._grant:
            return int(self._grant * _LEFT)
        least = int(self._grant * _MIND_RESIDENT)
        # Memory that was freed is not always given back: what little they hold is not the reason then.
        if total > least and self._resident() > self._share * _TIGHT:
            return max(int(total * _LEFT), least)
        return total


def _in_order(weights: dict[ClientConnection, int]) -> Iterator[ClientConnection]:
    """Those that have nothing under way, then those for whom the most waits here."""
    idle = [each for each in weights if each.state is State.IDLE]
    yield from idle
    busy = [each for each in weights if each.state is not State.IDLE]
    yield from sorted(busy, key=lambda each: each.held + each.unsent, reverse=True)


def resident() -> int:
    """This process's resident memory in bytes; 0 where nobody says."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
