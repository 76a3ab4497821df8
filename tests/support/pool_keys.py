"""Keys for the pools of local Cognitos, which tests borrow: to make a pool's two takes 0.1 s of CPU."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator

from local_cognito import keys

# Those at hand that are left alone, so that none comes back soon: a Cognito that a test starts after another
# one ended has other keys.
_AT_REST = 6
_free: deque[keys.PoolKeys] = deque()


@contextlib.contextmanager
def lent() -> Iterator[Callable[[], keys.PoolKeys]]:
    """A `make_keys` whose pairs nobody else in this process has, until the block ends."""
    taken: list[keys.PoolKeys] = []

    def make() -> keys.PoolKeys:
        pair = keys.generate() if len(_free) <= _AT_REST else _free.popleft()
        taken.append(pair)
        return pair

    try:
        yield make
    finally:
        _free.extend(taken)
