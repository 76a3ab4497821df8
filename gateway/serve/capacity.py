"""Capacity of one worker: connections for `listen.max_connections: auto`, and limits on explicit numbers.

Memory is limited by the cgroup, descriptors by the process. Pure except for the functions that read and raise
limits.

Invariant: connections of usual size fit into the memory granted, and the descriptors that probes, metrics and
our own calls need are never used for clients.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gateway.config.model import Config
from gateway.serve.cgroups import Text, folders, read_text
from gateway.serve.pressure import Pressure

MIB = 1024 * 1024
# Memory of a process before the first connection: 55 MiB, and 30 more once a page was opened (boto3).
_BASE, _PAGES = 58 * MIB, 30 * MIB
# OpenSSL's cache of TLS 1.2 sessions without tickets: 20,480 of some 700 bytes.
_SESSIONS = 16 * MIB
# The supervisor, if there are several workers.
_SUPERVISOR = 52 * MIB
# Maximum fraction of a worker's share for cached tokens: cognito.token_cache_size is 160 MiB by default, more
# than a container of 256 MiB can spare.
_TOKENS = 0.25
# Memory budgeted per connection: 12 KiB while kept alive, up to 40 with TLS, up to 96 while stalled; when
# many are stalled at once, serve/pressure.py closes some.
_CONNECTION = 40 * 1024
# The limit without a memory limit, which was the default before `auto`; and the number that is always served.
_MOST, _LEAST = 16_384, 64
# Descriptors reserved for everything but connections of clients and to the upstream: listeners, probes,
# metrics, Redis, calls to Cognito, files, the log (25 are in use when idle), and clients being refused.
_RESERVED = 128


@dataclass(frozen=True, slots=True)
class Capacity:
    """The capacity of one worker. `bytes`: for all connections together, None: unlimited. `tokens`: bytes for
    cached tokens. `warning`: what is smaller than configured, and why."""

    connections: int
    bytes: int | None
    tokens: int
    warning: str | None = None
    # All of the worker's memory; None: unlimited.
    share: int | None = None

    def pressure(self, resident: Callable[[], int]) -> Pressure | None:
        """Return the control of the connections' total memory; None if it is unlimited."""
        if self.bytes is None or self.share is None:
            return None
        return Pressure(self.bytes, self.share, resident)


def capacity(config: Config, *, workers: int, memory: int | None, descriptors: int) -> Capacity:
    """Return the capacity under a cgroup's memory limit (None: unlimited) and a limit of descriptors."""
    tokens, held, share = config.cognito.token_cache_size, None, None
    if memory is not None:
        share = memory if workers == 1 else (memory - _SUPERVISOR) // workers
        tokens = min(tokens, max(int(share * _TOKENS), MIB))
        base = _BASE + (_PAGES if config.sign_in.enabled else 0) + (_SESSIONS if config.listen.tls else 0)
        held = max(share - base - tokens, _LEAST * _CONNECTION)
    asked = config.listen.max_connections
    wanted = asked if isinstance(asked, int) else _of_memory(held)
    room = descriptors - _RESERVED
    # Each client connection needs at most one to the upstream.
    allowed = max(room - config.upstream.max_connections, room // 2, 1)
    if asked == 0:
        return Capacity(allowed, held, tokens, share=share)
    if wanted <= allowed:
        return Capacity(wanted, held, tokens, share=share)
    detail = f"a limit of {descriptors} open files leaves room for {allowed} client connections"
    if asked == "auto":
        return Capacity(allowed, held, tokens, detail if allowed < _LEAST else None, share)
    return Capacity(allowed, held, tokens, f"{detail}, not {wanted}: raise the limit (ulimit -n)", share)


def _of_memory(held: int | None) -> int:
    return _MOST if held is None else min(max(held // _CONNECTION, _LEAST), _MOST)


def capacity_here(config: Config, workers: int) -> Capacity:
    """Return the capacity of a worker in this process."""
    return capacity(config, workers=workers, memory=memory_limit(), descriptors=raise_descriptor_limit())


def memory_limit(text: Text = read_text) -> int | None:
    """Return the memory limit of this container in bytes; None if there is none."""
    return min(_limits(text), default=None)


def _limits(text: Text) -> Iterator[int]:
    for version, folder in folders(text, "memory"):
        limit = (text(f"{folder}/{'memory.max' if version == 2 else 'memory.limit_in_bytes'}") or "").strip()
        # Without a limit, version 2 says "max", and version 1 a number near 2**63.
        if limit.isdigit() and int(limit) < 1 << 60:
            yield int(limit)


def raise_descriptor_limit() -> int:
    """Raise the limit of open files as far as allowed, and return it."""
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
