"""Shares and turns, as values: what no client can take, whatever it asks for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.shares import FairQueue, Holder, Shares, holder_of
from tests.support.requests import a_request

ONE, TWO, THREE = (Holder("", name) for name in ("192.0.2.1", "192.0.2.2", "192.0.2.3"))


PLACES = 1024


def fill(shares: Shares, holder: Holder) -> int:
    """How many places a client gets that takes all it may have."""
    taken = 0
    while shares.taken < PLACES and shares.admits(holder):
        shares.take(holder)
        taken += 1
    return taken


def test_one_takes_half_and_the_next_half_of_the_rest() -> None:
    shares = Shares(PLACES)
    assert [fill(shares, holder) for holder in (ONE, TWO, THREE)] == [513, 256, 128]
    assert shares.admits(Holder("", "192.0.2.4"))
    assert not shares.admits(ONE)
    # It is not behind for having been greedy once.
    for _ in range(513):
        shares.give(ONE)
    assert shares.admits(ONE)


@given(
    st.integers(3, 40),
    st.lists(st.tuples(st.sampled_from([ONE, TWO, THREE]), st.booleans()), max_size=200),
)
def test_no_client_has_the_last_place(places: int, steps: list[tuple[Holder, bool]]) -> None:
    shares = Shares(places)
    held = dict.fromkeys((ONE, TWO, THREE), 0)
    for holder, gives in steps:
        if gives and held[holder]:
            shares.give(holder)
            held[holder] -= 1
        elif not gives and shares.taken < places and shares.admits(holder):
            shares.take(holder)
            held[holder] += 1
            assert held[holder] <= places - shares.taken + 2
        assert shares.taken == sum(held.values()) <= places
        assert max(held.values()) < places
        # Who has nothing gets whatever is free.
        assert shares.admits(Holder("", "192.0.2.9"))


def test_returning_an_unknown_share_changes_nothing() -> None:
    shares = Shares(4)
    shares.give(ONE)
    assert shares.taken == 0


def test_those_that_wait_take_turns() -> None:
    queue: FairQueue[int] = FairQueue(100)
    assert all(queue.add(ONE, number) for number in range(40))
    assert queue.add(TWO, 100)
    assert queue.add(TWO, 101)
    assert [queue.next(None) for _ in range(5)] == [0, 100, 1, 101, 2]
    assert len(queue) == 37


def test_one_client_does_not_fill_the_queue() -> None:
    queue: FairQueue[int] = FairQueue(100)
    waiting = sum(queue.add(ONE, number) for number in range(1100))
    assert waiting == 51
    assert queue.add(TWO, 1)
    assert sum(queue.add(Holder("", str(n)), n) for n in range(1000)) == 48
    assert not queue.add(THREE, 1), "full is full"


def test_a_holder_at_its_limit_does_not_block_the_others() -> None:
    queue, shares = FairQueue[str](10), Shares(10)
    while shares.admits(ONE):
        shares.take(ONE)
    assert queue.add(ONE, "greedy")
    assert queue.next(shares) is None
    assert queue.add(TWO, "other")
    assert queue.next(shares) == "other"
    assert len(queue) == 1


def test_a_cancelled_waiter_leaves_the_queue() -> None:
    queue: FairQueue[str] = FairQueue(10)
    assert queue.add(ONE, "a")
    assert queue.remove(ONE, "a")
    assert not queue.remove(ONE, "a")
    assert (len(queue), queue.next(None)) == (0, None)


def test_an_ipv6_subscriber_is_one_client() -> None:
    one, two = a_request("2001:db8:1:2::1"), a_request("2001:db8:1:2:ffff::9")
    assert holder_of(one) == holder_of(two) != holder_of(a_request("2001:db8:1:3::1"))
