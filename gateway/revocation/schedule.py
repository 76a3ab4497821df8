"""The queue of sign-ins to check with Cognito: bookkeeping without a clock; checker.py acts on it.

A *family* is everything that one sign-in issued: the tokens with one `origin_jti`, which Cognito revokes
together, so that one of them stands for all. Families queue in the order in which they became due. Invariant:
a family that was used within `check_every` is checked again before that time is over, as long as the calls
suffice; and no token is kept for a family unused for longer, nor beyond `MAX_TEXT` bytes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import count

# A family is due again after a share of check_every between these, so that replicas and families that began
# together spread out. The rest is for the call and a short queue; an earlier check would cost more calls.
DUE_FROM, DUE_TO = 0.6, 0.8
# Bytes of tokens kept for checks: 16,000 tokens of Cognito's usual 1 KB. Under AWS's quota it takes nine
# minutes to check so many; more could not be checked in time.
MAX_TEXT = 16 * 1024 * 1024
# Cached tokens per family, so that all can be dropped with it. An hourly refresh makes 24 a day.
MAX_TOKENS = 64


class Family:
    """One sign-in. Times are of one monotonic clock."""

    __slots__ = (
        "asking",
        "checked_at",
        "digests",
        "due",
        "ends",
        "gone",
        "issued_at",
        "key",
        "pool_id",
        "seen_at",
        "subject",
        "token",
        "used",
        "used_at",
    )

    def __init__(self, key: str, pool_id: str, subject: str, *, now: float) -> None:
        self.key = key
        self.pool_id = pool_id
        self.subject = subject
        # The token that lives longest, its expiry and its time of issue (Unix).
        self.token = b""
        self.ends = 0.0
        self.issued_at = 0.0
        # SHA-256 of its admitted tokens.
        self.digests: set[bytes] = set()
        self.seen_at = now
        self.checked_at: float | None = None
        # `used`: since the last look; `used_at`: when that was noticed, so never too early.
        self.used = True
        self.used_at = now
        self.due = now
        self.asking = False
        self.gone = False

    def age(self, now: float) -> float:
        """Return the seconds since Cognito last confirmed it, or since it was first seen."""
        return now - (self.seen_at if self.checked_at is None else self.checked_at)

    def __repr__(self) -> str:
        state = "gone" if self.gone else "asking" if self.asking else "waiting"
        return f"<Family {self.key} {state}, {len(self.digests)} tokens>"


class Schedule:
    """The families of one worker."""

    def __init__(
        self,
        check_every: float,
        *,
        in_use: Callable[[Family], bool],
        dropped: Callable[[Family], None],
        max_text: int = MAX_TEXT,
    ) -> None:
        """`in_use`: whether a token of the family was used since the last call. `dropped`: called when the
        family is no longer watched, so that the next use of its tokens has to be admitted again."""
        self.check_every = check_every
        self._in_use = in_use
        self._dropped = dropped
        self._max_text = max_text
        self.text = 0
        self._families: dict[str, Family] = {}
        # (due, sequence number, family); entries whose due differs from the family's are obsolete.
        self._heap: list[tuple[float, int, Family]] = []
        self._number = count()

    def get(self, key: str) -> Family | None:
        return self._families.get(key)

    def watch(self, family: Family, token: bytes, *, ends: float, issued_at: float) -> bool:
        """Add a family, due at once, or give it a token that lives longer; return False if there is no room.

        Without room for a longer token it is watched until the one it has expires.
        """
        more = len(token) - len(family.token)
        room = self.text + more <= self._max_text
        if self._families.get(family.key) is not family:
            if not room:
                return False
            self._families[family.key] = family
            self._push(family, family.due)
        if ends > family.ends and room:
            self.text += more
            family.token, family.ends, family.issued_at = token, ends, issued_at
        return True

    def next(self, now: float) -> Family | None:
        """Return the next family to check, removed from the queue until its result is reported, or None."""
        while self._heap:
            due, _, family = self._heap[0]
            if family.gone or family.asking or due != family.due:
                heapq.heappop(self._heap)
                continue
            if due > now:
                return None
            heapq.heappop(self._heap)
            if self._in_use(family):
                family.used_at = now
            if now >= family.ends or now - family.used_at > self.check_every:
                self.drop(family)
                continue
            family.asking = True
            return family
        return None

    def wait(self, now: float) -> float | None:
        """Return the seconds until `next` may return a family; None if the queue is empty."""
        if not self._heap:
            return None
        return max(0.0, self._heap[0][0] - now)

    def checked(self, family: Family, *, at: float, spread: float) -> None:
        """Record that Cognito confirmed it at `at`. `spread` is a random number in [0, 1)."""
        family.checked_at = at
        self._push(family, at + self.check_every * (DUE_FROM + (DUE_TO - DUE_FROM) * spread))

    def back(self, family: Family) -> None:
        """Requeue a family that was not checked for lack of calls; it keeps its place."""
        self._push(family, family.due)

    def later(self, family: Family, due: float) -> None:
        """Retry a family later, after a failure or because another worker checks it."""
        self._push(family, due)

    def hasten(self, family: Family, due: float) -> None:
        """Make a waiting family due earlier."""
        if not family.asking and due < family.due:
            self._push(family, due)

    def drop(self, family: Family) -> None:
        """Stop watching a family, and clear its token."""
        if not family.gone:
            family.gone = True
            del self._families[family.key]
            self.text -= len(family.token)
            family.token = b""
            self._dropped(family)

    def of_subject(self, pool_id: str, subject: str) -> list[Family]:
        return [
            each for each in self._families.values() if (each.pool_id, each.subject) == (pool_id, subject)
        ]

    def oldest(self, now: float) -> float:
        """Return the age in seconds of the oldest check, approximated by the head of the queue."""
        while self._heap and (self._heap[0][2].gone or self._heap[0][0] != self._heap[0][2].due):
            heapq.heappop(self._heap)
        return self._heap[0][2].age(now) if self._heap else 0.0

    def __iter__(self) -> Iterator[Family]:
        return iter(list(self._families.values()))

    def __len__(self) -> int:
        return len(self._families)

    def _push(self, family: Family, due: float) -> None:
        family.due, family.asking = due, False
        if not family.gone:
            heapq.heappush(self._heap, (due, next(self._number), family))

    def __repr__(self) -> str:
        return f"<Schedule of {len(self)} families>"
