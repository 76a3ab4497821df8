"""Loopback ports for programs that need their port before they start."""

from __future__ import annotations

import os
import re
import socket
from itertools import count

# Below the kernel's ephemeral range (from 32768 on Linux), so that no other test's client can hold one. Each
# pytest-xdist process has its own range, and repeats a port only after it has used all of them.
_FIRST, _STRETCH, _STRETCHES = 12_000, 2_000, 10


def _stretch() -> int:
    number = re.fullmatch(r"gw(\d+)", os.environ.get("PYTEST_XDIST_WORKER", "gw0"))
    return _FIRST + _STRETCH * (int(number[1]) % _STRETCHES if number else 0)


# Not from the beginning of the range: another run on this machine would begin there too.
_begin, _next = _stretch(), count(os.getpid() * 37)


def free_port() -> int:
    """Return a free port. Raises RuntimeError if there is none."""
    for _ in range(_STRETCH):
        port = _begin + next(_next) % _STRETCH
        if is_free(port):
            return port
    raise RuntimeError(f"no port from {_begin} to {_begin + _STRETCH} is free")


def is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
