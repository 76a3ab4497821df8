"""A loopback address that does not answer."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

# Of Linux's TCP states; the first byte of struct tcp_info.
_SYN_SENT = 2


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """Return a port that leaves SYNs unanswered: its accept queue is full (Linux drops further ones)."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
            # On loopback a SYN is answered within the call, or not at all.
            if waiting.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _SYN_SENT:
                break
        else:
            pytest.fail("the kernel answers SYNs beyond the queue")
        yield listening.getsockname()[1]
