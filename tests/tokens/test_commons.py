"""What workers know together: one asks, all learn of it, and all together keep to the calls."""

from __future__ import annotations

from collections import Counter

from gateway.revocation.deny_list import Denial
from gateway.revocation.pace import BURST
from gateway.revocation.shared_state import ASKING, MAX_FAMILIES, Commons

FAMILY, SUBJECT = "pool/origin_jti/o", "pool/sub/s"


def kind(commons: Commons, now: float, family: str = FAMILY, issued_at: float = 100.0) -> str:
    return commons.claim(family, SUBJECT, issued_at=issued_at, now=now).kind


def test_one_worker_checks_and_the_others_get_the_result() -> None:
    commons = Commons(10.0, 1000.0)
    assert Counter(kind(commons, 1.0) for _ in range(20)) == {"ask": 1, "busy": 19}
    commons.settle(FAMILY, 1.2)
    found = commons.claim(FAMILY, SUBJECT, issued_at=100.0, now=3.2)
    assert (found.kind, found.seconds) == ("fresh", 2.0)
    # Half of check_every later it is nobody's answer any more.
    assert kind(commons, 6.3) == "ask"


def test_a_failed_or_dead_check_is_left_to_the_next_worker() -> None:
    commons = Commons(10.0, 1000.0)
    assert kind(commons, 1.0) == "ask"
    commons.give_up(FAMILY)
    assert kind(commons, 1.0) == "ask"
    assert kind(commons, 1.0 + ASKING + 0.1) == "ask"
    commons.settle(FAMILY, 8.0)
    commons.give_up(FAMILY)
    assert kind(commons, 8.0) == "fresh"


def test_who_is_denied_is_denied_to_all_and_through_a_reload() -> None:
    commons = Commons(10.0, 1000.0)
    commons.deny(FAMILY, Denial("revoked", 0.0), 1.0)
    commons.deny(SUBJECT, Denial("disabled", 100.5), 1.0)
    for each in (commons, reloaded(commons)):
        found = each.claim(FAMILY, SUBJECT, issued_at=200.0, now=2.0)
        assert (found.kind, found.key, found.cause) == ("denied", FAMILY, "revoked")
        found = each.claim("pool/origin_jti/another", SUBJECT, issued_at=100.5, now=2.0)
        assert (found.kind, found.key, found.cause, found.issued_until) == (
            "denied",
            SUBJECT,
            "disabled",
            100.5,
        )
        assert kind(each, 2.0, "pool/origin_jti/later", issued_at=101.0) in {"ask", "busy"}


def reloaded(commons: Commons) -> Commons:
    return Commons(20.0, 1000.0, previous=commons)


def test_all_together_keep_to_the_calls() -> None:
    commons = Commons(10.0, 20.0)
    kinds = [kind(commons, 1.0 + number / 100, f"f{number}") for number in range(500)]
    assert kinds.count("ask") <= BURST + 20 * 5
    assert kinds.count("ask") >= 20 * 5 - 1
    wait = commons.claim("another", SUBJECT, issued_at=0.0, now=5.99)
    assert wait.kind == "wait"
    assert 0 < wait.seconds <= 0.05


def test_remembered_verdicts_are_bounded_and_expire() -> None:
    commons = Commons(10.0, 1e9)
    for number in range(MAX_FAMILIES + 1000):
        commons.settle(f"f{number}", 1.0)
    assert len(commons) == MAX_FAMILIES
    commons.settle("last", 100.0)
    assert len(commons) == 1
