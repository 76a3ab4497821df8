"""Where one worker after the other lives, and what becomes of connections while none does.

The listening sockets are of the place, not of the worker. While its worker is dead, starts, or dies again at
its start, connections that the kernel puts into their queues would wait: so another worker takes those too.
Invariant: a place that had nobody for `LENT_AFTER` seconds is lent to a worker that serves, as long as there
is one, and taken back when its own serves.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.serve.worker_handle import Member

# A worker that lived shorter than this (seconds) died at its start; a second one in a row is waited for.
EARLY = 5.0
# Seconds. A successor starts in half a second; whoever connects meanwhile should not wait much longer. Looked
# at with every beat (control.BEAT), so that it becomes 0.5.
LENT_AFTER = 0.25


@dataclass(slots=True)
class WorkerSlot:
    """One of them."""

    number: int
    sockets: list[socket.socket]
    member: Member | None = None
    # time.monotonic() when it was started.
    since: float = 0.0
    early_deaths: int = 0
    # Why there is no worker, where the system had no room for one.
    unstartable: str | None = None
    # Since when nobody serves here.
    _empty_since: float = field(default=0.0, init=False)
    _lent_to: Member | None = field(default=None, init=False)

    def failing(self, now: float) -> bool:
        """Whether workers keep ending at their start here: until one has lived longer than that."""
        lives = self.member is not None and self.member.started and now - self.since >= EARLY
        return self.early_deaths > 1 and not lives

    def began(self, member: Member, now: float) -> None:
        """A worker was started."""
        self.member, self.since, self.unstartable = member, now, None
        self._empty_since = self._empty_since or now

    def ended(self, now: float) -> None:
        """It is gone."""
        if self.member is not None and self.member.started:
            self._empty_since = now
        self.member = None

    def attend(self, living: Sequence[Member], now: float) -> None:
        """Lend the sockets where nobody accepts from them, or take them back."""
        if self.member is not None and self.member.started:
            self._empty_since = now
            if self._lent_to is not None:
                self._lent_to.give_back(self.number)
                self._lent_to = None
        elif now - self._empty_since >= LENT_AFTER and self._lent_to not in living:
            # Each in turn, so that not one gets them all.
            takers = [member for member in living if member.started]
            taker = takers[self.number % len(takers)] if takers else None
            self._lent_to = taker if taker is not None and taker.lend(self.number, self.sockets) else None
