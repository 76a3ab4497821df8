"""Who decides about requests and who records them, as a client's connection sees them.

Invariant: a verdict is either an answer of ours or the permission to forward; there is nothing in between.
"""

from __future__ import annotations

from typing import Protocol

from gateway.client.exchange import Forward
from gateway.config.model import Config
from gateway.errors import Refusal
from gateway.gate.authenticate import Verification
from gateway.http.answers import Answer
from gateway.http.request import Peer, Request, RequestIds
from gateway.upstream.connection_pool import UpstreamPool

Verdict = Forward | Answer


class Recorder(Protocol):
    """Who is told what becomes of requests."""

    def began(self, request: Request) -> None: ...

    def refuse(self, request: Request, refusal: Refusal) -> Answer: ...

    def limited(self, key: str) -> None:
        """A limit ended something that nobody is refused for: the configuration's key of it."""

    def failed(self, request: Request, error: Exception) -> None:
        """A bug of ours came up; the request is refused with InternalError."""

    def ended(self, request: Request) -> None: ...


class Checks(Protocol):
    """The order of the checks (gate/checks.py)."""

    def judge(self, request: Request) -> Verdict | Verification | None:
        """The verdict, or what must be verified before `judge_verified` has it: a new token; it may wait for
        others (batch.py). None: something else must be waited for. Raises Refusal."""

    def judge_verified(self, request: Request, verification: Verification) -> Verdict | None:
        """The rest of `judge` when `verification` has taken all steps but the last. Raises Refusal."""

    async def judge_slowly(self, request: Request) -> Verdict:
        """The verdict, whatever has to be fetched for it. Raises Refusal."""

    def holds(self, request: Request) -> bool:
        """Whether the token that let a request in is still one that does, or has ended since."""


class Application(Protocol):
    """One running configuration, as a connection sees it."""

    @property
    def config(self) -> Config: ...

    @property
    def pool(self) -> UpstreamPool: ...

    @property
    def request_ids(self) -> RequestIds: ...

    def peer(self, address: str, *, secure: bool) -> Peer: ...

    @property
    def record(self) -> Recorder: ...

    @property
    def checks(self) -> Checks: ...
