"""State shared by the pages of one configuration: user pools, threads, counted attempts, templates.

Part of the portal (gateway/pages/portal.py). Invariant: the template engine loads with the first page, and so
does boto3, unless AWS credentials are available to read the pools' settings; then boto3 loads once the
gateway is ready.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gateway.aws.relying_party import PASSKEY, covers
from gateway.config.model import Config
from gateway.errors import NotFound
from gateway.http.answers import Answer
from gateway.observe.logs import Logger
from gateway.pages import respond
from gateway.pages.appearance import Look, look_of
from gateway.pages.attempts import Attempts
from gateway.pages.first_sign_in import FirstSignIn
from gateway.pages.once import Once
from gateway.pages.outcome import redirected
from gateway.pages.setup_code import SetupCode
from gateway.pages.user_pool_access import UserPoolAccess
from gateway.sessions.page_request import PageRequest
from gateway.sessions.sealing import Sealer
from gateway.sessions.threads import Threads
from gateway.texts import Text

if TYPE_CHECKING:
    from gateway.pages.render import Renderer


# Seconds: how often readiness is polled, and how long the first requests then have the CPU to themselves:
# reading the settings loads boto3, which takes half a second of CPU time.
_LOOK, _CALM = 0.25, 1.0


class Pages:
    """The shared state. Owned by the portal, which closes it."""

    def __init__(
        self,
        config: Config,
        threads: Threads,
        log: Logger,
        *,
        secret: bytes,
        once: Once,
        sealer: Sealer,
        previous: Pages | None,
    ) -> None:
        """Build the state. `sealer` seals the outcomes of forms; `secret` and `once` are shared by all
        workers of this start, and by nothing else."""
        self.config = config
        self.log = log
        self.once = once
        self._sealer = sealer
        self.setup_code = SetupCode(secret, once)
        self.first_sign_in = FirstSignIn(config, log)
        # A reload resets no attempts and does not compile the templates again.
        self.attempts: Attempts = Attempts() if previous is None else previous.attempts
        self.look: Look = look_of(config.sign_in.appearance, config.sign_in.languages)
        self._renderer: Renderer | None = None if previous is None else previous._renderer
        self._loading = asyncio.Lock()
        self.threads = threads
        same = previous is not None and previous.config.cognito == config.cognito
        before = previous.pools if previous is not None and same else {}
        self.pools: dict[str, UserPoolAccess] = {
            pool.id: UserPoolAccess(
                pool, config.cognito, config.sign_in, threads, previous=before.get(pool.id)
            )
            for pool in config.cognito.sign_in_pools
        }
        # The acr values of each route that asks for some, as they are sent.
        self.levels = frozenset(" ".join(route.acr) for route in config.routes if route.acr)
        self._reading: asyncio.Task[None] | None = None

    def start(self, ready: Callable[[], bool]) -> None:
        """Start reading the pools' settings, once `ready` says that the gateway can decide.

        Without AWS credentials in sight, the first page reads them instead."""
        own_pages = any(not pool.managed for pool in self.pools.values())
        if own_pages and self.config.cognito.signs:
            self._reading = asyncio.create_task(self._read(ready), name="pool settings")

    async def _read(self, ready: Callable[[], bool]) -> None:
        while not ready():  # noqa: ASYNC110 - key sets offer no event to wait for
            await asyncio.sleep(_LOOK)
        await asyncio.sleep(_CALM)
        for pool in self.pools.values():
            if not pool.managed:
                pool.settings.begin()
        for pool in self.pools.values():
            if not pool.managed:
                await self._check_passkeys(pool)

    async def _check_passkeys(self, pool: UserPoolAccess) -> None:
        """Warn the operator of passkeys that no browser accepts on our pages."""
        await pool.settings.settled.wait()
        described, url = await pool.described(), self.config.listen.public_url
        if described is None or url is None or pool.flow != "choice":
            return
        if PASSKEY in described.first_factors and not covers(described.relying_party, url):
            self.log.event(
                "passkeys_unusable",
                level="warning",
                pool=pool.id,
                expected=urlsplit(url).hostname,
                actual=described.relying_party or "none",
            )

    def pool(self, pool_id: str) -> UserPoolAccess:
        """Return the configured pool. Raises NotFound: we never link to any other."""
        pool = self.pools.get(pool_id)
        if pool is None:
            raise NotFound(f"no user pool {pool_id[:64]!r} is configured")
        return pool

    async def show(
        self,
        page: PageRequest,
        template: str,
        title: Text,
        *,
        status: int = 200,
        retry_after: int | None = None,
        **context: Any,
    ) -> Answer:
        """Return a page; for a form with errors, a redirect to it. `context` as in render.Renderer.page,
        `retry_after` in seconds."""
        errors, problem = context.pop("errors", None), context.pop("problem", None)
        if page.method == "POST" and (errors or problem):
            return redirected(
                page,
                self._sealer,
                kept=context.get("kept"),
                errors=errors,
                problem=problem,
                status=status,
                retry_after=retry_after,
            )
        if page.outcome is not None and page.outcome.refused:
            # The status as well: browsers do not offer to save a password that was refused.
            errors, problem = page.outcome.errors, page.outcome.problem
            status, retry_after = page.outcome.status, page.outcome.retry_after
        answer = (await self.renderer()).page(
            self.look, page, template, title, status=status, errors=errors, problem=problem, **context
        )
        if retry_after is not None:
            answer.headers.append((b"Retry-After", b"%d" % retry_after))
        return answer

    def message(
        self,
        page: PageRequest,
        title: Text,
        sentences: Sequence[Text],
        *,
        status: int,
        back: tuple[Text, str] | None = None,
    ) -> Answer:
        """Return a page with a message, as respond.message; a failure has the request's ID."""
        return respond.message(
            self.look,
            title,
            sentences,
            status=status,
            language=page.language,
            prefix=page.prefix,
            origin=page.origin,
            request_id=page.request_id,
            back=back,
        )

    def after_post(self, page: PageRequest) -> Answer:
        """Redirect to the page of this form, which finds what was typed in `page.outcome`."""
        return redirected(page, self._sealer)

    async def renderer(self) -> Renderer:
        async with self._loading:
            if self._renderer is None:
                self._renderer = await asyncio.to_thread(_load)
            return self._renderer

    def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        for pool in self.pools.values():
            pool.close()


def _load() -> Renderer:
    from gateway.pages.render import Renderer  # noqa: PLC0415

    return Renderer()
