"""Checks of a pool's public keys, and of our clock against the key endpoint's."""

from __future__ import annotations

import asyncio
import time
from email.utils import parsedate_to_datetime

from aiohttp import ClientError

from gateway.commands.checkup.finding import Finding, broken, good, unknown, warning
from gateway.config.model import Egress, UserPool
from gateway.errors import GatewayError
from gateway.keys.fetch import TOTAL_TIMEOUT, FetchFailed, source_of
from gateway.outgoing.aws_http import AwsHttp
from gateway.tokens.claims import MAX_CLOCK_AHEAD
from gateway.tokens.jwk import KeySetRefused, read_key_set

# Seconds of tolerated difference: a Date header has whole seconds.
_CLOCK_WARNS = 5.0


async def look_at_keys(pool: UserPool, egress: Egress) -> list[Finding]:
    """Read the pool's key set; return findings about it and about our clock, by its Date header."""
    about = f"keys of {pool.id}"
    where = str(pool.jwks_file or pool.jwks_url)
    try:
        keys, ignored = read_key_set(await source_of(pool, egress).read())
    except (FetchFailed, KeySetRefused) as error:
        why = "no token of this pool can be verified: 503"
        # FetchFailed names its source itself.
        told = str(error) if isinstance(error, FetchFailed) else f"{where}: {error}"
        return [broken(about, f"could not be fetched: {told}", why, "check the address and the network")]
    found = [good(about, f"{len(keys)} at {where}: {', '.join(sorted(keys))}")]
    found += [
        warning(
            f"key {name} of {pool.id}",
            f"cannot be used: {reason}",
            "tokens signed with it are refused (unknown_key)",
            "if the pool issues such tokens, report it as a bug; in a jwks_file, remove the key",
        )
        for name, reason in ignored
    ]
    if pool.jwks_file is None:
        found.append(clock_finding(await _date(pool.jwks_url, egress), time.time()))
    return found


async def _date(url: str, egress: Egress) -> str | None:
    """Return the key endpoint's Date header: AWS's clock, read without credentials."""
    http = AwsHttp(egress)
    try:
        async with asyncio.timeout(TOTAL_TIMEOUT):
            options = await http.options(url)
            async with (
                http.session() as session,
                session.get(url, allow_redirects=False, **options) as answer,
            ):
                return answer.headers.get("Date")
    except (GatewayError, ClientError, OSError):
        return None


def clock_finding(date: str | None, now: float) -> Finding:
    """Compare our clock with a Date header (RFC 9110 section 6.6.1). Pure."""
    try:
        theirs = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return unknown("clock", "the key endpoint sends no valid Date header", "check the clock: date -u")
    # A Date header is truncated to seconds: half a second later is the best estimate.
    skew = now - (theirs + 0.5)
    told = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} Cognito's"
    fix = "synchronize it by NTP: timedatectl set-ntp true, or the host's chrony"
    if -skew > MAX_CLOCK_AHEAD:
        return broken("clock", told, "new tokens appear to be from the future and are refused", fix)
    if abs(skew) > _CLOCK_WARNS:
        return warning("clock", told, "tokens expire too early or too late by as much", fix)
    return good("clock", "agrees with Cognito's")
