"""The interface of one running configuration, as client connections see it (serve/app.py implements it).

Invariant: a request keeps the configuration under which it began.
"""

from __future__ import annotations

from typing import Protocol

from gateway.config.model import Config
from gateway.gate.judge import Gate
from gateway.gate.record import Record
from gateway.http.request import Peer, RequestIds
from gateway.upstream.connection_pool import UpstreamPool


class Application(Protocol):
    """One running configuration, as a connection sees it.

    One implementation, because serve/app.py wires all parts together: it is above those that use it.
    """

    @property
    def config(self) -> Config: ...

    @property
    def pool(self) -> UpstreamPool: ...

    @property
    def request_ids(self) -> RequestIds: ...

    def peer(self, address: str, *, secure: bool) -> Peer: ...

    @property
    def record(self) -> Record: ...

    @property
    def gate(self) -> Gate: ...
