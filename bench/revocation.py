"""A simulation of revocation checks, with the gateway's own schedule and budget.

    python -m bench.revocation        # writes the table into docs/revocation.md

Every sign-in is in use all the time on every replica, the hardest case: a load balancer that distributes
requests evenly. Replicas without Redis are alike and independent, so one of them is simulated with its share
of the calls; with Redis they act as one. Above `SIMULATED` sign-ins, they and the calls are divided by the
same number, since a check's age depends only on their ratio.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from gateway.revocation.pace import Budget
from gateway.revocation.schedule import DUE_FROM, DUE_TO, MAX_TEXT, Family, Schedule

DOCUMENT = Path(__file__).parents[1] / "docs" / "revocation.md"
BEGIN, END = "<!-- simulated: python -m bench.revocation -->", "<!-- end -->"

CHECK_EVERY = 30.0
CALLS_PER_SECOND = 30.0
# Bytes of a usual Cognito token; the number that a worker can watch depends on it.
TOKEN_SIZE = 1024
ROOM = MAX_TEXT // TOKEN_SIZE
SIMULATED = 2000
SIGN_INS = (1_000, 100_000, 1_000_000)
REPLICAS = (1, 10, 100, 1_000)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one case: calls per second needed for timely checks and calls made, the oldest check
    (seconds), and the share of sign-ins that are watched (0 to 1)."""

    wanted: float
    made: float
    oldest: float
    watched: float


def case(sign_ins: int, replicas: int, *, redis: bool) -> Outcome:
    """Return the outcome with one worker per replica and defaults; without Redis, `replicas` is
    configured."""
    room = ROOM * replicas if redis else ROOM
    families = min(sign_ins, room)
    calls = CALLS_PER_SECOND if redis else CALLS_PER_SECOND / replicas
    askers = 1 if redis else replicas
    parts = max(1.0, families / SIMULATED)
    made, oldest = simulate(round(families / parts), calls / parts)
    usual = CHECK_EVERY * (DUE_FROM + DUE_TO) / 2
    return Outcome(askers * families / usual, askers * made * parts, oldest, families / sign_ins)


def simulate(families: int, calls: float) -> tuple[float, float]:
    """Return calls per second and the age of the oldest check, once settled."""
    dice = random.Random(7)
    schedule = Schedule(CHECK_EVERY, in_use=lambda family: True, dropped=_never)
    budget = Budget(calls)
    for number in range(families):
        family = Family(f"f{number}", "pool", "sub", now=dice.random() * CHECK_EVERY)
        schedule.watch(family, b"t", ends=float("inf"), issued_at=0.0)
    round_trip = max(CHECK_EVERY, families / calls)
    settled, end = 2 * round_trip, 4 * round_trip
    now, made, oldest = 0.0, 0, 0.0
    while now < end:
        due = schedule.next(now)
        if due is None:
            now += max(1e-6, schedule.wait(now) or 0.0)
            continue
        wait = budget.take(now)
        if wait > 0:
            schedule.back(due)
            now += wait
            continue
        if now >= settled:
            made += 1
            oldest = max(oldest, due.age(now))
        schedule.checked(due, at=now, spread=dice.random())
    return made / (end - settled), oldest


def _never(family: Family) -> None:
    raise AssertionError(f"{family!r} was in use")


def table() -> str:
    lines = [
        "| sign-ins in use | replicas | Redis | calls wanted | calls made | oldest check | asked about |",
        "|--:|--:|---|--:|--:|--:|--:|",
    ]
    for sign_ins in SIGN_INS:
        for replicas in REPLICAS:
            for redis in (False, True) if replicas > 1 else (False,):
                outcome = case(sign_ins, replicas, redis=redis)
                lines.append(
                    f"| {sign_ins:,} | {replicas:,} | {'yes' if redis else 'no'} | {_calls(outcome.wanted)} "
                    f"| {_calls(outcome.made)} | {_age(outcome.oldest)} | {outcome.watched:.0%} |"
                )
    return "\n".join(lines)


def _calls(number: float) -> str:
    return f"{number:,.0f}/s"


def _age(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def written(document: str) -> str:
    """Return the document with the current table."""
    before, _, rest = document.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
