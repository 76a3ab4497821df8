"""A fake identity pool at the interface of the adapters."""

from __future__ import annotations

import time

from gateway.aws.identity_pool import Credentials
from tests.support.running import Running
from tests.support.tokens import POOL_ID

POOL_LINES = "identity_pool_id: 'ap-south-1:00000000-0000-4000-8000-000000000001'"


class Identities:
    """Replaces gateway.aws.identity_pool.IdentityPool."""

    def __init__(self, gateway: Running, *, life: float = 3600.0) -> None:
        self.asked: list[str] = []
        self.life, self.wait = life, 0.0
        self.error: Exception | None = None
        portal = gateway.worker.app.portal
        assert portal is not None
        portal.credentials.pools[POOL_ID] = self  # type: ignore[assignment]

    def credentials(self, id_token: str, role: str | None = None) -> Credentials:
        self.asked.append(id_token)
        time.sleep(self.wait)
        if self.error is not None:
            raise self.error
        number = len(self.asked)
        return Credentials(
            f"ap-south-1:{number}", f"ASIA{number}", "secret", "session", time.time() + self.life
        )
