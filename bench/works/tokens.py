"""Many tokens: 3,000 in turn (all cached after the first turn), and every token new."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.contestants import Contestant
from bench.goals import Goal
from bench.report import Column
from bench.signature import verification_us
from bench.stats import Sample
from bench.works.base import CPU, LOADED, Arena, Work

IN_TURN = 3_000
# Enough that a round of the slowest peer lasts a second and the scheduler's clock is exact.
NEW_PER_ROUND = 8_000
NEW_PER_ROUND_QUICK = 1_000
# Time limit in case a contestant hangs; a round ends with its last token, long before.
ROUND_SECONDS = 120

SIGNATURE = Column("signature_us", "a signature alone")
# For who verifies nothing: its cost and one signature, the least that a new token can cost.
WITH_SIGNATURE = Column("with_signature_us", "with a signature")


class TokensInTurn(Work):
    name = "tokens3000"
    title = "3,000 tokens in turn"
    columns = LOADED
    headline = CPU
    controlled = True
    goals = (Goal("CPU per request ÷ HAProxy", "cpu_us", 0.85, "haproxy"),)
    _file: Path

    def prepare(self, arena: Arena) -> None:
        self._file = arena.directory / "tokens-in-turn"
        arena.mint.write(self._file, IN_TURN)

    def warm_up(self, arena: Arena, contestant: Contestant) -> None:
        plan = arena.plan(contestant, self._file, seconds=ROUND_SECONDS)
        arena.load(replace(plan, order="once", count=IN_TURN))

    def measure(self, arena: Arena, contestant: Contestant, number: int) -> Sample:
        return arena.drive(contestant, replace(arena.plan(contestant, self._file), order="cycle"))


class NewTokens(Work):
    """Each contestant sees each token once; all contestants see the same ones in the same round."""

    name = "new"
    title = "every token new"
    columns = (*LOADED, SIGNATURE, WITH_SIGNATURE)
    headline = CPU
    controlled = True
    goals = (
        Goal("CPU per request ÷ HAProxy", "cpu_us", 1.4, "haproxy"),
        Goal("CPU per request ÷ (nginx + one signature)", "with_signature_us", 1.5, "nginx"),
    )
    _file: Path

    def _size(self, arena: Arena) -> int:
        return NEW_PER_ROUND_QUICK if arena.options.quick else NEW_PER_ROUND

    def prepare(self, arena: Arena) -> None:
        self._file = arena.directory / "new-tokens"
        # The warm-up uses the first share, and the rounds that count parts (bench/parts.py) the last two.
        rounds = arena.options.rounds + (2 if arena.options.parts else 0)
        arena.mint.write(self._file, self._size(arena) * (rounds + 1))

    def _share(self, arena: Arena, contestant: Contestant, number: int, count: int) -> Sample:
        plan = arena.plan(contestant, self._file, seconds=ROUND_SECONDS)
        offset = self._size(arena) * number
        return arena.drive(contestant, replace(plan, order="once", offset=offset, count=count))

    def warm_up(self, arena: Arena, contestant: Contestant) -> None:
        self._share(arena, contestant, 0, min(1_000, self._size(arena)))

    def measure(self, arena: Arena, contestant: Contestant, number: int) -> Sample:
        sample = self._share(arena, contestant, number + 1, self._size(arena))
        signature = verification_us(arena.mint.key, arena.proxy_cpus)
        missing = 0.0 if contestant.authenticates else signature
        return {**sample, "signature_us": signature, "with_signature_us": sample["cpu_us"] + missing}
