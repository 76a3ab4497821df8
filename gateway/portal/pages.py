"""What the pages of one configuration share: its pools, their threads, the attempts counted, the templates.

Part of the portal (gateway/portal/portal.py). Invariant: neither the template engine nor boto3 is loaded
before the first page that needs it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from gateway.config.model import Config
from gateway.errors import NotFound
from gateway.observe.logs import Logger
from gateway.portal.attempts import Attempts
from gateway.portal.page import PageRequest
from gateway.portal.pools import Pool
from gateway.portal.setup_code import SetupCode
from gateway.portal.threads import Threads
from gateway.proxy.answers import Answer
from gateway.shared.once import Once

if TYPE_CHECKING:
    from gateway.portal.render import Renderer


class Pages:
    """Owned by the portal, which closes it."""

    def __init__(
        self,
        config: Config,
        threads: Threads,
        log: Logger,
        *,
        secret: bytes,
        once: Once,
        previous: Pages | None,
    ) -> None:
        """`secret` and `once`: what all workers of this start share, and nobody else."""
        self.config = config
        self.log = log
        self.once = once
        self.setup_code = SetupCode(secret, once)
        # A reload gives nobody new attempts, and does not compile the templates again.
        self.attempts: Attempts = Attempts() if previous is None else previous.attempts
        self._renderer: Renderer | None = None if previous is None else previous._renderer
        self._loading = asyncio.Lock()
        self.threads = threads
        self.pools = {
            pool.id: Pool(pool, config.cognito, config.sign_in, self.threads)
            for pool in config.cognito.user_pools
        }

    def pool(self, pool_id: str) -> Pool:
        """Raises NotFound: an address with another one was never made by us."""
        pool = self.pools.get(pool_id)
        if pool is None:
            raise NotFound(f"no user pool {pool_id[:64]!r} is configured")
        return pool

    async def show(
        self,
        page: PageRequest,
        template: str,
        title: str,
        *,
        status: int = 200,
        retry_after: int | None = None,
        **context: Any,
    ) -> Answer:
        """A page; `context` as for render.Renderer.page, `retry_after` in seconds."""
        answer = (await self.renderer()).page(page, template, title, status=status, **context)
        if retry_after is not None:
            answer.headers.append((b"Retry-After", b"%d" % retry_after))
        return answer

    async def renderer(self) -> Renderer:
        async with self._loading:
            if self._renderer is None:
                self._renderer = await asyncio.to_thread(_load)
            return self._renderer

    def close(self) -> None:
        for pool in self.pools.values():
            pool.close()


def _load() -> Renderer:
    from gateway.portal.render import Renderer  # noqa: PLC0415

    return Renderer()
