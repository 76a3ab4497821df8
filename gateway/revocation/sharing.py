"""What those who ask tell each other of revocation, as the checks see it.

redis.py does it for replicas, over Redis; gateway/serve/shared_revocation.py for the workers of one.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from gateway.revocation.deny_list import Denial


class Claim(NamedTuple):
    """What is known of a family, and who asks about it.

    `ask`: this worker does, and tells the outcome. `fresh`: somebody did, `seconds` ago. `busy`: somebody is
    asking, come back in `seconds`. `wait`: there are no calls left for so long. `denied`: by this `key`.
    """

    kind: Literal["ask", "fresh", "busy", "wait", "denied"]
    seconds: float = 0.0
    key: str = ""
    cause: str = ""
    issued_until: float = 0.0


class SharedVerdicts(Protocol):
    """Where all look first. Nothing here raises: what cannot be told is not.

    Implementations: RedisVerdicts, SupervisedVerdicts.
    """

    @property
    def parties(self) -> int | None:
        """How many look here, as last seen: they share the calls while nobody can tell. None: unknown."""

    async def present(self) -> None:
        """Show that this one is there; called every few seconds."""

    async def claim(self, family: str, subject: str, *, issued_at: float) -> Claim | None:
        """None: nobody can tell, ask for yourself."""

    async def settle(self, family: str) -> None:
        """It held, just now."""

    async def give_up(self, family: str) -> None:
        """It could not be asked about: somebody else may."""

    async def deny(self, key: str, denial: Denial) -> None: ...

    async def close(self) -> None: ...
