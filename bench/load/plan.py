"""What is asked of a load generator, and what it reports back. Plain values that travel as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """GETs on 127.0.0.1 over keep-alive connections.

    `tokens` is a file with one bearer token a line. order: `first` sends only the first line; `cycle` all of
    them in turn; `once` sends `count` lines from line `offset` on, each once, and ends after the last.
    Without a `rate` each connection sends when its answer is in (closed loop), for `seconds` or, in
    `once`, at most that long. With a rate (requests/s) requests leave by the schedule and latency counts
    from the scheduled moment (open loop). `window`: requests under way at a time where connections take turns
    (steady.py). `upgrade`: ask for a WebSocket (crowd.py). `headers` go along with every
    request.
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
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class LoadResult:
    """requests: answers that came in whole. failed: those that were not 2xx, and broken connections."""

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
        """Raises ValueError when it is anything else."""
        try:
            return cls(**json.loads(text))
        except TypeError as error:
            raise ValueError(str(error)) from error
