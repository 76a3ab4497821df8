"""Which sign-ins Cognito is asked about next: pure bookkeeping, no clock, no await; revocation.py acts on it.

A *family* is all that one sign-in brought: the tokens with one `origin_jti`, which Cognito revokes together,
so that one of them stands for all. Families wait in the order in which they became due. Invariant: a family
that was used within `check_every` is looked at again before that time is over, as long as the calls suffice;
and no token's text is kept for a family that was not used for so long, nor beyond `MAX_TEXT` bytes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import count

# When a family is due again, as parts of check_every: between these, so that replicas and families that began
# together drift apart. The rest is for the call itself and for a short queue; earlier would cost more calls.
DUE_FROM, DUE_TO = 0.6, 0.8
# Text of tokens kept for asking, in bytes: 16,000 tokens of Cognito's usual 1 KB. With AWS's quota it takes
# nine minutes to ask about so many; more would be remembered and not asked about in time.
MAX_TEXT = 16 * 1024 * 1024
# Tokens of one family remembered, so that all go when it does. A refresh an hour makes 24 a day.
MAX_TOKENS = 64


class Family:
    """One sign-in. Times are of one clock that never goes back."""

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
        # The token that lives longest, its end and its time of issue (Unix).
        self.token = b""
        self.ends = 0.0
        self.issued_at = 0.0
        # SHA-256 of its tokens that were let in.
        self.digests: set[bytes] = set()
        self.seen_at = now
        self.checked_at: float | None = None
        # `used`: since somebody looked last; `used_at`: when that was found, so never too early.
        self.used = True
        self.used_at = now
        self.due = now
        self.asking = False
        self.gone = False

    def age(self, now: float) -> float:
        """Seconds since Cognito said that it holds, or since it was first seen."""
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
        """`in_use`: whether a token of it was used since it was asked last. `dropped`: it is not watched any
        more; the next use of one of its tokens must come here again."""
        self.check_every = check_every
        self._in_use = in_use
        self._dropped = dropped
        self._max_text = max_text
        self.text = 0
        self._families: dict[str, Family] = {}
        # (due, a number that decides between equals, family); entries whose due is not the family's are old.
        self._heap: list[tuple[float, int, Family]] = []
        self._number = count()

    def get(self, key: str) -> Family | None:
        return self._families.get(key)

    def watch(self, family: Family, token: bytes, *, ends: float, issued_at: float) -> bool:
        """Take it in, due at once; or give it a token that lives longer. False: there is no room for it.

        Without room for a longer text it is watched until the end of the token that it has.
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
        """The family to ask about now, out of the queue until its outcome is told below; None: nobody."""
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
        """Seconds until `next` may have one; None: not before something new comes."""
        if not self._heap:
            return None
        return max(0.0, self._heap[0][0] - now)

    def checked(self, family: Family, *, at: float, spread: float) -> None:
        """It held at `at`. `spread` is a random number in [0, 1)."""
        family.checked_at = at
        self._push(family, at + self.check_every * (DUE_FROM + (DUE_TO - DUE_FROM) * spread))

    def back(self, family: Family) -> None:
        """It was not asked about, for want of calls: it keeps its place."""
        self._push(family, family.due)

    def later(self, family: Family, due: float) -> None:
        """Nobody could tell, or somebody else is asking: it is tried again then."""
        self._push(family, due)

    def hasten(self, family: Family, due: float) -> None:
        """Have one that waits due earlier."""
        if not family.asking and due < family.due:
            self._push(family, due)

    def drop(self, family: Family) -> None:
        """Forget it, its token first."""
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
        """The age of the oldest check among those that wait for one, as near as their order tells."""
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
