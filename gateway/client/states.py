"""The states of a client's connection and their transitions. Pure.

Invariant: this table is the only definition; an undeclared transition is a bug of ours, which is logged and
ends the connection (connection.ClientConnection.enter).
"""

from __future__ import annotations

from enum import IntEnum


class State(IntEnum):
    """A connection's state. An IntEnum: its members index a list faster than an Enum is found in a dict."""

    # Accepted; no complete request head yet, and none has begun.
    NEW = 0
    # Between two requests. Data of the following ones may wait here.
    IDLE = 1
    # Part of a request head has arrived.
    HEAD = 2
    # One request is being judged, forwarded or answered.
    SERVING = 3
    # The last answer is written; further input is discarded for a while.
    LINGERING = 4
    # Nothing more is read; what was written is being sent.
    CLOSING = 5
    # Bytes both ways after a 101.
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
