"""The slot of a worker and its successors: its listening sockets, and who accepts on them while it is empty.

The listening sockets belong to the slot, not to the worker. While its worker is dead, starting, or
crash-looping, connections that the kernel queues there would wait, so another worker accepts them too.
Invariant: a slot without a serving worker for `LENT_AFTER` seconds is lent to one that serves, if there is
one, and taken back when its own worker serves.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.serve.worker_handle import Member

# A worker that lived less than this (seconds) died at start; after the second in a row, restarts are delayed.
EARLY = 5.0
# Seconds. A successor starts in half a second; clients that connect meanwhile should not wait much longer.
# Checked at every beat (control.BEAT), so 0.5 in practice.
LENT_AFTER = 0.25


@dataclass(slots=True)
class WorkerSlot:
    """One worker slot."""

    number: int
    sockets: list[socket.socket]
    member: Member | None = None
    # When the worker was started, time.monotonic().
    since: float = 0.0
    early_deaths: int = 0
    # Why there is no worker, if the system had no room for one.
    unstartable: str | None = None
    # Since when no worker serves here.
    _empty_since: float = field(default=0.0, init=False)
    _lent_to: Member | None = field(default=None, init=False)

    def failing(self, now: float) -> bool:
        """Return whether workers crash-loop here: until one has lived longer than EARLY."""
        lives = self.member is not None and self.member.started and now - self.since >= EARLY
        return self.early_deaths > 1 and not lives

    def began(self, member: Member, now: float) -> None:
        """Record that a worker was started."""
        self.member, self.since, self.unstartable = member, now, None
        self._empty_since = self._empty_since or now

    def ended(self, now: float) -> None:
        """Record that the worker has ended."""
        if self.member is not None and self.member.started:
            self._empty_since = now
        self.member = None

    def attend(self, living: Sequence[Member], now: float) -> None:
        """Lend the sockets if no worker accepts on them, or take them back."""
        if self.member is not None and self.member.started:
            self._empty_since = now
            if self._lent_to is not None:
                self._lent_to.give_back(self.number)
                self._lent_to = None
        elif now - self._empty_since >= LENT_AFTER and self._lent_to not in living:
            # Spread over the workers, so that one does not get all slots.
            takers = [member for member in living if member.started]
            taker = takers[self.number % len(takers)] if takers else None
            self._lent_to = taker if taker is not None and taker.lend(self.number, self.sockets) else None
