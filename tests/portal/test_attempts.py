"""How often somebody may be wrong."""

from __future__ import annotations

from gateway.portal import attempts
from gateway.portal.attempts import ADDRESS, PERSON, WINDOW, Attempts, Key

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


def test_whoever_is_right_begins_anew() -> None:
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


def test_memory_is_bounded() -> None:
    counted = Attempts()
    for number in range(attempts._MOST_KEYS + 100):
        counted.count([(PERSON, str(number))], 0)
    assert len(counted) == attempts._MOST_KEYS
    assert repr(counted) == f"<Attempts of {attempts._MOST_KEYS} keys>"
