"""How many connections one worker may have: `listen.max_connections: auto`, and what bounds a number.

Memory comes from the cgroup's limit, descriptors from the process's. Pure but for the functions that read and
raise limits.

Invariant: connections at their usual size fit into the memory that is granted, and the descriptors that
probes, metrics and calls of our own need are never handed to clients.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gateway.config.model import Config
from gateway.serve.cgroups import Text, folders, read_text
from gateway.serve.pressure import Pressure

MIB = 1024 * 1024
# What a process has before the first connection: 55 MiB, and 30 more once a page was asked for (boto3).
_BASE, _PAGES = 58 * MIB, 30 * MIB
# What OpenSSL remembers of clients that shook hands by TLS 1.2 without tickets: 20,480 of some 700 bytes.
_SESSIONS = 16 * MIB
# A supervisor, where there are several workers.
_SUPERVISOR = 52 * MIB
# Of a worker's share, what verified tokens may take at most: cognito.token_cache_size is 160 MiB by default,
# more than a container of 256 MiB has to spare.
_TOKENS = 0.25
# What a connection is reckoned at: 12 KiB while it is kept alive, up to 40 with TLS, up to 96 while it is
# stalled; when many are stalled at once, serve/pressure.py ends some.
_CONNECTION = 40 * 1024
# As many as were the default before there was `auto`, where nothing is limited; and what is always served.
_MOST, _LEAST = 16_384, 64
# Descriptors for all but connections of clients and to the upstream: listeners, probes, metrics, Redis, calls
# to Cognito, files, the log (25 are in use when nothing happens), and clients that are being refused.
_RESERVED = 128


@dataclass(frozen=True, slots=True)
class Capacity:
    """For one worker. bytes: what all connections may hold together; None: no limit is known. tokens: bytes
    of remembered tokens. warning: what is smaller than was asked for, and why."""

    connections: int
    bytes: int | None
    tokens: int
    warning: str | None = None
    # All of the worker's memory; None: no limit is known.
    share: int | None = None

    def pressure(self, resident: Callable[[], int]) -> Pressure | None:
        """What bounds the sum of what the connections hold; None: nothing does."""
        if self.bytes is None or self.share is None:
            return None
        return Pressure(self.bytes, self.share, resident)


def capacity(config: Config, *, workers: int, memory: int | None, descriptors: int) -> Capacity:
    """The decision, of the cgroup's limit (None: there is none) and the process's limit of descriptors."""
    tokens, held, share = config.cognito.token_cache_size, None, None
    if memory is not None:
        share = memory if workers == 1 else (memory - _SUPERVISOR) // workers
        tokens = min(tokens, max(int(share * _TOKENS), MIB))
        base = _BASE + (_PAGES if config.sign_in.enabled else 0) + (_SESSIONS if config.listen.tls else 0)
        held = max(share - base - tokens, _LEAST * _CONNECTION)
    asked = config.listen.max_connections
    wanted = asked if isinstance(asked, int) else _of_memory(held)
    room = descriptors - _RESERVED
    # Each connection of a client needs one to the upstream at most.
    allowed = max(room - config.upstream.max_connections, room // 2, 1)
    if asked == 0:
        return Capacity(allowed, held, tokens, share=share)
    if wanted <= allowed:
        return Capacity(wanted, held, tokens, share=share)
    told = f"{descriptors} open files leave room for {allowed} connections of clients"
    if asked == "auto":
        return Capacity(allowed, held, tokens, told if allowed < _LEAST else None, share)
    return Capacity(allowed, held, tokens, f"{told}, not {wanted}: raise the limit (ulimit -n)", share)


def _of_memory(held: int | None) -> int:
    return _MOST if held is None else min(max(held // _CONNECTION, _LEAST), _MOST)


def capacity_here(config: Config, workers: int) -> Capacity:
    """The same for this process."""
    return capacity(config, workers=workers, memory=memory_limit(), descriptors=raise_descriptor_limit())


def memory_limit(text: Text = read_text) -> int | None:
    """Bytes that this container may use; None: it has no limit."""
    return min(_limits(text), default=None)


def _limits(text: Text) -> Iterator[int]:
    for version, folder in folders(text, "memory"):
        limit = (text(f"{folder}/{'memory.max' if version == 2 else 'memory.limit_in_bytes'}") or "").strip()
        # Version 2 says "max", version 1 a number near 2**63 where there is no limit.
        if limit.isdigit() and int(limit) < 1 << 60:
            yield int(limit)


def raise_descriptor_limit() -> int:
    """Allow this process all the descriptors that it may have; returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = 1 << 20  # Linux's own ceiling (fs.nr_open)
    if soft == resource.RLIM_INFINITY or soft >= hard:
        return hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        return soft
    return hard
