"""Key sets handed from one worker to another, so that a new worker need not wait for Cognito. Pure.

A worker that starts while the key endpoint is down, or whose first fetch fails, would otherwise have none,
although its siblings do. Invariants: only what `parse_key_set` accepted is handed over, and the receiver
parses it again; a key set is identified by its pool and the place it was read from, and serves no other; it
keeps the time at which it was read, however often it is handed on, so that it never appears younger.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.config.model import UserPool


@dataclass(frozen=True, slots=True)
class HandedOver:
    """One pool's key set: public keys only, as text, so that it can travel in a message."""

    pool_id: str
    # `place_of` the pool, where it was read.
    place: str
    # time.monotonic(), in seconds, which all processes of a machine share and nobody sets.
    read_at: float
    # The output of `render_key_set`.
    document: str


def place_of(pool: UserPool) -> str:
    """Return where the pool's key set is read: keys from elsewhere are not used, even for the same pool."""
    return f"url {pool.jwks_url}" if pool.jwks_file is None else f"file {pool.jwks_file}"


class NewestKeySets:
    """The newest key set of each configured pool, from whichever worker."""

    def __init__(self, pools: Iterable[UserPool]) -> None:
        self._places: dict[str, str] = {}
        self._newest: dict[str, HandedOver] = {}
        self.configure(pools)

    def configure(self, pools: Iterable[UserPool]) -> None:
        """Switch to these pools, and forget key sets that were read from none of their places."""
        self._places = {pool.id: place_of(pool) for pool in pools}
        self._newest = {handed.pool_id: handed for handed in self.all() if self._is_ours(handed)}

    def add(self, handed: HandedOver) -> None:
        """Store a key set, unless its place is not configured (any longer) or a newer one is stored."""
        known = self._newest.get(handed.pool_id)
        if self._is_ours(handed) and (known is None or known.read_at <= handed.read_at):
            self._newest[handed.pool_id] = handed

    def all(self) -> list[HandedOver]:
        return list(self._newest.values())

    def _is_ours(self, handed: HandedOver) -> bool:
        return self._places.get(handed.pool_id) == handed.place
