"""How often somebody may be wrong: counted by address, by browser and by name, before Cognito counts. Pure.

Cognito locks a user after five wrong passwords, but neither an address that tries one password on a thousand
names, nor what is sent by e-mail on somebody's word. Kept in each worker's memory: with n workers a limit is
up to n times as high, which is said in docs/pages.md. Invariant: memory is bounded, who was refused is not
counted again, so that a limit always ends, and what is under way counts, so that many at once are not one.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.policy.rate import address_key

# Seconds in which attempts are counted together: as long as Cognito's own longest lock.
WINDOW = 900.0
# Keys remembered; the ones longest untouched are forgotten. A flood of invented names is stopped by the limit
# on its address before it has filled this. Times: 8 bytes for each, and some 24 for each attempt.
MOST_KEYS = 20_000
_MOST_TIMES = 200_000


@dataclass(frozen=True, slots=True)
class Limit:
    """How many attempts in WINDOW, for one key of this kind."""

    kind: str
    most: int


# An office behind one address: dozens mistype a password in a quarter of an hour, hundreds don't.
ADDRESS = Limit("address", 60)
BROWSER = Limit("browser", 20)
# A person from one address; Cognito begins to slow them down after 5.
PERSON = Limit("person", 10)
# A name from all the world: high, so that a stranger cannot easily keep its owner out.
NAME = Limit("name", 100)
# E-mails and text messages that somebody else gets and pays for: of one address, of one address to one name
# or destination, and to that from anywhere. The last is high for the same reason: a stranger's five requests
# would keep out an owner who signs in by a code alone.
SENT_BY_ADDRESS = Limit("sent-address", 20)
SENT_TO_PERSON = Limit("sent-person", 5)
SENT_TO_NAME = Limit("sent-name", 30)
# All that Cognito was asked, whatever it answered: a right password buys nobody an endless number of them.
ASKED = Limit("asked", 600)
SETUP_BY_ADDRESS = Limit("setup", 5)

Key = tuple[Limit, str]


def by_address(limit: Limit, client: str) -> Key:
    """The key of whoever is at this address: of IPv6 a subscriber's whole /64, or each guess has its own."""
    return limit, address_key(client)


class Attempts:
    """The times of what counted, by key; `now` is time.monotonic()."""

    def __init__(self) -> None:
        self._times: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()
        # Of all keys together.
        self._held = 0

    def wait(self, keys: Iterable[Key], now: float) -> float:
        """Seconds until all of these may try again; 0: now."""
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
        """What was counted at `now` was nothing wrong."""
        for limit, name in keys:
            times = self._times.get((limit.kind, name))
            if times is not None and now in times:
                times.remove(now)
                self._held -= 1
                if not times:
                    del self._times[limit.kind, name]

    def forgive_one(self, keys: Iterable[Key]) -> None:
        """Of each of these the last."""
        for limit, name in keys:
            times = self._times.get((limit.kind, name))
            if times:
                self.take_back([(limit, name)], times[-1])

    def forgive(self, keys: Iterable[Key]) -> None:
        """Forget these: the right answer came."""
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
