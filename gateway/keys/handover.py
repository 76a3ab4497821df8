"""Key sets that pass from one worker to another: what a worker goes on with that has read none itself.

A worker that is started while the key endpoint is down, or whose first fetch fails, would otherwise have
none, although its siblings have. Pure. Invariants: only what `parse_key_set` accepted once is handed over,
and the heir has it parsed again; a key set is told by its pool and the place it was read from, and belongs to
no other; it keeps the moment at which it was read, however often it is handed on, so that it gets no younger
on the way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.config.model import UserPool


@dataclass(frozen=True, slots=True)
class HandedOver:
    """One pool's key set: public keys only, as text, so that it travels in a message."""

    pool_id: str
    # Where it was read: `place_of` the pool.
    place: str
    # time.monotonic(), in seconds: one clock for all processes of a machine, which nobody sets.
    read_at: float
    # What `render_key_set` made.
    document: str


def place_of(pool: UserPool) -> str:
    """Where the pool's key set is read. Another place is another owner's word, even for the same pool."""
    return f"url {pool.jwks_url}" if pool.jwks_file is None else f"file {pool.jwks_file}"


class NewestKeySets:
    """The newest key set of each configured pool, whichever worker had read it."""

    def __init__(self, pools: Iterable[UserPool]) -> None:
        self._places: dict[str, str] = {}
        self._newest: dict[str, HandedOver] = {}
        self.configure(pools)

    def configure(self, pools: Iterable[UserPool]) -> None:
        """From now on these pools: what is of no place of theirs is forgotten, as a worker forgets it."""
        self._places = {pool.id: place_of(pool) for pool in pools}
        self._newest = {handed.pool_id: handed for handed in self.all() if self._is_ours(handed)}

    def add(self, handed: HandedOver) -> None:
        """Take it, unless it is of a place that is not configured (any more), or older than what is here."""
        known = self._newest.get(handed.pool_id)
        if self._is_ours(handed) and (known is None or known.read_at <= handed.read_at):
            self._newest[handed.pool_id] = handed

    def all(self) -> list[HandedOver]:
        return list(self._newest.values())

    def _is_ours(self, handed: HandedOver) -> bool:
        return self._places.get(handed.pool_id) == handed.place
