"""Limits on failed attempts and sent messages, per address, browser and username. Pure.

Cognito locks a user after five wrong passwords, but it stops neither an address that tries one password on a
thousand usernames, nor e-mails requested in another person's name. Counts are kept in each worker's memory,
so n workers allow up to n times as many (docs/pages.md). Invariants: memory is bounded; a refused attempt is
not counted, so every block ends; an attempt counts while it is in progress, so parallel attempts cannot pass
as one.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.policy.rate import address_key

# Seconds over which attempts are counted: as long as Cognito's own longest lockout.
WINDOW = 900.0
# Keys kept; the least recently used are dropped. A flood of invented usernames hits the limit on its address
# long before it fills this. Bound on times: 8 bytes each, plus some 24 for the float.
MOST_KEYS = 20_000
_MOST_TIMES = 200_000


@dataclass(frozen=True, slots=True)
class Limit:
    """The number of attempts allowed within WINDOW for one key of this kind."""

    kind: str
    most: int


# An office behind one address: dozens of people mistype a password in a quarter of an hour, not hundreds.
ADDRESS = Limit("address", 60)
BROWSER = Limit("browser", 20)
# One username from one address; Cognito starts to delay answers after 5.
PERSON = Limit("person", 10)
# One username from any address: high, so that an attacker cannot easily lock out its owner.
NAME = Limit("name", 100)
# E-mails and text messages, which another person receives or pays for: from one address, from one address to
# one username or destination, and to that from any address. The last is high: otherwise an attacker's five
# requests would lock out a user who signs in with a code alone.
SENT_BY_ADDRESS = Limit("sent-address", 20)
SENT_TO_PERSON = Limit("sent-person", 5)
SENT_TO_NAME = Limit("sent-name", 30)
# Every call to Cognito, whatever the answer: even a correct password allows only a limited number.
ASKED = Limit("asked", 600)
# What one person allows: each is a code that is kept for a minute.
CONSENT = Limit("consent", 60)
SETUP_BY_ADDRESS = Limit("setup", 5)

Key = tuple[Limit, str]


def by_address(limit: Limit, client: str) -> Key:
    """Return the key of a client's address. For IPv6 it is the /64, since a subscriber has all of its
    addresses."""
    return limit, address_key(client)


class Attempts:
    """The times of counted attempts, by key. `now` is time.monotonic()."""

    def __init__(self) -> None:
        self._times: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()
        # Times held, summed over all keys.
        self._held = 0

    def wait(self, keys: Iterable[Key], now: float) -> float:
        """Return the seconds until all of these keys may try again; 0 if they may now."""
        return max((self._wait(limit, name, now) for limit, name in keys), default=0.0)

    def count(self, keys: Iterable[Key], now: float) -> None:
        for limit, name in keys:
            key = (limit.kind, name)
            times = self._times.setdefault(key, deque(maxlen=limit.most))
            self._held += len(times) < limit.most
            times.append(now)
            self._times.move_to_end(key)
        while len(self._times) > MOST_KEYS or self._held > _MOST_TIMES:
            self._held -= len(self._times.popitem(last=False)[1])

    def take_back(self, keys: Iterable[Key], now: float) -> None:
        """Remove the attempts counted at `now`: they turned out not to be failures."""
        for limit, name in keys:
            times = self._times.get((limit.kind, name))
            if times is not None and now in times:
                times.remove(now)
                self._held -= 1
                if not times:
                    del self._times[limit.kind, name]

    def forgive_one(self, keys: Iterable[Key]) -> None:
        """Remove the latest attempt of each key."""
        for limit, name in keys:
            times = self._times.get((limit.kind, name))
            if times:
                self.take_back([(limit, name)], times[-1])

    def forgive(self, keys: Iterable[Key]) -> None:
        """Remove all attempts of these keys: the right answer came."""
        for limit, name in keys:
            self._held -= len(self._times.pop((limit.kind, name), ()))

    def _wait(self, limit: Limit, name: str, now: float) -> float:
        times = self._times.get((limit.kind, name))
        if times is None or len(times) < limit.most:
            return 0.0
        return max(0.0, times[0] + WINDOW - now)

    def __len__(self) -> int:
        return len(self._times)

    def __repr__(self) -> str:
        return f"<Attempts of {len(self._times)} keys>"
