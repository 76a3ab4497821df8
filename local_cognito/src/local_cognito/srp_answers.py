"""The answer to PASSWORD_VERIFIER and DEVICE_PASSWORD_VERIFIER: whether it proves the password."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime

from local_cognito import srp
from local_cognito.errors import invalid_parameter
from local_cognito.state_sign_in import AuthSession

# Seconds. Clients whose clock is off by more than a session's lifetime could not sign in at AWS either.
_CLOCK_SKEW = 180.0


def proved_by_srp(session: AuthSession, name: bytes, answers: Mapping[str, str], now: float) -> bool:
    """Return whether these answers prove the password behind the session's exchange; `name`: whose."""
    signature, block, timestamp = (
        _required(answers, each)
        for each in ("PASSWORD_CLAIM_SIGNATURE", "PASSWORD_CLAIM_SECRET_BLOCK", "TIMESTAMP")
    )
    exchange = session.srp
    return (
        exchange is not None
        and hmac.compare_digest(base64.b64encode(exchange.block), block.encode())
        and abs(_seconds(timestamp) - now) <= _CLOCK_SKEW
        and srp.proves(exchange, name, timestamp=timestamp, signature=signature)
    )


def _required(answers: Mapping[str, str], name: str) -> str:
    value = answers.get(name)
    if not value:
        raise invalid_parameter(f"Missing required parameter {name}")
    return value


def _seconds(timestamp: str) -> float:
    """Parse `Tue Nov 24 20:27:43 UTC 2026`, which is English in every locale."""
    try:
        return datetime.strptime(timestamp, "%a %b %d %H:%M:%S UTC %Y").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise invalid_parameter("TIMESTAMP must look like: Tue Nov 24 20:27:43 UTC 2026") from None
