"""How often somebody may be wrong."""

from __future__ import annotations

from gateway.pages import attempts
from gateway.pages.attempts import ADDRESS, PERSON, WINDOW, Attempts, Key, by_address

ALICE: list[Key] = [(ADDRESS, "10.0.0.1"), (PERSON, "alice")]


def test_a_limit_holds_and_ends() -> None:
    counted = Attempts()
    for second in range(PERSON.most):
        assert counted.wait(ALICE, second) == 0
        counted.count(ALICE, second)
    now = float(PERSON.most)
    assert counted.wait(ALICE, now) == WINDOW - now
    assert counted.wait([(PERSON, "bob"), (ADDRESS, "10.0.0.1")], now) == 0
    assert counted.wait(ALICE, WINDOW) == 0


def test_a_success_resets_the_count() -> None:
    counted = Attempts()
    for _ in range(PERSON.most):
        counted.count(ALICE, 0)
    counted.forgive(ALICE)
    assert counted.wait(ALICE, 0) == 0


def test_an_address_is_counted_over_all_names() -> None:
    counted = Attempts()
    for number in range(ADDRESS.most):
        counted.count([(ADDRESS, "10.0.0.1"), (PERSON, str(number))], 0)
    assert counted.wait([(ADDRESS, "10.0.0.1"), (PERSON, "new")], 1) > 0
    assert counted.wait([(ADDRESS, "10.0.0.2"), (PERSON, "new")], 1) == 0


def test_an_attempt_that_was_not_wrong_is_uncounted() -> None:
    counted = Attempts()
    for second in range(PERSON.most):
        counted.count(ALICE, second)
    assert counted.wait(ALICE, 20) > 0
    counted.take_back(ALICE, 3)
    counted.take_back(ALICE, 3)
    assert counted.wait(ALICE, 20) == 0
    counted.count(ALICE, 20)
    assert counted.wait(ALICE, 20) > 0
    for second in (*range(PERSON.most), 20):
        counted.take_back(ALICE, second)
    assert len(counted) == 0


def test_a_subscriber_has_one_address() -> None:
    assert by_address(ADDRESS, "2001:db8::1") == by_address(ADDRESS, "2001:db8::ffff:2")
    assert by_address(ADDRESS, "2001:db8::1") != by_address(ADDRESS, "2001:db8:0:1::1")
    assert by_address(ADDRESS, "10.0.0.1:4711") == by_address(ADDRESS, "10.0.0.1")


def test_memory_is_bounded() -> None:
    counted = Attempts()
    for number in range(attempts.MOST_KEYS + 100):
        counted.count([(PERSON, str(number))], 0)
    assert len(counted) == attempts.MOST_KEYS
    assert repr(counted) == f"<Attempts of {attempts.MOST_KEYS} keys>"
