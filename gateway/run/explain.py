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
from dataclasses import dataclass, field
from pathlib import Path

from gateway.config.load import load
from gateway.config.model import Config, UserPool
from gateway.errors import GatewayError
from gateway.terminal import Mark, Paint, columns, paint_for
from gateway.verify.explain import Check, Explanation, Keys, explain
from gateway.verify.fetch import FetchFailed, FileSource, HttpSource
from gateway.verify.jwk import KeySetRefused, parse_key_set

# A token has at most 16 KiB; more than this is not one, and need not be read.
_MOST_INPUT = 64 * 1024
# What surrounds a token that was copied from a terminal or a log of requests.
_PREFIXES = ("authorization:", "bearer ")


@dataclass(frozen=True, slots=True)
class ExplainRequest:
    """The command's arguments. `token` None or `-`: read from stdin."""

    config_path: Path
    token: str | None = field(repr=False)
    as_json: bool
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


def explain_command(request: ExplainRequest) -> int:
    """Prints the explanation; 0 where the request would be let through, else 1. Raises GatewayError."""
    config = load(request.config_path, request.environ).config
    token = _token(request)
    keys = asyncio.run(_key_sets(config))
    explanation = explain(
        token, config.cognito.user_pools, keys, now=time.time(), leeway=config.cognito.clock_leeway
    )
    if request.as_json:
        sys.stdout.write(as_json(explanation))
    else:
        sys.stdout.write(as_text(explanation, paint_for(sys.stdout, request.environ)))
    return 0 if explanation.claims is not None else 1


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
    return text.encode("utf-8", "surrogateescape")


async def _key_sets(config: Config) -> dict[str, Keys]:
    pools = config.cognito.user_pools
    found = await asyncio.gather(*(_key_set(pool) for pool in pools))
    return {pool.id: keys for pool, keys in zip(pools, found, strict=True)}


async def _key_set(pool: UserPool) -> Keys:
    source = HttpSource(pool.jwks_url) if pool.jwks_file is None else FileSource(pool.jwks_file)
    try:
        return parse_key_set(await source.read())
    except (FetchFailed, KeySetRefused) as error:
        where = pool.jwks_url if pool.jwks_file is None else pool.jwks_file
        return f"its key set cannot be had from {where}: {error}"


# --- what is printed ---------------------------------------------------------------------------------------


def as_text(explanation: Explanation, paint: Paint) -> str:
    checks = explanation.checks
    told = columns([_row(check) for check in checks])
    lines = [f"{paint.mark(_mark(check))} {line}" for check, line in zip(checks, told, strict=True)]
    if explanation.unverified_claims is not None:
        proven = explanation.claims is not None
        title = "claims" if proven else "claims, unverified: do not believe them"
        lines += ["", paint.bold(title), json.dumps(explanation.unverified_claims, indent=2)]
    lines += ["", paint.bold(_verdict(explanation))]
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
    return f"refused with {refusal.status} ({refusal.reason}): {refusal}"


def as_json(explanation: Explanation) -> str:
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
    }
    return json.dumps(answer, indent=2) + "\n"
