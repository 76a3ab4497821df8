"""The interface through which workers and replicas share revocation results.

redis_verdicts.py implements it for replicas; gateway/serve/shared_revocation.py for the workers of one
gateway.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from gateway.revocation.deny_list import Denial


class Claim(NamedTuple):
    """What is known of a family, and who checks it.

    `ask`: this worker checks it and reports the result. `fresh`: it was checked `seconds` ago. `busy`:
    another worker is checking it, look again in `seconds`. `wait`: no call is available for `seconds`.
    `denied`: under `key`.
    """

    kind: Literal["ask", "fresh", "busy", "wait", "denied"]
    seconds: float = 0.0
    key: str = ""
    cause: str = ""
    issued_until: float = 0.0


class SharedVerdicts(Protocol):
    """Shared results, consulted before Cognito. Nothing here raises.

    Implementations: RedisVerdicts, SupervisedVerdicts.
    """

    @property
    def parties(self) -> int | None:
        """The last known number of workers that share the calls, in case of an outage; None: unknown."""

    async def present(self) -> None:
        """Announce this worker; called every few seconds."""

    async def claim(self, family: str, subject: str, *, issued_at: float) -> Claim | None:
        """Return what is known of a family; None: unavailable, check it yourself."""

    async def settle(self, family: str) -> None:
        """Report that Cognito has just confirmed the family."""

    async def give_up(self, family: str) -> None:
        """Release a claim without a result, so that another worker can check."""

    async def deny(self, key: str, denial: Denial) -> None: ...

    async def close(self) -> None: ...
