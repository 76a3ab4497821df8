"""Revocation checks counted for all workers together: the supervisor's side and the workers'.

A worker claims a sign-in, over the control socket, before it asks Cognito about it; the supervisor answers
from one `Commons`. Invariant: a worker waits at most `_PATIENCE` for an answer, then asks Cognito itself; no
request waits for any of this.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from gateway.config.model import Config
from gateway.revocation.deny_list import Denial
from gateway.revocation.shared_state import Commons
from gateway.revocation.sharing import Claim
from gateway.serve.control import Message

# Seconds. The supervisor answers within a millisecond, except during a reload.
_PATIENCE = 1.0


class Counter:
    """The supervisor's side: handles the workers' claims and outcomes."""

    def __init__(self, config: Config) -> None:
        self._commons: Commons | None = None
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Switch to another configuration. With Redis, or without revocation, nothing is counted here."""
        settings, previous = config.cognito.revocation, self._commons
        self._commons = None
        if settings.check_every is None or settings.redis_url is not None:
            return
        self._commons = Commons(
            settings.check_every,
            settings.calls_per_second / settings.replicas,
            leeway=config.cognito.clock_leeway,
            previous=previous,
        )

    def hear(self, message: Message) -> Mapping[str, object] | None:
        """Return the answer to a worker's message, if it needs one."""
        commons, now = self._commons, time.monotonic()
        match message["what"]:
            case "claim":
                claim = None
                if commons is not None:
                    issued_at = message["issued_at"]
                    claim = commons.claim(message["family"], message["subject"], issued_at=issued_at, now=now)
                return {"number": message["number"], "claim": claim}
            case "settle" if commons is not None:
                commons.settle(message["family"], now)
            case "give_up" if commons is not None:
                commons.give_up(message["family"])
            case "deny" if commons is not None:
                commons.deny(message["key"], Denial(message["cause"], message["issued_until"]), now)
        return None


class SupervisedVerdicts:
    """The worker's side: SharedVerdicts by way of the supervisor. Outlives configurations."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        # Only the configuration knows the number of workers.
        self.parties: int | None = None
        self._send = send
        self._number = 0
        self._claims: dict[int, asyncio.Future[Claim | None]] = {}

    def received(self, message: Message) -> None:
        """Handle the supervisor's answer."""
        waiting = self._claims.get(message["number"])
        if waiting is not None and not waiting.done():
            claim: list[Any] | None = message["claim"]
            waiting.set_result(None if claim is None else Claim(*claim))

    async def present(self) -> None:
        """Do nothing: the supervisor knows its workers."""

    async def claim(self, family: str, subject: str, *, issued_at: float) -> Claim | None:
        self._number += 1
        number = self._number
        waiting: asyncio.Future[Claim | None] = asyncio.get_running_loop().create_future()
        self._claims[number] = waiting
        self._tell("claim", number=number, family=family, subject=subject, issued_at=issued_at)
        try:
            async with asyncio.timeout(_PATIENCE):
                return await waiting
        except TimeoutError:
            return None
        finally:
            del self._claims[number]

    async def settle(self, family: str) -> None:
        self._tell("settle", family=family)

    async def give_up(self, family: str) -> None:
        self._tell("give_up", family=family)

    async def deny(self, key: str, denial: Denial) -> None:
        self._tell("deny", key=key, cause=denial.cause, issued_until=denial.issued_until)

    async def close(self) -> None:
        """Do nothing: the channel belongs to the worker."""

    def _tell(self, what: str, **fields: object) -> None:
        self._send({"kind": "revocation", "what": what, **fields})

    def __repr__(self) -> str:
        return f"<SupervisedVerdicts, {len(self._claims)} claims under way>"
