"""One warm token in forward auth: the cost of a decision for another proxy, and of the same request proxied.

nginx's relay is measured beside it as in every work: the cost of moving one request and its answer.
"""

from __future__ import annotations

from dataclasses import replace

from bench import upstream
from bench.contestants import Contestant
from bench.goals import Goal
from bench.report import Column
from bench.stats import Sample
from bench.works.base import Arena
from bench.works.warm import Warm

PROXIED = Column("proxied_us", "proxied")
SHARE = Column("share", "decision ÷ proxied", 2)


class ForwardAuth(Warm):
    name = "forward-auth"
    title = "a decision for another proxy"
    columns = (*Warm.columns, PROXIED, SHARE)
    asked = True
    goals = (
        Goal("CPU per decision ÷ nginx's relay", "cpu_us", 2.4, "nginx"),
        Goal("CPU per decision ÷ oauth2-proxy", "cpu_us", 0.5, "oauth2-proxy"),
        Goal("CPU per decision ÷ the same request proxied", "share", 0.75),
    )

    def unfit(self, contestant: Contestant) -> str | None:
        if contestant.authenticates and contestant.decision_path is None:
            return "it makes no decisions for other proxies"
        return None

    def measure(self, arena: Arena, contestant: Contestant, number: int) -> Sample:
        """Measure decisions, then the same requests sent through the same process."""
        decided = super().measure(arena, contestant, number)
        plan = replace(arena.plan(contestant, arena.one_token()), path=upstream.PATH, headers={})
        proxied = arena.drive(contestant, plan)["cpu_us"]
        return {**decided, "proxied_us": proxied, "share": decided["cpu_us"] / proxied}
