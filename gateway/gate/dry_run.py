"""A dry run of the gate for a path and a token, for `explain`. Pure.

Sessions, rate limits and revocation are not consulted.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config.model import Config
from gateway.errors import Refusal, WrongAudience
from gateway.gate.own_paths import OwnPaths
from gateway.policy.decide import decide
from gateway.policy.paths import split_target
from gateway.policy.readings import readings
from gateway.policy.routes import RouteTable
from gateway.tokens.claims import Claims
from gateway.tokens.explain import Explanation
from gateway.tokens.principal import Principal


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome for a request with this token."""

    request: str
    route: str
    allowed: bool
    told: str


def decide_for(
    config: Config, method: str, target: str, explanation: Explanation, now: float, *, sealed: bool = False
) -> Decision:
    """Decide by the gateway's own steps: every reading of the path, the strictest need, the decision.

    `sealed`: the token is an MCP client's, good for one resource."""
    name = f"{method} {target}"
    try:
        paths = readings(split_target(target)[0], config.paths)
    except Refusal as refusal:
        return Decision(name, "none: the path is refused before any route", False, refused_with(refusal))
    table = RouteTable(config.routes)
    if OwnPaths(config, table, None).hold(paths):
        return Decision(
            name, "none: the path is the gateway's own", False, "never proxied: the gateway answers it"
        )
    route, need = table.match(paths[0], method), table.need(paths, method)
    told = "none: a valid token is required" if route is None else f"{route.path} (auth: {route.auth})"
    if need.auth == "none":
        return Decision(name, told, True, "allowed (open_route): the token is not checked")
    if explanation.refusal is not None:
        return Decision(name, told, False, refused_with(explanation.refusal))
    assert explanation.claims is not None, "either is set"
    if sealed and config.mcp is not None and not all(map(config.mcp.covers, paths)):
        return Decision(name, told, False, refused_with(WrongAudience("the path is outside mcp.resource")))
    try:
        reason = decide(need, _who(explanation.claims, config), now)
    except Refusal as refusal:
        return Decision(name, told, False, refused_with(refusal))
    return Decision(name, told, True, f"allowed ({reason})")


def _who(claims: Claims, config: Config) -> Principal:
    named = claims.named(config.claims_in_routes, unverified=config.identity_headers.send_unverified)
    return Principal(claims, b"", named)


def refused_with(refusal: Refusal) -> str:
    """Return a refusal in one line: status, reason and exact cause."""
    return f"refused with {refusal.status} ({refusal.reason}): {refusal}"
