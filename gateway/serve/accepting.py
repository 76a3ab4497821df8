"""Accepting connections: a few per turn of the event loop, and a refusal when there is no room for more.

asyncio's own servers have no limit: when descriptors run out, uvloop closes connections silently and asyncio
stops accepting for a second; neither counts a connection before its TLS handshake is complete.

Invariant: whatever runs out (places, descriptors), existing clients are not affected, new ones are answered
or closed at once, and accepting resumes by itself.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence

from gateway.observe.logs import Logger

_log = logging.getLogger(__name__)

# Connections accepted per turn of the event loop before existing ones have theirs. asyncio accepts a whole
# backlog; 16 take less than a millisecond.
_AT_ONCE = 16
# accept(2): the process (EMFILE) or the system has no room for another descriptor.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# Seconds until the next attempt if even the spare descriptor did not help.
_PAUSE = 0.1
# Seconds without a refusal for lack of descriptors after which the shortage is over.
_RECOVERED = 2.0
# Bytes of a refused client's request that are read: closing with unread bytes resets the connection, and the
# client may not see its answer.
_UNREAD = 64 * 1024

_BODY = (
    b'{"type":"about:blank","title":"Service unavailable","status":503,'
    b'"detail":"This server has reached its connection limit."}\n'
)
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n"
    b"Retry-After: 1\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n%b" % (len(_BODY), _BODY)
)


class Acceptor:
    """Accepts connections on listening sockets from `start` to `close`, which closes them."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        *,
        connect: Callable[[], asyncio.BaseProtocol],
        full: Callable[[int], bool],
        limited: Callable[[str], None],
        secure: bool,
        log: Logger,
    ) -> None:
        """`connect` creates the protocol of an accepted connection. `full` says whether there is no place for
        another one, given the number accepted but not connected yet. `limited` counts a refusal by the
        limit's name. `secure`: clients speak TLS, and cannot be answered before the handshake."""
        self._sockets = list(sockets)
        self._connect = connect
        self._full = full
        self._limited = limited
        self._secure = secure
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._spare = _spare()
        # When descriptors last ran out, time.monotonic(); None: there are enough.
        self._exhausted_at: float | None = None
        self._starting: set[asyncio.Task[None]] = set()
        self._open = False

    @property
    def exhausted(self) -> bool:
        """Whether connections were refused recently for lack of file descriptors."""
        if self._exhausted_at is not None and time.monotonic() - self._exhausted_at > _RECOVERED:
            self._exhausted_at = None
            self._log.event("descriptors_recovered")
        return self._exhausted_at is not None

    @property
    def starting(self) -> bool:
        """Whether accepted connections are not served yet, which takes two or three turns."""
        return bool(self._starting)

    def start(self) -> None:
        self._open = True
        for sock in self._sockets:
            self._loop.add_reader(sock, self._accept, sock)

    def add(self, sock: socket.socket) -> None:
        """Accept on this socket too."""
        if not self._open:
            sock.close()
            return
        self._sockets.append(sock)
        self._loop.add_reader(sock, self._accept, sock)

    def remove(self, sock: socket.socket) -> None:
        """Stop accepting on a socket and close it; other processes that share it take what is queued."""
        if self._open and sock in self._sockets:
            self._sockets.remove(sock)
            self._loop.remove_reader(sock)
            sock.close()

    def close(self) -> None:
        """Stop accepting and close the sockets. Idempotent."""
        if not self._open:
            return
        self._open = False
        for sock in self._sockets:
            self._loop.remove_reader(sock)
            sock.close()
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, _address = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._without_descriptor(listening, error)
                    return
                # accept(2) also reports errors of the new connection.
                continue
            sock.setblocking(False)
            if self._full(len(self._starting)):
                self._limited("listen.max_connections")
                self._refuse(sock)
            else:
                self._take(sock)

    def _take(self, sock: socket.socket) -> None:
        if sock.family != socket.AF_UNIX:
            # Not every event loop does this for a socket that it did not accept itself.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._serve(sock), name="accepted")
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _serve(self, sock: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._connect, sock)
        except OSError:
            sock.close()  # closed by the client already
        except Exception:  # noqa: BLE001 - one connection's failure must not look like the task's
            sock.close()
            _log.exception("an accepted connection could not be served")

    def _refuse(self, sock: socket.socket) -> None:
        """Answer and close without a ClientConnection: thousands may come per second."""
        try:
            if not self._secure:
                sock.send(_REFUSAL)
                sock.shutdown(socket.SHUT_WR)
                sock.recv(_UNREAD)
        except OSError:
            pass  # it was closed, or has sent nothing yet
        finally:
            sock.close()

    def _without_descriptor(self, listening: socket.socket, error: OSError) -> None:
        """Use the spare descriptor to refuse waiting clients; without one, retry in a moment."""
        if not self.exhausted:
            self._log.event(
                "descriptors_exhausted",
                level="error",
                exact=f"{error.strerror}: raise the limit of open files, or lower listen.max_connections",
            )
        self._exhausted_at = time.monotonic()
        for _ in range(_AT_ONCE):
            if self._spare is None:
                self._spare = _spare()
            if self._spare is None:
                break
            os.close(self._spare)
            self._spare = None
            try:
                sock, _address = listening.accept()
            except (BlockingIOError, InterruptedError):
                self._spare = _spare()
                return
            except OSError:
                break  # another worker took it
            sock.setblocking(False)
            self._limited("descriptors")
            self._refuse(sock)
            self._spare = _spare()
        else:
            return
        self._loop.remove_reader(listening)
        self._loop.call_later(_PAUSE, self._again, listening)

    def _again(self, listening: socket.socket) -> None:
        if self._open and listening in self._sockets:
            self._loop.add_reader(listening, self._accept, listening)


def _spare() -> int | None:
    """Open a descriptor to give up when there is no other; None if even that fails."""
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
