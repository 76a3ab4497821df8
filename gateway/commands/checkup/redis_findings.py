"""Checks that each Redis of the configuration answers.

Invariant: one PING for each, with a time limit; no finding contains a password.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from gateway.commands.checkup.finding import Finding, broken, good
from gateway.config.model import Config
from gateway.errors import GatewayError
from gateway.observe.logs import Logger
from gateway.redis.redis_client import Redis, RedisUnavailable

# Seconds: more than a request would wait, which may be all that is wrong.
_TIMEOUT = 2.0


async def look_at_redis(config: Config) -> list[Finding]:
    """Return a finding for each Redis, and what fails without it."""
    return [await _pinged(config, *each) for each in _named(config)]


def _named(config: Config) -> Iterator[tuple[str, Path | None, str]]:
    """Yield URL, password file and what fails without it."""
    session, revocation = config.sign_in.session, config.cognito.revocation
    if session.redis_url is not None and config.sign_in.enabled:
        fails = [
            *(["browser sessions"] if session.store == "redis" else []),
            *(["codes for MCP clients"] if config.mcp is not None else []),
        ]
        yield (
            session.redis_url,
            session.redis_password_file,
            " and ".join(fails or ["sharing between replicas"]),
        )
    if config.rate_limit.redis_url is not None:
        fails_too = "sharing of rate limits"
        yield config.rate_limit.redis_url, config.rate_limit.redis_password_file, fails_too
    if revocation.check_every is not None and revocation.redis_url is not None:
        yield revocation.redis_url, revocation.redis_password_file, "sharing of revocation checks"


async def _pinged(config: Config, url: str, password_file: Path | None, fails: str) -> Finding:
    # The finding says what the client would log.
    log = Logger(config.log, io.BytesIO())
    try:
        redis = Redis(url, log=log, password_file=password_file, timeout=_TIMEOUT)
        about = f"Redis {redis.place.name}"
        try:
            await redis.command("PING")
        finally:
            await redis.close()
    except RedisUnavailable as failure:
        if failure.reason == "refused":
            # Its ACL has no PING, which nothing needs.
            return good(about, "answers")
        fix = "check the address, the password and the network, and that Redis runs"
        return broken(about, f"cannot be used: {failure}", f"{fails}: unavailable until it answers", fix)
    except GatewayError as error:
        return broken("Redis", str(error), f"{fails}: unavailable", "install the package")
    finally:
        log.close()
    return good(about, "answers")
