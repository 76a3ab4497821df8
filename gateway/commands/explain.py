"""The `explain` command: why the gateway would accept or refuse this token, without calling the API.

The checks are those of gateway/tokens/explain.py; this command reads the configuration and the key sets, and
prints. Invariant: the token's signature is never printed, and the only requests sent are for the public keys.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.commands.support.flag_parser import Parser
from gateway.commands.support.flags import Environ, config_flag, config_path, json_flag, method
from gateway.errors import GatewayError, MalformedAuthorization, NotConfigured, TwoCredentials
from gateway.terminal import Mark, Paint, columns, paint_for, waiting_for

if TYPE_CHECKING:
    from gateway.config.model import Config, UserPool
    from gateway.gate.dry_run import Decision
    from gateway.tokens.explain import Check, Explanation, Keys

EXAMPLE = "explain - < token.txt"
# More than cognito.max_token_size can be set to: further input cannot be part of a token.
_MOST_INPUT = 128 * 1024
# The longest file name on Linux; the shortest token is longer.
_LONGEST_NAME = 255
# Prefixes of a token that was copied from a terminal or a request log.
_PREFIXES = ("authorization:", "bearer ")


def add_flags(parser: Parser) -> None:
    parser.add_argument(
        "token",
        nargs="?",
        metavar="TOKEN|-",
        help=("default, and with -: standard input, which keeps the token out of the shell's history"),
    )
    parser.add_argument("--path", help="also show which route decides about this path, and its decision")
    parser.add_argument("--method", type=method, default="GET", help="method of that request (default: GET)")
    json_flag(parser)
    config_flag(parser, positional=False)


def run(arguments: argparse.Namespace, environ: Environ) -> int:
    """Print the explanation; return 0 if the request would be allowed, else 1. Raises GatewayError."""
    from gateway.commands.support.unsealing import opened
    from gateway.config.load import load
    from gateway.gate.dry_run import decide_for
    from gateway.tokens.explain import explain

    config = load(config_path(arguments, environ), environ).config
    token = _token(arguments.token)
    malformed = _malformed(token)
    inside = opened(config, token, time.time())
    with waiting_for("the keys of " + ", ".join(pool.id for pool in config.cognito.user_pools)):
        keys = asyncio.run(_key_sets(config))
    explanation = (
        malformed
        or inside.failed
        or explain(
            inside.token,
            config.cognito.user_pools,
            keys,
            now=time.time(),
            leeway=config.cognito.clock_leeway,
            max_size=config.cognito.max_token_size,
        )
    )
    explanation = inside.applied(explanation) if inside.failed is None else explanation
    if not config.cognito.user_pools:
        # As for requests: without a pool there is nothing to compare a token with.
        explanation = replace(explanation, refusal=NotConfigured("no user pool is configured"))
    decision = None
    if arguments.path is not None:
        sealed = inside.check is not None
        decision = decide_for(
            config, arguments.method, arguments.path, explanation, time.time(), sealed=sealed
        )
    if arguments.json:
        sys.stdout.write(_as_json(explanation, decision))
    else:
        sys.stdout.write(_as_text(explanation, decision, paint_for(sys.stdout, environ)))
    accepted = explanation.claims is not None if decision is None else decision.allowed
    return 0 if accepted else 1


def _malformed(token: bytes) -> Explanation | None:
    """Return the explanation for a header with more than one token, such as `Bearer Bearer …`; else None."""
    from gateway.tokens.bearer import bearer_token
    from gateway.tokens.explain import Check, Explanation

    if token[: len(b"bearer ")].lower() != b"bearer ":
        return None
    try:
        bearer_token([b"Bearer " + token])
    except (MalformedAuthorization, TwoCredentials) as refusal:
        check = Check("header", False, str(refusal), "Bearer, a blank and one token", refusal.reason)
        return Explanation((check,), None, None, refusal, None, None)
    return None


def _token(given: str | None) -> bytes:
    """Return the token from the argument or standard input. Raises GatewayError."""
    text = given
    if text is None or text == "-":
        if sys.stdin.isatty():
            sys.stderr.write("Paste the token, then press Enter and Ctrl-D:\n")
        text = sys.stdin.read(_MOST_INPUT)
    text = text.strip()
    for prefix in _PREFIXES:
        if text[: len(prefix)].lower() == prefix:
            text = text[len(prefix) :].strip()
    if not text:
        raise GatewayError("explain: no token: pass it as an argument or on stdin")
    if given is not None and len(text) <= _LONGEST_NAME and Path(text).is_file():
        raise GatewayError(
            f"explain expects a token, but {text} is a file: cognito-gateway explain - < {text}"
        )
    return text.encode("utf-8", "surrogateescape")


async def _key_sets(config: Config) -> dict[str, Keys]:
    """Return the keys of each pool, or why there are none."""
    from gateway.keys.fetch import FetchFailed, source_of
    from gateway.tokens.jwk import KeySetRefused, read_key_set

    async def keys_of(pool: UserPool) -> Keys:
        try:
            return read_key_set(await source_of(pool, config.cognito.egress).read())
        except (FetchFailed, KeySetRefused) as error:
            where = "" if isinstance(error, FetchFailed) else f"{pool.jwks_file or pool.jwks_url}: "
            return f"could not fetch its keys: {where}{error}"

    pools = config.cognito.user_pools
    found = await asyncio.gather(*map(keys_of, pools))
    return {pool.id: keys for pool, keys in zip(pools, found, strict=True)}


# --- output -----------------------------------------------------------------------------------------------


def _as_text(explanation: Explanation, decision: Decision | None, paint: Paint) -> str:
    checks = explanation.checks
    told = columns([_row(check) for check in checks])
    lines = [f"{paint.mark(_mark(check))} {line}" for check, line in zip(checks, told, strict=True)]
    if explanation.unverified_claims is not None:
        proven = explanation.claims is not None
        title = "claims" if proven else "claims (unverified: do not trust them)"
        lines += ["", paint.bold(title), json.dumps(explanation.unverified_claims, indent=2)]
    lines += ["", paint.bold(_verdict(explanation))]
    if decision is not None:
        lines += ["", *columns([("request", decision.request), ("route", decision.route)])]
        lines.append(paint.bold(decision.told))
    return "\n".join(lines) + "\n"


def _row(check: Check) -> tuple[str, str]:
    told = check.seen
    if check.passed is None:
        told = f"not checked{': ' + told if told else ''}"
    elif not check.passed:
        told = f"{told} — expected: {check.wanted}" if check.wanted else told
    elif not told:
        told = check.wanted
    return check.name, told


def _mark(check: Check) -> Mark:
    return "none" if check.passed is None else "good" if check.passed else "bad"


def _verdict(explanation: Explanation) -> str:
    from gateway.gate.dry_run import refused_with

    refusal = explanation.refusal
    if refusal is None:
        return f"accepted, as a token of pool {explanation.pool_id}"
    return refused_with(refusal)


def _as_json(explanation: Explanation, decision: Decision | None) -> str:
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
