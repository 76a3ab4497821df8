"""Fair shares of the upstream's connections, and the order in which waiters get them. Pure.

The rule is the dynamic threshold of shared buffers (Choudhury and Hahne, 1998): a client may have as many
places as are free. A single client gets half of them, two get a third each, and the next one finds as many
free as each of those has. While half of the places are free the rule allows everything, so it costs nothing.

Invariant: with three places or more, no client has the last one, neither of the connections nor of the queue,
however many requests it sends.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from gateway.policy.rate import MAX_NAME, address_key

if TYPE_CHECKING:
    from gateway.http.request import Request

T = TypeVar("T")


class Holder(NamedTuple):
    """A client: a principal, or an address (for IPv6 the /64) if not signed in."""

    pool_id: str
    name: str


def holder_of(request: Request) -> Holder:
    principal = request.principal
    if principal is None:
        return Holder("", address_key(request.client))
    return Holder(principal.claims.pool_id, principal.claims.subject[:MAX_NAME])


class Shares:
    """The places, and the number that each client holds."""

    __slots__ = ("_held", "_places", "taken")

    def __init__(self, places: int) -> None:
        self._places = places
        self._held: dict[Holder, int] = {}
        self.taken = 0

    def admits(self, holder: Holder) -> bool:
        """Return whether this client may take another place; with all places taken: whether it has none."""
        return self._held.get(holder, 0) <= self._places - self.taken

    def take(self, holder: Holder) -> None:
        self._held[holder] = self._held.get(holder, 0) + 1
        self.taken += 1

    def give(self, holder: Holder) -> None:
        left = self._held.get(holder, 0) - 1
        if left < 0:
            return
        self.taken -= 1
        if left:
            self._held[holder] = left
        else:
            del self._held[holder]


class FairQueue(Generic[T]):
    """Waiting requests, served in turn by client: a client that waits a hundred times delays others once."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._lines: OrderedDict[Holder, deque[T]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, holder: Holder, waiter: T) -> bool:
        """Queue a waiter; return False if the queue is full for this client."""
        line = self._lines.get(holder)
        waiting, free = 0 if line is None else len(line), self._places - self._size
        if free <= 0 or waiting > free:
            return False
        self._lines.setdefault(holder, deque()).append(waiter)
        self._size += 1
        return True

    def next(self, shares: Shares | None) -> T | None:
        """Remove and return the next waiter whose client may take a place; None if there is none."""
        for holder, line in self._lines.items():
            if shares is None or shares.admits(holder):
                waiter = line.popleft()
                self._size -= 1
                if line:
                    self._lines.move_to_end(holder)
                else:
                    del self._lines[holder]
                return waiter
        return None

    def remove(self, holder: Holder, waiter: T) -> bool:
        """Remove a waiter; return False if it is no longer waiting."""
        line = self._lines.get(holder)
        if line is None or waiter not in line:
            return False
        line.remove(waiter)
        self._size -= 1
        if not line:
            del self._lines[holder]
        return True
