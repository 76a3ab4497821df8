"""Keys for the pools of local Cognitos, reused between tests: creating a pool's two costs 0.1 s of CPU."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator

from local_cognito import keys

# The number of keys that stay unused, so that none is reused soon: a Cognito started after another one has
# different keys.
_AT_REST = 6
_free: deque[keys.PoolKeys] = deque()


@contextlib.contextmanager
def lent() -> Iterator[Callable[[], keys.PoolKeys]]:
    """Lend a `make_keys` whose keys have no other user in this process until the block ends."""
    taken: list[keys.PoolKeys] = []

    def make() -> keys.PoolKeys:
        pair = keys.generate() if len(_free) <= _AT_REST else _free.popleft()
        taken.append(pair)
        return pair

    try:
        yield make
    finally:
        _free.extend(taken)
