"""The works: the loads that contestants are measured under. A new one is a module and a line in WORKS."""

from bench.works.attacks import Attacks
from bench.works.base import Arena, Work
from bench.works.bodies import Bodies
from bench.works.flood import Flood
from bench.works.forged import Forged
from bench.works.forward_auth import ForwardAuth
from bench.works.growth import GrowingConnections, GrowingRoutes, GrowingTokens
from bench.works.grpc import GrpcDecisions
from bench.works.idle import IdleConnections, IdleTunnels
from bench.works.logging import AccessLog
from bench.works.memory import MemoryAfterRequests
from bench.works.openloop import OpenLoop
from bench.works.start import Start
from bench.works.tokens import NewTokens, TokensInTurn
from bench.works.tracing import Tracing
from bench.works.warm import Warm

WORKS: dict[str, type[Work]] = {
    work.name: work
    for work in (
        Warm,
        TokensInTurn,
        NewTokens,
        ForwardAuth,
        GrpcDecisions,
        Start,
        MemoryAfterRequests,
        Flood,
        Forged,
        AccessLog,
        Tracing,
        Bodies,
        OpenLoop,
        IdleConnections,
        IdleTunnels,
        GrowingConnections,
        GrowingTokens,
        GrowingRoutes,
        Attacks,
    )
}

__all__ = ["WORKS", "Arena", "Work"]
