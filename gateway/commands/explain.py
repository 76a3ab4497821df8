"""The `explain` command: why the gateway would take this token or not, without calling the API.

The checks are `verify.explain`'s; this reads the configuration and the key sets, and prints. Invariant: the
token's signature is never printed, and nothing is sent anywhere but a request for the public keys.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from gateway.config.load import load
from gateway.config.model import Config, Egress, UserPool
from gateway.errors import (
    GatewayError,
    MalformedAuthorization,
    NotConfigured,
    Refusal,
    TwoCredentials,
)
from gateway.gate.own_paths import OwnPaths
from gateway.keys.fetch import FetchFailed, FileSource, HttpSource
from gateway.policy.decide import decide
from gateway.policy.paths import split_target
from gateway.policy.readings import readings
from gateway.policy.routes import RouteTable
from gateway.terminal import Mark, Paint, columns, paint_for, waiting_for
from gateway.tokens.bearer import bearer_token
from gateway.tokens.claims import Claims
from gateway.tokens.explain import Check, Explanation, Keys, explain
from gateway.tokens.jwk import KeySetRefused, read_key_set
from gateway.tokens.principal import Principal

# More than cognito.max_token_size can be is no token, and need not be read.
_MOST_INPUT = 128 * 1024
# Of a file name (Linux); the shortest token is longer.
_LONGEST_NAME = 255
# What surrounds a token that was copied from a terminal or a log of requests.
_PREFIXES = ("authorization:", "bearer ")


@dataclass(frozen=True, slots=True)
class ExplainRequest:
    """The command's arguments. `token` None or `-`: read from stdin."""

    config_path: Path
    token: str | None = field(repr=False)
    method: str
    # Of a request whose route is to be told too; None: none.
    target: str | None
    as_json: bool
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


def explain_command(request: ExplainRequest) -> int:
    """Prints the explanation; 0 where the request would be let through, else 1. Raises GatewayError."""
    config = load(request.config_path, request.environ).config
    token = _token(request)
    malformed = _malformed(token)
    with waiting_for("the keys of " + ", ".join(pool.id for pool in config.cognito.user_pools)):
        keys = asyncio.run(_key_sets(config))
    explanation = malformed or explain(
        token,
        config.cognito.user_pools,
        keys,
        now=time.time(),
        leeway=config.cognito.clock_leeway,
        max_size=config.cognito.max_token_size,
    )
    if not config.cognito.user_pools:
        # As for requests: nobody has anything to compare a token with.
        explanation = replace(explanation, refusal=NotConfigured("no user pool is configured"))
    decision = None
    if request.target is not None:
        decision = decide_for(config, request.method, request.target, explanation, time.time())
    if request.as_json:
        sys.stdout.write(as_json(explanation, decision))
    else:
        sys.stdout.write(as_text(explanation, decision, paint_for(sys.stdout, request.environ)))
    accepted = explanation.claims is not None if decision is None else decision.allowed
    return 0 if accepted else 1


# --- may they ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Decision:
    """What would become of a request with this token."""

    request: str
    route: str
    allowed: bool
    told: str


def decide_for(config: Config, method: str, target: str, explanation: Explanation, now: float) -> Decision:
    """By the gateway's own steps: every reading of the path, the strictest need, the decision. Pure."""
    name = f"{method} {target}"
    try:
        paths = readings(split_target(target)[0], config.paths)
    except Refusal as refusal:
        return Decision(name, "none: the path is refused before any route", False, _refused(refusal))
    table = RouteTable(config.routes)
    if OwnPaths(config, table, None).hold(paths):
        return Decision(
            name, "none: the path is the gateway's own", False, "never proxied: the gateway answers it"
        )
    route, need = table.match(paths[0], method), table.need(paths, method)
    told = "none: a valid token is needed" if route is None else f"{route.path} (auth: {route.auth})"
    if need.auth == "none":
        return Decision(name, told, True, "allowed (open_route): the token is not looked at")
    if explanation.refusal is not None:
        return Decision(name, told, False, _refused(explanation.refusal))
    assert explanation.claims is not None, "there is one of both"
    try:
        reason = decide(need, _who(explanation.claims, config), now)
    except Refusal as refusal:
        return Decision(name, told, False, _refused(refusal))
    return Decision(name, told, True, f"allowed ({reason})")


def _who(claims: Claims, config: Config) -> Principal:
    named = claims.named(config.claims_in_routes, unverified=config.identity_headers.send_unverified)
    return Principal(claims, b"", named)


def _refused(refusal: Refusal) -> str:
    return f"refused with {refusal.status} ({refusal.reason}): {refusal}"


def _malformed(token: bytes) -> Explanation | None:
    """What a request is refused with whose header holds more than one token, such as `Bearer Bearer …`."""
    if token[: len(b"bearer ")].lower() != b"bearer ":
        return None
    try:
        bearer_token([b"Bearer " + token])
    except (MalformedAuthorization, TwoCredentials) as refusal:
        check = Check("header", False, str(refusal), "Bearer, a blank and one token", refusal.reason)
        return Explanation((check,), None, None, refusal, None, None)
    return None


def _token(request: ExplainRequest) -> bytes:
    text = request.token
    if text is None or text == "-":
        if sys.stdin.isatty():
            sys.stderr.write("Paste the token, then press Enter and Ctrl-D:\n")
        text = sys.stdin.read(_MOST_INPUT)
    text = text.strip()
    for prefix in _PREFIXES:
        if text[: len(prefix)].lower() == prefix:
            text = text[len(prefix) :].strip()
    if not text:
        raise GatewayError("explain: no token was given: name it, or send it to stdin")
    if request.token is not None and len(text) <= _LONGEST_NAME and Path(text).is_file():
        raise GatewayError(f"explain takes a token, and {text} is a file: cognito-gateway explain - < {text}")
    return text.encode("utf-8", "surrogateescape")


async def _key_sets(config: Config) -> dict[str, Keys]:
    pools = config.cognito.user_pools
    found = await asyncio.gather(*(_key_set(pool, config.cognito.egress) for pool in pools))
    return {pool.id: keys for pool, keys in zip(pools, found, strict=True)}


async def _key_set(pool: UserPool, egress: Egress) -> Keys:
    source = HttpSource(pool.jwks_url, egress) if pool.jwks_file is None else FileSource(pool.jwks_file)
    try:
        return read_key_set(await source.read())
    except (FetchFailed, KeySetRefused) as error:
        where = "" if isinstance(error, FetchFailed) else f"{pool.jwks_file or pool.jwks_url}: "
        return f"could not fetch its keys: {where}{error}"


# --- what is printed ---------------------------------------------------------------------------------------


def as_text(explanation: Explanation, decision: Decision | None, paint: Paint) -> str:
    checks = explanation.checks
    told = columns([_row(check) for check in checks])
    lines = [f"{paint.mark(_mark(check))} {line}" for check, line in zip(checks, told, strict=True)]
    if explanation.unverified_claims is not None:
        proven = explanation.claims is not None
        title = "claims" if proven else "claims, unverified: do not believe them"
        lines += ["", paint.bold(title), json.dumps(explanation.unverified_claims, indent=2)]
    lines += ["", paint.bold(_verdict(explanation))]
    if decision is not None:
        lines += ["", *columns([("request", decision.request), ("route", decision.route)])]
        lines.append(paint.bold(decision.told))
    return "\n".join(lines) + "\n"


def _row(check: Check) -> tuple[str, str]:
    told = check.seen
    if check.passed is None:
        told = f"not looked at{': ' + told if told else ''}"
    elif not check.passed:
        told = f"{told} — wanted: {check.wanted}" if check.wanted else told
    elif not told:
        told = check.wanted
    return check.name, told


def _mark(check: Check) -> Mark:
    return "none" if check.passed is None else "good" if check.passed else "bad"


def _verdict(explanation: Explanation) -> str:
    refusal = explanation.refusal
    if refusal is None:
        return f"accepted, as a token of pool {explanation.pool_id}"
    return _refused(refusal)


def as_json(explanation: Explanation, decision: Decision | None) -> str:
    refusal = explanation.refusal
    answer = {
        "accepted": refusal is None,
        "status": None if refusal is None else refusal.status,
        "reason": None if refusal is None else refusal.reason,
        "exact": None if refusal is None else str(refusal),
        "pool": explanation.pool_id,
        "checks": [
            {
                "name": check.name,
                "passed": check.passed,
                "seen": check.seen,
                "wanted": check.wanted,
                "reason": check.reason or None,
            }
            for check in explanation.checks
        ],
        "header": explanation.unverified_header,
        "claims": explanation.unverified_claims,
        "decision": None if decision is None else asdict(decision),
    }
    return json.dumps(answer, indent=2) + "\n"
