"""Who is asked about next: in time while the calls suffice, oldest first, and nobody kept for nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.revocation.schedule import DUE_FROM, DUE_TO, Family, Schedule

EVERY = 30.0


class World:
    """A schedule whose families are in use as told."""

    def __init__(self, max_text: int = 10_000) -> None:
        self.used: set[str] = set()
        self.dropped: list[str] = []
        self.schedule = Schedule(
            EVERY,
            in_use=lambda family: family.key in self.used,
            dropped=lambda family: self.dropped.append(family.key),
            max_text=max_text,
        )

    def watch(self, key: str, now: float, token: bytes = b"token", ends: float = 1e9) -> Family:
        family = self.schedule.get(key) or Family(key, "pool", f"sub of {key}", now=now)
        assert self.schedule.watch(family, token, ends=ends, issued_at=1.0)
        return family


def test_the_first_look_is_at_once_and_the_next_in_good_time() -> None:
    world = World()
    family = world.watch("a", 100.0)
    world.used = {"a"}
    assert world.schedule.wait(100.0) == 0.0
    assert world.schedule.next(100.0) is family
    assert world.schedule.next(100.0) is None
    assert world.schedule.wait(100.0) is None
    for spread, due in ((0.0, DUE_FROM), (0.999, DUE_TO)):
        world.schedule.checked(family, at=100.0, spread=spread)
        assert abs((world.schedule.wait(100.0) or 0) - due * EVERY) < 0.1
        assert world.schedule.next(100.0 + due * EVERY - 0.1) is None
        assert world.schedule.next(100.0 + due * EVERY + 0.1) is family


@given(st.lists(st.tuples(st.floats(0, 20), st.floats(0, 0.999)), min_size=1, max_size=60))
def test_a_used_family_is_checked_within_check_every(steps: list[tuple[float, float]]) -> None:
    world, now = World(), 0.0
    families = {key: world.watch(key, now) for key in "abc"}
    world.used = set(families)
    for pause, spread in steps:
        # Time passes only as far as somebody is due: an owner who wakes when it is told to.
        now += min(pause, world.schedule.wait(now) or 0.0)
        while (family := world.schedule.next(now)) is not None:
            assert family.age(now) <= DUE_TO * EVERY + 1e-6
            world.schedule.checked(family, at=now, spread=spread)
        assert world.schedule.oldest(now) <= DUE_TO * EVERY + 1e-6
    assert len(world.schedule) == 3


def test_an_idle_family_is_checked_until_its_time_is_over_and_then_forgotten() -> None:
    world = World()
    family = world.watch("a", 0.0)
    world.used = {"a"}
    assert world.schedule.next(0.0) is family
    world.used = set()
    world.schedule.checked(family, at=0.0, spread=0.5)
    # Used at 0, due at 21: within check_every of its use.
    assert world.schedule.next(21.5) is family
    world.schedule.checked(family, at=21.5, spread=0.5)
    assert world.schedule.next(43.0) is None
    assert world.dropped == ["a"]
    assert family.token == b""
    assert (len(world.schedule), world.schedule.text) == (0, 0)


def test_a_token_that_ended_is_not_asked_about() -> None:
    world = World()
    world.watch("a", 0.0, ends=10.0)
    world.used = {"a"}
    assert world.schedule.next(10.0) is None
    assert world.dropped == ["a"]


def test_the_token_that_lives_longest_stands_for_all() -> None:
    world = World()
    family = world.watch("a", 0.0, b"first", ends=100.0)
    world.watch("a", 0.0, b"refreshed!", ends=200.0)
    world.watch("a", 0.0, b"old", ends=50.0)
    assert (family.token, family.ends) == (b"refreshed!", 200.0)
    assert world.schedule.text == 10
    assert "refreshed" not in repr(family) + repr(world.schedule)


def test_token_text_is_bounded() -> None:
    world = World(max_text=25)
    for key in "abcde":
        world.watch(key, 0.0)
    assert not world.schedule.watch(Family("f", "pool", "sub", now=0.0), b"token", ends=1.0, issued_at=0.0)
    world.schedule.drop(world.watch("a", 0.0))
    world.watch("f", 0.0)
    # A longer one does not take the place of one that is there either.
    family = world.watch("f", 0.0, b"token that grew", ends=2e9)
    assert family.token == b"token"
    assert world.schedule.text == 25


def test_the_longest_waiting_families_come_first() -> None:
    world = World()
    for number, key in enumerate("abcd"):
        world.watch(key, float(number))
    world.used = set("abcd")
    order = []
    while (family := world.schedule.next(100.0)) is not None:
        order.append(family.key)
        if len(order) == 2:
            hastened = world.schedule.get("d")
            assert hastened is not None
            world.schedule.hasten(hastened, 1.5)
    assert order == ["a", "b", "d", "c"]


def test_an_unchecked_family_keeps_its_place_and_a_failed_one_is_requeued_last() -> None:
    world = World()
    world.watch("a", 0.0)
    world.watch("b", 1.0)
    world.used = set("ab")
    first = world.schedule.next(5.0)
    assert first is not None
    world.schedule.back(first)
    assert world.schedule.next(5.0) is first
    world.schedule.later(first, 5.0)
    second = world.schedule.next(5.0)
    assert second is not None
    assert (first.key, second.key) == ("a", "b")
    assert world.schedule.next(5.0) is first


def test_a_family_dropped_during_a_check_is_not_requeued() -> None:
    world = World()
    family = world.watch("a", 0.0)
    world.used = {"a"}
    assert world.schedule.next(0.0) is family
    world.schedule.drop(family)
    world.schedule.drop(family)
    world.schedule.checked(family, at=0.0, spread=0.0)
    assert world.dropped == ["a"]
    assert world.schedule.next(1e6) is None
