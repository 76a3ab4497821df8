"""Plan and result of a load generator: plain values, exchanged as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """GET requests to 127.0.0.1 over keep-alive connections.

    `tokens`: a file with one bearer token per line. `order`: `first` uses only the first line; `cycle` uses
    all in turn; `once` uses `count` lines from line `offset` on, each once, and ends after the last. Without
    a `rate`, each connection sends as soon as it has its answer (closed loop), for `seconds` or, with `once`,
    at most that long. With a rate (requests/s), requests follow a schedule, and latency counts from the
    scheduled time (open loop). `window`: concurrent requests where connections take turns (steady.py).
    `upgrade`: open WebSockets (crowd.py). `headers`: sent with every request. `grpc`: Envoy's checks of such
    requests, `window` at a time on all connections (checks.py).
    """

    port: int
    path: str
    tokens: str
    seconds: float
    connections: int = 32
    order: Literal["first", "cycle", "once"] = "first"
    offset: int = 0
    count: int = 0
    rate: float | None = None
    window: int = 32
    upgrade: bool = False
    grpc: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class LoadResult:
    """The result of a plan. `requests`: complete answers; `failed`: those not 2xx, and broken connections."""

    requests: int
    failed: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds if self.seconds else 0.0

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> LoadResult:
        """Parse a result. Raises ValueError for anything else."""
        try:
            return cls(**json.loads(text))
        except TypeError as error:
            raise ValueError(str(error)) from error
