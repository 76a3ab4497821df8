"""The states of a client's connection, and which may follow which. Pure.

Invariant: this table is the only place that says so; a connection that enters a state not declared here has
met a bug of ours, which is logged and ends it (connection.ClientConnection.enter).
"""

from __future__ import annotations

from enum import IntEnum


class State(IntEnum):
    """An IntEnum because its members index a list faster than an Enum's hash finds them in a dict."""

    # Accepted; no request head is whole yet, and none has begun.
    NEW = 0
    # Between two requests. What the client sent of the next ones may wait here for its turn.
    IDLE = 1
    # A part of a request head is here.
    HEAD = 2
    # One request is judged, forwarded or answered.
    SERVING = 3
    # The last answer is written; what still comes in is read and dropped for a while.
    LINGERING = 4
    # Nothing is read any more; what was written is being sent.
    CLOSING = 5
    # Bytes both ways behind a 101.
    TUNNEL = 6
    CLOSED = 7


_ENDS = frozenset({State.LINGERING, State.CLOSING, State.CLOSED})

TRANSITIONS: dict[State, frozenset[State]] = {
    State.NEW: _ENDS | {State.HEAD, State.SERVING},
    State.IDLE: _ENDS | {State.HEAD, State.SERVING},
    State.HEAD: _ENDS | {State.SERVING},
    State.SERVING: _ENDS | {State.IDLE, State.TUNNEL},
    State.LINGERING: frozenset({State.CLOSING, State.CLOSED}),
    State.CLOSING: frozenset({State.CLOSED}),
    State.TUNNEL: frozenset({State.CLOSING, State.CLOSED}),
    State.CLOSED: frozenset(),
}
