"""One warm token in forward auth: the cost of a decision for another proxy.

nginx's relay is measured beside it as in every work: the cost of moving one request and its answer.
"""

from __future__ import annotations

from bench.contestants import Contestant
from bench.goals import Goal
from bench.works.warm import Warm


class ForwardAuth(Warm):
    name = "forward-auth"
    title = "a decision for another proxy"
    asked = True
    goals = (
        Goal("CPU per decision ÷ nginx's relay", "cpu_us", 2.4, "nginx"),
        Goal("CPU per decision ÷ oauth2-proxy", "cpu_us", 0.5, "oauth2-proxy"),
    )

    def unfit(self, contestant: Contestant) -> str | None:
        if contestant.authenticates and contestant.decision_path is None:
            return "it makes no decisions for other proxies"
        return None
